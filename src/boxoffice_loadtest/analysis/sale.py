"""What an expected sale needs, scaled from the measured journey of one user. Pure."""

import math

from boxoffice_loadtest.analysis import pods
from boxoffice_loadtest.model import (
    API,
    POSTGRES,
    VALKEY,
    WRITES,
    CapacityAnalysis,
    ComponentDemand,
    ExpectedSale,
    Inconclusive,
    LoadTestRun,
    SaleForecast,
    ScenarioResult,
)

# The busiest second of a sale, as a multiple of the mean.
PEAK_TO_MEAN = 2.0
_BYTES_PER_S = 1.25e9  # ten gigabits


def forecast(run: LoadTestRun, sale: ExpectedSale, processes: int) -> SaleForecast | Inconclusive:
    """Return what the sale needs, by the upper ends of the costs."""
    if run.stopped is not None or not run.analysis.fits:
        return Inconclusive(subject="sale", reason="no_costs")
    journey = next((one for one in run.scenarios if one.name in ("onsale", "spike")), None)
    if journey is None or not journey.iterations or not journey.acknowledged.get("holds"):
        return Inconclusive(subject="sale", reason="no_journey")
    per_kind = demand(journey, sale)
    cores = {name: _cores(run.analysis, name, per_kind) for name in (API, POSTGRES, VALKEY)}
    busy_cores = pods.POD_CORES * pods.UTILIZATION
    pod_count = max(pods.REPLICAS_MIN, math.ceil(cores[API] / busy_cores) + 1)
    pool = pods.pool_per_pod(pods.busy_connections(run.scenarios, run.samples, processes))
    traffic = per_kind.get("seats", 0.0) * _bytes_per_lookup(journey, sale)
    demands = _demands(run, per_kind, cores, pod_count * pool, traffic)
    return SaleForecast(
        sale=sale,
        peak_per_s=sum(per_kind.values()),
        per_kind_per_s=per_kind,
        pods=pod_count,
        cores=sum(cores.values()),
        memory_mib=_memory_mib(run, sale, pod_count, processes),
        demands=demands,
        bottleneck=_bottleneck(demands),
    )


def _bottleneck(demands: list[ComponentDemand]) -> str | None:
    worst = max(demands, key=lambda one: one.share or 0.0)
    return worst.component if (worst.share or 0.0) > 1 else None


def _memory_mib(run: LoadTestRun, sale: ExpectedSale, pod_count: int, processes: int) -> float:
    """Return the memory of all pods; 0 if memory was not measured."""
    if run.memory is None:
        return 0.0
    per_seat = pods.cached_seat_mib(run, run.memory, processes)
    users = math.ceil(sale.users / pod_count)
    each = pods.memory_of_pod(run.memory, users, sale.seats, per_seat)
    return each * pods.MEMORY_HEADROOM * pod_count


def demand(journey: ScenarioResult, sale: ExpectedSale) -> dict[str, float]:
    """Return the requests per second by kind at the peak of a sale.

    Each user does what a virtual user of the measured journey did, but no more holds succeed than there
    are seats.
    """
    per_user = {one.request: one.count / journey.iterations for one in journey.requests}
    arrivals = sale.users / sale.sell_out_s * PEAK_TO_MEAN
    held = journey.acknowledged["holds"]
    seats_per_hold = max(1.0, journey.seats_taken / held)
    holds = sale.seats / seats_per_hold / sale.sell_out_s * PEAK_TO_MEAN
    tries = arrivals * per_user.get("hold", 0.0)
    paid = journey.acknowledged.get("payments", 0) / held
    released = journey.acknowledged.get("releases", 0) / held
    found = {
        "lookup": arrivals * (per_user.get("concerts", 0.0) + per_user.get("schedules", 0.0)),
        "seats": arrivals * per_user.get("seats", 0.0),
        "hold": min(tries, holds),
        "refused": max(0.0, tries - holds),
        "pay": min(tries, holds) * paid,
        "release": min(tries, holds) * released,
    }
    return {kind: rate for kind, rate in found.items() if rate > 0}


def _cores(analysis: CapacityAnalysis, component: str, per_kind: dict[str, float]) -> float:
    fit = analysis.fits[component]
    per_transaction = fit.per_transaction.high if fit.per_transaction else 0.0
    writes = sum(per_kind.get(kind, 0.0) for kind in WRITES)
    requests = sum(
        rate * fit.per_request[kind].high
        for kind, rate in per_kind.items()
        if kind in fit.per_request
    )
    return fit.idle.high + requests + writes * analysis.transactions_per_write * per_transaction


def _demands(
    run: LoadTestRun,
    per_kind: dict[str, float],
    cores: dict[str, float],
    connections: int,
    traffic: float,
) -> list[ComponentDemand]:
    """Return the demand of each component, and what this machine has."""
    machine_cores = float(run.environment.get("cores", "1"))
    connections_max = float(run.environment.get("postgresql_max_connections", "0")) or None
    wal = _wal(run.analysis, per_kind)
    # Valkey runs commands in one thread, on any machine.
    found: list[tuple[str, float, float | None, str]] = [
        (API, cores[API], None, "cores"),
        (POSTGRES, cores[POSTGRES], machine_cores, "cores"),
        ("connections", float(connections), connections_max, "connections"),
        (VALKEY, cores[VALKEY], 1.0, "cores"),
        ("wal", wal, None, "bytes"),
        ("network", traffic, _BYTES_PER_S, "bytes"),
    ]
    return [
        ComponentDemand(component=name, needed=needed, available=available, unit=unit)
        for name, needed, available, unit in found
    ]


def _bytes_per_lookup(journey: ScenarioResult, sale: ExpectedSale) -> float:
    """Return the mean bytes of a seat map lookup; a 304 has none."""
    maps = journey.request("seats")
    if maps is None or not maps.count or not journey.seats_total:
        return 0.0
    per_seat = journey.seat_map_bytes / journey.seats_total
    return per_seat * sale.seats * maps.codes.get("200", 0) / maps.count


def _wal(analysis: CapacityAnalysis, per_kind: dict[str, float]) -> float:
    costs = {"hold": analysis.wal_per_hold_bytes, "pay": analysis.wal_per_pay_bytes}
    return sum(per_kind.get(kind, 0.0) * cost.value for kind, cost in costs.items() if cost)
