"""The states of a schedule's seats in one process: pure, in compact arrays.

A seat's version orders its changes. They may arrive in any order, twice, or during a reading of the
database: only a newer version takes effect, and a reading undoes no change that came after it began.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

AVAILABLE, HELD, SOLD, BLOCKED = range(4)

# Version steps from one state of a seat to another during which no third holder can have been missed;
# any other step is a gap. A missed holder matters, because a repetition must get its first answer.
# Example: (AVAILABLE, AVAILABLE) after 2 steps is a hold and its release, both by the person of this
# change.
_STEPS = {
    (AVAILABLE, HELD): (1,),
    (AVAILABLE, SOLD): (3,),
    (AVAILABLE, AVAILABLE): (2,),
    # One step: it was released, and becomes available later.
    (HELD, HELD): (1, 2),
    (HELD, SOLD): (2, 4),
    (HELD, AVAILABLE): (1, 3),
    # An organizer blocks seats and puts them back on sale, which are no reservations.
    (AVAILABLE, BLOCKED): (1,),
    (HELD, BLOCKED): (2,),
    (BLOCKED, BLOCKED): (2,),
    (BLOCKED, AVAILABLE): (1, 3),
    (BLOCKED, HELD): (2,),
    (BLOCKED, SOLD): (3, 4),
}
# The random part at the end of a UUIDv7 (RFC 9562, section 5.7).
_TAIL = (1 << 62) - 1
# Bytes of person ids that are compared at once.
_PEOPLE_PART = 2_048
# Positions that are compared at once when a reading is merged.
_PART = 256
_LAPSES_SPARE = 1_024
# Bits of the filter of people.
_BITS_PER_SEAT = 64
_BITS_MAX = 1 << 32


class PositionChange(NamedTuple):
    """The new state of the seat at a position; `expires_at` in seconds since the epoch, 0 unless held.

    `person` is `person_bits` of the person who holds, pays or releases.
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
        """Say whether it is on sale, whatever the error of the clock within `uncertainty_s`."""
        early, late = now - uncertainty_s, now + uncertainty_s
        return self.is_open and self.opens_at <= early and late < self.closes_at

    def next_turn_at(self, now: float) -> float:
        """Return when it next opens or closes after `now`; infinite for never."""
        turns = [at for at in (self.opens_at, self.closes_at) if at > now and self.is_open]
        return min(turns, default=float("inf"))


class StoredStates(NamedTuple):
    """One reading of the database: every seat, the people with a reservation, and the sale.

    `people_read` has the last eight bytes of each person's id, zeros for none. `people` are those of
    them that the reading before did not have at the same place.
    """

    now: float
    states: bytes
    expires_at: "array[float]"
    versions: "array[int]"
    people: "array[int]"
    sale: SaleWindow
    people_read: bytes = b""


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
    """Unpack a reading; PostgreSQL sends numbers with the most significant byte first.

    `expires_at` are doubles, `versions` have eight bytes, `people` are the last eight of each id.
    People at the same place in `people_before`, those of the reading before, are left out.
    """
    return StoredStates(
        now,
        states,
        _numbers("d", expires_at),
        _numbers("q", versions),
        array("Q", [tail & _TAIL for tail in _new_people(people, people_before)]),
        sale,
        people,
    )


def _new_people(people: bytes, before: bytes) -> Iterator[int]:
    """Yield people who are new at their place: most stay from reading to reading."""
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


class PersonFilter:
    """A Bloom filter of the people who have had a reservation: two bits per person.

    It has no false negatives, and about one false positive in a thousand while there are no more people
    than seats.
    """

    def __init__(self, seats: int) -> None:
        size = 64
        while size < min(seats * _BITS_PER_SEAT, _BITS_MAX):
            size *= 2
        self._bits = bytearray(size // 8)
        self._mask = size - 1

    def __contains__(self, person: int) -> bool:
        bits, mask = self._bits, self._mask
        one, two = person & mask, person >> 32 & mask
        return bool(bits[one >> 3] >> (one & 7) & bits[two >> 3] >> (two & 7) & 1)

    def add(self, person: int) -> None:
        """Add a person, as `person_bits`."""
        bits, mask = self._bits, self._mask
        one, two = person & mask, person >> 32 & mask
        bits[one >> 3] |= 1 << (one & 7)
        bits[two >> 3] |= 1 << (two & 7)

    def include(self, people: Iterable[int]) -> None:
        """Add people."""
        for person in people:
            self.add(person)


class _ExpiryQueue:
    """Ends of holds by time. Holds of one schedule last equally long, so most are added at the end."""

    def __init__(self) -> None:
        self._times = array("d")
        self._positions = array("I")
        self._head = 0
        self.next_at = float("inf")

    def __len__(self) -> int:
        return len(self._times) - self._head

    def add(self, position: int, expires_at: float) -> None:
        times = self._times
        if not times or expires_at >= times[-1]:
            times.append(expires_at)
            self._positions.append(position)
        else:
            at = bisect_right(times, expires_at, self._head)
            times.insert(at, expires_at)
            self._positions.insert(at, position)
        self.next_at = times[self._head]

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
    """The states of all seats of a schedule, their sums, and the people with a reservation.

    `version` grows with every visible change, the lapse of a hold included: it is the sum of the
    seats' versions, plus the lapsed holds that the sweeper has not closed. `gaps` counts changes after
    which an unknown reservation may exist. `changes` counts visible changes.
    """

    def __init__(self, reading: StoredStates) -> None:
        self._states = bytearray(reading.states)
        self._shown = bytearray(reading.states)
        self._expires_at = reading.expires_at
        self._versions = reading.versions
        self._lapses = _ExpiryQueue()
        self._fill_lapses()
        self._since: dict[int, PositionChange] = {}
        self._is_reading = False
        self.people = PersonFilter(len(reading.states))
        self.people.include(reading.people)
        self.people_read = reading.people_read
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
        """The earliest moment at which a hold may lapse, in seconds since the epoch."""
        return self._lapses.next_at

    def shown(self, now: float) -> bytes:
        """Return one byte per seat as shown at `now`: a lapsed hold is available."""
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
        """Apply a change if it is newer than what is known; say whether it was.

        Raises `IndexError` for a seat that does not exist.
        """
        position, state, expires_at, version, person = change
        self.people.add(person)
        step = version - self._versions[position]
        if step <= 0:
            return False
        if step not in _STEPS.get((self._states[position], state), ()):
            self.gaps += 1
        if self._is_reading:
            self._since[position] = change
        self._set(position, state, expires_at, version)
        return True

    def lapse(self, now: float) -> None:
        """Show holds as available that have ended by `now` (seconds since the epoch)."""
        while self._lapses.next_at <= now:
            position, expires_at = self._lapses.pop()
            if self._shown[position] == HELD and self._expires_at[position] == expires_at:
                self._shown[position] = AVAILABLE
                self.version += 1
                self.free += 1
                self.changes += 1

    def begin_reading(self) -> None:
        """Record the changes from now on, until `merge` or the next call."""
        self._is_reading = True
        self._since = {}

    def merge(self, reading: StoredStates) -> None:
        """Take over a reading that began at `begin_reading`, except for seats that changed since."""
        since, self._since = self._since, {}
        self._is_reading = False
        for at in list(self._differences(reading)):
            self._set(at, reading.states[at], reading.expires_at[at], reading.versions[at])
        for change in since.values():
            if change.version > self._versions[change.position]:
                self._set(*change[:4])
        self.people.include(reading.people)
        self.people_read = reading.people_read
        self.sale = reading.sale
        self.lapse(reading.now)

    def merge_shared(self, reading: StoredStates, since: Iterable[PositionChange]) -> bool:
        """Take over a reading of another process, except for seats that changed since it began.

        Returns false, and takes over nothing, where a seat was known to be newer before it began: then
        it is of another database, or what is known here is wrong.
        """
        newest: dict[int, int] = {}
        for change in since:
            newest[change.position] = max(change.version, newest.get(change.position, 0))
        known, differing = self._versions, list(self._differences(reading))
        older = [at for at in differing if reading.versions[at] < known[at]]
        # guard: shared_reading_is_not_behind => if False:
        if any(newest.get(at) != known[at] for at in older):
            return False
        for at in differing:
            # guard: shared_reading_undoes_no_change => if True:
            if reading.versions[at] >= known[at]:
                self._set(at, reading.states[at], reading.expires_at[at], reading.versions[at])
        self.people.include(reading.people)
        self.people_read = reading.people_read
        self.sale = reading.sale
        self.lapse(reading.now)
        return True

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
        """Yield the positions at which the reading differs; parts are compared as a whole first."""
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
