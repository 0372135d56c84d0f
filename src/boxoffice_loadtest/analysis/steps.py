"""Rising load in steps: whether a step was sustained, and which comes next. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from boxoffice_loadtest.model import StepResult

P95_MAX_MS = 500.0
# Below this share of started iterations the offered load was not applied.
STARTED_MIN = 0.95


@dataclass(frozen=True)
class StepPlan:
    """Rising load: times `factor` until a step fails, then `refinements` steps in between."""

    first_per_s: float
    factor: float
    seconds: float
    refinements: int
    steps_max: int


def is_sustained(step: StepResult) -> bool:
    """Whether nearly all iterations started and the p95 was within its bound.

    Missing iterations are more than k6's dropped ones: without CPU, k6 starts late and counts nothing.
    """
    is_started = step.started_per_s >= STARTED_MIN * step.offered_per_s
    return step.offered_per_s > 0 and is_started and step.p95_ms <= P95_MAX_MS


def offered(step: StepResult) -> float:
    """Return the offered load; a sort key."""
    return step.offered_per_s


def next_rate(plan: StepPlan, done: Sequence[tuple[float, bool]]) -> float | None:
    """Return the arrivals per second of the next step, given (rate, is sustained) of those before.

    A failed step is repeated once, because a machine has hiccups. None if the limit is known well
    enough.
    """
    if not done:
        return plan.first_per_s
    if len(done) >= plan.steps_max:
        return None
    last, is_last_sustained = done[-1]
    if not is_last_sustained and [rate for rate, _ in done].count(last) == 1:
        return last
    sustained = max((rate for rate, ok in done if ok), default=0.0)
    failed = [rate for rate, _ in done if rate > sustained]
    if not failed:
        return round(sustained * plan.factor)
    if _refinements(done) >= plan.refinements:
        return None
    return round((sustained + min(failed)) / 2)


def _refinements(done: Sequence[tuple[float, bool]]) -> int:
    """Return how many different rates were tried after the first that failed."""
    rates = list(dict.fromkeys(rate for rate, _ in done))
    first_failed = next(rate for rate in rates if (rate, True) not in done)
    return len(rates) - 1 - rates.index(first_failed)


def step_rates(plan: StepPlan) -> Callable[[list[StepResult]], float | None]:
    """Return the function that chooses the next rate from the steps so far."""

    def rates(steps: list[StepResult]) -> float | None:
        return next_rate(plan, [(step.offered_per_s, is_sustained(step)) for step in steps])

    return rates


def around_knee(steps: Sequence[StepResult]) -> list[StepResult]:
    """Return the highest sustained step and the lowest one above it, if there are any."""
    sustained = max((one for one in steps if is_sustained(one)), key=offered, default=None)
    if sustained is None:
        return []
    above = [one for one in steps if one.offered_per_s > sustained.offered_per_s]
    return [sustained, min(above, key=offered)] if above else [sustained]
