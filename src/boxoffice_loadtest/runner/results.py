"""Builds the result of a scenario from the logs and summaries of its k6 runs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from boxoffice_loadtest.analysis import aggregation, windows
from boxoffice_loadtest.measurement.client_log import ClientLog, merged, percentile
from boxoffice_loadtest.model import (
    OTHERS,
    Finding,
    ResourceSample,
    ScenarioResult,
    StepResult,
)
from boxoffice_loadtest.runner.k6 import K6Summary
from boxoffice_loadtest.runner.plan import measured_s


@dataclass
class K6Run:
    """What one run of k6 left, and when it ran."""

    log: ClientLog
    summary: K6Summary
    started_s: float
    ended_s: float
    stopped: str | None


def scenario_result(
    name: str,
    runs: Sequence[K6Run],
    seats_total: int,
    findings: list[Finding],
    steps: list[StepResult],
    batch_counters: dict[str, float],
) -> ScenarioResult:
    """Return the result of a scenario; with rising load it has one run of k6 per step."""
    log = merged(one.log for one in runs)
    return ScenarioResult(
        name=name,
        started_s=round(runs[0].started_s, 2),
        seconds=round(runs[-1].ended_s - runs[0].started_s, 2),
        planned_iterations=log.planned_iterations,
        iterations=log.iterations,
        dropped_iterations=sum(one.summary.dropped_iterations for one in runs),
        requests=aggregation.request_stats(log.requests),
        timeline=aggregation.timeline(log),
        seats_total=seats_total,
        seats_taken=len(log.seats_taken),
        sold_out_s=aggregation.sold_out_s(log, seats_total),
        acknowledged=_acknowledged(log),
        k6_thresholds={k: v for one in runs for k, v in one.summary.k6_thresholds.items()},
        integrity_failures=sum(one.summary.integrity_failures for one in runs),
        k6_requests=sum(one.summary.requests for one in runs),
        findings=findings,
        steps=steps,
        batch_counters=batch_counters,
        seat_map_bytes=_mean(log.seat_map_bytes),
    )


def _acknowledged(log: ClientLog) -> dict[str, int]:
    return {
        "holds": len(log.holds),
        "payments": len({one.payment_id for one in log.payments}),
        "releases": len(log.releases),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def step_result(
    offered_per_s: float,
    seconds: float,
    run: K6Run,
    samples: Sequence[ResourceSample],
    epoch_s: float,
    cores: int,
) -> StepResult:
    """Return the result of a step, from the time of its arrivals without its start."""
    kept_s, until_s = measured_s(seconds), run.started_s + seconds
    until_ms = (epoch_s + until_s) * 1000
    since_ms = until_ms - 1000 * kept_s
    answered = [one for one in run.log.requests if since_ms < one.ended_ms <= until_ms]
    started = [one for one in run.log.began_ms if since_ms < one <= until_ms]
    inside = windows.within(samples, until_s - kept_s, until_s)
    busy = [one.cpu_busy for one in inside if one.cpu_busy is not None]
    sampled_s = sum(one.seconds for one in inside)
    return StepResult(
        offered_per_s=offered_per_s,
        started_per_s=len(started) / kept_s,
        answers_per_s=len(answered) / kept_s,
        p95_ms=percentile(sorted(one.took_ms for one in answered), 95),
        failures=sum(one.is_failure for one in run.log.requests),
        dropped_iterations=run.summary.dropped_iterations,
        seconds=kept_s,
        cores={**windows.mean_cores(inside), OTHERS: windows.other_cores(inside, cores)},
        cpu_busy=_mean(busy) if busy else None,
        counts=windows.counts_of(answered),
        transactions=windows.transactions(inside) / max(1e-9, sampled_s),
        wakeups=_mean([one.wakeups for one in inside]),
    )
