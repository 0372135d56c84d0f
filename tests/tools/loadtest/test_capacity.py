"""The knee, and conclusions that are refused instead of extrapolated."""

import pytest

from boxoffice_loadtest.analysis import capacity
from boxoffice_loadtest.model import Inconclusive
from tests.tools.loadtest.samples import analysis, failed_step, knee_of, step, windows

GOOD = [step(100), step(200), step(400), step(800)]
FINE = (1_000, 0)


def _reason(found: object) -> str:
    assert isinstance(found, Inconclusive), found
    return found.reason


def test_the_knee_lies_between_the_last_sustained_step_and_the_first_that_failed() -> None:
    api = {"api": 1.9, "generator": 0.5}
    found = knee_of(capacity.knee([*GOOD, failed_step(1600, 900, cores=api)], 4, 2))
    assert (found.sustained_per_s, found.failed_at_per_s) == (800, 1600)
    assert (found.limited_by, found.is_lower_bound) == ("api", False)


def test_slow_answers_fail_a_step() -> None:
    found = knee_of(capacity.knee([*GOOD, step(1600, p95_ms=501.0)], 4, 2))
    assert found.failed_at_per_s == 1600


def test_iterations_that_start_late_fail_a_step() -> None:
    found = knee_of(capacity.knee([*GOOD, step(1600, started_per_s=1500.0)], 4, 2))
    assert found.failed_at_per_s == 1600


def test_steps_without_a_failure_give_a_lower_bound() -> None:
    found = knee_of(capacity.knee(GOOD, 4, 2))
    assert (found.sustained_per_s, found.failed_at_per_s) == (800, None)
    assert found.is_lower_bound


@pytest.mark.parametrize(
    ("cores", "cpu_busy", "limit"),
    [
        ({"api": 0.5, "valkey": 0.9}, 0.5, "valkey"),
        ({"api": 0.5, "generator": 1.0}, 0.99, "machine"),
        ({"api": 0.5, "generator": 1.0, "others": 0.8}, 0.99, "others"),
        ({"api": 0.5, "generator": 1.0}, 0.4, "waiting"),
        ({"api": 0.5, "postgres": 3.6}, None, "postgres"),
    ],
)
def test_the_saturated_component_is_the_limit(
    cores: dict[str, float], cpu_busy: float | None, limit: str
) -> None:
    last = step(1600, dropped_iterations=9_000, answers_per_s=900, cores=cores, cpu_busy=cpu_busy)
    assert knee_of(capacity.knee([*GOOD, last], 4, 2)).limited_by == limit


def test_too_few_steps_are_refused() -> None:
    assert _reason(capacity.knee(GOOD[:3], 4, 2)) == "few_steps"


def test_steps_that_all_failed_are_refused() -> None:
    steps = [failed_step(offered, 50) for offered in (100, 200, 400, 800)]
    assert _reason(capacity.knee(steps, 4, 2)) == "none_sustained"


def test_a_saturated_generator_is_refused() -> None:
    last = failed_step(1600, 900, cores={"api": 0.4, "generator": 3.7})
    found = capacity.knee([*GOOD, last], 4, 2)
    assert _reason(found) == "generator_full"
    assert isinstance(found, Inconclusive)
    assert found.details["sustained"] == 800


def test_a_run_with_failures_gives_neither_costs_nor_a_knee() -> None:
    found = capacity.analyze([*GOOD, failed_step(1600, 900)], windows(), 4, 2, failures=(1_000, 11))
    assert {one.reason for one in found.inconclusive} == {"failures"}
    assert (found.knee, found.fits, found.per_core_per_s) == (None, {}, None)


def test_a_run_with_few_failures_is_not_refused() -> None:
    found = capacity.analyze([*GOOD, failed_step(1600, 900)], windows(), 4, 2, failures=(1_000, 10))
    assert not found.inconclusive


def test_too_few_windows_are_refused() -> None:
    found = capacity.analyze(GOOD, windows(9), 4, 2, FINE)
    assert [one.reason for one in found.inconclusive] == ["few_windows"]
    assert found.knee is not None


def test_invisible_processes_are_refused() -> None:
    blind = [type(one)(seconds=one.seconds, counts=one.counts, cpu_s={}) for one in windows()]
    found = capacity.analyze(GOOD, blind, 4, 2, FINE)
    assert [one.reason for one in found.inconclusive] == ["not_sampled"]


def test_no_steps_are_refused() -> None:
    found = capacity.analyze([], windows(), 4, 2, FINE)
    assert [one.reason for one in found.inconclusive] == ["no_steps"]


def test_requests_per_core_are_the_inverse_of_the_cost() -> None:
    found = analysis()
    assert found.cost_of_mix_s is not None
    assert found.per_core_per_s is not None
    # 40 % lookups, 10 % holds, 50 % refused; half a transaction for each of the 60 % writes.
    cost_s = 0.4 * 100e-6 + 0.1 * 300e-6 + 0.5 * 200e-6 + 0.6 * 0.5 * 500e-6
    assert found.cost_of_mix_s.value == pytest.approx(cost_s, rel=1e-3)
    assert found.per_core_per_s.value == pytest.approx(1 / cost_s, rel=1e-3)
    assert found.per_core_per_s.low <= found.per_core_per_s.value <= found.per_core_per_s.high


def test_if_the_api_is_the_limit_the_cost_is_that_at_the_knee() -> None:
    at_limit = {"api": 0.41, "generator": 0.5}
    last = [
        step(800, cores=at_limit),
        failed_step(1600, 900, cores={"api": 0.4, "generator": 0.5}),
        failed_step(1700, 850, cores={"api": 0.4, "generator": 0.5}),
    ]
    found = capacity.analyze(
        [step(100), step(200), *last], windows(), 4, 2, FINE, cpu_limit_cores=0.2
    )
    assert found.knee is not None
    assert (found.knee.limited_by, found.cpu_limit_cores) == ("api", 0.2)
    assert found.cost_of_mix_s is not None
    # The idle CPU, 0.05 cores in these windows, is not a cost of requests.
    at_knee, beyond = (0.41 - 0.05) / 800, (0.4 - 0.05) / 900
    assert found.cost_of_mix_s.low == pytest.approx(beyond, rel=1e-3)
    assert found.cost_of_mix_s.high == pytest.approx(at_knee, rel=1e-3)
    assert found.cost_of_mix_s.value == pytest.approx((at_knee + beyond) / 2, rel=1e-3)


def test_what_a_hold_and_a_payment_write_is_found() -> None:
    found = analysis()
    assert found.wal_per_hold_bytes is not None
    assert found.wal_per_pay_bytes is not None
    assert found.wal_per_hold_bytes.value == pytest.approx(1_200, rel=0.01)
    assert found.wal_per_pay_bytes.value == pytest.approx(3_700, rel=0.01)
    assert found.valkey_per_request == pytest.approx(2.0)


def test_transactions_are_taken_from_busy_steps_only() -> None:
    quiet = step(100, transactions=1.0)
    assert capacity.transactions_per_write([quiet, step(800)]) == pytest.approx(0.5)
    assert capacity.transactions_per_write([]) == 0
