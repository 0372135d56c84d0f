"""Two workers that batch together over a real socket; each one's database is the test."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.batching.handover import frames
from boxoffice.batching.handover.frames import CommandFormat, FrameInvalid, FrameReader, FrameType
from boxoffice.batching.handover.link import HandOverLimits
from boxoffice.batching.handover.workers import WorkerHandOver, WorkerPlace
from boxoffice.errors import Draining, OutcomeUnknown
from boxoffice.platform.postgres.outcomes import StatementForbidden
from tests.unit.batching.scripted import TIMEOUT_S, Call, ScriptedHandler, leftovers, until

# The first of two workers collects for it.
SCHEDULE = UUID(int=1 << 70)
PATIENT = HandOverLimits(timeout_s=TIMEOUT_S)


class WireCommand(msgspec.Struct, frozen=True, array_like=True):
    """A command that can travel."""

    name: str
    identity: str | None = None
    fingerprint: bytes = b""


class WiredHandler(ScriptedHandler):
    """A scripted handler whose commands can be handed over."""

    wire = CommandFormat.of(7, WireCommand, str)

    def __init__(self) -> None:
        super().__init__("wired")
        self.learned: list[tuple[str, str]] = []

    def learn(self, _key: UUID, commands: Sequence[WireCommand], outcomes: Sequence[str]) -> None:
        self.learned += [(one.name, said) for one, said in zip(commands, outcomes, strict=True)]


class HandingWorker:
    """One of two workers."""

    def __init__(self, folder: Path, number: int, limits: HandOverLimits, **kinds: Any) -> None:
        self.group = GroupCommit(GroupCommitLimits(**kinds), jitter=lambda: 0.0)
        self.handler: Any = WiredHandler()
        self.forbidden: list[int] = []
        place = WorkerPlace(folder, number, 2)
        self.hand_over = WorkerHandOver(place, self.group, self.forbidden.append, limits)
        self.hand_over.register(self.handler)
        self.running = asyncio.create_task(self.hand_over.run())

    @property
    def link(self) -> Any:
        return self.hand_over._links[0]

    def ask(self, names: str) -> "list[asyncio.Task[str]]":
        """Send one command per word, from this worker."""
        commands = [WireCommand(name, name) for name in names.split()]
        return [
            asyncio.create_task(self.group.submit(self.handler, SCHEDULE, one)) for one in commands
        ]

    async def end(self) -> None:
        """End without closing, as a killed process does."""
        self.hand_over.close()
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@asynccontextmanager
async def two_workers(
    folder: Path, limits: HandOverLimits = PATIENT, **kinds: Any
) -> AsyncIterator[tuple[HandingWorker, HandingWorker]]:
    """Lend a collector and a worker that is connected to it."""
    collector = HandingWorker(folder, 0, limits, **kinds)
    await until((folder / "0.sock").exists)
    worker = HandingWorker(folder, 1, limits, **kinds)
    await until(lambda: worker.hand_over._links and worker.link._is_welcome)
    yield collector, worker
    for one in (worker, collector):
        await one.end()
        assert not leftovers(one.group)


async def answers(tasks: "list[asyncio.Task[str]]") -> list[Any]:
    async with asyncio.timeout(TIMEOUT_S):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def held_up(collector: HandingWorker) -> Call:
    """Fill the collector's only slot with a command of its own."""
    collector.ask("own")
    first: Call = await collector.handler.next()
    return first


async def test_commands_of_both_workers_share_a_batch(tmp_path: Path) -> None:
    async with two_workers(tmp_path, batches_in_flight=1) as (collector, worker):
        first = await held_up(collector)
        handed, own = worker.ask("a b"), collector.ask("c")
        await until(lambda: collector.group.count == 4)
        first.accept()
        batch = await collector.handler.next()
        assert sorted(batch.names) == ["a", "b", "c"]
        batch.accept()
        assert await answers(handed) == ["did a", "did b"]
        assert await answers(own) == ["did c"]
        assert worker.handler.learned == [("a", "did a"), ("b", "did b")]
        assert worker.handler.is_quiet


async def test_an_outcome_is_answered_where_learning_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[type] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: failed.append(type(context["exception"]))
    )
    async with two_workers(tmp_path) as (collector, worker):
        monkeypatch.delattr(worker.handler, "learned")
        handed = worker.ask("a b")
        (await collector.handler.next()).accept()
        assert await answers(handed) == ["did a", "did b"]
        assert worker.handler.is_quiet
    assert failed == [AttributeError]


async def test_a_schedule_of_its_own_stays_with_a_worker(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (collector, _):
        asked = collector.ask("a")
        (await collector.handler.next()).accept()
        assert await answers(asked) == ["did a"]


async def test_what_a_dead_collector_has_is_forbidden_and_looked_up(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (collector, worker):
        handed = worker.ask("a b")
        lost = await collector.handler.next()
        number = worker.link._number
        await collector.end()
        look_up = await worker.handler.next("look_up")
        assert worker.forbidden == [number]
        look_up.say("found a", None)
        (await worker.handler.next()).accept()
        assert await answers(handed) == ["found a", "did b"]
        lost.accept()
        await collector.group.close()


async def test_an_answer_that_does_not_come_in_time_is_looked_up(tmp_path: Path) -> None:
    async with two_workers(tmp_path, HandOverLimits(timeout_s=0.05)) as (collector, worker):
        handed = worker.ask("a")
        late = await collector.handler.next()
        (await worker.handler.next("look_up")).say(None)
        decided = await worker.handler.next()
        assert decided.names == ["a"]
        # What follows is decided alone at once.
        more = worker.ask("b")
        decided.accept()
        (await worker.handler.next()).accept()
        assert await answers(handed + more) == ["did a", "did b"]
        late.fail(StatementForbidden())
        await collector.group.close()


async def test_a_forbidden_batch_is_decided_again_without_the_peers(tmp_path: Path) -> None:
    async with two_workers(tmp_path, batches_in_flight=1) as (collector, worker):
        first = await held_up(collector)
        handed, own = worker.ask("a"), collector.ask("c")
        await until(lambda: collector.group.count == 3)
        first.accept()
        (await collector.handler.next()).fail(StatementForbidden())
        again = await collector.handler.next()
        assert again.names == ["c"]
        again.accept()
        alone = await worker.handler.next()
        assert alone.names == ["a"]
        alone.accept()
        assert await answers(handed + own) == ["did a", "did c"]


async def test_a_collector_that_closes_gives_commands_back(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (collector, worker):
        await collector.group.close()
        handed = worker.ask("a")
        (await worker.handler.next()).accept()
        assert await answers(handed) == ["did a"]
        assert worker.forbidden == []
        with pytest.raises(Draining):
            await collector.ask("c")[0]


async def test_what_a_collector_does_not_know_is_looked_up(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (collector, worker):
        handed = worker.ask("a")
        (await collector.handler.next()).fail(OutcomeUnknown())
        (await collector.handler.next("look_up")).fail(UnicodeError("refused"))
        (await worker.handler.next("look_up")).say("found a")
        assert await answers(handed) == ["found a"]
        assert len(worker.forbidden) == 1


async def test_a_command_of_both_workers_is_decided_by_each(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (collector, worker):
        own = collector.ask("a")
        first = await collector.handler.next()
        handed = worker.ask("a")
        second = await worker.handler.next()
        first.accept()
        second.accept()
        assert await answers(own + handed) == ["did a", "did a"]


async def test_more_commands_than_may_be_away_are_decided_alone(tmp_path: Path) -> None:
    limits = HandOverLimits(timeout_s=TIMEOUT_S, commands_max=2)
    async with two_workers(tmp_path, limits) as (collector, worker):
        handed = worker.ask("a b c")
        (await collector.handler.next()).accept()
        alone = await worker.handler.next()
        assert alone.names == ["c"]
        alone.accept()
        assert await answers(handed) == ["did a", "did b", "did c"]


async def test_workers_with_other_commands_do_not_batch_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = HandingWorker(tmp_path, 0, PATIENT)
    await until((tmp_path / "0.sock").exists)
    other = WiredHandler.wire._replace(checksum=1)
    monkeypatch.setattr(WiredHandler, "wire", other)
    worker = HandingWorker(tmp_path, 1, HandOverLimits(timeout_s=0.01))
    monkeypatch.setattr(worker.handler, "wire", other, raising=False)
    collector.handler.wire = CommandFormat.of(7, WireCommand, str)
    await until(lambda: worker.hand_over._links and worker.link._has_warned)
    handed = worker.ask("a")
    (await worker.handler.next()).accept()
    assert await answers(handed) == ["did a"]
    await worker.end()
    await collector.end()


def test_frames_are_read_however_they_are_cut() -> None:
    wire = WiredHandler.wire
    sent = frames.commands(wire, SCHEDULE, 5, [WireCommand("a"), WireCommand("b", "x", b"f")])
    sent += frames.ids(FrameType.UNDONE, [1, 2])
    reader = FrameReader(1_000)
    found = [frame for at in range(len(sent)) for frame in reader.read(sent[at : at + 1])]
    assert [frame.type for frame in found] == [FrameType.COMMANDS, FrameType.UNDONE]
    key, first, commands = frames.commands_of(wire, found[0].body)
    assert (key, first) == (SCHEDULE, 5)
    assert commands == [WireCommand("a"), WireCommand("b", "x", b"f")]
    assert frames.ids_of(found[1].body) == [1, 2]


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">IBBB", 3, frames.VERSION + 1, FrameType.UNDONE, 0),
        struct.pack(">IBBB", 1_001, frames.VERSION, FrameType.UNDONE, 0),
        struct.pack(">IBBB", 3, frames.VERSION, 99, 0),
    ],
    ids=["another version", "too large", "unknown"],
)
def test_what_is_no_frame_is_refused(sent: bytes) -> None:
    with pytest.raises(FrameInvalid):
        list(FrameReader(1_000).read(sent))


def test_damaged_frames_are_refused() -> None:
    with pytest.raises(FrameInvalid):
        frames.commands_of(WiredHandler.wire, b"short")
    with pytest.raises(FrameInvalid):
        frames.commands_of(WiredHandler.wire, bytes(24) + b"\xc1")
    with pytest.raises(FrameInvalid):
        frames.outcomes_of(WiredHandler.wire, b"\xc1")
    with pytest.raises(FrameInvalid):
        frames.ids_of(b"\xc1")
    with pytest.raises(FrameInvalid):
        frames.hello_of(b"")


def test_the_place_of_a_worker_is_an_argument() -> None:
    place = WorkerPlace(Path("/a:b"), 1, 4)
    assert WorkerPlace.parse(str(place)) == place
    assert place.socket(3) == "/a:b/3.sock"
