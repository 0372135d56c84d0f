"""Validates the prediction: one API process with limited CPU, under rising load."""

from boxoffice_loadtest.analysis.prediction import evaluate
from boxoffice_loadtest.analysis.steps import StepPlan, step_rates
from boxoffice_loadtest.measurement import processes
from boxoffice_loadtest.model import VALIDATION, Estimate, Inconclusive, Prediction
from boxoffice_loadtest.runner.cpu_limit import CpuLimit
from boxoffice_loadtest.runner.plan import STEPS_SEATS, VUS_PER_PROCESS
from boxoffice_loadtest.runner.runner import ScenarioRunner

# From well below the predicted throughput up until a step fails, and one step in between.
_FIRST, _FACTOR, _STEP_S, _REFINEMENTS, _STEPS_MAX = 0.6, 1.15, 7.0, 1, 12


def validate(
    runner: ScenarioRunner, limit: CpuLimit, predicted: Estimate, answers_per_iteration: float
) -> Prediction | Inconclusive:
    """Measure the throughput of the limited process and compare it with the prediction."""
    first = _FIRST * predicted.value / max(1.0, answers_per_iteration)
    plan = StepPlan(first, _FACTOR, _STEP_S, _REFINEMENTS, _STEPS_MAX)
    result = runner.run_steps(VALIDATION, step_rates(plan), _STEP_S, STEPS_SEATS, VUS_PER_PROCESS)
    if runner.stopped:
        return Inconclusive(subject="prediction", reason="stopped")
    return evaluate(result, limit.cores, limit.method, predicted, processes.cores())
