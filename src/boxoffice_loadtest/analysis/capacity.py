"""What the staircase and the fits say: the knee, the cost of the mix, and the refusals. Pure."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from boxoffice_loadtest.analysis import costs
from boxoffice_loadtest.analysis.aggregation import holds
from boxoffice_loadtest.model import (
    API,
    GENERATOR,
    OTHERS,
    POSTGRES,
    VALKEY,
    WRITES,
    Estimate,
    Fit,
    Inference,
    Knee,
    Refusal,
    Step,
    Window,
)

STEPS_MIN = 4
WINDOWS_MIN = 10
# A run that fails more often than this says what a broken shop costs, not what a working one does.
FAILURES_MAX = 0.01
# From here on a machine has nothing left to give.
BUSY_FULL = 0.92
# k6 with more than this of all cores is itself what the machine does.
GENERATOR_MAX = 0.85
# Above this, what other programs do is part of the result.
OTHERS_MAX = 0.1
# A component that uses this much of one core per process is at its own end.
PROCESS_FULL = 0.85


def knee(
    steps: Sequence[Step], cores: int, api_processes: int, api_share: float = 1.0
) -> Knee | Refusal:
    """Return the most that was sustained, and what set the limit.

    Refused where no stair held. A knee behind which the generator or the machine gave way first is a
    lower bound for the shop.
    """
    if len(steps) < STEPS_MIN:
        return Refusal(
            what="knee", why="few_steps", details={"steps": len(steps), "min": STEPS_MIN}
        )
    held = [one for one in steps if holds(one)]
    if not held:
        return Refusal(what="knee", why="none_held", details={"lowest": steps[0].offered_per_s})
    best = max(held, key=lambda one: one.answers_per_s)
    broken = [one for one in steps if not holds(one) and one.offered_per_s > best.offered_per_s]
    first = min(broken, key=lambda one: one.offered_per_s) if broken else None
    if first is None:
        return Knee(
            sustained_per_s=best.answers_per_s, broke_at_per_s=None, limited_by="not_reached",
            is_lower_bound=True,
        )  # fmt: skip
    if is_generator_full(first, cores):
        return Refusal(
            what="knee",
            why="generator_full",
            details={
                "share": round(100 * first.cores.get(GENERATOR, 0.0) / cores),
                "sustained": round(best.answers_per_s),
            },
        )
    limit = limited_by(first, cores, api_processes, api_share)
    return Knee(
        sustained_per_s=best.answers_per_s,
        broke_at_per_s=first.offered_per_s,
        limited_by=limit,
        is_lower_bound=limit in ("machine", OTHERS),
    )


def is_generator_full(step: Step, cores: int) -> bool:
    """Whether k6 itself had no more to give, so that the stair says nothing about the shop."""
    return step.cores.get(GENERATOR, 0.0) >= GENERATOR_MAX * cores


def limited_by(step: Step, cores: int, api_processes: int, api_share: float) -> str:
    """Say what was used up on a stair that did not hold."""
    api = step.cores.get(API, 0.0)
    if api >= PROCESS_FULL * api_share * api_processes:
        return API
    if step.cores.get(VALKEY, 0.0) >= PROCESS_FULL:
        return VALKEY
    if step.busy is not None and step.busy >= BUSY_FULL:
        return OTHERS if step.cores.get(OTHERS, 0.0) >= OTHERS_MAX * cores else "machine"
    if step.cores.get(POSTGRES, 0.0) >= PROCESS_FULL * cores:
        return POSTGRES
    return "waiting"


def around_knee(steps: Sequence[Step]) -> list[Step]:
    """Return the highest stair that held and the lowest above it; fewer where there are none."""
    held = max((one for one in steps if holds(one)), key=_offered, default=None)
    if held is None:
        return []
    above = [one for one in steps if one.offered_per_s > held.offered_per_s]
    return [held, min(above, key=_offered)] if above else [held]


def disturbance(steps: Sequence[Step], cores: int) -> float:
    """Return the share of the machine that other programs took around the knee."""
    return max((one.cores.get(OTHERS, 0.0) / cores for one in around_knee(steps)), default=0.0)


def _offered(step: Step) -> float:
    return step.offered_per_s


def cost_at_knee(steps: Sequence[Step], reached: Knee | None, idle: float) -> Estimate | None:
    """Return the CPU seconds of one request around the knee: what was used, by what was answered.

    Only where the API itself gave way; elsewhere it had time to spare, and its cost there is not that
    at its end. The interval reaches from the last stair that held to the cheapest beyond it.
    """
    if reached is None or reached.limited_by != API:
        return None
    costs = [
        (one.cores[API] - idle) / one.answers_per_s
        for one in steps
        if one.answers_per_s >= reached.sustained_per_s and one.cores.get(API, 0.0) > idle
    ]
    if not costs:
        return None
    at_knee = max(costs)
    return Estimate(value=(at_knee + min(costs)) / 2, low=min(costs), high=at_knee)


def transactions_per_write(steps: Sequence[Step]) -> float:
    """Return the transactions per hold, payment or release where they are shared best.

    That is on the busiest stairs: the more requests arrive at once, the more of them one transaction
    decides. Stairs with less than half of the top throughput do not count.
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


def infer(
    steps: Sequence[Step],
    windows: Sequence[Window],
    cores: int,
    api_processes: int,
    failures: tuple[int, int],
    held_to: float | None = None,
) -> Inference:
    """Draw the conclusions that the measurement carries, and refuse the others with a reason.

    `held_to` is the share of a core that each API process was held to on the stairs.
    """
    refusals = list(_unfit(windows, failures))
    mix = mix_of([one.counts for one in steps if not is_generator_full(one, cores)])
    reached = _reached(steps, cores, api_processes, held_to)
    if isinstance(reached, Refusal):
        refusals.append(reached)
    found = Inference(
        knee=reached if isinstance(reached, Knee) and not _has_failures(failures) else None,
        mix=mix,
        held_to=held_to,
        refusals=refusals,
    )
    if any(one.what == "costs" for one in refusals) or not mix:
        return found
    return _priced(found, steps, windows)


def _reached(
    steps: Sequence[Step], cores: int, api_processes: int, held_to: float | None
) -> Knee | Refusal:
    if not steps:
        return Refusal(what="knee", why="no_steps")
    return knee(steps, cores, api_processes, held_to or 1.0)


def _priced(found: Inference, steps: Sequence[Step], windows: Sequence[Window]) -> Inference:
    """Add the costs to what was concluded so far."""
    fits = {name: costs.fit(name, windows) for name in (API, POSTGRES, VALKEY, GENERATOR)}
    per_write = transactions_per_write(steps)
    writes = sum(found.mix.get(kind, 0.0) for kind in WRITES)
    cost = cost_at_knee(steps, found.knee, fits[API].idle.value)
    cost = cost or costs.cost_of(API, windows, found.mix, per_write * writes)
    vague = [Refusal(what="per_core", why="wide_interval")] if cost.low <= 0 else []
    wal = costs.fit("wal", windows, [one.wal_bytes for one in windows])
    requests = sum(sum(one.counts.values()) for one in windows)
    commands = sum(one.valkey_commands for one in windows)
    return msgspec.structs.replace(
        found,
        fits=fits,
        transactions_per_write=per_write,
        cost_of_mix_s=cost,
        per_core_per_s=inverse(cost),
        wal_per_hold_bytes=_seen(wal, "hold"),
        wal_per_pay_bytes=_seen(wal, "pay"),
        valkey_per_request=commands / requests if requests else None,
        refusals=[*found.refusals, *vague],
    )


def _seen(one: Fit, kind: str) -> Estimate | None:
    """Return what a kind costs; a counter that was never read costs nothing that is known."""
    found = one.per_request.get(kind)
    return found if found is not None and found.value > 0 else None


def _has_failures(failures: tuple[int, int]) -> bool:
    answers, failed = failures
    return answers > 0 and failed / answers > FAILURES_MAX


def _unfit(windows: Sequence[Window], failures: tuple[int, int]) -> list[Refusal]:
    """Return why no costs may be drawn from this run, if something speaks against it."""
    found = []
    if _has_failures(failures):
        share = round(100 * failures[1] / failures[0], 2)
        found.append(Refusal(what="costs", why="failures", details={"percent": share}))
    if len(windows) < WINDOWS_MIN:
        details: dict[str, float | str] = {"windows": len(windows), "min": WINDOWS_MIN}
        found.append(Refusal(what="costs", why="few_windows", details=details))
    elif not any(one.cpu_s.get(API) for one in windows):
        found.append(Refusal(what="costs", why="not_sampled"))
    return found


def inverse(cost: Estimate) -> Estimate | None:
    """Return requests per second and core of a cost in seconds; None where it could be nothing."""
    if cost.value <= 0 or cost.low <= 0:
        return None
    return Estimate(value=1 / cost.value, low=1 / cost.high, high=1 / cost.low)
