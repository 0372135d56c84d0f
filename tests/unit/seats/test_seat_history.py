"""The events of the seats, pure: a reader that follows or reconnects ends in the current state."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.seats.cache.states import SaleWindow
from boxoffice.seats.feed.history import (
    CHANGES,
    SALE,
    SNAPSHOT,
    FeedEvent,
    SeatHistory,
    differences,
)
from tests.support.watcher import Missed, Watcher

SEATS = 40
STATES = st.binary(min_size=SEATS, max_size=SEATS).map(lambda raw: bytes(one % 4 for one in raw))


def receive(watcher: Watcher, event: FeedEvent) -> None:
    data: Any = msgspec.json.decode(msgspec.json.encode(event.data))
    watcher.hear(event.name, data, event.state)


@given(st.binary(max_size=300), st.data())
def test_differences_are_where_they_are(old: bytes, data: st.DataObject) -> None:
    new = data.draw(st.binary(min_size=len(old), max_size=len(old)))
    assert differences(old, new) == [at for at in range(len(old)) if old[at] != new[at]]


@given(
    st.lists(
        st.tuples(STATES | st.none(), st.booleans(), st.integers(0, 2)), min_size=1, max_size=25
    ),
    st.integers(1, 8),
)
def test_a_reader_that_follows_or_reconnects_ends_in_the_current_state(
    moments: Sequence[tuple[bytes | None, bool, int]], steps_max: int
) -> None:
    history = SeatHistory(steps_max)
    current, version = bytes(SEATS), 0
    watching: list[Watcher] = []
    away: list[Watcher] = []
    for states, on_sale, what in moments:
        current, version = current if states is None else states, version + what
        for event in history.update(version, current, on_sale=on_sale):
            for watcher in watching:
                receive(watcher, event)
        if what == 0 and watching:
            away.append(watching.pop(0).reconnected())
        if what == 1:
            watching.append(Watcher())
            receive(watching[-1], history.since(""))
        if what == 2 and away:
            watching.append(away.pop(0))
            receive(watching[-1], history.since(watching[-1].state))
        for watcher in watching:
            assert (watcher.states, watcher.on_sale) == (current, on_sale)
            assert watcher.seats_available == current.count(0)
            assert watcher.seq == history.seq
    for watcher in away:
        receive(watcher, history.since(watcher.state))
        assert watcher.states == current


def events_of(history: SeatHistory, *moments: tuple[int, str, bool]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    letters = bytes.maketrans(b"AHSB", bytes(range(4)))
    for version, states, on_sale in moments:
        events = history.update(version, states.encode().translate(letters), on_sale=on_sale)
        found += [(one.name, one.data) for one in events]
    return found


def test_a_sale_event_follows_a_change_of_its_fields() -> None:
    history = SeatHistory(10)
    events = events_of(
        history,
        (1, "AH" + "S" * 20, False),
        (1, "AH" + "S" * 20, True),
        (2, "HH" + "S" * 20, True),
        (3, "HS" + "S" * 20, True),
        (4, "AS" + "S" * 20, True),
        (5, "AS" + "S" * 20, False),
    )
    assert [name for name, _ in events] == [
        SNAPSHOT, SALE, CHANGES, SALE, CHANGES, CHANGES, SALE, SALE,
    ]  # fmt: skip
    sales = [data for name, data in events if name == SALE]
    assert [(one.on_sale, one.sold_out, one.seats_available) for one in sales] == [
        (True, False, 1), (True, True, 0), (True, False, 1), (False, False, 1),
    ]  # fmt: skip
    assert [data.seq for _, data in events] == list(range(1, 9))


def test_a_state_known_from_another_pod_gets_only_the_changes() -> None:
    here, there = SeatHistory(10), SeatHistory(10)
    events_of(here, (5, "A" * 30, True), (6, "H" + "A" * 29, True))
    # The other process has heard of both changes at once; the state is the same.
    events_of(
        there, (4, "A" * 29 + "S", True), (6, "H" + "A" * 29, True), (9, "S" + "A" * 29, True)
    )
    known = here.snapshot().state
    event = there.since(known)
    assert (event.name, getattr(event.data, "seats", None)) == (CHANGES, {"SOLD": [0]})
    # The same version with another content is another state.
    assert there.since(known[:-1] + ("0" if known[-1] != "0" else "1")).name == SNAPSHOT
    assert there.since("").name == SNAPSHOT
    assert there.since("nonsense").name == SNAPSHOT


def test_a_version_without_a_visible_change_is_no_event() -> None:
    history = SeatHistory(10)
    events_of(history, (5, "A" * 30, True))
    before = history.snapshot().state
    assert events_of(history, (7, "A" * 30, True)) == []
    event = history.since(before)
    assert (event.name, getattr(event.data, "seats", None)) == (CHANGES, {})
    assert event.data.version == 7
    assert event.state != before


def test_many_changes_come_as_a_snapshot_and_so_do_new_seats() -> None:
    history = SeatHistory(10)
    events = events_of(history, (1, "A" * 60, True), (2, "H" * 60, True), (3, "H" * 61, True))
    assert [name for name, _ in events] == [SNAPSHOT, SNAPSHOT, SALE, SNAPSHOT]


def test_the_history_is_bounded() -> None:
    print("seed 7")
    rng = random.Random(7)
    history = SeatHistory(100)
    states = bytearray(50_000)
    history.update(1, bytes(states), on_sale=True)
    names = [history.snapshot().state]
    for version in range(2, 400):
        for _ in range(200):
            states[rng.randrange(50_000)] = rng.randrange(4)
        history.update(version, bytes(states), on_sale=True)
        names.append(history.snapshot().state)
    assert history._positions <= 50_000 // 6
    assert len(history._steps) == len(history._at) <= 100
    assert history.since(names[0]).name == SNAPSHOT
    assert history.since(names[-3]).name == CHANGES


def test_a_reader_detects_a_missed_event() -> None:
    # The control of every test that believes a watcher.
    history = SeatHistory(10)
    watcher = Watcher()
    letters = bytes.maketrans(b"AHSB", bytes(range(4)))
    history.update(1, b"A" * 30, on_sale=True)
    receive(watcher, history.since(""))
    history.update(2, (b"H" + b"A" * 29).translate(letters), on_sale=True)
    [event] = history.update(3, (b"HH" + b"A" * 28).translate(letters), on_sale=True)
    with pytest.raises(Missed):
        receive(watcher, event)


def test_a_sale_turns_at_its_times_while_it_is_open() -> None:
    sale = SaleWindow(True, 10.0, 20.0)
    assert [sale.next_turn_at(now) for now in (5.0, 10.0, 15.0, 20.0)] == [
        10.0, 20.0, 20.0, float("inf"),
    ]  # fmt: skip
    assert SaleWindow(False, 10.0, 20.0).next_turn_at(5.0) == float("inf")
