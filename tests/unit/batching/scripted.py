"""A handler whose database is the test: the test answers each call."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from boxoffice.batching import GroupCommit, GroupCommitLimits, Outcome, Pending

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class NamedCommand:
    """A command with nothing but a name."""

    name: str
    identity: Hashable | None = None
    fingerprint: bytes = b""


@dataclass(eq=False)
class Call:
    """One call of the handler that waits for the test."""

    what: str
    key: str
    names: list[str]
    answer: "asyncio.Future[list[Any]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def accept(self) -> None:
        """Answer that each command was done."""
        self.answer.set_result([f"did {name}" for name in self.names])

    def say(self, *answers: Any) -> None:
        """Answer with these outcomes or findings."""
        self.answer.set_result(list(answers))

    def fail(self, error: BaseException) -> None:
        """Raise instead of answering."""
        self.answer.set_exception(error)


class ScriptedHandler:
    """Hands every call to the test; `next` returns it."""

    def __init__(self, kind: str = "scripted") -> None:
        self.kind = kind
        self._calls: asyncio.Queue[Call] = asyncio.Queue()

    async def handle(
        self, lane_key: str, batch: Sequence[Pending[NamedCommand, str]]
    ) -> Sequence[Outcome[str]]:
        """Wait for the test's outcomes."""
        return await self._ask("handle", lane_key, [pending.command for pending in batch])

    async def look_up(
        self, lane_key: str, commands: Sequence[NamedCommand]
    ) -> Sequence[str | None]:
        """Wait for the test's findings."""
        return await self._ask("look_up", lane_key, commands)

    async def _ask(self, what: str, key: str, commands: Sequence[NamedCommand]) -> list[Any]:
        call = Call(what, key, [command.name for command in commands])
        self._calls.put_nowait(call)
        return await call.answer

    async def next(self, what: str = "handle") -> Call:
        """Return the next call, which must be of this sort."""
        async with asyncio.timeout(TIMEOUT_S):
            call = await self._calls.get()
        assert call.what == what
        return call

    @property
    def is_quiet(self) -> bool:
        """Whether no call waits to be looked at."""
        return self._calls.empty()


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Harness:
    """A group commit, its handler and its callers."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.group = GroupCommit(GroupCommitLimits(**limits), clock=self.clock, jitter=lambda: 0.0)
        self.handler = ScriptedHandler()

    def ask(self, names: str, key: str = "lane") -> "list[asyncio.Task[str]]":
        """Send one command per word of `names`, in this order."""
        return [self.send(NamedCommand(name), key) for name in names.split()]

    def send(self, command: NamedCommand, key: str = "lane") -> "asyncio.Task[str]":
        """Send one command."""
        return asyncio.create_task(self.group.submit(self.handler, key, command))

    async def occupy(self, key: str = "elsewhere") -> Call:
        """Fill one slot with a batch that stays at the database until the test answers it."""
        self.ask(f"busy-{key}", key)
        return await self.handler.next()

    def waiting(self, key: str = "lane") -> list[str]:
        """Return the names that wait in a lane, the next one first."""
        lane = self.group._queue._lanes.get((self.handler.kind, key))
        return [] if lane is None else [pending.command.name for pending in lane.waiting]

    @property
    def is_empty(self) -> bool:
        """Whether no trace of any command is left."""
        return not leftovers(self.group)


def leftovers(group: GroupCommit) -> list[object]:
    """Return what a group commit still stores of its commands."""
    queue = group._queue
    places = (queue._lanes, queue.turns, queue._by_identity)
    return [group.count] * bool(group.count) + [place for place in places if place]


async def until(condition: Callable[[], object]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 — the conditions are states, not events
            await asyncio.sleep(0)


async def results(tasks: "Sequence[asyncio.Task[str]]") -> list[str | BaseException]:
    """Return what each task returned or raised."""
    async with asyncio.timeout(TIMEOUT_S):
        return await asyncio.gather(*tasks, return_exceptions=True)
