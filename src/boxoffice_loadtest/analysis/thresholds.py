"""What passes: the table of what was measured against what was wanted. Pure."""

from collections.abc import Iterable, Sequence

from boxoffice_loadtest.analysis.aggregation import CHECK, P95_MAX_MS, STAIRCASE, STARTED_MIN, holds
from boxoffice_loadtest.analysis.capacity import OTHERS_MAX
from boxoffice_loadtest.model import AuditCheck, Finding, Inference, Prediction, Scenario, Verdict

PASS, FAIL, NOTE = "PASS", "FAIL", "NOTE"
RELIABILITY_MIN = 0.9999
_TO_THE_END = (STAIRCASE, CHECK)


def verdicts(
    scenarios: Sequence[Scenario],
    audit: Sequence[AuditCheck] | None,
    inference: Inference,
    prediction: Prediction | None,
    target_per_s: float,
    *,
    is_whole: bool = True,
) -> list[Verdict]:
    """Return the table of what was measured against what was wanted.

    In a run that is not whole, k6 was cut off in requests that it had counted and not written down.
    """
    table = [_reliability(scenarios), _throughput(scenarios, inference, target_per_s)]
    table += [_latency(one) for one in scenarios if one.name not in _TO_THE_END]
    table += [_started(one) for one in scenarios if one.name not in _TO_THE_END]
    table += [
        _integrity(scenarios),
        _recorded(scenarios, is_whole),
        *_agreement(scenarios),
        _audited(audit),
    ]
    if prediction is not None:
        table.append(_foretold(prediction))
    return table


def judged(scenario: Scenario) -> tuple[int, int]:
    """Return (answers, failures) that count for reliability: of a staircase, what it sustained."""
    if scenario.name not in _TO_THE_END:
        return scenario.answers, scenario.failures
    good = [step for step in scenario.steps if holds(step)]
    return sum(round(step.answers_per_s * step.seconds) for step in good), sum(
        step.failures for step in good
    )


def _reliability(scenarios: Sequence[Scenario]) -> Verdict:
    counts = [judged(one) for one in scenarios]
    answers, failures = sum(one for one, _ in counts), sum(two for _, two in counts)
    share = 1 - failures / answers if answers else 0.0
    return Verdict(
        metric="reliability",
        measured=f"{_floor(share * 100)} %",
        target=f"≥ {RELIABILITY_MIN:.2%}",
        outcome=PASS if answers and share >= RELIABILITY_MIN else FAIL,
        remark="reliability",
        details={"failures": failures, "answers": answers},
    )


def _floor(percent: float) -> str:
    """Write a percentage so that a single failure is never rounded away."""
    return f"{int(percent * 10_000) / 10_000:.4f}".rstrip("0").rstrip(".")


def _throughput(
    scenarios: Sequence[Scenario], inference: Inference, target_per_s: float
) -> Verdict:
    seconds = [second.answers for one in scenarios for second in one.series]
    knee = inference.knee
    sustained = knee.sustained_per_s if knee else float(max(seconds, default=0))
    return Verdict(
        metric="throughput",
        measured=f"{sustained:,.0f} /s",
        target=f"≥ {target_per_s:,.0f} /s",
        outcome=PASS if sustained >= target_per_s else FAIL,
        remark="throughput_knee" if knee else "throughput_second",
    )


def _latency(scenario: Scenario) -> Verdict:
    weighted = [(one.p95_ms, one.what) for one in scenario.routes]
    worst, what = max(weighted, default=(0.0, ""))
    p50 = max((one.p50_ms for one in scenario.routes), default=0.0)
    p99 = max((one.p99_ms for one in scenario.routes), default=0.0)
    return Verdict(
        metric=f"latency.{scenario.name}",
        measured=f"p50 {p50:.1f} · p95 {worst:.1f} · p99 {p99:.1f} ms",
        target=f"p95 < {P95_MAX_MS:.0f} ms",
        outcome=PASS if scenario.routes and worst < P95_MAX_MS else FAIL,
        remark="latency",
        details={"what": what},
    )


def _started(scenario: Scenario) -> Verdict:
    share = scenario.visits / scenario.planned if scenario.planned else 0.0
    return Verdict(
        metric=f"arrivals.{scenario.name}",
        measured=f"{scenario.visits:,} / {scenario.planned:,}",
        target=f"≥ {STARTED_MIN:.0%}",
        outcome=PASS if share >= STARTED_MIN else FAIL,
        remark="arrivals",
        details={"dropped": scenario.dropped},
    )


def _integrity(scenarios: Sequence[Scenario]) -> Verdict:
    failures = sum(one.integrity_failures for one in scenarios)
    return Verdict(
        metric="integrity",
        measured=f"{failures:,}",
        target="0",
        outcome=PASS if failures == 0 else FAIL,
        remark="integrity",
    )


def _recorded(scenarios: Sequence[Scenario], is_whole: bool) -> Verdict:
    """Compare our own count of requests with k6's; the setup asks once per k6."""
    ours = sum(one.answers for one in scenarios)
    theirs = sum(one.reported_requests - max(1, len(one.steps)) for one in scenarios)
    return Verdict(
        metric="recorded",
        measured=f"{ours:,}",
        target=f"= {theirs:,}",
        outcome=(PASS if ours == theirs else FAIL) if is_whole else NOTE,
        remark="recorded",
    )


_PHANTOM = ("phantom_hold", "phantom_payment", "hold_differs", "payment_differs",
            "paid_not_confirmed", "release_not_done", "unreadable")  # fmt: skip
_UNEXPLAINED = ("unexplained_hold", "unexplained_payment")
_OVERSOLD = ("seat_held_twice", "seat_sold_twice")
AGREEMENT = {"oversell": _OVERSOLD, "phantom": _PHANTOM, "unexplained": _UNEXPLAINED}


def _agreement(scenarios: Sequence[Scenario]) -> Iterable[Verdict]:
    findings = [finding for one in scenarios for finding in one.findings]
    for metric, kinds in AGREEMENT.items():
        yield _agrees(metric, [one for one in findings if one.kind in kinds])
    lost = sum(one.count for one in findings if one.kind == "lost_answer")
    kept = sum(one.count for one in findings if one.kind in ("lost_hold", "lost_payment"))
    yield Verdict(
        metric="lost",
        measured=f"{lost:,}",
        target="–",
        outcome=NOTE,
        remark="lost",
        details={"kept": kept},
    )


def _agrees(metric: str, findings: Sequence[Finding]) -> Verdict:
    count = sum(one.count for one in findings)
    return Verdict(
        metric=metric,
        measured=f"{count:,}",
        target="0",
        # A comparison that was not made proves nothing.
        outcome=PASS if findings and count == 0 else FAIL,
        remark=metric if findings else "not_compared",
    )


def _audited(audit: Sequence[AuditCheck] | None) -> Verdict:
    if audit is None:
        return Verdict(
            metric="audit", measured="–", target="0", outcome=NOTE, remark="audit_not_seen"
        )
    broken = [check.name for check in audit if check.violations]
    return Verdict(
        metric="audit",
        measured=f"{len(broken)} / {len(audit)}",
        target="0",
        outcome=PASS if audit and not broken else FAIL,
        remark="audit" if not broken else "audit_broken",
        details={"names": ", ".join(broken)},
    )


def _foretold(prediction: Prediction) -> Verdict:
    """Judge the forecast; a miss on a machine that others used meanwhile proves nothing."""
    is_disturbed = prediction.disturbance >= OTHERS_MAX
    missed = (NOTE, "prediction_disturbed") if is_disturbed else (FAIL, "prediction_missed")
    outcome, remark = (PASS, "prediction") if prediction.is_within else missed
    return Verdict(
        metric="prediction",
        measured=f"{prediction.error:+.1%}",
        target=f"± {prediction.limit:.0%}",
        outcome=outcome,
        remark=remark,
        details={"percent": round(100 * prediction.disturbance)},
    )
