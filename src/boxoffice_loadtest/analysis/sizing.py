"""From measured costs to pods, pools and replicas. Pure."""

import math
from collections.abc import Sequence

import msgspec

from boxoffice_loadtest.analysis import pods, sale
from boxoffice_loadtest.model import (
    API,
    CapacityAnalysis,
    DeploymentSpec,
    ExpectedSale,
    Inconclusive,
    LoadTestRun,
    MemoryProbe,
    ResourceSample,
    SaleForecast,
)

# The CPU limit has one more core, for the threads that hash passwords.
_HASHING_CORES = 1.0
_MEMORY_LIMIT = 1.6
_CONNECTIONS_PER_POD = 1_000
_CACHED_SEATS = 4_000
_ROUND_CPU_M, _ROUND_MIB = 50, 16
_KIB = 1024.0


def sized(
    run: LoadTestRun, peak_per_s: float | None, expected: ExpectedSale | None, processes: int
) -> LoadTestRun:
    """Return the run with its deployment and its sale forecast, or with reasons why it has none."""
    forecast = sale.forecast(run, expected, processes) if expected is not None else None
    deployment = _deployment(run, peak_per_s, forecast, processes)
    missing = [one for one in (forecast, deployment) if isinstance(one, Inconclusive)]
    return msgspec.structs.replace(
        run,
        deployment=deployment if isinstance(deployment, DeploymentSpec) else None,
        forecast=forecast if isinstance(forecast, SaleForecast) else None,
        inconclusive=[*run.inconclusive, *missing],
    )


def _deployment(
    run: LoadTestRun,
    peak_per_s: float | None,
    forecast: SaleForecast | Inconclusive | None,
    processes: int,
) -> DeploymentSpec | Inconclusive:
    cost = run.analysis.cost_of_mix_s
    if run.stopped is not None:
        return Inconclusive(subject="deployment", reason="stopped")
    if cost is None or not 0 < cost.high < math.inf:
        return Inconclusive(subject="deployment", reason="no_costs")
    if run.memory is None:
        return Inconclusive(subject="deployment", reason="no_memory")
    # The upper end of the cost: a short run cannot tell how cheap a request is.
    peak, source = _peak(run.analysis, peak_per_s, forecast, 1 / cost.high)
    pod_per_s = pods.pod_capacity(run.analysis, processes)
    per_seat = pods.cached_seat_mib(run, run.memory, processes)
    memory_request_mib, memory_limit_mib = _memory_mib(run, run.memory, per_seat)
    replicas_min, replicas_max = pods.replicas(peak, pod_per_s)
    busy = pods.busy_connections(run.scenarios, run.samples, processes)
    pool = pods.pool_per_pod(busy)
    return DeploymentSpec(
        peak_per_s=peak,
        peak_source=source,
        pod_per_s=pod_per_s,
        cpu_request_m=_round_up(1000 * pods.POD_CORES, _ROUND_CPU_M),
        cpu_limit_m=_round_up(1000 * (pods.POD_CORES + _HASHING_CORES), _ROUND_CPU_M),
        memory_request_mib=memory_request_mib,
        memory_limit_mib=memory_limit_mib,
        connections_per_pod=_CONNECTIONS_PER_POD,
        cached_seats=_CACHED_SEATS,
        cached_seat_kib=per_seat * _KIB,
        replicas_min=replicas_min,
        replicas_max=replicas_max,
        hpa_target_percent=round(100 * pods.UTILIZATION),
        pool_per_pod=pool,
        pool_total=pool * replicas_max,
        busy_connections=busy,
        valkey_per_pod=_valkey_connections(run.samples, processes),
        valkey_ops_per_s=peak * (run.analysis.valkey_per_request or 0.0),
        confidence=confidence(run),
    )


def _memory_mib(run: LoadTestRun, probe: MemoryProbe, per_seat_mib: float) -> tuple[int, int]:
    """Return (request, limit) of one pod."""
    needed = pods.memory_of_pod(probe, _CONNECTIONS_PER_POD, _CACHED_SEATS, per_seat_mib)
    limit = max(needed, pods.peak_process_mib(run)) * _MEMORY_LIMIT
    return _round_up(needed * pods.MEMORY_HEADROOM, _ROUND_MIB), _round_up(limit, _ROUND_MIB)


def _peak(
    analysis: CapacityAnalysis,
    stated: float | None,
    forecast: SaleForecast | Inconclusive | None,
    per_core_per_s: float,
) -> tuple[float, str]:
    if stated is not None:
        return stated, "stated"
    if isinstance(forecast, SaleForecast):
        return forecast.peak_per_s, "sale"
    if analysis.knee is not None:
        return analysis.knee.sustained_per_s, "knee"
    return per_core_per_s, "core"


def _valkey_connections(samples: Sequence[ResourceSample], processes: int) -> int:
    most = max((one.valkey.get("connections", 0.0) for one in samples), default=0.0)
    return max(2, math.ceil(most / processes))


def confidence(run: LoadTestRun) -> str:
    """Return the confidence in the figures: `good`, `fair` or `poor`."""
    cost, api = run.analysis.cost_of_mix_s, run.analysis.fits.get(API)
    if cost is None or api is None or cost.value <= 0:
        return "poor"
    if run.prediction is not None and not run.prediction.is_within:
        return "poor"
    spread = (cost.high - cost.low) / cost.value
    if run.prediction is not None and spread <= 0.3 and api.error_share <= 0.2:
        return "good"
    return "fair" if spread <= 0.6 and api.error_share <= 0.4 else "poor"


def _round_up(value: float, step: int) -> int:
    return math.ceil(value / step) * step
