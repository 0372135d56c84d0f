"""The thresholds of a run: measured values against their bounds. Pure."""

from collections.abc import Iterable, Sequence

from boxoffice_loadtest.analysis.capacity import OTHERS_MAX
from boxoffice_loadtest.analysis.steps import P95_MAX_MS, STARTED_MIN, is_sustained
from boxoffice_loadtest.model import (
    FAIL,
    NOTE,
    PASS,
    WITH_STEPS,
    AuditCheck,
    CapacityAnalysis,
    Finding,
    Prediction,
    ScenarioResult,
    ThresholdResult,
)

RELIABILITY_MIN = 0.9999


def check(
    scenarios: Sequence[ScenarioResult],
    audit: Sequence[AuditCheck] | None,
    analysis: CapacityAnalysis,
    prediction: Prediction | None,
    target_per_s: float,
    *,
    is_whole: bool = True,
) -> list[ThresholdResult]:
    """Return the result of every threshold.

    In a run that is not whole, k6 was stopped within requests that it had counted but not logged.
    """
    fixed_load = [one for one in scenarios if one.name not in WITH_STEPS]
    results = [
        _reliability(scenarios),
        _throughput(scenarios, analysis, target_per_s),
        *map(_latency, fixed_load),
        *map(_started, fixed_load),
        _integrity(scenarios),
        _recorded(scenarios, is_whole),
        *_agreement(scenarios),
        _audited(audit),
    ]
    return [*results, _predicted(prediction)] if prediction is not None else results


def counted(scenario: ScenarioResult) -> tuple[int, int]:
    """Return the (answers, failures) for reliability: of rising load, the sustained steps."""
    if scenario.name not in WITH_STEPS:
        return scenario.answers, scenario.failures
    sustained = [step for step in scenario.steps if is_sustained(step)]
    answers = sum(round(step.answers_per_s * step.seconds) for step in sustained)
    return answers, sum(step.failures for step in sustained)


def total_counted(scenarios: Sequence[ScenarioResult]) -> tuple[int, int]:
    """Return the (answers, failures) of all scenarios."""
    counts = [counted(one) for one in scenarios]
    return sum(answers for answers, _ in counts), sum(failures for _, failures in counts)


def _reliability(scenarios: Sequence[ScenarioResult]) -> ThresholdResult:
    answers, failures = total_counted(scenarios)
    share = 1 - failures / answers if answers else 0.0
    return ThresholdResult(
        metric="reliability",
        measured=f"{_floor(share * 100)} %",
        target=f"≥ {RELIABILITY_MIN:.2%}",
        outcome=_outcome(answers > 0 and share >= RELIABILITY_MIN),
        remark="reliability",
        details={"failures": failures, "answers": answers},
    )


def _outcome(is_met: bool) -> str:
    return PASS if is_met else FAIL


def _floor(percent: float) -> str:
    """Format a percentage so that a single failure is never rounded away."""
    return f"{int(percent * 10_000) / 10_000:.4f}".rstrip("0").rstrip(".")


def _throughput(
    scenarios: Sequence[ScenarioResult], analysis: CapacityAnalysis, target_per_s: float
) -> ThresholdResult:
    seconds = [second.answers for one in scenarios for second in one.timeline]
    knee = analysis.knee
    sustained = knee.sustained_per_s if knee else float(max(seconds, default=0))
    return ThresholdResult(
        metric="throughput",
        measured=f"{sustained:,.0f} /s",
        target=f"≥ {target_per_s:,.0f} /s",
        outcome=_outcome(sustained >= target_per_s),
        remark="throughput_knee" if knee else "throughput_second",
    )


def _latency(scenario: ScenarioResult) -> ThresholdResult:
    worst, request = max(
        ((one.p95_ms, one.request) for one in scenario.requests), default=(0.0, "")
    )
    p50 = max((one.p50_ms for one in scenario.requests), default=0.0)
    p99 = max((one.p99_ms for one in scenario.requests), default=0.0)
    return ThresholdResult(
        metric=f"latency.{scenario.name}",
        measured=f"p50 {p50:.1f} · p95 {worst:.1f} · p99 {p99:.1f} ms",
        target=f"p95 < {P95_MAX_MS:.0f} ms",
        outcome=_outcome(bool(scenario.requests) and worst < P95_MAX_MS),
        remark="latency",
        details={"request": request},
    )


def _started(scenario: ScenarioResult) -> ThresholdResult:
    planned = scenario.planned_iterations
    share = scenario.iterations / planned if planned else 0.0
    return ThresholdResult(
        metric=f"arrivals.{scenario.name}",
        measured=f"{scenario.iterations:,} / {planned:,}",
        target=f"≥ {STARTED_MIN:.0%}",
        outcome=_outcome(share >= STARTED_MIN),
        remark="arrivals",
        details={"dropped": scenario.dropped_iterations},
    )


def _integrity(scenarios: Sequence[ScenarioResult]) -> ThresholdResult:
    failures = sum(one.integrity_failures for one in scenarios)
    return _none_allowed("integrity", failures, "integrity")


def _none_allowed(metric: str, count: int, remark: str) -> ThresholdResult:
    return ThresholdResult(
        metric=metric,
        measured=f"{count:,}",
        target="0",
        outcome=_outcome(count == 0),
        remark=remark,
    )


def _recorded(scenarios: Sequence[ScenarioResult], is_whole: bool) -> ThresholdResult:
    """Compare the logged requests with k6's count; each k6 sends one more in its setup."""
    logged = sum(one.answers for one in scenarios)
    expected = sum(one.k6_requests - max(1, len(one.steps)) for one in scenarios)
    return ThresholdResult(
        metric="recorded",
        measured=f"{logged:,}",
        target=f"= {expected:,}",
        outcome=_outcome(logged == expected) if is_whole else NOTE,
        remark="recorded",
    )


AGREEMENT = {
    "oversell": ("seat_held_twice", "seat_sold_twice"),
    "phantom": ("phantom_hold", "phantom_payment", "hold_differs", "payment_differs",
                "paid_not_confirmed", "release_not_done", "unreadable"),
    "unexplained": ("unexplained_hold", "unexplained_payment"),
}  # fmt: skip


def _agreement(scenarios: Sequence[ScenarioResult]) -> Iterable[ThresholdResult]:
    findings = [finding for one in scenarios for finding in one.findings]
    for metric, kinds in AGREEMENT.items():
        yield _agrees(metric, [one for one in findings if one.kind in kinds])
    lost = sum(one.count for one in findings if one.kind == "lost_answer")
    effective = sum(one.count for one in findings if one.kind in ("lost_hold", "lost_payment"))
    yield ThresholdResult(
        metric="lost",
        measured=f"{lost:,}",
        target="–",
        outcome=NOTE,
        remark="lost",
        details={"effective": effective},
    )


def _agrees(metric: str, findings: Sequence[Finding]) -> ThresholdResult:
    if findings:
        return _none_allowed(metric, sum(one.count for one in findings), metric)
    # Without a comparison nothing is proven.
    return ThresholdResult(
        metric=metric, measured="0", target="0", outcome=FAIL, remark="not_compared"
    )


def _audited(audit: Sequence[AuditCheck] | None) -> ThresholdResult:
    if audit is None:
        return ThresholdResult(
            metric="audit", measured="–", target="0", outcome=NOTE, remark="audit_not_seen"
        )
    broken = [check.name for check in audit if check.violations]
    return ThresholdResult(
        metric="audit",
        measured=f"{len(broken)} / {len(audit)}",
        target="0",
        outcome=_outcome(bool(audit) and not broken),
        remark="audit_broken" if broken else "audit",
        details={"names": ", ".join(broken)},
    )


def _predicted(prediction: Prediction) -> ThresholdResult:
    """Check the prediction; a miss on a machine with other load proves nothing."""
    if prediction.is_within:
        outcome, remark = PASS, "prediction"
    elif prediction.other_load >= OTHERS_MAX:
        outcome, remark = NOTE, "prediction_disturbed"
    else:
        outcome, remark = FAIL, "prediction_missed"
    return ThresholdResult(
        metric="prediction",
        measured=f"{prediction.error:+.1%}",
        target=f"± {prediction.error_max:.0%}",
        outcome=outcome,
        remark=remark,
        details={"percent": round(100 * prediction.other_load)},
    )
