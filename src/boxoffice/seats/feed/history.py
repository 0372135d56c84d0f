"""What those who watch a schedule have been told of its seats: pure.

A state of all seats has a name, made of its version and its content, that any process would give it. So
whoever knows a state by its name, wherever they heard of it, is told what has changed since then if
that is still known here, and everything if not.
"""

import re
import zlib
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from boxoffice.catalog.views import SaleEvent, SeatsChange, SeatsSnapshot, SeatStatus
from boxoffice.seats.cache.states import AVAILABLE

SNAPSHOT, CHANGES, SALE = "snapshot", "changes", "sale"
# Changes nothing, so it is no part of what is counted here.
ALIVE = "alive"

_NAMES: tuple[SeatStatus, ...] = ("AVAILABLE", "HELD", "SOLD", "BLOCKED")
_LETTERS = bytes.maketrans(bytes(range(len(_NAMES))), b"AHSB")
_CHANGED = re.compile(rb"[^\0]")
# A position in a list of changes takes about as much as so many seats of a snapshot, whose own worth
# is that of the list of so many seats at least.
_SEATS_PER_CHANGE = 6
_SNAPSHOT_MIN = 300
# Positions that the steps of a small hall may name together.
_POSITIONS_MIN = 4_096


class Told(NamedTuple):
    """One event; `state` names the state that its reader then knows, empty where it is as before."""

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
    """The state that everybody has been told, and up to `steps_max` steps that led there.

    `seq` counts what is told. Whoever sees it jump has missed something.
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
        self._state = ""
        self._snapshot: Told | None = None
        self.seq = 0

    @property
    def is_known(self) -> bool:
        """Whether anything was taken over yet."""
        return bool(self._state)

    def take(self, version: int, states: bytes, *, on_sale: bool) -> list[Told]:
        """Take a newer state over (a byte per seat); return what is to be told of it, in order."""
        is_first = not self._state
        is_other = is_first or len(states) != len(self._states)
        changed = [] if is_other else differences(self._states, states)
        had = self._free > 0, self._on_sale
        if not is_other and not changed and version == self._version and on_sale == had[1]:
            return []
        self._step(version, states, changed, is_other=is_other)
        self._on_sale = on_sale
        told = [self._tell(changed, is_other=is_other)] if is_other or changed else []
        if not is_first and had != (self._free > 0, on_sale):
            told.append(self._tell_sale())
        self._snapshot = None
        return told

    def since(self, state: str) -> Told:
        """Return what takes somebody who knows `state` to the state that everybody was told."""
        if state and state == self._state:
            return self._changes([])
        at = self._at.get(state)
        if at is None:
            return self.snapshot()
        steps = (self._steps[one] for one in range(at - self._first, len(self._steps)))
        positions = sorted({position for step in steps for position in step.positions})
        return self.snapshot() if self._is_much(positions) else self._changes(positions)

    def snapshot(self) -> Told:
        """Return everything; the same object while nothing is told."""
        if self._snapshot is None:
            data = SeatsSnapshot(
                seq=self.seq,
                version=self._version,
                seats_available=self._free,
                on_sale=self._on_sale,
                states=self._states.translate(_LETTERS).decode("ascii"),
            )
            self._snapshot = Told(SNAPSHOT, data, self._state)
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

    def _tell(self, changed: list[int], *, is_other: bool) -> Told:
        self.seq += 1
        self._snapshot = None
        return self.snapshot() if is_other or self._is_much(changed) else self._changes(changed)

    def _tell_sale(self) -> Told:
        self.seq += 1
        data = SaleEvent(
            seq=self.seq,
            version=self._version,
            seats_available=self._free,
            on_sale=self._on_sale,
            sold_out=not self._free,
        )
        return Told(SALE, data, "")

    def _changes(self, positions: Iterable[int]) -> Told:
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
        return Told(CHANGES, data, self._state)
