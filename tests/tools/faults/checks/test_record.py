"""What the record derives from its attempts."""

from dataclasses import replace
from math import inf

from boxoffice.settings import Settings
from faults.checks.record import (
    SETTLING_S,
    Attempt,
    CallEnding,
    FaultWindow,
    HeldSeats,
    Paid,
    Record,
    RecordedOperation,
    Refused,
    Unsettled,
    percentile,
)
from faults.workload.plan import WorkloadProfile

FINE = Attempt("hold", "k1", "api-1", 1.0, 1.1, CallEnding.ANSWERED, 201)
TAKEN = replace(FINE, key="k2", status=409, code="seat_taken")
AWAY = replace(FINE, key="k3", status=503, code="unavailable", has_retry_after=True)
RUDE = replace(AWAY, has_retry_after=False)
BUG = replace(FINE, key="k4", status=500, code="internal", has_retry_after=True)
CUT = replace(FINE, key="k1", ending=CallEnding.CUT, status=0)
SILENT = replace(FINE, key="k6", ending=CallEnding.SILENT, status=0)
STRANGE = replace(FINE, key="k5", status=401, code="token_invalid")


def test_successes_and_refusals_of_the_business_are_no_failures() -> None:
    assert not Record(attempts=[FINE, TAKEN]).failures()


def test_outside_of_a_fault_nothing_is_excused() -> None:
    record = Record(attempts=[FINE, AWAY, RUDE, BUG, CUT, STRANGE])
    record.windows.append(FaultWindow("later", 5.0, 5.5, 6.0))
    assert record.unexcused() == [AWAY, RUDE, BUG, CUT, STRANGE]


def test_during_a_fault_a_503_with_retry_after_and_a_cut_are_excused_and_nothing_else() -> None:
    record = Record(attempts=[FINE, AWAY, RUDE, BUG, CUT, STRANGE])
    record.windows.append(FaultWindow("kill", 1.05, 1.5, 2.0))
    assert record.unexcused() == [RUDE, BUG, STRANGE]


def test_silence_is_excused_only_of_an_endpoint_that_is_stopped_itself() -> None:
    others = replace(SILENT, endpoint="api-2")
    record = Record(attempts=[SILENT, others])
    record.windows.append(FaultWindow("kill", 1.05, 1.5, 2.0))
    assert record.unexcused() == [SILENT, others]
    record.windows.append(FaultWindow("pause", 1.05, 1.5, 2.0, ["api-1"], is_stopped=True))
    assert record.unexcused() == [others]


def test_buyers_wait_longer_than_the_products_timeout() -> None:
    limit_ms = Settings.of(database_url="", valkey_url="").server.request_timeout_ms
    assert WorkloadProfile().patience_s > limit_ms / 1000 + 1


def test_a_fault_excuses_only_affected_endpoints() -> None:
    others = [replace(one, endpoint="api-2") for one in (AWAY, CUT)]
    record = Record(attempts=[AWAY, CUT, *others])
    record.windows.append(FaultWindow("kill", 1.05, 1.5, 2.0, ["api-1"]))
    assert record.unexcused() == others
    record.windows.append(FaultWindow("kill of a sweeper", 1.05, 1.5, 2.0, ["sweep-1"]))
    assert record.unexcused() == others


def at(begin_s: float, like: Attempt = FINE, endpoint: str = "api-1") -> Attempt:
    """Return such an attempt at that time, a tenth of a second long."""
    return replace(like, begin_s=begin_s, end_s=begin_s + 0.1, endpoint=endpoint)


def test_a_fault_excuses_nothing_after_all_affected_have_sold_again() -> None:
    early, late = at(2.3, AWAY), at(2.3 + SETTLING_S, AWAY)
    sold = [at(2.0), at(2.1, endpoint="api-2")]
    record = Record(attempts=[at(1.4), *sold, early, late])
    record.windows.append(FaultWindow("PostgreSQL", 1.0, 1.5, 6.0))
    assert record.unexcused() == [late]
    assert record.without_a_fault() == 1
    record.attempts.remove(sold[1])
    assert record.unexcused() == [late], "only the endpoints that are there are waited for"
    record.attempts.append(at(1.0, endpoint="api-2"))
    assert record.unexcused() == [], "one of two has not sold yet"
    record.attempts.append(at(6.01, AWAY))
    assert record.unexcused() == [record.attempts[-1]], "nothing is excused for longer"


def test_no_answer_but_a_sale_that_began_after_the_fault_ends_it() -> None:
    late = at(3.0, AWAY)
    looks = replace(at(2.0), what="seats", status=200)
    taken = replace(at(2.0), status=409, code="seat_taken")
    record = Record(attempts=[at(1.45), looks, taken, late])
    record.windows.append(FaultWindow("kill", 1.0, 1.5, 6.0, ["api-1"]))
    assert record.unexcused() == []


def test_the_next_sale_must_have_begun_after_the_fault() -> None:
    record = Record(
        holds=[
            HeldSeats("r1", 0, ("A1",), 1, "h1", 0.9, 1.5),
            HeldSeats("r2", 0, ("A2",), 1, "h2", 1.2, 1.9),
        ],
        payments=[Paid("p1", "r1", 0, 1, "y1", 1.6, 1.7)],
    )
    assert record.next_sale_s(1.0) == 1.7 - 1.0
    assert record.next_sale_s(2.0) is None
    assert record.sales_between(1.4, 1.8) == 2
    assert record.longest_gap_s() == 1.9 - 1.7
    assert record.longest_gap_s(1.6) == 1.9 - 1.7
    assert record.longest_gap_s(0.5) == 1.5 - 0.5, "until the first sale it is a gap too"
    assert Record().longest_gap_s() == 0.0


def test_a_request_is_under_way_at_a_process_from_its_begin_to_its_end() -> None:
    record = Record(attempts=[FINE, CUT, replace(FINE, endpoint="api-2")])
    assert record.in_flight(1.05, {"api-1"}) == 2
    assert record.in_flight(1.05, {"api-1", "api-2"}) == 3
    assert record.in_flight(0.95, {"api-1"}) == record.in_flight(1.1, {"api-1"}) == 0


def test_a_call_that_was_cut_and_then_answered_is_counted_once() -> None:
    assert Record(attempts=[CUT, CUT, FINE, TAKEN]).retried_to_an_answer() == 1
    assert Record(attempts=[CUT, AWAY]).retried_to_an_answer() == 0


def test_the_history_has_every_seat_and_says_what_is_unknown() -> None:
    record = Record(
        holds=[HeldSeats("r1", 0, ("A1", "A2"), 1, "h1", 1.0, 1.1)],
        payments=[Paid("p1", "r1", 0, 1, "y1", 2.0, 2.1)],
        refusals=[
            Refused(1, ("A1",), "", "seat_taken", 1.5, 1.6),
            Refused(1, ("B1",), "r9", "hold_expired", 1.7, 1.8),
        ],
        unsettled={"h2": Unsettled("hold", "h2", 1, ("B2",), "", 3.0)},
    )
    history = record.history(["ann", "bob"], 5.0)
    assert history.hold_ttl_s == 5.0
    told = {(one.seat, one.person, one.operation, one.end_s) for one in history.events}
    assert told == {
        ("A1", "ann", RecordedOperation.HELD, 1.1),
        ("A2", "ann", RecordedOperation.HELD, 1.1),
        ("A1", "ann", RecordedOperation.PAID, 2.1),
        ("A2", "ann", RecordedOperation.PAID, 2.1),
        ("A1", "bob", RecordedOperation.REFUSED, 1.6),
        ("B1", "bob", RecordedOperation.EXPIRED, 1.8),
        ("B2", "bob", RecordedOperation.HELD, inf),
    }
    assert [one.seat for one in history.events if not one.is_known] == ["B2"]


def test_a_refusal_may_rest_on_a_hold_that_was_lost_unpromised() -> None:
    record = Record(
        refusals=[
            Refused(1, ("A1",), "", "seat_taken", begin_s, begin_s + 0.1)
            for begin_s in (0.5, 1.5, 2.5)
        ]
        + [Refused(1, ("B1",), "r9", "hold_expired", 1.5, 1.6)]
    )
    lossy = FaultWindow("PostgreSQL", 1.0, 2.0, 7.0, is_lossy=True)
    for windows, begins_s in (([], [0.5, 1.5, 1.5, 2.5]), ([lossy], [0.5, 1.5, 2.5])):
        record.windows = windows
        told = record.history(["ann", "bob"], 60.0).events
        assert sorted(one.begin_s for one in told) == begins_s


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0], 99) == 3.0
