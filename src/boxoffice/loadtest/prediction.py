"""Puts the forecast to the test: one API process, held to a stated share of a core."""

from boxoffice.loadtest import quota
from boxoffice.loadtest.capacity import BUSY_FULL, is_generator_full
from boxoffice.loadtest.conductor import Conductor, Rates
from boxoffice.loadtest.model import (
    API,
    Estimate,
    Inference,
    Prediction,
    Refusal,
    Scenario,
)
from boxoffice.loadtest.plan import STAIRCASE_SEATS
from boxoffice.loadtest.sampler import Sampler

LIMIT = 0.15
# Of what is foretold; the first one warms the process up, and the last two are too much.
_SHARES = (0.4, 0.75, 0.9, 1.05, 1.25, 1.5)
_STEP_S = 7.0
# A process that used less of its share than this was not at its end.
_FULL = 0.88


def foretell(inference: Inference, share: float, processes: int) -> Estimate | Refusal:
    """Return the answers per second that one process with so many cores will give."""
    cost, api = inference.cost_of_mix_s, inference.fits.get(API)
    if cost is None or api is None or inference.per_core_per_s is None:
        return Refusal(what="prediction", why="no_costs")
    # What a process does by itself is not there for requests.
    left = share - api.idle.value / processes
    if left <= 0:
        return Refusal(what="prediction", why="no_costs")
    return Estimate(value=left / cost.value, low=left / cost.high, high=left / cost.low)


def check(
    conductor: Conductor, sampler: Sampler, held: quota.Held, foretold: Estimate,
    answers_per_visit: float, cores: int,
) -> Prediction | Refusal:  # fmt: skip
    """Measure what the held process gives, and say how far the forecast was off."""
    rates = [share * foretold.value / max(1.0, answers_per_visit) for share in _SHARES]
    climbed = conductor.climb("check", _given(rates), _STEP_S, STAIRCASE_SEATS, sampler)
    if conductor.stopped:
        return Refusal(what="prediction", why="stopped")
    return judge(climbed, held, foretold, cores)


def _given(rates: list[float]) -> Rates:
    return lambda steps: rates[len(steps)] if len(steps) < len(rates) else None


def judge(
    climbed: Scenario, held: quota.Held, foretold: Estimate, cores: int
) -> Prediction | Refusal:
    """Compare the forecast with the most that was answered while the process was at its end."""
    full = [step for step in climbed.steps if step.cores.get(API, 0.0) >= _FULL * held.share]
    if not full:
        is_machine = any((step.busy or 0) >= BUSY_FULL for step in climbed.steps)
        why = "machine_full" if is_machine else "not_saturated"
        return Refusal(what="prediction", why=why, details=_last(climbed))
    if any(is_generator_full(step, cores) for step in full):
        return Refusal(what="prediction", why="generator_full", details=_last(climbed))
    measured = max(step.answers_per_s for step in full)
    return Prediction(
        share=held.share,
        held_by=held.way,
        predicted=foretold,
        measured_per_s=measured,
        error=foretold.value / measured - 1,
        limit=LIMIT,
        steps=climbed.steps,
    )


def _last(climbed: Scenario) -> dict[str, float | str]:
    last = climbed.steps[-1]
    return {"cores": round(last.cores.get(API, 0.0), 2), "offered": last.offered_per_s}
