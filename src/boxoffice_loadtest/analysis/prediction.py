"""Predicts the throughput of one process with limited CPU, and compares it with a measurement. Pure."""

from collections.abc import Sequence

from boxoffice_loadtest.analysis import capacity, costs
from boxoffice_loadtest.analysis.least_squares import jackknife
from boxoffice_loadtest.analysis.steps import STARTED_MIN, around_knee
from boxoffice_loadtest.model import (
    API,
    CapacityAnalysis,
    Estimate,
    Inconclusive,
    LoadWindow,
    Prediction,
    ScenarioResult,
    StepResult,
)

ERROR_MAX = 0.15
# A process that used less of its CPU share than this was not saturated.
_SATURATED = 0.88


def predict(
    analysis: CapacityAnalysis,
    windows: Sequence[LoadWindow],
    steps: Sequence[StepResult],
    cpu_share: float,
    processes: int,
) -> Estimate | Inconclusive:
    """Return the answers per second of one process with `cpu_share` of a core.

    A saturated process has as many transactions and wake-ups per second as each process had around the
    knee; the rest of its CPU goes to the requests themselves.
    """
    near = around_knee(steps)
    if not analysis.fits or not near:
        return _inconclusive("no_costs")
    kinds = costs.kinds_in(windows)
    transactions = sum(one.transactions for one in near) / len(near) / processes
    wakeups = sum(one.wakeups for one in near) / len(near) / processes

    def answers_per_s(found: list[float]) -> list[float]:
        idle, per_transaction, per_wakeup = found[0] / processes, found[-2], found[-1]
        left = cpu_share - idle - transactions * per_transaction - wakeups * per_wakeup
        each = costs.mix_cost(analysis.mix, kinds, found)
        return [left / each if each > 0 else 0.0]

    rows = costs.design(windows, kinds)
    [estimate] = jackknife(rows, costs.cpu_of(windows, API), answers_per_s)
    return estimate if estimate.value > 0 else _inconclusive("no_costs")


def evaluate(
    result: ScenarioResult,
    cpu_share: float,
    limit_method: str,
    predicted: Estimate,
    cores: int,
) -> Prediction | Inconclusive:
    """Compare the prediction with the throughput at which the limited process was saturated."""
    near = around_knee(result.steps)
    last = result.steps[-1]
    details = {"cores": round(last.cores.get(API, 0.0), 2), "offered": last.offered_per_s}
    if len(near) < 2 or near[1].cores.get(API, 0.0) < _SATURATED * cpu_share:
        is_busy = any((step.cpu_busy or 0) >= capacity.BUSY_FULL for step in result.steps)
        reason = "machine_full" if len(near) > 1 and is_busy else "not_saturated"
        return _inconclusive(reason, **details)
    sustained, failed = near
    if capacity.is_generator_full(failed, cores):
        return _inconclusive("generator_full", **details)
    measured = _throughput(sustained, failed)
    return Prediction(
        cpu_share=cpu_share,
        limit_method=limit_method,
        predicted=predicted,
        measured_per_s=measured,
        error=predicted.value / measured - 1,
        error_max=ERROR_MAX,
        steps=result.steps,
        other_load=capacity.other_load(result.steps, cores),
    )


def _inconclusive(reason: str, **details: float) -> Inconclusive:
    return Inconclusive(subject="prediction", reason=reason, details={**details})


def _throughput(sustained: StepResult, failed: StepResult) -> float:
    """Return the answers per second at which the share of missing iterations reaches its bound.

    The share is interpolated between both steps. If the failed step was too slow instead, the sustained
    one counts.
    """
    missing_max = 1 - STARTED_MIN
    low, high = (1 - one.started_per_s / one.offered_per_s for one in (sustained, failed))
    if high <= missing_max:
        return sustained.answers_per_s
    fraction = (missing_max - low) / (high - low)
    return sustained.answers_per_s + fraction * (failed.answers_per_s - sustained.answers_per_s)
