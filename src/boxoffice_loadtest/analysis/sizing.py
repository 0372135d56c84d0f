"""From what was measured to pods, pools and replicas, and what a stated sale would take. Pure."""

import math
from collections.abc import Sequence

import msgspec

from boxoffice_loadtest.analysis import aggregation
from boxoffice_loadtest.model import (
    API,
    POSTGRES,
    VALKEY,
    WRITES,
    Inference,
    Load,
    MemoryProbe,
    Refusal,
    Run,
    Sale,
    SaleForecast,
    Sample,
    Scenario,
    Spec,
)

# One process runs Python on one core; what it may use beyond that is for password hashing threads.
_POD_CORES = 1.0
_HASHING_CORES = 1.0
# How full a pod may be while another one is being started.
_FULLNESS = 0.7
_MEMORY_HEADROOM, _MEMORY_LIMIT = 1.25, 1.6
_CONNECTIONS_PER_POD = 1_000
_HOT_SCHEDULES, _SEATS_PER_SCHEDULE = 4, 1_000
_ROUND_CPU_M, _ROUND_MIB = 50, 16
_REPLICAS_MIN = 2
# People come in a burst: the busiest second of a sale has so many times its mean.
PEAK_TO_MEAN = 2.0
_GIB_PER_S = 1.25e9  # ten gigabits
_KIB = 1024.0
# Below this many seats, what a scenario adds to the memory says little about its seats.
_LARGE_HALL = 10_000


def sized(run: Run, peak_per_s: float | None, sale: Sale | None, processes: int) -> Run:
    """Return the run with the deployment that it implies, or with the reasons why it implies none."""
    refusals = list(run.refusals)
    forecast = _forecast(run, sale, processes)
    if isinstance(forecast, Refusal):
        refusals.append(forecast)
    found = _spec(run, peak_per_s, forecast, processes)
    if isinstance(found, Refusal):
        refusals.append(found)
    return msgspec.structs.replace(
        run,
        spec=found if isinstance(found, Spec) else None,
        forecast=forecast if isinstance(forecast, SaleForecast) else None,
        refusals=refusals,
    )


def _spec(
    run: Run, peak_per_s: float | None, forecast: SaleForecast | Refusal | None, processes: int
) -> Spec | Refusal:
    cost = run.inference.cost_of_mix_s
    if run.stopped is not None:
        return Refusal(what="spec", why="stopped")
    # A short run may not say how cheap a request is: the upper end is what a pod is sized by.
    if cost is None or not 0 < cost.high < math.inf:
        return Refusal(what="spec", why="no_costs")
    if run.memory is None:
        return Refusal(what="spec", why="no_memory")
    peak, origin = _peak(run.inference, peak_per_s, forecast, 1 / cost.high)
    pod_per_s = pod_capacity(run.inference, processes)
    per_seat = hot_seat_mib(run, run.memory, processes)
    hot_seats = _HOT_SCHEDULES * _SEATS_PER_SCHEDULE
    held = memory_of_pod(run.memory, _CONNECTIONS_PER_POD, hot_seats, per_seat)
    least, most = replicas(peak, pod_per_s)
    busy = busy_connections(run.scenarios, run.samples, processes)
    pool = pool_per_pod(busy)
    return Spec(
        peak_per_s=peak,
        peak_from=origin,
        pod_per_s=pod_per_s,
        cpu_request_m=_up(1000 * _POD_CORES, _ROUND_CPU_M),
        cpu_limit_m=_up(1000 * (_POD_CORES + _HASHING_CORES), _ROUND_CPU_M),
        memory_request_mib=_up(held * _MEMORY_HEADROOM, _ROUND_MIB),
        memory_limit_mib=_up(max(held, peak_process_mib(run)) * _MEMORY_LIMIT, _ROUND_MIB),
        hot_seat_kib=per_seat * _KIB,
        connections_per_pod=_CONNECTIONS_PER_POD,
        hot_schedules=_HOT_SCHEDULES,
        replicas_min=least,
        replicas_max=most,
        hpa_target_percent=round(100 * _FULLNESS),
        pool_per_pod=pool,
        pool_total=pool * most,
        busy_connections=busy,
        valkey_per_pod=_valkey_connections(run.samples, processes),
        valkey_ops_per_s=peak * (run.inference.valkey_per_request or 0.0),
        confidence=confidence(run),
    )


def _peak(
    inference: Inference,
    stated: float | None,
    forecast: SaleForecast | Refusal | None,
    per_core_per_s: float,
) -> tuple[float, str]:
    if stated is not None:
        return stated, "stated"
    if isinstance(forecast, SaleForecast):
        return forecast.peak_per_s, "sale"
    if inference.knee is not None:
        return inference.knee.sustained_per_s, "knee"
    return per_core_per_s, "core"


def pod_capacity(inference: Inference, processes: int) -> float:
    """Return the answers per second of one pod at the end of its core, by the lower end of the fit."""
    cost, api = inference.cost_of_mix_s, inference.fits.get(API)
    if cost is None or api is None or cost.high <= 0:
        return 0.0
    return max(0.0, _POD_CORES - api.idle.value / processes) / cost.high


def replicas(peak_per_s: float, pod_per_s: float) -> tuple[int, int]:
    """Return (min, max): the fewest carry the peak though one pod is lost; the most do so unhurried."""
    if pod_per_s <= 0:
        return _REPLICAS_MIN, _REPLICAS_MIN
    least = max(_REPLICAS_MIN, math.ceil(peak_per_s / pod_per_s) + 1)
    most = max(least + 1, math.ceil(peak_per_s / (pod_per_s * _FULLNESS)) + 1)
    return least, most


def memory_of_pod(
    probe: MemoryProbe, connections: int, hot_seats: int, hot_seat_mib_: float
) -> float:
    """Return the MiB of one process with so many connections and hot seats, by the upper slopes."""
    at_rest = probe.at_rest_mib / probe.processes
    per_connection = max(0.0, probe.by_connection.high) if probe.by_connection else 0.0
    return at_rest + per_connection * connections + hot_seat_mib_ * hot_seats


def hot_seat_mib(run: Run, probe: MemoryProbe, processes: int) -> float:
    """Return what a seat of a busy schedule takes in each process, at the most.

    A hall that is only looked at takes less than one that sells, whose map changes all the time: so
    what the scenarios added counts as well, where their hall was large enough to tell.
    """
    # The probe counts a seat once for each process that keeps it, so one pod has each once.
    found = [max(0.0, probe.by_hot_seat.high) if probe.by_hot_seat else 0.0]
    for one in run.scenarios:
        inside = aggregation.within(run.samples, one.started_s, one.started_s + one.seconds)
        memory = [aggregation.memory_of(sample, API) for sample in inside]
        if len(memory) > 1 and one.seats_total >= _LARGE_HALL and one.name != aggregation.CHECK:
            found.append((max(memory) - memory[0]) / (one.seats_total * processes))
    return max(found)


def peak_process_mib(run: Run) -> float:
    """Return the most memory that one API process had."""
    seen = [
        mib
        for one in run.samples
        for name, mib in one.memory_mib.items()
        if name == API or name.startswith(f"{API}-")
    ]
    return max(seen, default=0.0)


def busy_connections(
    scenarios: Sequence[Scenario], samples: Sequence[Sample], processes: int
) -> float | None:
    """Return how many connections of one process had a batch under way at the busiest.

    By Little's law: batches per second times seconds per batch, as the group commit counted them;
    else what PostgreSQL showed as active.
    """
    found = [
        sum(v for k, v in one.batches.items() if k.startswith("seconds_sum.")) / one.seconds
        for one in scenarios
        if one.batches and one.seconds > 0
    ]
    if found:
        return max(found) / processes
    active = sorted(one.database["busy"] for one in samples if "busy" in one.database)
    return active[int(len(active) * 0.99)] / processes if active else None


def pool_per_pod(busy: float | None) -> int:
    """Return the connections of one pod: twice what batches keep busy, and two for reads."""
    return max(4, math.ceil(2 * (busy or 1.0)) + 2)


def _valkey_connections(samples: Sequence[Sample], processes: int) -> int:
    seen = max((one.valkey.get("connections", 0.0) for one in samples), default=0.0)
    return max(2, math.ceil(seen / processes))


def confidence(run: Run) -> str:
    """Say how far the figures carry: `good`, `fair` or `poor`."""
    cost, api = run.inference.cost_of_mix_s, run.inference.fits.get(API)
    if cost is None or api is None or cost.value <= 0:
        return "poor"
    spread = (cost.high - cost.low) / cost.value
    if run.prediction is not None and not run.prediction.is_within:
        return "poor"
    if run.prediction is not None and spread <= 0.3 and api.error_share <= 0.2:
        return "good"
    return "fair" if spread <= 0.6 and api.error_share <= 0.4 else "poor"


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step


def _forecast(run: Run, sale: Sale | None, processes: int) -> SaleForecast | Refusal | None:
    if sale is None:
        return None
    if run.stopped is not None or not run.inference.fits:
        return Refusal(what="sale", why="no_costs")
    journey = next((one for one in run.scenarios if one.name in ("onsale", "spike")), None)
    if journey is None or not journey.visits or not journey.acknowledged.get("holds"):
        return Refusal(what="sale", why="no_journey")
    per_kind = demand(journey, sale)
    peak = sum(per_kind.values())
    cores = {name: _cores(run.inference, name, per_kind) for name in (API, POSTGRES, VALKEY)}
    pods = max(_REPLICAS_MIN, math.ceil(cores[API] / (_POD_CORES * _FULLNESS)) + 1)
    memory = 0.0
    if run.memory is not None:
        per_seat = hot_seat_mib(run, run.memory, processes)
        each = memory_of_pod(run.memory, math.ceil(sale.users / pods), sale.seats, per_seat)
        memory = each * _MEMORY_HEADROOM * pods
    loads = _loads(run, journey, sale, per_kind, cores, pods, processes)
    tight = max((one for one in loads if one.share), key=lambda one: one.share or 0, default=None)
    return SaleForecast(
        sale=sale,
        peak_per_s=peak,
        per_kind_per_s=per_kind,
        pods=pods,
        cores=sum(cores.values()),
        memory_mib=memory,
        loads=loads,
        first_to_break=tight.component if tight is not None and (tight.share or 0) > 1 else None,
    )


def demand(journey: Scenario, sale: Sale) -> dict[str, float]:
    """Return the requests per second by kind at the peak of a sale.

    Each person does what a visitor of the measured journey did, except that no more holds can succeed
    than there are seats: the others' are refused.
    """
    routes = {one.what: one.count / journey.visits for one in journey.routes}
    arrivals = sale.users / sale.sell_out_s * PEAK_TO_MEAN
    seats_per_hold = max(1.0, journey.seats_taken / journey.acknowledged["holds"])
    holds = sale.seats / seats_per_hold / sale.sell_out_s * PEAK_TO_MEAN
    tries = arrivals * routes.get("hold", 0.0)
    paid = journey.acknowledged.get("payments", 0) / journey.acknowledged["holds"]
    released = journey.acknowledged.get("releases", 0) / journey.acknowledged["holds"]
    found = {
        "lookup": arrivals * (routes.get("concerts", 0.0) + routes.get("schedules", 0.0)),
        "seats": arrivals * routes.get("seats", 0.0),
        "hold": min(tries, holds),
        "refused": max(0.0, tries - holds),
        "pay": min(tries, holds) * paid,
        "release": min(tries, holds) * released,
    }
    return {kind: rate for kind, rate in found.items() if rate > 0}


def _cores(inference: Inference, component: str, per_kind: dict[str, float]) -> float:
    one = inference.fits[component]
    costs = one.per_request
    shared = one.per_transaction.high if one.per_transaction else 0.0
    writes = sum(per_kind.get(kind, 0.0) for kind in WRITES)
    return (
        one.idle.high
        + sum(rate * costs[kind].high for kind, rate in per_kind.items() if kind in costs)
        + writes * inference.transactions_per_write * shared
    )


def _loads(
    run: Run, journey: Scenario, sale: Sale, per_kind: dict[str, float], cores: dict[str, float],
    pods: int, processes: int,
) -> list[Load]:  # fmt: skip
    """Return what each part would have to do, against what this machine has of it."""
    here = float(run.environment.get("cores", "1"))
    most = float(run.environment.get("postgresql_max_connections", "0")) or None
    pool = pool_per_pod(busy_connections(run.scenarios, run.samples, processes))
    per_seat = journey.seats_bytes / journey.seats_total if journey.seats_total else 0.0
    seen_full = _share_of_full_maps(journey)
    traffic = per_kind.get("seats", 0.0) * per_seat * sale.seats * seen_full
    return [
        Load(component=API, needed=cores[API], available=None, unit="cores"),
        Load(component=POSTGRES, needed=cores[POSTGRES], available=here, unit="cores"),
        Load(
            component="connections", needed=float(pods * pool), available=most, unit="connections"
        ),
        # Valkey runs commands in one thread, however many cores there are.
        Load(component=VALKEY, needed=cores[VALKEY], available=1.0, unit="cores"),
        Load(component="wal", needed=_wal(run.inference, per_kind), available=None, unit="bytes"),
        Load(component="network", needed=traffic, available=_GIB_PER_S, unit="bytes"),
    ]


def _share_of_full_maps(journey: Scenario) -> float:
    """Return how many lookups of seats got a whole map; the others had it already (304)."""
    maps = next((one for one in journey.routes if one.what == "seats"), None)
    if maps is None or not maps.count:
        return 0.0
    return maps.codes.get("200", 0) / maps.count


def _wal(inference: Inference, per_kind: dict[str, float]) -> float:
    hold, pay = inference.wal_per_hold_bytes, inference.wal_per_pay_bytes
    return per_kind.get("hold", 0.0) * (hold.value if hold else 0.0) + per_kind.get("pay", 0.0) * (
        pay.value if pay else 0.0
    )
