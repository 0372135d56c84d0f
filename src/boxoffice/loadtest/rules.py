"""What the answers of a scenario come to, and what passes. Pure."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from boxoffice.loadtest.model import (
    API,
    GENERATOR,
    POSTGRES,
    VALKEY,
    AuditCheck,
    Finding,
    Inference,
    Prediction,
    Route,
    Sample,
    Scenario,
    Second,
    Step,
    Verdict,
    Window,
)
from boxoffice.loadtest.plan import Staircase, next_rate
from boxoffice.loadtest.records import Answer, Record, by_second, percentile

PASS, FAIL, NOTE = "PASS", "FAIL", "NOTE"
RELIABILITY_MIN = 0.9999
P95_MAX_MS = 500.0
# The least share of the planned visits that must have begun: else the load was not what it says.
STARTED_MIN = 0.95
# Whose end is looked for has no threshold for latency or failures beyond what it sustained.
STAIRCASE, CHECK = "steps", "check"
_TO_THE_END = (STAIRCASE, CHECK)
COMPONENTS = (API, POSTGRES, VALKEY, GENERATOR)


def routes(answers: Iterable[Answer]) -> list[Route]:
    """Return the answers by what was asked for."""
    by_what: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_what[answer.what].append(answer)
    return [_route(what, found) for what, found in by_what.items()]


def _route(what: str, answers: Sequence[Answer]) -> Route:
    took = sorted(answer.took_ms for answer in answers)
    codes = Counter(f"{one.status} {one.code}".strip() for one in answers)
    return Route(
        what=what,
        count=len(answers),
        failures=sum(answer.is_failure for answer in answers),
        rejections=sum(answer.is_rejection for answer in answers),
        p50_ms=percentile(took, 50),
        p95_ms=percentile(took, 95),
        p99_ms=percentile(took, 99),
        max_ms=took[-1] if took else 0.0,
        codes=dict(codes.most_common()),
    )


def series(record: Record) -> list[Second]:
    """Return the answers of each second, and how many seats were taken by its end."""
    if record.started_ms is None:
        return []
    taken_at = _seats_over_time(record)
    found = []
    *whole, cut = by_second(record.answers, record.started_ms) or [(0, [])]
    # The last second is cut off somewhere, and would look like a collapse.
    for at_s, answers in whole or [cut]:
        took = sorted(answer.took_ms for answer in answers)
        found.append(
            Second(
                at_s=at_s,
                answers=len(answers),
                failures=sum(answer.is_failure for answer in answers),
                rejections=sum(answer.is_rejection for answer in answers),
                p50_ms=percentile(took, 50),
                p95_ms=percentile(took, 95),
                seats_taken=bisect_left(taken_at, record.started_ms + 1000 * (at_s + 1)),
            )
        )
    return found


def _seats_over_time(record: Record) -> list[float]:
    """Return when each seat was acknowledged for the first time, in order."""
    first: dict[str, float] = {}
    for hold in record.holds:
        for seat in hold.seats:
            first[seat] = min(first.get(seat, hold.answered_ms), hold.answered_ms)
    return sorted(first.values())


def sold_out_s(record: Record, seats_total: int) -> float | None:
    """Return when the last seat was taken, in seconds from the start; None where some were left."""
    taken_at = _seats_over_time(record)
    if record.started_ms is None or not seats_total or len(taken_at) < seats_total:
        return None
    return (taken_at[seats_total - 1] - record.started_ms) / 1000


def windows(
    answers: Sequence[Answer], samples: Sequence[Sample], epoch_s: float, seconds_min: float
) -> list[Window]:
    """Put answers and samples side by side, in windows of at least `seconds_min`.

    `epoch_s` is when the run's own clock began. An answer counts in the sample in which it came.
    """
    ordered = sorted(answers, key=lambda one: one.ended_ms)
    ends = [one.ended_ms for one in ordered]
    found: list[Window] = []
    gathered: list[Window] = []
    for sample in samples:
        from_ms = (epoch_s + sample.at_s - sample.seconds) * 1000
        to_ms = (epoch_s + sample.at_s) * 1000
        inside = ordered[bisect_left(ends, from_ms) : bisect_left(ends, to_ms)]
        gathered.append(_window(sample, inside))
        if sum(one.seconds for one in gathered) >= seconds_min:
            found.append(_joined(gathered))
            gathered = []
    return found


def _window(sample: Sample, answers: Sequence[Answer]) -> Window:
    return Window(
        seconds=sample.seconds,
        counts=dict(Counter(answer.kind for answer in answers)),
        cpu_s={name: cores_of(sample, name) * sample.seconds for name in COMPONENTS},
        transactions=transactions((sample,)),
        wakeups=sample.wakeups * sample.seconds,
        wal_bytes=sample.database.get("wal_bytes", 0.0) * sample.seconds,
        valkey_commands=sample.valkey.get("commands", 0.0) * sample.seconds,
    )


def _joined(parts: Sequence[Window]) -> Window:
    counts: Counter[str] = Counter()
    cpu_s: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
        for name, used in part.cpu_s.items():
            cpu_s[name] += used  # type: ignore[assignment]  # a counter of seconds
    return Window(
        seconds=sum(part.seconds for part in parts),
        counts=dict(counts),
        cpu_s={name: float(used) for name, used in cpu_s.items()},
        transactions=sum(part.transactions for part in parts),
        wakeups=sum(part.wakeups for part in parts),
        wal_bytes=sum(part.wal_bytes for part in parts),
        valkey_commands=sum(part.valkey_commands for part in parts),
    )


def cores_of(sample: Sample, component: str) -> float:
    """Return the cores that all processes of a component used."""
    return sum(
        used
        for name, used in sample.cores.items()
        if name == component or name.startswith(f"{component}-")
    )


def memory_of(sample: Sample, component: str) -> float:
    """Return the memory in MiB of all processes of a component."""
    return sum(
        used
        for name, used in sample.memory_mib.items()
        if name == component or name.startswith(f"{component}-")
    )


def mean_cores(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the cores in use by component, on average."""
    if not samples:
        return {}
    seconds = sum(one.seconds for one in samples)
    return {
        name: sum(cores_of(one, name) * one.seconds for one in samples) / seconds
        for name in COMPONENTS
    }


def others(samples: Sequence[Sample], cores: int) -> float:
    """Return the cores that programs used which have nothing to do with this test, on average."""
    seconds = sum(one.seconds for one in samples if one.busy is not None)
    used = sum(
        max(0.0, (one.busy or 0.0) * cores - sum(one.cores.values())) * one.seconds
        for one in samples
        if one.busy is not None
    )
    return used / seconds if seconds else 0.0


def transactions(samples: Iterable[Sample]) -> float:
    """Return how many transactions PostgreSQL committed."""
    return sum(one.database.get("commits", 0.0) * one.seconds for one in samples)


def counts_of(answers: Iterable[Answer]) -> dict[str, int]:
    """Count answers by kind."""
    return dict(Counter(answer.kind for answer in answers))


def within(samples: Iterable[Sample], from_s: float, to_s: float) -> list[Sample]:
    """Return the samples that lie wholly between two times."""
    return [one for one in samples if one.at_s - one.seconds >= from_s and one.at_s <= to_s]


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


def holds(step: Step) -> bool:
    """Whether a stair held: nearly all visits began, and answers were quick enough.

    Visits that did not begin are not only those that k6 dropped: where it has no CPU, it comes late
    and counts nothing.
    """
    is_begun = step.started_per_s >= STARTED_MIN * step.offered_per_s
    return step.offered_per_s > 0 and is_begun and step.p95_ms <= P95_MAX_MS


def climbing(stairs: Staircase) -> Callable[[list[Step]], float | None]:
    """Return what tells the next stair of a staircase, given those climbed so far."""

    def rates(steps: list[Step]) -> float | None:
        return next_rate(stairs, [(step.offered_per_s, holds(step)) for step in steps])

    return rates


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
    return Verdict(
        metric="prediction",
        measured=f"{prediction.error:+.1%}",
        target=f"± {prediction.limit:.0%}",
        outcome=PASS if prediction.is_within else FAIL,
        remark="prediction" if prediction.is_within else "prediction_missed",
    )
