"""The capacity, memory and connections of one pod. Pure."""

import math
from collections.abc import Sequence

from boxoffice_loadtest.analysis import windows
from boxoffice_loadtest.model import (
    API,
    VALIDATION,
    CapacityAnalysis,
    LoadTestRun,
    MemoryProbe,
    ResourceSample,
    ScenarioResult,
)

# One process runs Python on one core.
POD_CORES = 1.0
# The target utilization of a pod, so that it has CPU left while another one starts.
UTILIZATION = 0.7
MEMORY_HEADROOM = 1.25
REPLICAS_MIN = 2
# In smaller schedules the memory that a scenario adds says little about its seats.
_LARGE_SCHEDULE = 10_000


def pod_capacity(analysis: CapacityAnalysis, processes: int) -> float:
    """Return the answers per second of one saturated pod, by the upper end of the cost."""
    cost, api = analysis.cost_of_mix_s, analysis.fits.get(API)
    if cost is None or api is None or cost.high <= 0:
        return 0.0
    return max(0.0, POD_CORES - api.idle.value / processes) / cost.high


def replicas(peak_per_s: float, pod_per_s: float) -> tuple[int, int]:
    """Return (min, max): the peak with one pod lost, and the peak at the target utilization."""
    if pod_per_s <= 0:
        return REPLICAS_MIN, REPLICAS_MIN
    least = max(REPLICAS_MIN, math.ceil(peak_per_s / pod_per_s) + 1)
    most = max(least + 1, math.ceil(peak_per_s / (pod_per_s * UTILIZATION)) + 1)
    return least, most


def memory_of_pod(
    probe: MemoryProbe, connections: int, cached_seats: int, per_seat_mib: float
) -> float:
    """Return the MiB of one process, by the upper ends of the slopes."""
    idle = probe.idle_mib / probe.processes
    per_connection = max(0.0, probe.by_connection.high) if probe.by_connection else 0.0
    return idle + per_connection * connections + per_seat_mib * cached_seats


def cached_seat_mib(run: LoadTestRun, probe: MemoryProbe, processes: int) -> float:
    """Return the most memory that one seat takes in a process.

    A schedule that sells takes more than one that is only looked up, so the growth during scenarios
    with large schedules counts too.
    """
    found = [max(0.0, probe.by_cached_seat.high) if probe.by_cached_seat else 0.0]
    for one in run.scenarios:
        inside = windows.within(run.samples, one.started_s, one.started_s + one.seconds)
        memory = [windows.memory_of(sample, API) for sample in inside]
        is_large = one.seats_total >= _LARGE_SCHEDULE and one.name != VALIDATION
        if is_large and len(memory) > 1:
            found.append((max(memory) - memory[0]) / (one.seats_total * processes))
    return max(found)


def peak_process_mib(run: LoadTestRun) -> float:
    """Return the peak memory of the largest API process."""
    return max(
        (mib for one in run.samples for mib in windows.processes_of(one.memory_mib, API)),
        default=0.0,
    )


def busy_connections(
    scenarios: Sequence[ScenarioResult], samples: Sequence[ResourceSample], processes: int
) -> float | None:
    """Return the connections of one process with a batch in flight, in the busiest scenario.

    By Little's law: batches per second times seconds per batch, from the group commit's counters; else
    PostgreSQL's active connections.
    """
    found = [
        one.batch_sum("seconds_sum") / one.seconds
        for one in scenarios
        if one.batch_counters and one.seconds > 0
    ]
    if found:
        return max(found) / processes
    active = sorted(one.database["active"] for one in samples if "active" in one.database)
    return active[int(len(active) * 0.99)] / processes if active else None


def pool_per_pod(busy: float | None) -> int:
    """Return the connections of one pod: twice the busy ones, and two for reads."""
    return max(4, math.ceil(2 * (busy or 1.0)) + 2)
