"""The comparison finds every seeded disagreement between record and database, and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from boxoffice.audit import store
from boxoffice_loadtest.analysis import comparison
from boxoffice_loadtest.analysis.comparison import StoredHold, StoredPayment
from faults.checks import linearizability
from faults.checks.comparison import (
    AUDIT_DOUBLE_CHARGES,
    AUDIT_IMBALANCE,
    AUDIT_LOST,
    AUDIT_OTHER,
    AUDIT_SOLD_TWICE,
    LOST,
    SOLD_TWICE,
    Stored,
    StoredTopUp,
    compare,
)
from faults.checks.record import HeldSeats, Paid, Record, Released, ToppedUp, Unsettled

PEOPLE = ["ann", "bob"]


def record() -> Record:
    """Ann bought A1; Bob held and released B1, and topped up his wallet."""
    return Record(
        holds=[
            HeldSeats("r1", 0, ("A1",), 100, "h1", 1.0, 1.1),
            HeldSeats("r2", 1, ("B1",), 100, "h2", 1.0, 1.1),
        ],
        payments=[Paid("p1", "r1", 0, 100, "y1", 2.0, 2.1)],
        releases=[Released("r2", 1, 3.0, 3.1)],
        top_ups=[ToppedUp("c1", 1, 10, "c1", 4.0, 4.1)],
    )


def stored() -> Stored:
    """What the database has after that."""
    holds = [
        StoredHold("r1", "ann", ("A1",), "CONFIRMED", "h1"),
        StoredHold("r2", "bob", ("B1",), "CANCELLED", "h2"),
    ]
    payments = [StoredPayment("p1", "r1", "ann", 100, "y1")]
    top_ups = [StoredTopUp("c1", "bob", 10, "c1")]
    return Stored(comparison.ServerState(holds, payments, 5.0), top_ups)


def broken(told: Record, there: Stored) -> set[str]:
    """Return the kinds that are broken."""
    return {one.kind for one in compare(told, there, PEOPLE) if one.is_broken}


def without(there: Stored, what: str) -> Stored:
    """Return a database that has lost all of one kind."""
    emptied = {
        "holds": replace(there, shop=replace(there.shop, holds=[])),
        "payments": replace(there, shop=replace(there.shop, payments=[])),
        "top_ups": replace(there, top_ups=[]),
    }
    return emptied[what]


def test_a_record_that_agrees_is_not_broken() -> None:
    assert broken(record(), stored()) == set()


@pytest.mark.parametrize(
    ("what", "kind"),
    [("holds", "phantom_hold"), ("payments", "phantom_payment"), ("top_ups", "phantom_top_up")],
)
def test_what_was_acknowledged_and_is_not_there_is_lost(what: str, kind: str) -> None:
    found = broken(record(), without(stored(), what))
    assert kind in found
    assert kind in LOST


def test_a_release_that_was_not_done_is_lost() -> None:
    there = stored()
    holds = [
        replace(one, status="EXPIRED") for one in there.shop.holds if one.status != "CONFIRMED"
    ]
    there = replace(there, shop=replace(there.shop, holds=[there.shop.holds[0], *holds]))
    assert broken(record(), there) == {"release_not_done"}


Change = Callable[[Record], None]


@pytest.mark.parametrize(
    ("forget", "kind"),
    [
        (lambda told: told.holds.pop(), "unexplained_hold"),
        (lambda told: told.payments.pop(), "unexplained_payment"),
        (lambda told: told.top_ups.pop(), "unexplained_top_up"),
    ],
)
def test_unacknowledged_effects_are_found(forget: Change, kind: str) -> None:
    told = record()
    forget(told)
    assert kind in broken(told, stored())


def test_a_lost_answer_explains_what_it_did_and_is_itself_unsettled() -> None:
    told = record()
    lost = told.top_ups.pop()
    told.unsettled[lost.key] = Unsettled("top_up", lost.key, 1, (), "", 4.0)
    assert broken(told, stored()) == {"unsettled"}


def test_a_double_top_up_is_found() -> None:
    there = stored()
    twice = replace(there, top_ups=[*there.top_ups, StoredTopUp("c2", "bob", 10, "c1")])
    assert "topped_up_twice" in broken(record(), twice)


def test_a_seat_that_is_sold_twice_is_found_by_both_checkers() -> None:
    told = record()
    told.holds.append(HeldSeats("r3", 1, ("A1",), 100, "h3", 1.2, 1.3))
    told.payments.append(Paid("p3", "r3", 1, 100, "y3", 2.2, 2.3))
    there = stored()
    holds = [*there.shop.holds, StoredHold("r3", "bob", ("A1",), "CONFIRMED", "h3")]
    payments = [*there.shop.payments, StoredPayment("p3", "r3", "bob", 100, "y3")]
    there = replace(there, shop=replace(there.shop, holds=holds, payments=payments))
    assert broken(told, there) & set(SOLD_TWICE)
    assert [one.seat for one in linearizability.check(told.history(PEOPLE, 5.0))] == ["A1"]


def test_a_seat_is_held_twice_where_the_first_hold_cannot_have_lapsed() -> None:
    told = record()
    told.holds.append(HeldSeats("r3", 1, ("A1",), 100, "h3", 1.2, 1.3))
    there = stored()
    holds = [*there.shop.holds, StoredHold("r3", "bob", ("A1",), "HELD", "h3")]
    there = replace(there, shop=replace(there.shop, holds=holds))
    assert broken(told, there) == {"seat_held_twice"}


def test_a_seat_is_not_held_twice_where_the_answer_came_when_the_hold_had_lapsed() -> None:
    told = record()
    told.holds.append(HeldSeats("r3", 1, ("A1",), 100, "h3", -9.0, 1.3))
    there = stored()
    holds = [*there.shop.holds, StoredHold("r3", "bob", ("A1",), "EXPIRED", "h3")]
    there = replace(there, shop=replace(there.shop, holds=holds))
    assert broken(told, there) == set()


def test_a_late_hold_is_excused_only_where_the_scenario_says_so() -> None:
    told = record()
    late = told.holds.pop(0)
    told.payments.clear()
    there = stored()
    holds = [replace(there.shop.holds[0], status="HELD"), there.shop.holds[1]]
    there = replace(there, shop=replace(there.shop, holds=holds, payments=[]))
    found = compare(told, there, PEOPLE, excuses_late_holds=True)
    assert {one.kind for one in found if one.is_broken} == {"unexplained_hold"}
    told.late[late.key] = Unsettled("hold", late.key, 0, late.seats, "", 1.0)
    assert broken(told, there) == {"unexplained_hold"}
    found = compare(told, there, PEOPLE, excuses_late_holds=True)
    assert {one.kind for one in found if one.is_broken} == set()
    assert [one.count for one in found if one.kind == "lost_hold"] == [1]


def test_every_check_of_the_audit_shows_exactly_one_thing() -> None:
    kinds = (AUDIT_SOLD_TWICE, AUDIT_IMBALANCE, AUDIT_DOUBLE_CHARGES, AUDIT_LOST, AUDIT_OTHER)
    assert sorted(name for kind in kinds for name in kind) == sorted(store.names())
