"""Which seats are chosen: against a plain search, whatever the layout, the grades and the picks."""

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.reservations import rules
from boxoffice.reservations.best_seats import BestSeatAllocator, FreeSeatsReading, Seating
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
    pending = data.draw(st.sets(st.sampled_from(range(size)), max_size=5)) if size else set()
    free = {at for at in range(size) if status[at] == AVAILABLE}
    reading = FreeSeatsReading(Seating(seats), status, pending)
    for _ in range(2):  # what is remembered is the same
        for mask in (pending, set()):
            best = choices(seats, grade, free - mask, quantity)
            first = reading.choose(quantity, grade, with_pending=not mask and bool(pending))
            assert list(first) == (best[0] if best else [])
            later = reading.choose(quantity, grade, skip, with_pending=not mask and bool(pending))
            assert list(later) in best if best else later == ()
    assert reading.seats_left(grade) == len([at for at in free if grade in (None, seats[at].grade)])


def test_skipping_moves_to_seats_that_do_not_overlap_and_stays_with_the_last() -> None:
    seats = [LayoutSeat(str(at), "A", str(at // 5), at, "R", 1) for at in range(7)]
    reading = FreeSeatsReading(Seating(seats), bytes(7), ())
    assert [reading.choose(2, None, skip) for skip in range(4)] == [(0, 1), (2, 3), (5, 6), (5, 6)]


def test_pending_seats_are_not_chosen_until_they_are_given_back() -> None:
    allocator = BestSeatAllocator(row("RRRSSS"))
    reading = allocator.reading(bytes(6), 1.0)
    assert reading.choose(2, "R") == (0, 1)
    with allocator.pending((0, 1)) as free:
        assert reading.choose(2, "R") == ()
        assert reading.choose(2, "R", with_pending=True) == (0, 1)
        assert reading.choose(2, None) == (2, 3)
        newer = allocator.reading(bytes(6), 2.0)
        assert (newer.choose(1, "R"), newer.choose(2, None)) == ((2,), (2, 3))
        assert allocator.reading(bytes(6), 1.5) is newer, "an older reading is not used"
        free.append(0)
    assert (newer.choose(1, "R"), newer.choose(2, "R")) == ((0,), ())
    assert allocator.reading(bytes(6), 3.0).choose(2, "R") == (0, 1)


def test_a_seat_that_was_not_free_is_not_given_back() -> None:
    allocator = BestSeatAllocator(row("R"))
    reading = allocator.reading(bytes([HELD]), 1.0)
    with allocator.pending((0,)) as free:
        free.append(0)
    assert reading.choose(1, None) == ()
    assert reading.seats_left(None) == 0
