"""The rules: adjacent seats, the status of a lapsed hold, the limits of a request."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.errors import Invalid
from boxoffice.reservations import rules
from boxoffice.reservations.rules import Status

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)

places = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from("12"), st.integers(1, 12)),
    max_size=30,
    unique=True,
)


@given(places)
def test_chains_hold_every_seat_once_and_only_neighbours(
    layout: list[tuple[str, str, int]],
) -> None:
    chains = rules.chains(layout)
    assert sorted(at for chain in chains for at in chain) == list(range(len(layout)))
    for chain in chains:
        section, row, first = layout[chain[0]]
        assert [layout[at] for at in chain] == [
            (section, row, first + step) for step in range(len(chain))
        ]
    assert [min(chain) for chain in chains] == sorted(min(chain) for chain in chains)


def test_a_gap_another_row_and_another_section_end_a_chain() -> None:
    layout = [("A", "1", 1), ("A", "1", 2), ("A", "1", 4), ("A", "2", 5), ("B", "2", 6)]
    assert rules.chains(layout) == [(0, 1), (2,), (3,), (4,)]


def test_neighbours_are_found_whatever_the_order_of_the_layout() -> None:
    assert rules.chains([("A", "1", 3), ("A", "1", 1), ("A", "1", 2)]) == [(1, 2, 0)]


@pytest.mark.parametrize(
    ("left", "shown"), [(TICK, Status.HELD), (0 * TICK, Status.EXPIRED), (-TICK, Status.EXPIRED)]
)
def test_a_hold_is_over_at_the_very_moment_that_it_names(left: timedelta, shown: Status) -> None:
    assert rules.status_at("HELD", NOW + left, NOW) is shown


@pytest.mark.parametrize("status", ["CONFIRMED", "EXPIRED", "CANCELLED"])
def test_what_has_ended_stays_so(status: str) -> None:
    assert rules.status_at(status, NOW - TICK, NOW) == status


def test_a_token_stands_for_one_person_and_one_key() -> None:
    one, two = UUID(int=1), UUID(int=2)
    tokens = [rules.lock_owner(one, "k"), rules.lock_owner(one, "l"), rules.lock_owner(two, "k")]
    assert len(set(tokens)) == 3
    assert rules.lock_owner(one, "k") == tokens[0]


@pytest.mark.parametrize("seat_ids", [[], ["a", "b", "c", "d"], ["a", "a"]])
def test_a_list_of_seats_is_not_empty_long_or_repetitive(seat_ids: list[str]) -> None:
    with pytest.raises(Invalid):
        rules.check_seat_ids(seat_ids, 3)


def test_a_request_within_the_limit_passes() -> None:
    rules.check_seat_ids(["a", "b", "c"], 3)
    rules.check_quantity(3, 3)
    with pytest.raises(Invalid):
        rules.check_quantity(4, 3)
