"""The history of a schedule's seats as events: pure.

Every state of all seats has a name made of its version and its content, the same in every process. A
client that names its last state, at any pod, gets the changes since then where they are still known
here, and a snapshot where they are not.
"""

import re
import zlib
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.views import SaleEvent, SeatsChange, SeatsSnapshot, SeatStatus

SNAPSHOT, CHANGES, SALE = "snapshot", "changes", "sale"
# Not counted by `seq`: it carries no change.
ALIVE = "alive"

_NAMES: tuple[SeatStatus, ...] = ("AVAILABLE", "HELD", "SOLD", "BLOCKED")
_LETTERS = bytes.maketrans(bytes(range(len(_NAMES))), b"AHSB")
_CHANGED = re.compile(rb"[^\0]")
# A position in a list of changes takes as many bytes as this many seats of a snapshot; a snapshot
# costs at least as much as one of so many seats.
_SEATS_PER_CHANGE = 6
_SNAPSHOT_MIN = 300
# Positions that the steps of a small hall may have together.
_POSITIONS_MIN = 4_096


class FeedEvent(NamedTuple):
    """One event; `state` names the state after it, empty where the event does not change it."""

    name: str
    data: SeatsSnapshot | SeatsChange | SaleEvent
    state: str


class _Step(NamedTuple):
    before: str
    positions: list[int]


def differences(old: bytes, new: bytes) -> list[int]:
    """Return where two states of equally many seats differ, in ascending order."""
    xor = int.from_bytes(old, "little") ^ int.from_bytes(new, "little")
    return [found.start() for found in _CHANGED.finditer(xor.to_bytes(len(new), "little"))]


class SeatHistory:
    """The state that was sent last, and up to `steps_max` steps that led to it.

    `seq` counts the events; a client that sees a gap has missed one.
    """

    def __init__(self, steps_max: int) -> None:
        self._steps_max = steps_max
        self._steps: deque[_Step] = deque()
        self._first = 0
        self._at: dict[str, int] = {}
        self._positions = 0
        self._states = b""
        self._version = 0
        self._free = 0
        self._on_sale = False
        self._layout_version = 0
        self._state = ""
        self._snapshot: FeedEvent | None = None
        self.seq = 0

    @property
    def is_known(self) -> bool:
        """Whether there is a state."""
        return bool(self._state)

    def update(
        self, version: int, states: bytes, *, on_sale: bool, layout_version: int = 1
    ) -> list[FeedEvent]:
        """Set a newer state (a byte per seat); return the events that lead to it.

        Another layout is shown by a snapshot, whose version of the layout differs.
        """
        is_first = not self._state
        is_same_layout = layout_version == self._layout_version
        is_other = is_first or not is_same_layout or len(states) != len(self._states)
        self._layout_version = layout_version
        changed = [] if is_other else differences(self._states, states)
        had = self._free > 0, self._on_sale
        if not is_other and not changed and version == self._version and on_sale == had[1]:
            return []
        self._step(version, states, changed, is_other=is_other)
        self._on_sale = on_sale
        events = [self._change_event(changed, is_other=is_other)] if is_other or changed else []
        if not is_first and had != (self._free > 0, on_sale):
            events.append(self._sale_event())
        self._snapshot = None
        return events

    def since(self, state: str) -> FeedEvent:
        """Return the event that leads from the state named `state` to the current one."""
        if state and state == self._state:
            return self._changes([])
        at = self._at.get(state)
        if at is None:
            return self.snapshot()
        steps = (self._steps[one] for one in range(at - self._first, len(self._steps)))
        positions = sorted({position for step in steps for position in step.positions})
        return self.snapshot() if self._is_much(positions) else self._changes(positions)

    def snapshot(self) -> FeedEvent:
        """Return the snapshot; the same object until the next event."""
        if self._snapshot is None:
            data = SeatsSnapshot(
                seq=self.seq,
                version=self._version,
                seats_available=self._free,
                on_sale=self._on_sale,
                layout_version=self._layout_version,
                states=self._states.translate(_LETTERS).decode("ascii"),
            )
            self._snapshot = FeedEvent(SNAPSHOT, data, self._state)
        return self._snapshot

    def _step(self, version: int, states: bytes, changed: list[int], *, is_other: bool) -> None:
        before = self._state
        self._version, self._states = version, states
        self._free = states.count(AVAILABLE)
        self._state = f"{version}-{zlib.crc32(states):08x}"
        if is_other:
            self._forget(len(self._steps))
        elif before != self._state:
            self._at[before] = self._first + len(self._steps)
            self._steps.append(_Step(before, changed))
            self._positions += len(changed)
            self._trim()

    def _trim(self) -> None:
        positions_max = max(_POSITIONS_MIN, len(self._states) // _SEATS_PER_CHANGE)
        while len(self._steps) > self._steps_max or self._positions > positions_max:
            self._forget(1)

    def _forget(self, steps: int) -> None:
        for _ in range(steps):
            step = self._steps.popleft()
            self._positions -= len(step.positions)
            if self._at[step.before] == self._first:
                del self._at[step.before]
            self._first += 1

    def _is_much(self, positions: list[int]) -> bool:
        return len(positions) * _SEATS_PER_CHANGE > max(len(self._states), _SNAPSHOT_MIN)

    def _change_event(self, changed: list[int], *, is_other: bool) -> FeedEvent:
        self.seq += 1
        self._snapshot = None
        return self.snapshot() if is_other or self._is_much(changed) else self._changes(changed)

    def _sale_event(self) -> FeedEvent:
        self.seq += 1
        data = SaleEvent(
            seq=self.seq,
            version=self._version,
            seats_available=self._free,
            on_sale=self._on_sale,
            sold_out=not self._free,
        )
        return FeedEvent(SALE, data, "")

    def _changes(self, positions: Iterable[int]) -> FeedEvent:
        seats: dict[SeatStatus, list[int]] = {}
        for at in positions:
            seats.setdefault(_NAMES[self._states[at]], []).append(at)
        data = SeatsChange(
            seq=self.seq,
            version=self._version,
            seats_available=self._free,
            on_sale=self._on_sale,
            seats=seats,
        )
        return FeedEvent(CHANGES, data, self._state)
