"""Both directions of the comparison: each disagreement is found, and nothing else."""

from dataclasses import replace

import pytest

from boxoffice_loadtest.analysis.comparison import ServerState, StoredHold, StoredPayment, compare
from boxoffice_loadtest.measurement.client_log import (
    AcknowledgedHold,
    AcknowledgedPayment,
    ClientLog,
)
from tests.tools.loadtest import samples

HOLD, RELEASED = samples.state().holds
[PAID] = samples.state().payments


def _broken(log: ClientLog, state: ServerState) -> dict[str, int]:
    found = compare(log, state, samples.USERS)
    return {one.kind: one.count for one in found if one.is_broken}


def _counts(log: ClientLog, state: ServerState, *, interrupted: bool = False) -> dict[str, int]:
    found = compare(log, state, samples.USERS, interrupted=interrupted)
    return {one.kind: one.count for one in found if one.count}


def test_a_record_that_agrees_has_no_finding() -> None:
    assert _counts(samples.log(), samples.state()) == {}


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"holds": [RELEASED]}, "phantom_hold"),
        ({"payments": []}, "phantom_payment"),
        ({"holds": [replace(HOLD, seats=("A-1", "A-9")), RELEASED]}, "hold_differs"),
        ({"holds": [replace(HOLD, user_id="user-7"), RELEASED]}, "hold_differs"),
        ({"payments": [replace(PAID, amount=199)]}, "payment_differs"),
        ({"payments": [replace(PAID, user_id="user-7")]}, "payment_differs"),
        ({"holds": [replace(HOLD, status="EXPIRED"), RELEASED]}, "paid_not_confirmed"),
        ({"holds": [HOLD, replace(RELEASED, status="HELD")]}, "release_not_done"),
        (
            {"holds": [HOLD, RELEASED, StoredHold("r9", "user-9", ("B-1",), "HELD", "k9")]},
            "unexplained_hold",
        ),
        (
            {"payments": [PAID, StoredPayment("p9", "r9", "user-9", 100, "k9")]},
            "unexplained_payment",
        ),
    ],
)
def test_each_lie_of_the_database_is_found(change: dict[str, object], finding: str) -> None:
    assert finding in _broken(samples.log(), replace(samples.state(), **change))  # type: ignore[arg-type]


def test_a_seat_that_two_people_hold_is_found() -> None:
    log, state = samples.log(), samples.state()
    other = AcknowledgedHold("r3", 3, ("A-2",), "k9", 1_003_000.0, 1_003_010.0)
    log.holds.append(other)
    holds = [*state.holds, StoredHold("r3", "user-3", ("A-2",), "HELD", "k9")]
    assert _broken(log, replace(state, holds=holds)) == {"seat_held_twice": 1}


def test_a_seat_that_was_paid_twice_is_found_on_both_sides() -> None:
    log, state = samples.log(), samples.state()
    log.holds.append(AcknowledgedHold("r3", 3, ("A-2",), "k9", 1_003_000.0, 1_003_010.0))
    log.payments.append(AcknowledgedPayment("p3", "r3", 3, 100, "k10", 1_004_000.0))
    holds = [*state.holds, StoredHold("r3", "user-3", ("A-2",), "CONFIRMED", "k9")]
    payments = [*state.payments, StoredPayment("p3", "r3", "user-3", 100, "k10")]
    found = _broken(log, replace(state, holds=holds, payments=payments))
    assert found["seat_sold_twice"] >= 1
    # Also if the client has not seen it.
    secret = [*samples.state().holds, StoredHold("r4", "user-4", ("A-1",), "CONFIRMED", "k1")]
    assert "seat_sold_twice" in _broken(samples.log(), replace(samples.state(), holds=secret))


def test_a_seat_may_be_held_again_after_its_release_or_its_time() -> None:
    log, state = samples.log(), samples.state()
    log.holds.append(AcknowledgedHold("r3", 3, ("A-3",), "k9", 1_002_300.0, 1_002_310.0))
    holds = [*state.holds, StoredHold("r3", "user-3", ("A-3",), "HELD", "k9")]
    assert _broken(log, replace(state, holds=holds)) == {}
    log.releases.clear()
    lapsed = [HOLD, replace(RELEASED, status="EXPIRED"), holds[-1]]
    assert _broken(log, replace(state, holds=lapsed)) == {"seat_held_twice": 1}
    assert _broken(log, replace(state, holds=lapsed, hold_ttl_s=0.1)) == {}


def test_a_repetition_is_one_hold() -> None:
    log = samples.log()
    log.holds.append(log.holds[0])
    log.payments.append(log.payments[0])
    assert _broken(log, samples.state()) == {}


def test_a_lost_answer_explains_what_it_did_and_nothing_else() -> None:
    log, state = samples.log(), samples.state()
    log.lost = {"k9": "hold"}
    late = StoredHold("r9", "user-9", ("B-1",), "HELD", "k9")
    holds = [*state.holds, late]
    assert _counts(log, replace(state, holds=holds)) == {"lost_answer": 1, "lost_hold": 1}
    more = [*holds, StoredHold("r10", "user-9", ("B-2",), "HELD", "k10")]
    assert _broken(log, replace(state, holds=more)) == {"unexplained_hold": 1}


def test_without_keys_each_lost_answer_explains_one_row() -> None:
    log = samples.log()
    log.lost = {"k9": "hold"}
    late = [StoredHold(f"r{n}", "user-9", (f"B-{n}",), "HELD") for n in (8, 9)]
    state = replace(samples.state(), holds=[HOLD, RELEASED, *late], is_keyed=False)
    assert _counts(log, state) == {"unexplained_hold": 1, "lost_answer": 1, "lost_hold": 1}


def test_what_an_interruption_cut_off_is_told_and_breaks_nothing() -> None:
    state = samples.state()
    late = StoredHold("r9", "user-9", ("B-1",), "HELD", "k9")
    holds = replace(state, holds=[*state.holds, late])
    assert _counts(samples.log(), holds, interrupted=True) == {"interrupted": 1}


def test_lines_that_cannot_be_read_break_the_proof() -> None:
    log = samples.log()
    log.unreadable = 2
    assert _broken(log, samples.state()) == {"unreadable": 2}
