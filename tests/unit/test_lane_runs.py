"""How the fast path steps a handler: without a task for the group commit, with one for the rest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from boxoffice.accounts.tokens import Caller
from boxoffice.errors import SoldOut, TokenInvalid
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.server import fast_path as lanes
from boxoffice.http.server.fast_path import Lane, Run
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.platform.concurrency.futures import TasklessFuture
from tests.support.waiting import until

Work = Callable[[], Awaitable[Any]]


def nobody(_token: str) -> Caller:
    raise TokenInvalid


class Desk:
    """A lane with one operation that does what the test says."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.sent: list[bytes] = []
        self.work: Work
        desk = self

        class Thing:
            dependencies = RouteDependencies(
                nobody, body_max_bytes=10, body_timeout_s=1, request_timeout_s=timeout_s
            )

            @operation("Do it", fast_path=True)
            async def on_post(self, _call: Call[Any, Any]) -> Reply:
                return Reply(await desk.work())

        self.lane = Lane([("/thing", Thing())], AccessLog(InFlight(), log_requests=False))

    def begin(self, work: Work) -> Run:
        self.work = work
        way = self.lane.find(b"POST", b"/thing", {})
        assert way is not None
        run = Run(
            self.lane,
            way,
            b"POST",
            {},
            True,
            None,
            lambda raw, rest, _: self.sent.append(raw + rest),
        )
        run.start()
        return run

    async def _has_sent(self) -> bool:
        return bool(self.sent)

    async def answer(self) -> bytes:
        await until(self._has_sent)
        assert self.lane.access_log.in_flight.count == 0
        return self.sent.pop()


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_what_waits_for_nothing_has_no_task(desk: Desk) -> None:
    async def work() -> str:
        assert asyncio.current_task() is None
        return "at once"

    # Stepped from a callback, as the protocol does it.
    runs: list[Run] = []
    asyncio.get_running_loop().call_soon(lambda: runs.append(desk.begin(work)))
    assert (await desk.answer()).endswith(b'"at once"')
    assert runs[0].task is None


async def test_a_batch_is_waited_for_without_a_task(desk: Desk) -> None:
    outcome: TasklessFuture[str] = TasklessFuture()

    async def work() -> str:
        return await outcome

    run = desk.begin(work)
    assert run.task is None
    assert not desk.sent
    outcome.set_result("held")
    assert (await desk.answer()).endswith(b'"held"')
    assert run.task is None


async def test_whoever_waits_for_anything_else_has_a_task_for_good(desk: Desk) -> None:
    outcome: TasklessFuture[str] = TasklessFuture()

    async def work() -> str:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            first = await outcome
        assert asyncio.current_task() is not None
        return first

    run = desk.begin(work)
    assert run.task is not None
    await asyncio.sleep(0.01)
    outcome.set_result("held")
    assert (await desk.answer()).endswith(b'"held"')


async def test_a_task_may_begin_after_a_batch(desk: Desk) -> None:
    outcome: TasklessFuture[str] = TasklessFuture()

    async def work() -> str:
        told = await outcome
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        return told

    desk.begin(work)
    outcome.set_result("held")
    assert (await desk.answer()).endswith(b'"held"')


@pytest.mark.parametrize("pauses", [0, 1])
async def test_refusals_and_bugs_are_answered_wherever_they_happen(desk: Desk, pauses: int) -> None:
    outcome: TasklessFuture[str] = TasklessFuture()

    async def refused() -> None:
        for _ in range(pauses):
            await asyncio.sleep(0)
        await outcome

    desk.begin(refused)
    await asyncio.sleep(0.01)
    outcome.set_exception(SoldOut())
    assert b'"code":"sold_out"' in await desk.answer()

    async def broken() -> object:
        for _ in range(pauses):
            await asyncio.sleep(0)
        return object()  # nothing that can be encoded

    desk.begin(broken)
    answer = await desk.answer()
    assert answer.startswith(b"HTTP/1.1 500")
    assert b'"code":"internal"' in answer


@pytest.mark.parametrize("pauses", [0, 1])
async def test_a_deadline_ends_the_waiting_and_denies_nothing(
    monkeypatch: pytest.MonkeyPatch, pauses: int
) -> None:
    monkeypatch.setattr(lanes, "_DEADLINES_EVERY_S", 0.01)
    desk = Desk(timeout_s=0.05)
    outcome: TasklessFuture[str] = TasklessFuture()

    async def work() -> str:
        for _ in range(pauses):
            await asyncio.sleep(0)
        return await outcome

    desk.begin(work)
    assert b'"code":"outcome_unknown"' in await desk.answer()
    assert outcome.cancelled()
    assert not desk.lane.deadlines._open


async def test_whoever_hangs_up_gets_no_answer_and_the_work_goes_on(desk: Desk) -> None:
    outcome: TasklessFuture[str] = TasklessFuture()
    done = []

    async def work() -> None:
        done.append(await outcome)

    run = desk.begin(work)
    run.disconnected = True
    outcome.set_result("held")
    await asyncio.sleep(0.01)
    assert done == ["held"]
    assert not desk.sent
    assert desk.lane.access_log.in_flight.count == 0
