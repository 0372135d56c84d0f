"""The live states, pure: any interleaving of readings and changes ends in the stored states."""

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.seats.cache.states import (
    AVAILABLE,
    HELD,
    SOLD,
    LiveStates,
    PersonFilter,
    PositionChange,
    SaleWindow,
    StoredStates,
    person_bits,
    unpack_states,
)

SALE = SaleWindow(True, 0.0, float("inf"))
SEATS = 3
TTL_S = 10.0


@dataclass
class Database:
    """What the database would say: the transitions of the shop, with a version for each."""

    now: float = 100.0
    states: list[int] = field(default_factory=lambda: [AVAILABLE] * SEATS)
    expires_at: list[float] = field(default_factory=lambda: [0.0] * SEATS)
    versions: list[int] = field(default_factory=lambda: [1] * SEATS)
    holders: list[int] = field(default_factory=lambda: [0] * SEATS)
    people: list[int] = field(default_factory=list)

    def act(self, seat: int, person: int) -> PositionChange | None:
        """Hold a free seat; else pay it or give it back, as its holder."""
        lapsed = self.states[seat] == HELD and self.expires_at[seat] <= self.now
        if self.states[seat] == SOLD:
            return None
        if self.states[seat] == AVAILABLE or lapsed:
            self.people.append(person)
            self.holders[seat] = person
            return self._set(seat, HELD, self.now + TTL_S, 2 if lapsed else 1)
        if person % 2:
            return self._set(seat, SOLD, 0.0, 2)
        return self._set(seat, AVAILABLE, 0.0, 1)

    def tidy(self, seat: int) -> None:
        """What the sweeper does, which publishes no change."""
        if self.states[seat] == HELD and self.expires_at[seat] <= self.now:
            self._set(seat, AVAILABLE, 0.0, 1)

    def reading(self) -> StoredStates:
        return StoredStates(
            self.now,
            bytes(self.states),
            array("d", self.expires_at),
            array("q", self.versions),
            array("Q", map(person_bits, self.people)),
            SALE,
        )

    def shown(self) -> tuple[int, bytes]:
        lapsed = [
            state == HELD and end <= self.now
            for state, end in zip(self.states, self.expires_at, strict=True)
        ]
        status = bytes(
            AVAILABLE if gone else state for state, gone in zip(self.states, lapsed, strict=True)
        )
        return sum(self.versions) + sum(lapsed), status

    def _set(self, seat: int, state: int, expires_at: float, step: int) -> PositionChange:
        self.states[seat], self.expires_at[seat] = state, expires_at
        self.versions[seat] += step
        return PositionChange(seat, state, expires_at, self.versions[seat], self.holders[seat])


def _seen(live: LiveStates, now: float) -> tuple[int, bytes]:
    live.lapse(now)
    return live.version, live.shown(now)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("act"), st.integers(0, SEATS - 1), st.integers(1, 1 << 62)),
        st.tuples(st.just("tidy"), st.integers(0, SEATS - 1), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 11), st.just(0)),
        # Deliver the waiting change at this place, and keep it, so that it may arrive twice.
        st.tuples(st.just("deliver"), st.integers(0, 20), st.booleans()),
        st.tuples(st.sampled_from(["snapshot", "merge"]), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_any_interleaving_ends_in_the_stored_states(
    actions: Sequence[tuple[str, int, int]],
) -> None:
    database = Database()
    live = LiveStates(database.reading())
    waiting: list[PositionChange] = []
    snapshot: StoredStates | None = None
    highest = live.version
    for name, at, more in actions:
        if name == "act":
            change = database.act(at, more)
            waiting += [change] if change else []
        elif name == "tidy":
            database.tidy(at)
        elif name == "wait":
            database.now += at
        elif name == "deliver" and waiting:
            change = waiting[at % len(waiting)] if more else waiting.pop(at % len(waiting))
            live.apply(change)
        elif name == "snapshot":
            live.begin_reading()
            snapshot = database.reading()
        elif name == "merge" and snapshot:
            live.merge(snapshot)
            snapshot = None
        version, shown = _seen(live, database.now)
        assert version >= highest, "the version never goes back"
        assert live.free == shown.count(AVAILABLE)
        highest = version
    for change in waiting:
        live.apply(change)
    # The sweeper published nothing, and nothing that is shown changed.
    assert _seen(live, database.now) == database.shown()
    live.begin_reading()
    live.merge(database.reading())
    assert _seen(live, database.now) == database.shown()
    assert all(person_bits(one) in live.people for one in database.people)


@given(ACTIONS)
def test_no_person_is_missing_without_a_gap(
    actions: Sequence[tuple[str, int, int]],
) -> None:
    """Some changes are never heard of: then either a gap is seen, or no taken seat hides a holder."""
    database = Database()
    live = LiveStates(database.reading())
    holders: list[set[int]] = [set() for _ in range(SEATS)]
    for at, (name, seat, more) in enumerate(actions):
        if name == "wait":
            database.now += seat
        elif name == "tidy":
            database.tidy(seat)
        elif name == "act" and (change := database.act(seat, more)):
            holders[seat].add(database.holders[seat])
            if at % 3 == 0:
                continue  # lost
            live.apply(change)
            if not live.gaps:
                assert all(person_bits(one) in live.people for one in holders[seat])


def test_a_reading_that_would_undo_changes_does_not_and_without_the_guard_would() -> None:
    database = Database()
    live, unguarded = LiveStates(database.reading()), LiveStates(database.reading())
    live.begin_reading()
    old = database.reading()
    change = database.act(0, 8)
    assert change is not None
    for one in (live, unguarded):
        one.apply(change)
        one.merge(old)
    assert live.shown(database.now)[0] == HELD
    assert unguarded.shown(database.now)[0] == AVAILABLE, "`begin_reading` was not called"


def test_a_hold_lapses_at_its_time_and_counts_once() -> None:
    database = Database()
    live = LiveStates(database.reading())
    change = database.act(1, 8)
    assert change is not None
    live.apply(change)
    version, end = live.version, change.expires_at
    assert live.next_lapse_at == end
    assert _seen(live, end - 0.001) == (version, bytes([0, HELD, 0]))
    assert live.is_taken(1, end - 0.001)
    assert not live.is_taken(1, end)
    assert _seen(live, end) == _seen(live, end + 5) == (version + 1, bytes(3))


def test_the_queue_of_lapses_stays_bounded() -> None:
    database = Database()
    live = LiveStates(database.reading())
    for at in range(10_000):
        database.now += 0.000_1
        for _ in range(2):
            if change := database.act(at % SEATS, 8):
                live.apply(change)
    assert len(live._lapses) < 2_000


def test_a_damaged_change_raises_and_numbers_come_as_postgres_sends_them() -> None:
    live = LiveStates(Database().reading())
    with pytest.raises(IndexError):
        live.apply(PositionChange(SEATS, HELD, 1.0, 2, 8))
    packed = unpack_states(
        now=1.0,
        states=b"\1",
        expires_at=bytes.fromhex("3ff8000000000000"),
        versions=bytes.fromhex("0000000000000102"),
        people=bytes.fromhex("8000000000000007"),
        sale=SALE,
    )
    assert (packed.expires_at[0], packed.versions[0]) == (1.5, 258)
    assert list(packed.people) == [7]


@given(
    st.lists(st.integers(0, 1 << 61), max_size=900), st.lists(st.integers(0, 1 << 61), max_size=900)
)
def test_whom_a_reading_leaves_out_stood_in_the_one_before(
    before: list[int], after: list[int]
) -> None:
    def packed(people: list[int]) -> bytes:
        return b"".join(one.to_bytes(8, "big") for one in people)

    reading = unpack_states(
        now=1.0,
        states=b"",
        expires_at=b"",
        versions=b"",
        people=packed(after),
        people_before=packed(before),
        sale=SALE,
    )
    # Zeros stand for seats without an owner.
    assert set(after) - {0} <= {*before, *reading.people}
    assert 0 not in reading.people


def test_the_person_filter_has_few_false_positives() -> None:
    rng = random.Random(1)
    known = [rng.getrandbits(62) for _ in range(1_000)]
    people = PersonFilter(1_000)
    people.include(known)
    assert all(one in people for one in known)
    assert sum(rng.getrandbits(62) in people for _ in range(20_000)) < 100


@pytest.mark.parametrize("seed", range(30))
def test_a_reading_of_another_process_ends_in_the_stored_states(seed: int) -> None:
    """It began before some of the changes that are known here, and misses them."""
    source = random.Random(seed)
    database = Database()
    live = LiveStates(database.reading())
    for _ in range(20):
        missed = [database.act(source.randrange(SEATS), source.randrange(9)) for _ in range(2)]
        database.now += source.choice((0.0, 4.0))
        reading = database.reading()
        since = [database.act(source.randrange(SEATS), source.randrange(9)) for _ in range(3)]
        for change in (*missed[:1], *since):
            if change is not None:
                live.apply(change)
        assert live.merge_shared(reading, [change for change in since if change is not None])
        assert _seen(live, database.now) == database.shown()
        assert all(person in live.people for person in database.people)


def test_a_reading_that_is_behind_is_not_taken_over() -> None:
    """A seat that was known to be sold before the reading began is free in it."""
    database = Database()
    live, before = LiveStates(database.reading()), database.reading()
    change = PositionChange(0, SOLD, 0.0, 4, 7)
    live.apply(change)
    assert live.merge_shared(before, [change]), "it is known to have changed since"
    assert not live.is_free(0)
    assert not live.merge_shared(before, []), "another database, or a change that was never made"
    assert not live.merge_shared(before, [change._replace(version=3)])
    live.merge(before)
    assert live.is_free(0), "this process's own reading repairs it"
