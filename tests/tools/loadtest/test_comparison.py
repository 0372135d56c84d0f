"""Both directions of the comparison: each kind of lie is found, and the truth is left alone."""

from dataclasses import replace

import pytest

from boxoffice_loadtest.analysis.comparison import ServerState, StoredHold, StoredPayment, compare
from boxoffice_loadtest.measurement.client_log import (
    AcknowledgedHold,
    AcknowledgedPayment,
    ClientLog,
)
from tests.tools.loadtest import samples

HOLD, RELEASED = samples.stored().holds
[PAID] = samples.stored().payments


def _broken(record: ClientLog, stored: ServerState) -> dict[str, int]:
    found = compare(record, stored, samples.USERS)
    return {one.kind: one.count for one in found if one.is_broken}


def _told(record: ClientLog, stored: ServerState, *, interrupted: bool = False) -> dict[str, int]:
    found = compare(record, stored, samples.USERS, interrupted=interrupted)
    return {one.kind: one.count for one in found if one.count}


def test_a_record_that_agrees_has_no_finding() -> None:
    assert _told(samples.record(), samples.stored()) == {}


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
    assert finding in _broken(samples.record(), replace(samples.stored(), **change))  # type: ignore[arg-type]


def test_a_seat_that_two_people_hold_is_found() -> None:
    record, stored = samples.record(), samples.stored()
    other = AcknowledgedHold("r3", 3, ("A-2",), "k9", 1_003_000.0, 1_003_010.0)
    record.holds.append(other)
    holds = [*stored.holds, StoredHold("r3", "user-3", ("A-2",), "HELD", "k9")]
    assert _broken(record, replace(stored, holds=holds)) == {"seat_held_twice": 1}


def test_a_seat_that_was_paid_twice_is_found_on_both_sides() -> None:
    record, stored = samples.record(), samples.stored()
    record.holds.append(AcknowledgedHold("r3", 3, ("A-2",), "k9", 1_003_000.0, 1_003_010.0))
    record.payments.append(AcknowledgedPayment("p3", "r3", 3, 100, "k10", 1_004_000.0))
    holds = [*stored.holds, StoredHold("r3", "user-3", ("A-2",), "CONFIRMED", "k9")]
    payments = [*stored.payments, StoredPayment("p3", "r3", "user-3", 100, "k10")]
    found = _broken(record, replace(stored, holds=holds, payments=payments))
    assert found["seat_sold_twice"] >= 1
    # Also where the client knows nothing of it.
    secret = [*samples.stored().holds, StoredHold("r4", "user-4", ("A-1",), "CONFIRMED", "k1")]
    assert "seat_sold_twice" in _broken(samples.record(), replace(samples.stored(), holds=secret))


def test_a_seat_may_be_held_again_after_its_release_or_its_time() -> None:
    record, stored = samples.record(), samples.stored()
    record.holds.append(AcknowledgedHold("r3", 3, ("A-3",), "k9", 1_002_300.0, 1_002_310.0))
    holds = [*stored.holds, StoredHold("r3", "user-3", ("A-3",), "HELD", "k9")]
    assert _broken(record, replace(stored, holds=holds)) == {}
    record.releases.clear()
    lapsed = [HOLD, replace(RELEASED, status="EXPIRED"), holds[-1]]
    assert _broken(record, replace(stored, holds=lapsed)) == {"seat_held_twice": 1}
    assert _broken(record, replace(stored, holds=lapsed, hold_ttl_s=0.1)) == {}


def test_a_repetition_is_one_hold() -> None:
    record = samples.record()
    record.holds.append(record.holds[0])
    record.payments.append(record.payments[0])
    assert _broken(record, samples.stored()) == {}


def test_a_lost_answer_explains_what_it_did_and_nothing_else() -> None:
    record, stored = samples.record(), samples.stored()
    record.lost = {"k9": "hold"}
    late = StoredHold("r9", "user-9", ("B-1",), "HELD", "k9")
    holds = [*stored.holds, late]
    assert _told(record, replace(stored, holds=holds)) == {"lost_answer": 1, "lost_hold": 1}
    more = [*holds, StoredHold("r10", "user-9", ("B-2",), "HELD", "k10")]
    assert _broken(record, replace(stored, holds=more)) == {"unexplained_hold": 1}


def test_without_keys_each_lost_answer_explains_one_row() -> None:
    record = samples.record()
    record.lost = {"k9": "hold"}
    late = [StoredHold(f"r{n}", "user-9", (f"B-{n}",), "HELD") for n in (8, 9)]
    stored = replace(samples.stored(), holds=[HOLD, RELEASED, *late], is_keyed=False)
    assert _told(record, stored) == {"unexplained_hold": 1, "lost_answer": 1, "lost_hold": 1}


def test_what_an_interruption_cut_off_is_told_and_breaks_nothing() -> None:
    stored = samples.stored()
    late = StoredHold("r9", "user-9", ("B-1",), "HELD", "k9")
    holds = replace(stored, holds=[*stored.holds, late])
    assert _told(samples.record(), holds, interrupted=True) == {"interrupted": 1}


def test_lines_that_cannot_be_read_break_the_proof() -> None:
    record = samples.record()
    record.unreadable = 2
    assert _broken(record, samples.stored()) == {"unreadable": 2}
