"""Which seats are chosen: against a plain search, whatever the layout, the grades and the picks."""

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.reservations import rules
from boxoffice.reservations.best_seats import Board, Chase, Seating
from boxoffice.seats.cache.states import AVAILABLE, BLOCKED, HELD, SOLD
from boxoffice.seats.layout import LayoutSeat

seat_lists = st.lists(
    st.tuples(
        st.sampled_from("AB"), st.sampled_from("12"), st.integers(1, 12), st.sampled_from("RS")
    ),
    max_size=30,
    unique_by=lambda place: place[:3],
).map(
    lambda places: [
        LayoutSeat(f"{section}-{row}-{number}", section, row, number, grade, 1)
        for section, row, number, grade in places
    ]
)


def row(grades: str) -> Seating:
    """One row of seats, a letter for the grade of each."""
    return Seating([LayoutSeat(str(at), "A", "1", at, grade, 1) for at, grade in enumerate(grades)])


def choices(
    seats: list[LayoutSeat], grade: str | None, free: set[int], quantity: int
) -> list[list[int]]:
    """All neighbours that may be had, in the order of the chains."""
    of_grade = [at for at, seat in enumerate(seats) if grade in (None, seat.grade)]
    chains = rules.chains([(seats[at].section, seats[at].row, seats[at].number) for at in of_grade])
    runs = [
        [of_grade[at] for at in chain[start : start + quantity]]
        for chain in chains
        for start in range(len(chain) - quantity + 1)
    ]
    return [run for run in runs if free.issuperset(run)]


@given(
    seat_lists,
    st.data(),
    st.integers(1, 4),
    st.integers(0, 9),
    st.sampled_from(["R", "S", None, "?"]),
)
def test_the_best_seats_are_free_adjacent_and_found_if_there_are_any(
    seats: list[LayoutSeat], data: st.DataObject, quantity: int, skip: int, grade: str | None
) -> None:
    size = len(seats)
    states = st.sampled_from([AVAILABLE, AVAILABLE, HELD, SOLD, BLOCKED])
    status = bytes(data.draw(st.lists(states, min_size=size, max_size=size)))
    picked = data.draw(st.sets(st.sampled_from(range(size)), max_size=5)) if size else set()
    free = {at for at in range(size) if status[at] == AVAILABLE}
    board = Board(Seating(seats), status, picked)
    for _ in range(2):  # what is remembered is the same
        for mask in (picked, set()):
            best = choices(seats, grade, free - mask, quantity)
            first = board.choose(quantity, grade, picked=not mask and bool(picked))
            assert list(first) == (best[0] if best else [])
            later = board.choose(quantity, grade, skip, picked=not mask and bool(picked))
            assert list(later) in best if best else later == ()
    assert board.seats_left(grade) == len([at for at in free if grade in (None, seats[at].grade)])


def test_skipping_moves_to_seats_that_do_not_overlap_and_stays_with_the_last() -> None:
    seats = [LayoutSeat(str(at), "A", str(at // 5), at, "R", 1) for at in range(7)]
    board = Board(Seating(seats), bytes(7), ())
    assert [board.choose(2, None, skip) for skip in range(4)] == [(0, 1), (2, 3), (5, 6), (5, 6)]


def test_what_is_picked_is_chosen_by_nobody_else_until_it_is_given_back() -> None:
    chase = Chase(row("RRRSSS"))
    board = chase.board(bytes(6), 1.0)
    assert board.choose(2, "R") == (0, 1)
    chase.pick((0, 1))
    assert board.choose(2, "R") == ()
    assert board.choose(2, "R", picked=True) == (0, 1)
    assert board.choose(2, None) == (2, 3)
    newer = chase.board(bytes(6), 2.0)
    assert (newer.choose(1, "R"), newer.choose(2, None)) == ((2,), (2, 3))
    assert chase.board(bytes(6), 1.5) is newer, "an older reading says less"
    chase.decided((0, 1), free=(0,))
    assert (newer.choose(1, "R"), newer.choose(2, "R")) == ((0,), ())
    assert chase.board(bytes(6), 3.0).choose(2, "R") == (0, 1)


def test_a_seat_that_was_not_free_is_not_given_back() -> None:
    chase = Chase(row("R"))
    board = chase.board(bytes([HELD]), 1.0)
    chase.pick((0,))
    chase.decided((0,), free=(0,))
    assert board.choose(1, None) == ()
    assert board.seats_left(None) == 0
