"""The seats of one schedule as a process knows them: pure, in compact arrays, changed seat by seat.

A seat's version orders its changes, so they may come in any order, twice, or while the database is
being read: only what is newer takes effect, and a reading undoes nothing that came after it began.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

AVAILABLE, HELD, SOLD, BLOCKED = range(4)

# A change that was not seen may be the hold of somebody whose repetition must be answered. These are
# the steps of a version behind which no holder hides but the one before and the one who is told of.
_STEPS = {
    (AVAILABLE, HELD): (1,),
    (AVAILABLE, SOLD): (3,),
    (AVAILABLE, AVAILABLE): (2,),
    # One step: it was released, and comes back later.
    (HELD, HELD): (1, 2),
    (HELD, SOLD): (2, 4),
    (HELD, AVAILABLE): (1, 3),
}
_PEOPLE_BITS_PER_SEAT = 64
_PEOPLE_BITS_MAX = 1 << 32
# The random part at the end of a UUIDv7 (RFC 9562, section 5.7).
_TAIL = (1 << 62) - 1
# Bytes of people that are compared at once.
_PEOPLE_PART = 2_048
# Positions that are compared at once when a reading is taken over.
_PART = 256
_LAPSES_SPARE = 1_024


class PositionChange(NamedTuple):
    """What became of a seat; `expires_at` in seconds since the epoch, 0 unless it is held.

    `person` is `person_bits` of who holds, pays or gives back.
    """

    position: int
    state: int
    expires_at: float
    version: int
    person: int


class SaleWindow(NamedTuple):
    """Whether and between which moments (seconds since the epoch) a schedule is on sale."""

    is_open: bool
    opens_at: float
    closes_at: float

    def surely_on(self, now: float, uncertainty_s: float) -> bool:
        """Say whether it is on sale whatever the clock's error is."""
        early, late = now - uncertainty_s, now + uncertainty_s
        return self.is_open and self.opens_at <= early and late < self.closes_at

    def next_turn_at(self, now: float) -> float:
        """Return when it opens or closes by itself, at a moment after `now`; infinite for never."""
        turns = [at for at in (self.opens_at, self.closes_at) if at > now and self.is_open]
        return min(turns, default=float("inf"))


class StoredStates(NamedTuple):
    """One reading of the database: every seat, who has had a reservation, and the sale.

    `people` are those of `people_told`, the last eight bytes of each id, whom the reading before that
    was taken over did not name in the same place; zeros there name nobody.
    """

    now: float
    states: bytes
    expires_at: "array[float]"
    versions: "array[int]"
    people: "array[int]"
    sale: SaleWindow
    people_told: bytes = b""


class People:
    """Everybody who has had a reservation, as two bits each (a Bloom filter): it forgets nobody, and
    takes one stranger in a thousand for somebody it knows while there are no more people than seats.
    """

    def __init__(self, seats: int) -> None:
        size = 64
        while size < min(seats * _PEOPLE_BITS_PER_SEAT, _PEOPLE_BITS_MAX):
            size *= 2
        self._bits = bytearray(size // 8)
        self._mask = size - 1

    def __contains__(self, person: int) -> bool:
        bits, mask = self._bits, self._mask
        one, two = person & mask, person >> 32 & mask
        return bool(bits[one >> 3] >> (one & 7) & bits[two >> 3] >> (two & 7) & 1)

    def include(self, people: Iterable[int]) -> None:
        """Remember these people."""
        bits, mask = self._bits, self._mask
        for person in people:
            one, two = person & mask, person >> 32 & mask
            bits[one >> 3] |= 1 << (one & 7)
            bits[two >> 3] |= 1 << (two & 7)


def unpack_states(
    *,
    now: float,
    states: bytes,
    expires_at: bytes,
    versions: bytes,
    people: bytes,
    people_before: bytes = b"",
    sale: SaleWindow,
) -> StoredStates:
    """Unpack a reading: numbers as PostgreSQL sends them, the most significant byte first.

    `expires_at` are doubles, `versions` have eight bytes, `people` are the last eight of each id;
    `people_before` are those of the reading before, which are left out where they stand in one place.
    """
    return StoredStates(
        now,
        states,
        _numbers("d", expires_at),
        _numbers("q", versions),
        array("Q", [tail & _TAIL for tail in _newcomers(people, people_before)]),
        sale,
        people,
    )


def _newcomers(people: bytes, before: bytes) -> Iterator[int]:
    """Yield those who stand where nobody or somebody else stood: most stay from reading to reading."""
    for at in range(0, len(people), _PEOPLE_PART):
        part, part_before = people[at : at + _PEOPLE_PART], before[at : at + _PEOPLE_PART]
        if part == part_before:
            continue
        now = _numbers("Q", part)
        then = _numbers("Q", part_before[: len(part_before) & -8])[: len(now)]
        yield from (new for new, old in zip_longest(now, then, fillvalue=0) if new and new != old)


def _numbers(kind: str, packed: bytes) -> "array[Any]":
    numbers = array(kind, packed)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def person_bits(user_id: int) -> int:
    """Return the random tail of a person's id, given as a number."""
    return user_id & _TAIL


class _ExpiryQueue:
    """Ends of holds by time; holds of one schedule last equally long, so most come in at the end."""

    def __init__(self) -> None:
        self._times = array("d")
        self._positions = array("I")
        self._head = 0
        self.next_at = float("inf")

    def __len__(self) -> int:
        return len(self._times) - self._head

    def add(self, position: int, expires_at: float) -> None:
        at = bisect_right(self._times, expires_at, self._head)
        self._times.insert(at, expires_at)
        self._positions.insert(at, position)
        self.next_at = self._times[self._head]

    def fill(self, ends: list[tuple[float, int]]) -> None:
        ends.sort()
        self._times = array("d", (end for end, _ in ends))
        self._positions = array("I", (position for _, position in ends))
        self._head = 0
        self.next_at = ends[0][0] if ends else float("inf")

    def pop(self) -> tuple[int, float]:
        found = self._positions[self._head], self._times[self._head]
        self._head += 1
        if self._head == len(self._times):
            self.fill([])
        elif self._head > _LAPSES_SPARE and self._head * 2 > len(self._times):
            del self._times[: self._head], self._positions[: self._head]
            self._head = 0
        self.next_at = self._times[self._head] if self._times else float("inf")
        return found


class LiveStates:
    """The states of all seats of a schedule, what they add up to, and who has been there.

    `version` grows with every visible change, the lapse of a hold included: it is the sum of the
    seats' versions and of the holds that have lapsed and are not tidied. `gaps` counts the changes
    behind which somebody's unknown reservation may hide. `changes` counts what has become visible.
    """

    def __init__(self, reading: StoredStates) -> None:
        self._states = bytearray(reading.states)
        self._shown = bytearray(reading.states)
        self._expires_at = reading.expires_at
        self._versions = reading.versions
        self._lapses = _ExpiryQueue()
        self._fill_lapses()
        self._since: dict[int, PositionChange] = {}
        self._reading = False
        self.people = People(len(reading.states))
        self.people.include(reading.people)
        self.people_told = reading.people_told
        self.sale = reading.sale
        self.version = sum(self._versions)
        self.free = self._shown.count(AVAILABLE)
        self.gaps = 0
        self.changes = 0
        self.lapse(reading.now)

    def __len__(self) -> int:
        return len(self._states)

    @property
    def next_lapse_at(self) -> float:
        """Before this moment no hold lapses, in seconds since the epoch."""
        return self._lapses.next_at

    def shown(self, now: float) -> bytes:
        """Return one byte per seat as people see it at `now`: a lapsed hold is available."""
        self.lapse(now)
        return bytes(self._shown)

    def is_taken(self, position: int, surely_before: float) -> bool:
        """Say whether a seat is sold, blocked, or held until after `surely_before`."""
        state = self._states[position]
        return state in (SOLD, BLOCKED) or (
            state == HELD and self._expires_at[position] > surely_before
        )

    def is_free(self, position: int) -> bool:
        """Say whether a seat is shown as available."""
        return self._shown[position] == AVAILABLE

    def apply(self, change: PositionChange) -> bool:
        """Take a change over if it is newer than what is known; say whether it was.

        Raises `IndexError` for a seat that does not exist.
        """
        self.people.include((change.person,))
        step = change.version - self._versions[change.position]
        if step <= 0:
            return False
        if step not in _STEPS.get((self._states[change.position], change.state), ()):
            self.gaps += 1
        if self._reading:
            self._since[change.position] = change
        self._set(*change[:4])
        return True

    def lapse(self, now: float) -> None:
        """Let the holds lapse that have ended by `now` (seconds since the epoch)."""
        while self._lapses.next_at <= now:
            position, expires_at = self._lapses.pop()
            if self._shown[position] == HELD and self._expires_at[position] == expires_at:
                self._shown[position] = AVAILABLE
                self.version += 1
                self.free += 1
                self.changes += 1

    def begin_reading(self) -> None:
        """Remember from now on what changes, until `take_over` or the next call."""
        self._reading = True
        self._since = {}

    def take_over(self, reading: StoredStates) -> None:
        """Believe a reading that began at `begin_reading`, but for what has changed since."""
        since, self._since = self._since, {}
        self._reading = False
        for at in list(self._differences(reading)):
            self._set(at, reading.states[at], reading.expires_at[at], reading.versions[at])
        for change in since.values():
            if change.version > self._versions[change.position]:
                self._set(*change[:4])
        self.people.include(reading.people)
        self.people_told = reading.people_told
        self.sale = reading.sale
        self.lapse(reading.now)

    def _set(self, at: int, state: int, expires_at: float, version: int) -> None:
        shown = self._shown[at]
        has_lapsed = self._states[at] == HELD and shown == AVAILABLE
        self.version += version - self._versions[at] - has_lapsed
        self.free += (state == AVAILABLE) - (shown == AVAILABLE)
        self._states[at] = self._shown[at] = state
        self._expires_at[at] = expires_at
        self._versions[at] = version
        self.changes += 1
        if state == HELD:
            self._lapses.add(at, expires_at)
            if len(self._lapses) > 2 * len(self._states) + _LAPSES_SPARE:
                self._fill_lapses()

    def _fill_lapses(self) -> None:
        ends = []
        at = self._shown.find(HELD)
        while at >= 0:
            ends.append((self._expires_at[at], at))
            at = self._shown.find(HELD, at + 1)
        self._lapses.fill(ends)

    def _differences(self, reading: StoredStates) -> Iterator[int]:
        """Yield where the reading says something else; equal parts are compared in one go."""
        pairs = [
            (memoryview(old).cast("B"), memoryview(new).cast("B"), memoryview(old).itemsize)
            for old, new in (
                (self._states, reading.states),
                (self._expires_at, reading.expires_at),
                (self._versions, reading.versions),
            )
        ]
        for start in range(0, len(self._states), _PART):
            end = start + _PART
            if any(
                old[start * size : end * size].tobytes() != new[start * size : end * size].tobytes()
                for old, new, size in pairs
            ):
                yield from self._differences_in(reading, start)

    def _differences_in(self, reading: StoredStates, start: int) -> Iterator[int]:
        for at in range(start, min(start + _PART, len(self._states))):
            if (
                self._versions[at] != reading.versions[at]
                or self._states[at] != reading.states[at]
                or self._expires_at[at] != reading.expires_at[at]
            ):
                yield at
