"""How the server steps a handler: in its own callback, as a task that asyncio knows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from boxoffice.errors import SoldOut
from boxoffice.http.api.operation import Call, Reply, operation
from boxoffice.http.api.router import Router
from boxoffice.http.server import exchange as exchanges
from boxoffice.http.server.context import ServerContext, connection_limits
from boxoffice.http.server.exchange import Exchange
from boxoffice.settings import Settings
from tests.support.connection import dependencies, quiet_log
from tests.support.waiting import until

Work = Callable[[], Awaitable[Any]]


class Resource:
    """A resource with one operation that does what the test says; it keeps the answers."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.dependencies = dependencies(request_timeout_s=timeout_s)
        self.sent: list[bytes] = []
        self.work: Work
        router = Router([("/thing", self)], self.dependencies)
        self.state = ServerContext(router, quiet_log(), connection_limits(Settings().server))

    @operation("Do it")
    async def on_post(self, _call: Call[Any, Any]) -> Reply:
        return Reply(await self.work())

    def send_answer(self, answer: bytes, rest: bytes, *, keep_alive: bool) -> None:
        assert keep_alive
        self.sent.append(answer + rest)

    async def begin(self, work: Work) -> Exchange:
        """Let the handler begin in a callback, as a connection does it; return when it waits."""
        self.work = work
        match = self.state.router.find("POST", b"/thing")
        connection: Any = self
        exchange = Exchange(connection, self.state, match, "POST", {}, None, self.state.loop)
        self.state.loop.call_soon(exchange.start)
        await asyncio.sleep(0)
        return exchange

    async def _has_sent(self) -> bool:
        return bool(self.sent)

    async def answer(self) -> bytes:
        await until(self._has_sent)
        assert self.state.in_flight.count == 0
        return self.sent.pop()


@pytest.fixture
async def resource() -> Resource:
    return Resource()


async def test_what_waits_for_nothing_ends_in_the_callback(resource: Resource) -> None:
    async def work() -> str:
        return "at once"

    exchange = await resource.begin(work)
    assert exchange.is_answered
    assert (await resource.answer()).endswith(b'"at once"')


async def test_a_future_is_waited_for(resource: Resource) -> None:
    outcome = asyncio.get_running_loop().create_future()

    async def work() -> str:
        return str(await outcome)

    await resource.begin(work)
    assert not resource.sent
    outcome.set_result("held")
    assert (await resource.answer()).endswith(b'"held"')


async def test_asyncio_knows_the_task_in_every_step(resource: Resource) -> None:
    seen: list[object] = []

    async def work() -> str:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())
        return "done"

    exchange = await resource.begin(work)
    await resource.answer()
    assert seen == [exchange, exchange, exchange]
    assert isinstance(asyncio.current_task(), asyncio.Task), "no step leaves the task behind"


async def test_a_timeout_works_in_the_first_step_and_later(resource: Resource) -> None:
    async def work() -> str:
        for pauses in (0, 1):
            for _ in range(pauses):
                await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        return "in time"

    exchange = await resource.begin(work)
    assert (await resource.answer()).endswith(b'"in time"')
    assert exchange.cancelling() == 0


async def test_a_group_of_tasks_works(resource: Resource) -> None:
    async def one(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def work() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in range(3)]
        with pytest.raises(ExceptionGroup):
            await _failing_group()
        return [task.result() for task in tasks]

    exchange = await resource.begin(work)
    assert (await resource.answer()).endswith(b"[0,1,2]")
    assert exchange.cancelling() == 0


async def _failing_group() -> None:
    async with asyncio.timeout(1), asyncio.TaskGroup() as group:
        group.create_task(_fail())
        await asyncio.Event().wait()


async def _fail() -> None:
    raise SoldOut


@pytest.mark.parametrize("pauses", [0, 1])
async def test_refusals_and_bugs_are_answered_wherever_they_happen(
    resource: Resource, pauses: int
) -> None:
    outcome = asyncio.get_running_loop().create_future()

    async def refused() -> None:
        for _ in range(pauses):
            await asyncio.sleep(0)
        await outcome

    await resource.begin(refused)
    await asyncio.sleep(0.01)
    outcome.set_exception(SoldOut())
    assert b'"code":"sold_out"' in await resource.answer()

    async def broken() -> object:
        for _ in range(pauses):
            await asyncio.sleep(0)
        return object()  # nothing that can be encoded

    await resource.begin(broken)
    answer = await resource.answer()
    assert answer.startswith(b"HTTP/1.1 500")
    assert b'"code":"internal"' in answer


@pytest.mark.parametrize("pauses", [0, 1])
async def test_a_deadline_ends_the_waiting_and_denies_nothing(
    monkeypatch: pytest.MonkeyPatch, pauses: int
) -> None:
    monkeypatch.setattr(exchanges, "_DEADLINES_EVERY_S", 0.01)
    resource = Resource(timeout_s=0.05)
    outcome = asyncio.get_running_loop().create_future()

    async def work() -> object:
        for _ in range(pauses):
            await asyncio.sleep(0)
        return await outcome

    await resource.begin(work)
    assert b'"code":"outcome_unknown"' in await resource.answer()
    assert outcome.cancelled()
    assert not resource.state.deadlines._open


async def test_a_cancellation_comes_in_the_next_step(resource: Resource) -> None:
    outcome = asyncio.get_running_loop().create_future()

    async def work() -> object:
        return await outcome

    exchange = await resource.begin(work)
    # What it waits for is done already: the cancellation must not be lost.
    outcome.set_result("held")
    assert exchange.cancel()
    assert b'"code":"outcome_unknown"' in await resource.answer()
    assert not exchange.cancel(), "it has ended"


async def test_a_client_that_hangs_up_gets_no_answer_and_the_work_goes_on(
    resource: Resource,
) -> None:
    outcome = asyncio.get_running_loop().create_future()
    done = []

    async def work() -> None:
        done.append(await outcome)

    exchange = await resource.begin(work)
    exchange.is_abandoned = True
    outcome.set_result("held")
    await asyncio.sleep(0.01)
    assert done == ["held"]
    assert not resource.sent
    assert resource.state.in_flight.count == 0
