"""Throughput limit, cost of the request mix, and what the run cannot tell. Pure."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from boxoffice_loadtest.analysis import costs
from boxoffice_loadtest.analysis.steps import around_knee, is_sustained, offered
from boxoffice_loadtest.model import (
    API,
    GENERATOR,
    OTHERS,
    POSTGRES,
    VALKEY,
    WRITES,
    CapacityAnalysis,
    CostFit,
    Estimate,
    Inconclusive,
    Knee,
    LoadWindow,
    StepResult,
)

STEPS_MIN = 4
WINDOWS_MIN = 10
# With more failures than this, the costs are those of a broken shop.
FAILURES_MAX = 0.01
# Above this share of its CPU a machine is saturated.
BUSY_FULL = 0.92
# Above this share of all cores, k6 itself is the limit.
GENERATOR_MAX = 0.85
# Above this share of the machine, other programs distort the result.
OTHERS_MAX = 0.1
# Above this share of a core a process is saturated.
PROCESS_FULL = 0.85


def knee(
    steps: Sequence[StepResult], cores: int, api_processes: int, api_share: float = 1.0
) -> Knee | Inconclusive:
    """Return the highest sustained throughput and what limited it.

    A knee at which the machine was saturated first is a lower bound for the shop.
    """
    if len(steps) < STEPS_MIN:
        return _no_knee("few_steps", steps=len(steps), min=STEPS_MIN)
    best = max(filter(is_sustained, steps), key=lambda one: one.answers_per_s, default=None)
    if best is None:
        return _no_knee("none_sustained", lowest=steps[0].offered_per_s)
    above = [one for one in steps if one.offered_per_s > best.offered_per_s]
    failed = min((one for one in above if not is_sustained(one)), key=offered, default=None)
    sustained = best.answers_per_s
    if failed is None:
        return _knee(sustained, None, "not_reached")
    if is_generator_full(failed, cores):
        share = round(100 * failed.cores.get(GENERATOR, 0.0) / cores)
        return _no_knee("generator_full", share=share, sustained=round(sustained))
    limit = limited_by(failed, cores, api_processes, api_share)
    return _knee(sustained, failed.offered_per_s, limit)


def _knee(sustained_per_s: float, failed_at_per_s: float | None, limit: str) -> Knee:
    return Knee(
        sustained_per_s=sustained_per_s,
        failed_at_per_s=failed_at_per_s,
        limited_by=limit,
        is_lower_bound=limit in ("machine", OTHERS, "not_reached"),
    )


def _no_knee(reason: str, **details: float) -> Inconclusive:
    return Inconclusive(subject="knee", reason=reason, details={**details})


def is_generator_full(step: StepResult, cores: int) -> bool:
    """Whether k6 itself was saturated, so that the step says nothing about the shop."""
    return step.cores.get(GENERATOR, 0.0) >= GENERATOR_MAX * cores


def limited_by(step: StepResult, cores: int, api_processes: int, api_share: float) -> str:
    """Return what was saturated on a failed step."""
    if step.cores.get(API, 0.0) >= PROCESS_FULL * api_share * api_processes:
        return API
    if step.cores.get(VALKEY, 0.0) >= PROCESS_FULL:
        return VALKEY
    if step.cpu_busy is not None and step.cpu_busy >= BUSY_FULL:
        return OTHERS if step.cores.get(OTHERS, 0.0) >= OTHERS_MAX * cores else "machine"
    if step.cores.get(POSTGRES, 0.0) >= PROCESS_FULL * cores:
        return POSTGRES
    return "waiting"


def other_load(steps: Sequence[StepResult], cores: int) -> float:
    """Return the share of the machine that other programs used around the knee."""
    return max((one.cores.get(OTHERS, 0.0) / cores for one in around_knee(steps)), default=0.0)


def cost_at_knee(steps: Sequence[StepResult], reached: Knee | None, idle: float) -> Estimate | None:
    """Return the CPU seconds of one request around the knee: CPU used by requests answered.

    Only if the API was the limit, because otherwise its cost at saturation is unknown. The interval
    reaches from the last sustained step to the cheapest above it.
    """
    if reached is None or reached.limited_by != API:
        return None
    per_request = [
        (one.cores[API] - idle) / one.answers_per_s
        for one in steps
        if one.answers_per_s >= reached.sustained_per_s and one.cores.get(API, 0.0) > idle
    ]
    if not per_request:
        return None
    low, high = min(per_request), max(per_request)
    return Estimate(value=(low + high) / 2, low=low, high=high)


def transactions_per_write(steps: Sequence[StepResult]) -> float:
    """Return the fewest transactions per hold, payment or release.

    The busier, the more commands one transaction decides. Steps below half of the top throughput do not
    count.
    """
    top = max((one.answers_per_s for one in steps), default=0.0)
    found = []
    for one in steps:
        writes = sum(one.counts.get(kind, 0) for kind in WRITES) / one.seconds
        if writes and one.transactions and one.answers_per_s >= top / 2:
            found.append(one.transactions / writes)
    return min(found, default=0.0)


def mix_of(counts: Sequence[dict[str, int]]) -> dict[str, float]:
    """Return the share of each kind of request."""
    summed: Counter[str] = Counter()
    for one in counts:
        summed.update(one)
    total = sum(summed.values())
    return {kind: count / total for kind, count in summed.items()} if total else {}


def analyze(
    steps: Sequence[StepResult],
    windows: Sequence[LoadWindow],
    cores: int,
    api_processes: int,
    failures: tuple[int, int],
    cpu_limit_cores: float | None = None,
) -> CapacityAnalysis:
    """Draw the conclusions that the measurement supports, and give the reasons for the others.

    `failures` is (answers, failures). `cpu_limit_cores` is the CPU limit of each API process during the
    steps.
    """
    inconclusive = _no_costs(windows, failures)
    mix = mix_of([one.counts for one in steps if not is_generator_full(one, cores)])
    reached = _reached(steps, cores, api_processes, cpu_limit_cores)
    has_costs = not inconclusive and bool(mix)
    if isinstance(reached, Inconclusive):
        inconclusive.append(reached)
    found = CapacityAnalysis(
        knee=reached if isinstance(reached, Knee) and not _has_failures(failures) else None,
        mix=mix,
        cpu_limit_cores=cpu_limit_cores,
        inconclusive=inconclusive,
    )
    return _with_costs(found, steps, windows) if has_costs else found


def _reached(
    steps: Sequence[StepResult], cores: int, api_processes: int, cpu_limit_cores: float | None
) -> Knee | Inconclusive:
    if not steps:
        return _no_knee("no_steps")
    return knee(steps, cores, api_processes, cpu_limit_cores or 1.0)


def _with_costs(
    found: CapacityAnalysis, steps: Sequence[StepResult], windows: Sequence[LoadWindow]
) -> CapacityAnalysis:
    fits = {name: costs.fit(name, windows) for name in (API, POSTGRES, VALKEY, GENERATOR)}
    per_write = transactions_per_write(steps)
    writes = sum(found.mix.get(kind, 0.0) for kind in WRITES)
    cost = cost_at_knee(steps, found.knee, fits[API].idle.value)
    cost = cost or costs.cost_of_mix(API, windows, found.mix, per_write * writes)
    vague = [Inconclusive(subject="per_core", reason="wide_interval")] if cost.low <= 0 else []
    wal = costs.fit("wal", windows, [one.wal_bytes for one in windows])
    requests = sum(sum(one.counts.values()) for one in windows)
    commands = sum(one.valkey_commands for one in windows)
    return msgspec.structs.replace(
        found,
        fits=fits,
        transactions_per_write=per_write,
        cost_of_mix_s=cost,
        per_core_per_s=inverse(cost),
        wal_per_hold_bytes=_known(wal, "hold"),
        wal_per_pay_bytes=_known(wal, "pay"),
        valkey_per_request=commands / requests if requests else None,
        inconclusive=[*found.inconclusive, *vague],
    )


def _known(one: CostFit, kind: str) -> Estimate | None:
    """Return the cost of a kind; None if the counter was never read."""
    found = one.per_request.get(kind)
    return found if found is not None and found.value > 0 else None


def _has_failures(failures: tuple[int, int]) -> bool:
    answers, failed = failures
    return answers > 0 and failed / answers > FAILURES_MAX


def _no_costs(windows: Sequence[LoadWindow], failures: tuple[int, int]) -> list[Inconclusive]:
    """Return why this run has no costs; empty if it has."""
    found: list[tuple[str, dict[str, float | str]]] = []
    if _has_failures(failures):
        found.append(("failures", {"percent": round(100 * failures[1] / failures[0], 2)}))
    if len(windows) < WINDOWS_MIN:
        found.append(("few_windows", {"windows": len(windows), "min": WINDOWS_MIN}))
    elif not any(one.cpu_s.get(API) for one in windows):
        found.append(("not_sampled", {}))
    return [
        Inconclusive(subject="costs", reason=reason, details=details) for reason, details in found
    ]


def inverse(cost: Estimate) -> Estimate | None:
    """Return requests per core and second; None if the cost may be 0."""
    if cost.value <= 0 or cost.low <= 0:
        return None
    return Estimate(value=1 / cost.value, low=1 / cost.high, high=1 / cost.low)
