"""What passes, and that each kind of broken run does not."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from boxoffice_loadtest.analysis import aggregation, thresholds
from boxoffice_loadtest.analysis.comparison import StoredHold, compare
from boxoffice_loadtest.measurement.client_log import Answer, HeldByClient, Record
from boxoffice_loadtest.model import AuditCheck, Inference, Scenario
from tests.tools.loadtest import samples


def _verdicts(*scenarios: Scenario, **more: Any) -> dict[str, str]:
    found = thresholds.verdicts(
        scenarios,
        more.get("audit", samples.audit()),
        more.get("inference", samples.inference()),
        more.get("prediction"),
        more.get("target_per_s", 88.0),
        is_whole=more.get("is_whole", True),
    )
    return {one.metric: one.outcome for one in found}


def _failed(*scenarios: Scenario, **more: Any) -> set[str]:
    return {name for name, outcome in _verdicts(*scenarios, **more).items() if outcome == "FAIL"}


def _of(record: Record, **more: Any) -> Scenario:
    return samples.scenario(
        routes=aggregation.routes(record.answers), reported_requests=len(record.answers) + 1, **more
    )


def test_a_run_without_fault_passes() -> None:
    assert _failed(samples.scenario()) == set()
    assert samples.run().is_passed


def test_an_invented_500_fails() -> None:
    record = samples.record()
    record.answers.append(Answer("hold", 1_002_000.0, 5.0, 500, "internal"))
    assert _failed(_of(record)) == {"reliability"}


def test_an_oversold_seat_fails() -> None:
    record, stored = samples.record(), samples.stored()
    record.holds.append(HeldByClient("r3", 3, ("A-1",), "k9", 1_003_000.0, 1_003_010.0))
    holds = [*stored.holds, StoredHold("r3", "user-3", ("A-1",), "HELD", "k9")]
    findings = compare(record, replace(stored, holds=holds), samples.USERS)
    assert _failed(samples.scenario(findings=findings)) == {"oversell"}


def test_a_phantom_201_fails() -> None:
    record = samples.record()
    record.holds.append(HeldByClient("r3", 3, ("A-9",), "k9", 1_003_000.0, 1_003_010.0))
    findings = compare(record, samples.stored(), samples.USERS)
    assert _failed(samples.scenario(findings=findings)) == {"phantom"}


def test_a_hold_that_nobody_was_told_of_fails() -> None:
    stored = samples.stored()
    late = StoredHold("r9", "user-9", ("B-1",), "HELD", "k9")
    findings = compare(
        samples.record(), replace(stored, holds=[*stored.holds, late]), samples.USERS
    )
    assert _failed(samples.scenario(findings=findings)) == {"unexplained"}


def test_refusals_do_not_count_against_reliability() -> None:
    record = samples.record()
    refused = [Answer("hold", 1_001_000.0, 5.0, status, "") for status in (402, 409, 410)] * 100
    record.answers += refused
    assert _failed(_of(record)) == set()


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"planned": 4}, "arrivals.onsale"),
        ({"integrity_failures": 1}, "integrity"),
        ({"reported_requests": 7}, "recorded"),
    ],
)
def test_each_threshold_can_fail(change: dict[str, Any], metric: str) -> None:
    assert _failed(samples.scenario(**change)) == {metric}


def test_slow_answers_fail() -> None:
    record = samples.record()
    record.answers = [Answer("hold", 1_000_000.0, 500.0, 201, "")] * 3
    assert _failed(_of(record)) == {"latency.onsale"}


def test_too_little_throughput_fails() -> None:
    assert _failed(samples.scenario(), target_per_s=1e6) == {"throughput"}
    assert "throughput" in _failed(samples.scenario(), inference=Inference(), target_per_s=88.0)


def test_a_broken_invariant_fails_and_an_audit_that_was_not_seen_is_a_note() -> None:
    assert _failed(samples.scenario(), audit=[AuditCheck(name="seats", violations=1)]) == {"audit"}
    assert _failed(samples.scenario(), audit=[]) == {"audit"}
    assert _verdicts(samples.scenario(), audit=None)["audit"] == "NOTE"


def test_a_comparison_that_was_not_made_proves_nothing() -> None:
    assert _failed(samples.scenario(findings=[])) == {"oversell", "phantom", "unexplained"}


def test_a_forecast_that_misses_fails() -> None:
    assert _failed(samples.scenario(), prediction=samples.prediction(0.16)) == {"prediction"}
    assert _failed(samples.scenario(), prediction=samples.prediction(-0.15)) == set()


def test_a_miss_on_a_machine_that_others_used_is_a_note() -> None:
    disturbed = msgspec.structs.replace(samples.prediction(0.3), disturbance=0.4)
    assert _verdicts(samples.scenario(), prediction=disturbed)["prediction"] == "NOTE"
    within = msgspec.structs.replace(samples.prediction(0.1), disturbance=0.4)
    assert _verdicts(samples.scenario(), prediction=within)["prediction"] == "PASS"


def test_beyond_the_knee_a_staircase_may_fail() -> None:
    bad = samples.broken(1600, 900, failures=500)
    held = samples.step(100)
    assert thresholds.judged(samples.scenario("steps", steps=[held, bad])) == (1000, 0)
    failing = samples.step(100, failures=3)
    assert thresholds.judged(samples.scenario("steps", steps=[failing])) == (1000, 3)


def test_a_stopped_run_never_passes() -> None:
    assert not samples.run(stopped="interrupted").is_passed


def test_a_single_failure_is_never_rounded_away() -> None:
    record = samples.record()
    record.answers = [Answer("hold", 1_000_000.0, 5.0, 201, "")] * 99_999
    record.answers.append(Answer("hold", 1_000_000.0, 5.0, 500, ""))
    [verdict, *_] = thresholds.verdicts([_of(record)], samples.audit(), Inference(), None, 1.0)
    assert (verdict.measured, verdict.outcome) == ("99.999 %", "PASS")
