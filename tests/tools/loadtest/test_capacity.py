"""The knee, and what is refused instead of extrapolated."""

import pytest

from boxoffice_loadtest.analysis import capacity
from boxoffice_loadtest.model import Refusal
from tests.tools.loadtest.samples import broken, inference, knee_of, step, windows

GOOD = [step(100), step(200), step(400), step(800)]
FINE = (1_000, 0)


def _why(found: object) -> str:
    assert isinstance(found, Refusal), found
    return found.why


def test_the_knee_lies_between_the_last_stair_that_held_and_the_first_that_did_not() -> None:
    api = {"api": 1.9, "generator": 0.5}
    found = knee_of(capacity.knee([*GOOD, broken(1600, 900, cores=api)], 4, 2))
    assert (found.sustained_per_s, found.broke_at_per_s) == (800, 1600)
    assert (found.limited_by, found.is_lower_bound) == ("api", False)


def test_answers_that_are_too_slow_break_a_stair_too() -> None:
    found = knee_of(capacity.knee([*GOOD, step(1600, p95_ms=501.0)], 4, 2))
    assert found.broke_at_per_s == 1600


def test_visits_that_come_late_without_being_dropped_break_a_stair_too() -> None:
    found = knee_of(capacity.knee([*GOOD, step(1600, started_per_s=1500.0)], 4, 2))
    assert found.broke_at_per_s == 1600


def test_a_staircase_that_never_breaks_gives_a_lower_bound() -> None:
    found = knee_of(capacity.knee(GOOD, 4, 2))
    assert (found.sustained_per_s, found.broke_at_per_s) == (800, None)
    assert found.is_lower_bound


@pytest.mark.parametrize(
    ("cores", "busy", "limit"),
    [
        ({"api": 0.5, "valkey": 0.9}, 0.5, "valkey"),
        ({"api": 0.5, "generator": 1.0}, 0.99, "machine"),
        ({"api": 0.5, "generator": 1.0, "others": 0.8}, 0.99, "others"),
        ({"api": 0.5, "generator": 1.0}, 0.4, "waiting"),
        ({"api": 0.5, "postgres": 3.6}, None, "postgres"),
    ],
)
def test_what_gave_way_is_told(cores: dict[str, float], busy: float | None, limit: str) -> None:
    last = step(1600, dropped=9_000, answers_per_s=900, cores=cores, busy=busy)
    assert knee_of(capacity.knee([*GOOD, last], 4, 2)).limited_by == limit


def test_too_few_steps_are_refused() -> None:
    assert _why(capacity.knee(GOOD[:3], 4, 2)) == "few_steps"


def test_a_staircase_of_which_nothing_held_is_refused() -> None:
    steps = [broken(offered, 50) for offered in (100, 200, 400, 800)]
    assert _why(capacity.knee(steps, 4, 2)) == "none_held"


def test_a_saturated_generator_is_refused() -> None:
    last = broken(1600, 900, cores={"api": 0.4, "generator": 3.7})
    found = capacity.knee([*GOOD, last], 4, 2)
    assert _why(found) == "generator_full"
    assert isinstance(found, Refusal)
    assert found.details["sustained"] == 800


def test_a_run_with_failures_gives_neither_costs_nor_a_knee() -> None:
    found = capacity.infer([*GOOD, broken(1600, 900)], windows(), 4, 2, failures=(1_000, 11))
    assert {one.why for one in found.refusals} == {"failures"}
    assert (found.knee, found.fits, found.per_core_per_s) == (None, {}, None)


def test_a_run_with_few_failures_is_not_refused() -> None:
    found = capacity.infer([*GOOD, broken(1600, 900)], windows(), 4, 2, failures=(1_000, 10))
    assert not found.refusals


def test_too_few_windows_are_refused() -> None:
    found = capacity.infer(GOOD, windows(9), 4, 2, FINE)
    assert [one.why for one in found.refusals] == ["few_windows"]
    assert found.knee is not None


def test_processes_that_cannot_be_seen_are_refused() -> None:
    blind = [type(one)(seconds=one.seconds, counts=one.counts, cpu_s={}) for one in windows()]
    found = capacity.infer(GOOD, blind, 4, 2, FINE)
    assert [one.why for one in found.refusals] == ["not_sampled"]


def test_no_staircase_is_refused() -> None:
    found = capacity.infer([], windows(), 4, 2, FINE)
    assert [one.why for one in found.refusals] == ["no_steps"]


def test_requests_per_core_are_the_inverse_of_the_cost() -> None:
    found = inference()
    assert found.cost_of_mix_s is not None
    assert found.per_core_per_s is not None
    # 40 % lookups, 10 % holds, 50 % refused; half a transaction for each of the 60 % writes.
    cost_s = 0.4 * 100e-6 + 0.1 * 300e-6 + 0.5 * 200e-6 + 0.6 * 0.5 * 500e-6
    assert found.cost_of_mix_s.value == pytest.approx(cost_s, rel=1e-3)
    assert found.per_core_per_s.value == pytest.approx(1 / cost_s, rel=1e-3)
    assert found.per_core_per_s.low <= found.per_core_per_s.value <= found.per_core_per_s.high


def test_where_the_api_gave_way_the_cost_is_that_of_the_knee() -> None:
    held = {"api": 0.41, "generator": 0.5}
    last = [
        step(800, cores=held),
        broken(1600, 900, cores={"api": 0.4, "generator": 0.5}),
        broken(1700, 850, cores={"api": 0.4, "generator": 0.5}),
    ]
    found = capacity.infer([step(100), step(200), *last], windows(), 4, 2, FINE, held_to=0.2)
    assert found.knee is not None
    assert (found.knee.limited_by, found.held_to) == ("api", 0.2)
    assert found.cost_of_mix_s is not None
    # What it uses at rest, 0.05 cores in these windows, is not a cost of requests.
    at_knee, beyond = (0.41 - 0.05) / 800, (0.4 - 0.05) / 900
    assert found.cost_of_mix_s.low == pytest.approx(beyond, rel=1e-3)
    assert found.cost_of_mix_s.high == pytest.approx(at_knee, rel=1e-3)
    assert found.cost_of_mix_s.value == pytest.approx((at_knee + beyond) / 2, rel=1e-3)


def test_what_a_hold_and_a_payment_write_is_found() -> None:
    found = inference()
    assert found.wal_per_hold_bytes is not None
    assert found.wal_per_pay_bytes is not None
    assert found.wal_per_hold_bytes.value == pytest.approx(1_200, rel=0.01)
    assert found.wal_per_pay_bytes.value == pytest.approx(3_700, rel=0.01)
    assert found.valkey_per_request == pytest.approx(2.0)


def test_transactions_are_taken_from_busy_stairs_only() -> None:
    quiet = step(100, transactions=1.0)
    assert capacity.transactions_per_write([quiet, step(800)]) == pytest.approx(0.5)
    assert capacity.transactions_per_write([]) == 0
