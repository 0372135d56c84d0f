"""CPU per request from a fit over windows of load: the utilization law. Pure.

A resource is busy for U = Σ Xᵢ·Dᵢ: the throughput of each kind of request times the demand of one
(Denning and Buzen, *The Operational Analysis of Queueing Network Models*, 1978). CPU, requests and time
are measured; the demands are fitted and are not negative.
"""

from collections.abc import Sequence

from boxoffice_loadtest.analysis.least_squares import Row, dot, jackknife
from boxoffice_loadtest.model import API, KINDS, CostFit, Estimate, LoadWindow

# A kind with fewer requests has no cost of its own.
KIND_MIN = 30


def kinds_in(windows: Sequence[LoadWindow]) -> list[str]:
    """Return the kinds of request that are frequent enough to have a cost."""
    return [
        kind for kind in KINDS if sum(window.counts.get(kind, 0) for window in windows) >= KIND_MIN
    ]


def cpu_of(windows: Sequence[LoadWindow], component: str) -> list[float]:
    """Return the CPU seconds of a component in each window."""
    return [window.cpu_s.get(component, 0.0) for window in windows]


def design(
    windows: Sequence[LoadWindow], kinds: Sequence[str], component: str = API
) -> list[list[float]]:
    """Return one row per window: seconds, requests of each kind, transactions, and wake-ups.

    A transaction decides many requests, and a busy event loop wakes up less often. Without columns of
    their own, requests at low load would look more expensive. Wake-ups are known for the API only.
    """
    return [
        [
            one.seconds,
            *(float(one.counts.get(kind, 0)) for kind in kinds),
            one.transactions,
            one.wakeups if component == API else 0.0,
        ]
        for one in windows
    ]


def fit(
    component: str, windows: Sequence[LoadWindow], targets: Sequence[float] | None = None
) -> CostFit:
    """Fit one component's CPU, or `targets` per window, to the requests."""
    kinds = kinds_in(windows)
    rows = design(windows, kinds, component)
    used = cpu_of(windows, component) if targets is None else targets
    idle, *per_request, per_transaction, per_wakeup = jackknife(rows, used, list)
    return CostFit(
        component=component,
        idle=idle,
        per_request=dict(zip(kinds, per_request, strict=True)),
        per_transaction=per_transaction if any(one.transactions for one in windows) else None,
        per_wakeup=per_wakeup if any(row[-1] for row in rows) else None,
        windows=len(windows),
        error_share=_error_share(
            rows, used, [one.value for one in (idle, *per_request, per_transaction, per_wakeup)]
        ),
    )


def _error_share(rows: Sequence[Row], used: Row, costs: Row) -> float:
    """Return the share of the CPU that the fit puts in the wrong window."""
    total = sum(used)
    if total <= 0:
        return 0.0
    return sum(abs(dot(row, costs) - y) for row, y in zip(rows, used, strict=True)) / total


def cost_of_mix(
    component: str, windows: Sequence[LoadWindow], mix: dict[str, float], transactions: float
) -> Estimate:
    """Return the CPU seconds of one request of a mix, in a saturated process.

    The shares of `mix` sum to one; `transactions` is per request. Idle CPU is left out, and so are
    wake-ups, of which a saturated process has hardly any.
    """
    kinds = kinds_in(windows)

    def price(costs: list[float]) -> list[float]:
        return [mix_cost(mix, kinds, costs) + transactions * costs[-2]]

    [cost] = jackknife(design(windows, kinds, component), cpu_of(windows, component), price)
    return cost


def mix_cost(mix: dict[str, float], kinds: Sequence[str], costs: Sequence[float]) -> float:
    """Return the requests' own CPU of a mix, from the costs in the order of `design`."""
    return sum(mix.get(kind, 0.0) * x for kind, x in zip(kinds, costs[1:-2], strict=True))
