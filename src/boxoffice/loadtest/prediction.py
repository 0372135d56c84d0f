"""Puts the forecast to the test: one API process, held to a stated share of a core."""

from collections.abc import Sequence

from boxoffice.loadtest import quota, rules
from boxoffice.loadtest.capacity import BUSY_FULL, is_generator_full
from boxoffice.loadtest.conductor import Conductor
from boxoffice.loadtest.model import (
    API,
    Estimate,
    Inference,
    Prediction,
    Refusal,
    Scenario,
    Step,
)
from boxoffice.loadtest.plan import STAIRCASE_SEATS, Staircase
from boxoffice.loadtest.sampler import Sampler

LIMIT = 0.15
# From well below what is foretold up until a stair breaks, and once in between.
_FIRST, _FACTOR, _STEP_S, _BETWEEN, _STEPS_MAX = 0.6, 1.15, 7.0, 1, 12
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
    first = _FIRST * foretold.value / max(1.0, answers_per_visit)
    stairs = Staircase(first, _FACTOR, _STEP_S, _BETWEEN, _STEPS_MAX)
    climbed = conductor.climb(
        rules.CHECK, rules.climbing(stairs), _STEP_S, STAIRCASE_SEATS, sampler
    )
    if conductor.stopped:
        return Refusal(what="prediction", why="stopped")
    return judge(climbed, held, foretold, cores)


def judge(
    climbed: Scenario, held: quota.Held, foretold: Estimate, cores: int
) -> Prediction | Refusal:
    """Compare the forecast with the throughput at which the held process stopped keeping up."""
    crossing = _crossing(climbed.steps)
    if crossing is None or crossing[1].cores.get(API, 0.0) < _FULL * held.share:
        is_machine = any((step.busy or 0) >= BUSY_FULL for step in climbed.steps)
        why = "machine_full" if crossing and is_machine else "not_saturated"
        return Refusal(what="prediction", why=why, details=_last(climbed))
    held_step, broken = crossing
    if is_generator_full(broken, cores):
        return Refusal(what="prediction", why="generator_full", details=_last(climbed))
    measured = _between(held_step, broken)
    return Prediction(
        share=held.share,
        held_by=held.way,
        predicted=foretold,
        measured_per_s=measured,
        error=foretold.value / measured - 1,
        limit=LIMIT,
        steps=climbed.steps,
    )


def _crossing(steps: Sequence[Step]) -> tuple[Step, Step] | None:
    """Return the highest stair that held and the lowest above it that did not; None without both."""
    held = max((one for one in steps if rules.holds(one)), key=_offered, default=None)
    if held is None:
        return None
    broken = [one for one in steps if one.offered_per_s > held.offered_per_s]
    return (held, min(broken, key=_offered)) if broken else None


def _offered(step: Step) -> float:
    return step.offered_per_s


def _between(held_step: Step, broken: Step) -> float:
    """Return the answers per second at which just as many visits are missing as a stair may miss.

    Between two stairs the share that is missing is taken to rise along a straight line. Where the
    broken one missed few and was too slow instead, the one that held counts.
    """
    allowed = 1 - rules.STARTED_MIN
    low, high = (1 - one.started_per_s / one.offered_per_s for one in (held_step, broken))
    if high <= allowed:
        return held_step.answers_per_s
    way = (allowed - low) / (high - low)
    return held_step.answers_per_s + way * (broken.answers_per_s - held_step.answers_per_s)


def _last(climbed: Scenario) -> dict[str, float | str]:
    last = climbed.steps[-1]
    return {"cores": round(last.cores.get(API, 0.0), 2), "offered": last.offered_per_s}
