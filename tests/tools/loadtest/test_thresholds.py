"""A good run passes, and each kind of broken run fails."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from boxoffice_loadtest.analysis import aggregation, thresholds
from boxoffice_loadtest.analysis.comparison import StoredHold, compare
from boxoffice_loadtest.measurement.client_log import AcknowledgedHold, ClientLog, LoggedRequest
from boxoffice_loadtest.model import AuditCheck, CapacityAnalysis, ScenarioResult
from tests.tools.loadtest import samples


def _outcomes(*scenarios: ScenarioResult, **more: Any) -> dict[str, str]:
    found = thresholds.check(
        scenarios,
        more.get("audit", samples.audit()),
        more.get("analysis", samples.analysis()),
        more.get("prediction"),
        more.get("target_per_s", 88.0),
        is_whole=more.get("is_whole", True),
    )
    return {one.metric: one.outcome for one in found}


def _failed(*scenarios: ScenarioResult, **more: Any) -> set[str]:
    return {name for name, outcome in _outcomes(*scenarios, **more).items() if outcome == "FAIL"}


def _of(log: ClientLog, **more: Any) -> ScenarioResult:
    return samples.scenario(
        requests=aggregation.request_stats(log.requests),
        k6_requests=len(log.requests) + 1,
        **more,
    )


def test_a_run_without_fault_passes() -> None:
    assert _failed(samples.scenario()) == set()
    assert samples.run().is_passed


def test_an_invented_500_fails() -> None:
    log = samples.log()
    log.requests.append(LoggedRequest("hold", 1_002_000.0, 5.0, 500, "internal"))
    assert _failed(_of(log)) == {"reliability"}


def test_an_oversold_seat_fails() -> None:
    log, state = samples.log(), samples.state()
    log.holds.append(AcknowledgedHold("r3", 3, ("A-1",), "k9", 1_003_000.0, 1_003_010.0))
    holds = [*state.holds, StoredHold("r3", "user-3", ("A-1",), "HELD", "k9")]
    findings = compare(log, replace(state, holds=holds), samples.USERS)
    assert _failed(samples.scenario(findings=findings)) == {"oversell"}


def test_a_phantom_201_fails() -> None:
    log = samples.log()
    log.holds.append(AcknowledgedHold("r3", 3, ("A-9",), "k9", 1_003_000.0, 1_003_010.0))
    findings = compare(log, samples.state(), samples.USERS)
    assert _failed(samples.scenario(findings=findings)) == {"phantom"}


def test_a_hold_without_an_acknowledgement_fails() -> None:
    state = samples.state()
    late = StoredHold("r9", "user-9", ("B-1",), "HELD", "k9")
    findings = compare(samples.log(), replace(state, holds=[*state.holds, late]), samples.USERS)
    assert _failed(samples.scenario(findings=findings)) == {"unexplained"}


def test_refusals_do_not_count_against_reliability() -> None:
    log = samples.log()
    refused = [
        LoggedRequest("hold", 1_001_000.0, 5.0, status, "") for status in (402, 409, 410)
    ] * 100
    log.requests += refused
    assert _failed(_of(log)) == set()


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"planned_iterations": 4}, "arrivals.onsale"),
        ({"integrity_failures": 1}, "integrity"),
        ({"k6_requests": 7}, "recorded"),
    ],
)
def test_each_threshold_can_fail(change: dict[str, Any], metric: str) -> None:
    assert _failed(samples.scenario(**change)) == {metric}


def test_slow_answers_fail() -> None:
    log = samples.log()
    log.requests = [LoggedRequest("hold", 1_000_000.0, 500.0, 201, "")] * 3
    assert _failed(_of(log)) == {"latency.onsale"}


def test_too_little_throughput_fails() -> None:
    assert _failed(samples.scenario(), target_per_s=1e6) == {"throughput"}
    assert "throughput" in _failed(
        samples.scenario(), analysis=CapacityAnalysis(), target_per_s=88.0
    )


def test_a_broken_invariant_fails_and_an_audit_that_was_not_seen_is_a_note() -> None:
    assert _failed(samples.scenario(), audit=[AuditCheck(name="seats", violations=1)]) == {"audit"}
    assert _failed(samples.scenario(), audit=[]) == {"audit"}
    assert _outcomes(samples.scenario(), audit=None)["audit"] == "NOTE"


def test_a_comparison_that_was_not_made_proves_nothing() -> None:
    assert _failed(samples.scenario(findings=[])) == {"oversell", "phantom", "unexplained"}


def test_a_prediction_that_misses_fails() -> None:
    assert _failed(samples.scenario(), prediction=samples.prediction(0.16)) == {"prediction"}
    assert _failed(samples.scenario(), prediction=samples.prediction(-0.15)) == set()


def test_a_miss_under_other_load_is_a_note() -> None:
    disturbed = msgspec.structs.replace(samples.prediction(0.3), other_load=0.4)
    assert _outcomes(samples.scenario(), prediction=disturbed)["prediction"] == "NOTE"
    within = msgspec.structs.replace(samples.prediction(0.1), other_load=0.4)
    assert _outcomes(samples.scenario(), prediction=within)["prediction"] == "PASS"


def test_beyond_the_knee_steps_may_fail() -> None:
    bad = samples.failed_step(1600, 900, failures=500)
    held = samples.step(100)
    assert thresholds.counted(samples.scenario("steps", steps=[held, bad])) == (1000, 0)
    failing = samples.step(100, failures=3)
    assert thresholds.counted(samples.scenario("steps", steps=[failing])) == (1000, 3)


def test_a_stopped_run_never_passes() -> None:
    assert not samples.run(stopped="interrupted").is_passed


def test_a_single_failure_is_never_rounded_away() -> None:
    log = samples.log()
    log.requests = [LoggedRequest("hold", 1_000_000.0, 5.0, 201, "")] * 99_999
    log.requests.append(LoggedRequest("hold", 1_000_000.0, 5.0, 500, ""))
    [result, *_] = thresholds.check([_of(log)], samples.audit(), CapacityAnalysis(), None, 1.0)
    assert (result.measured, result.outcome) == ("99.999 %", "PASS")
