"""Puts the forecast to the test: one API process, held to a stated share of a core."""

from collections.abc import Sequence

from boxoffice_loadtest.analysis import aggregation, capacity, costs
from boxoffice_loadtest.analysis.capacity import BUSY_FULL, is_generator_full
from boxoffice_loadtest.measurement.sampler import Sampler
from boxoffice_loadtest.model import (
    API,
    Estimate,
    Inference,
    Prediction,
    Refusal,
    Scenario,
    Step,
    Window,
)
from boxoffice_loadtest.runner import cpu_limit
from boxoffice_loadtest.runner.plan import STAIRCASE_SEATS, VISITORS_PER_PROCESS, Staircase
from boxoffice_loadtest.runner.runner import Conductor

LIMIT = 0.15
# From well below what is foretold up until a stair breaks, and once in between.
_FIRST, _FACTOR, _STEP_S, _BETWEEN, _STEPS_MAX = 0.6, 1.15, 7.0, 1, 12
# A process that used less of its share than this was not at its end.
_FULL = 0.88


def foretell(
    inference: Inference,
    windows: Sequence[Window],
    steps: Sequence[Step],
    share: float,
    processes: int,
) -> Estimate | Refusal:
    """Return the answers per second that one process with so much of a core will give.

    A process at its end has as many transactions and wake-ups in a second as each had around the knee,
    however many requests share them; what is left of its share, it has for the requests themselves.
    """
    near = capacity.around_knee(steps)
    if not inference.fits or not near:
        return Refusal(what="prediction", why="no_costs")
    mix = inference.mix
    kinds = costs.kinds_in(windows)
    transactions = sum(one.transactions for one in near) / len(near) / processes
    wakeups = sum(one.wakeups for one in near) / len(near) / processes

    def answers_per_s(found: list[float]) -> list[float]:
        each = sum(mix.get(kind, 0.0) * x for kind, x in zip(kinds, found[1:-2], strict=True))
        left = share - found[0] / processes - transactions * found[-2] - wakeups * found[-1]
        return [left / each if each > 0 else 0.0]

    used = [one.cpu_s.get(API, 0.0) for one in windows]
    [estimate] = costs.jackknife(costs.design(windows, kinds), used, answers_per_s)
    if estimate.value <= 0:
        return Refusal(what="prediction", why="no_costs")
    return estimate


def check(
    conductor: Conductor, sampler: Sampler, held: cpu_limit.Held, foretold: Estimate,
    answers_per_visit: float, cores: int,
) -> Prediction | Refusal:  # fmt: skip
    """Measure what the held process gives, and say how far the forecast was off."""
    first = _FIRST * foretold.value / max(1.0, answers_per_visit)
    stairs = Staircase(first, _FACTOR, _STEP_S, _BETWEEN, _STEPS_MAX)
    climbed = conductor.climb(
        aggregation.CHECK,
        aggregation.climbing(stairs),
        _STEP_S,
        STAIRCASE_SEATS,
        VISITORS_PER_PROCESS,
        sampler,
    )
    if conductor.stopped:
        return Refusal(what="prediction", why="stopped")
    return judge(climbed, held, foretold, cores)


def judge(
    climbed: Scenario, held: cpu_limit.Held, foretold: Estimate, cores: int
) -> Prediction | Refusal:
    """Compare the forecast with the throughput at which the held process stopped keeping up."""
    near = capacity.around_knee(climbed.steps)
    if len(near) < 2 or near[1].cores.get(API, 0.0) < _FULL * held.share:
        is_machine = any((step.busy or 0) >= BUSY_FULL for step in climbed.steps)
        why = "machine_full" if len(near) > 1 and is_machine else "not_saturated"
        return Refusal(what="prediction", why=why, details=_last(climbed))
    held_step, broken = near
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
        disturbance=capacity.disturbance(climbed.steps, cores),
    )


def _between(held_step: Step, broken: Step) -> float:
    """Return the answers per second at which just as many visits are missing as a stair may miss.

    Between two stairs the share that is missing is taken to rise along a straight line. Where the
    broken one missed few and was too slow instead, the one that held counts.
    """
    allowed = 1 - aggregation.STARTED_MIN
    low, high = (1 - one.started_per_s / one.offered_per_s for one in (held_step, broken))
    if high <= allowed:
        return held_step.answers_per_s
    way = (allowed - low) / (high - low)
    return held_step.answers_per_s + way * (broken.answers_per_s - held_step.answers_per_s)


def _last(climbed: Scenario) -> dict[str, float | str]:
    last = climbed.steps[-1]
    return {"cores": round(last.cores.get(API, 0.0), 2), "offered": last.offered_per_s}
