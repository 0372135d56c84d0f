"""The check accepts histories that happened, and rejects impossible ones."""

import random
import time
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faults.checks.linearizability import check
from faults.checks.record import History, RecordedOperation, SeatEvent
from tests.tools.faults.checks.histories import (
    LONG_S,
    TTL_S,
    WIDE_S,
    Told,
    event,
    history,
    live,
    seats,
    with_events,
    without,
)

SEEDS = range(300)
OPERATIONS_MANY = 100_000


@given(st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_what_happened_is_believed(seed: int, holds: int) -> None:
    assert check(history(live(random.Random(seed), "S", holds))) == []


@given(st.integers(0, 2**32), st.sets(st.integers(0, 30), max_size=4))
@settings(max_examples=200, deadline=None)
def test_an_answer_that_was_lost_is_no_contradiction(seed: int, lost: set[int]) -> None:
    told = live(random.Random(seed), "S", 6)
    events = [
        SeatEvent(
            one.seat, one.person, one.operation, one.begin_s, inf, None, one.reservation_id, False
        )
        if at in lost and one.operation is not RecordedOperation.HELD
        else one
        for at, one in enumerate(told.events)
        if not (
            at in lost and one.operation in (RecordedOperation.REFUSED, RecordedOperation.EXPIRED)
        )
    ]
    assert check(History(events, TTL_S)) == []


def test_a_hold_with_a_lost_response_explains_a_refusal() -> None:
    lost = SeatEvent("S", "a", RecordedOperation.HELD, 1.0, inf, is_known=False)
    told = SeatEvent("S", "b", RecordedOperation.REFUSED, 2.0, 2.1)
    assert check(History([lost, told], TTL_S)) == []
    assert check(History([told], TTL_S)) != []
    late = SeatEvent("S", "b", RecordedOperation.REFUSED, 0.5, 0.9)
    assert check(History([lost, late], TTL_S)) != [], "it had not been asked for by then"


def test_a_repeated_answer_is_one_hold() -> None:
    events = [
        SeatEvent("S", "a", RecordedOperation.HELD, 1.0, 1.2, None, "r"),
        SeatEvent("S", "a", RecordedOperation.HELD, 1.0, 9.0, None, "r"),
        SeatEvent("S", "b", RecordedOperation.HELD, 7.0, 7.1, None, "q"),
    ]
    assert check(History(events, TTL_S)) == []


def _a_second_sale(rng: random.Random) -> History:
    told = live(rng, "S", 1)
    while not told.sold:
        told = live(rng, "S", 1)
    [(_, sold_s)] = told.sold
    at_s = sold_s + WIDE_S + rng.uniform(0.001, 60)
    return with_events(
        told,
        event(told, RecordedOperation.HELD, at_s, at_s + 0.1, "other"),
        event(told, RecordedOperation.PAID, at_s + 0.1, at_s + 0.2, "other"),
    )


def _a_sale_beside_another_hold(rng: random.Random) -> History:
    told = Told("S")
    wide_s = rng.uniform(0, 0.2)
    return with_events(
        told,
        event(told, RecordedOperation.HELD, 0, wide_s, "one"),
        event(told, RecordedOperation.HELD, 1, 1 + wide_s, "other"),
        event(told, RecordedOperation.PAID, 2, 2 + wide_s, "one"),
        event(told, RecordedOperation.PAID, 2 - wide_s, 3, "other"),
    )


def _a_hold_within_another(rng: random.Random) -> History:
    told = live(rng, "S", 3)
    hold, began_s, ends_s = rng.choice(told.lived) if told.lived else ("", 0.0, 0.0)
    while ends_s - began_s < 2.5 * WIDE_S:
        told = live(rng, "S", 3)
        hold, began_s, ends_s = rng.choice(told.lived) if told.lived else ("", 0.0, 0.0)
    at_s = rng.uniform(began_s + WIDE_S, ends_s - WIDE_S - 0.1)
    return with_events(told, event(told, RecordedOperation.HELD, at_s, at_s + 0.01, f"in {hold}"))


def _free_for_long(rng: random.Random, ended: str) -> tuple[Told, float]:
    """A seat that was free for long, and when that began."""
    while True:
        told = live(rng, "S", 4)
        ends = {at_s for _, at_s, _ in told.given_back} if ended == "release" else set()
        ends |= {at_s for _, at_s in told.lapsed} if ended == "lapse" else set()
        for free_s, until_s in told.free:
            if free_s in ends and until_s - free_s >= LONG_S:
                return told, free_s


def _a_refusal_after_a_lapse(rng: random.Random) -> History:
    """A lapsed seat is free at once: no notification is necessary."""
    told, free_s = _free_for_long(rng, "lapse")
    # The hold took effect up to a response later than it began, so its end is as uncertain.
    at_s = free_s + WIDE_S + 0.2 + rng.uniform(0, LONG_S / 2)
    return with_events(told, event(told, RecordedOperation.REFUSED, at_s, at_s + 0.5, ""))


def _a_lost_release(rng: random.Random) -> History:
    """A released seat stays taken until its hold would have lapsed, and longer."""
    told, free_s = _free_for_long(rng, "release")
    at_s = free_s + WIDE_S + TTL_S + 0.2 + rng.uniform(0, 5)
    return with_events(told, event(told, RecordedOperation.REFUSED, at_s, at_s + 0.1, ""))


def _a_payment_after_the_release(rng: random.Random) -> History:
    told, free_s = _free_for_long(rng, "release")
    [hold] = [hold for hold, at_s, _ in told.given_back if at_s == free_s]
    at_s = free_s + WIDE_S + rng.uniform(0.001, 1)
    return with_events(told, event(told, RecordedOperation.PAID, at_s, at_s + 0.3, hold))


def _a_payment_after_the_end(rng: random.Random) -> History:
    told, free_s = _free_for_long(rng, "lapse")
    [hold] = [hold for hold, at_s in told.lapsed if at_s == free_s]
    at_s = free_s + WIDE_S + 0.2 + rng.uniform(0, 3)
    return with_events(told, event(told, RecordedOperation.PAID, at_s, at_s + 0.3, hold))


def _a_payment_of_nobodys_hold(rng: random.Random) -> History:
    told = live(rng, "S", 2)
    return with_events(told, event(told, RecordedOperation.PAID, 1, 1 + rng.random(), "never held"))


def _a_lapse_that_came_too_early(rng: random.Random) -> History:
    told = Told("S")
    at_s = rng.uniform(1, TTL_S - 1)
    return with_events(
        told,
        event(told, RecordedOperation.HELD, 0, 0.1, "one"),
        event(told, RecordedOperation.EXPIRED, at_s, at_s + 0.2, "one"),
    )


def _a_sale_that_was_forgotten(rng: random.Random) -> History:
    told = live(rng, "S", 1)
    while not told.sold:
        told = live(rng, "S", 1)
    [(hold, sold_s)] = told.sold
    at_s = sold_s + WIDE_S + rng.uniform(0, 20)
    return History(
        [
            *without(told, RecordedOperation.REFUSED, ""),
            event(told, RecordedOperation.EXPIRED, at_s, at_s + 0.1, hold),
        ],
        TTL_S,
    )


PLANTS = [
    _a_second_sale,
    _a_sale_beside_another_hold,
    _a_hold_within_another,
    _a_refusal_after_a_lapse,
    _a_lost_release,
    _a_payment_after_the_release,
    _a_payment_after_the_end,
    _a_payment_of_nobodys_hold,
    _a_lapse_that_came_too_early,
    _a_sale_that_was_forgotten,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__.strip("_"))
def test_what_cannot_have_happened_is_always_found(
    plant: Callable[[random.Random], History],
) -> None:
    for seed in SEEDS:
        found = check(plant(random.Random(seed)))
        assert [one.seat for one in found] == ["S"], f"seed {seed}"


def test_a_refusal_may_not_know_of_a_release_for_a_while_and_only_within_the_hold() -> None:
    held = SeatEvent("S", "a", RecordedOperation.HELD, 0.0, 0.1, None, "r")
    freed = SeatEvent("S", "a", RecordedOperation.RELEASED, 1.0, 1.1, None, "r")

    def refused(at_s: float, stale_s: float) -> bool:
        late = SeatEvent("S", "b", RecordedOperation.REFUSED, at_s, at_s + 0.1)
        return not check(History([held, freed, late], TTL_S), stale_s=stale_s)

    assert refused(1.5, stale_s=2.0)
    assert not refused(1.5, stale_s=0.2)
    assert refused(3.0, stale_s=2.0)
    assert not refused(3.3, stale_s=2.0)
    assert not refused(TTL_S + 0.5, stale_s=60.0), "nobody is refused for a hold past its end"


def test_a_refusal_after_the_retry_time_says_nothing_about_the_seat() -> None:
    told = SeatEvent("S", "b", RecordedOperation.REFUSED, 1.0, 2.6)
    assert check(History([told], TTL_S)) == []
    assert check(History([told], TTL_S), busy_s=2.0) != []


def test_the_sentence_names_what_cannot_be() -> None:
    [found] = check(_a_second_sale(random.Random(1)))
    assert found.reason.startswith("cannot have been held by other between ")


def test_a_seat_with_too_much_open_is_not_called_fine() -> None:
    lost = [
        SeatEvent("S", "a", RecordedOperation.HELD, 0.1, inf, is_known=False) for _ in range(16)
    ]
    paid = SeatEvent("S", "a", RecordedOperation.PAID, 90.0, 90.1, None, "never held")
    [found] = check(History([*lost, paid], TTL_S))
    assert "not decided" in found.reason or "cannot have been sold" in found.reason


def test_a_long_run_is_checked_within_seconds() -> None:
    rng = random.Random(7)
    many: list[Told] = []
    operations = 0
    for told in seats(rng, OPERATIONS_MANY, 30):
        many.append(told)
        operations += len(told.events)
        if operations >= OPERATIONS_MANY:
            break
    began_s = time.process_time()
    found = check(history(*many))
    took_s = time.process_time() - began_s
    print(f"{operations} operations on {len(many)} seats: {took_s:.1f} s of CPU")
    assert operations >= OPERATIONS_MANY
    assert found == []
    assert took_s < 30
