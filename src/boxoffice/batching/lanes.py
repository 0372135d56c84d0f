"""The queue of commands: lanes that share batches, and the order in which lanes get a batch."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias

from boxoffice.batching.commands import BatchHandler, C, O, Pending

LaneName: TypeAlias = tuple[str, Hashable]


@dataclass(eq=False, slots=True)
class CommandLane(Generic[C, O]):
    """The waiting commands of one kind and key, such as the holds of one schedule."""

    handler: BatchHandler[Any, C, O]
    key: Hashable
    waiting: deque[Pending[C, O]] = field(default_factory=deque)
    queued: bool = False

    @property
    def name(self) -> LaneName:
        """What identifies the lane."""
        return self.handler.kind, self.key


class CommandLanes:
    """The lanes with waiting commands; they take turns, one batch each."""

    def __init__(self) -> None:
        self._by_name: dict[LaneName, CommandLane[Any, Any]] = {}
        self._turns: deque[CommandLane[Any, Any]] = deque()

    def add(self, handler: BatchHandler[Any, C, O], key: Hashable, pending: Pending[C, O]) -> None:
        """Queue a new command."""
        lane = self._lane(handler, key)
        lane.waiting.append(pending)
        self._enqueue(lane)

    def put_back(self, old: CommandLane[C, O], batch: Iterable[Pending[C, O]]) -> None:
        """Queue commands again, in the order of arrival."""
        lane = self._lane(old.handler, old.key)
        # Two batches may return in the wrong order, so the head of the lane is not the right place.
        lane.waiting = deque(sorted([*batch, *lane.waiting], key=_arrival))
        self._enqueue(lane)

    def head_waiting_since(self) -> float | None:
        """Return since when the next command waits; None where none waits."""
        return self._turns[0].waiting[0].waiting_since if self._turns else None

    def next(
        self, skipped: Callable[[CommandLane[Any, Any]], bool]
    ) -> CommandLane[Any, Any] | None:
        """Return the first lane in turn that is not `skipped`, and end its turn."""
        for lane in self._turns:
            if not skipped(lane):
                self._turns.remove(lane)
                return lane
        return None

    def take(self, lane: CommandLane[C, O], batch_max: int) -> list[Pending[C, O]]:
        """Take a batch of a lane whose turn has ended; the rest waits for another turn."""
        size = min(len(lane.waiting), batch_max)
        batch = [lane.waiting.popleft() for _ in range(size)]
        lane.queued = False
        self._enqueue(lane)
        if not lane.waiting:
            del self._by_name[lane.name]
        return batch

    def waiting(self, name: LaneName) -> list[Pending[Any, Any]]:
        """Return the waiting commands of a lane, the next one first."""
        lane = self._by_name.get(name)
        return [] if lane is None else list(lane.waiting)

    def __len__(self) -> int:
        return len(self._by_name)

    def _lane(self, handler: BatchHandler[Any, C, O], key: Hashable) -> CommandLane[C, O]:
        name = (handler.kind, key)
        lane = self._by_name.get(name)
        if lane is None:
            lane = self._by_name[name] = CommandLane(handler, key)
        return lane

    def _enqueue(self, lane: CommandLane[Any, Any]) -> None:
        if lane.waiting and not lane.queued:
            lane.queued = True
            self._turns.append(lane)


def _arrival(pending: Pending[Any, Any]) -> int:
    return pending.arrival
