"""Costs per request from a fit over windows of load: the utilisation law. Pure.

The law (Denning and Buzen, *The Operational Analysis of Queueing Network Models*, 1978) says that a
resource is busy for U = Σ Xᵢ·Dᵢ, the throughput of each kind of request times what one of it demands.
CPU, requests and time are measured; the demands are what is looked for, and none of them is negative.
"""

import math
from collections.abc import Callable, Sequence

from boxoffice_loadtest.model import API, KINDS, Estimate, Fit, Line, Window

Row = Sequence[float]
_SWEEPS_MAX = 2_000
_TOLERANCE = 1e-12
_PIVOT_MIN = 1e-9
# Student's t for 95 %, by degrees of freedom; above the last one it is the normal distribution's.
_T95 = (
    *(12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23),
    *(2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09),
    *(2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04),
)
# A kind with fewer requests than this has no cost of its own.
KIND_MIN = 30
_GROUPS_MAX = 20


def t95(freedom: int) -> float:
    """Return the factor of a 95 % interval, two-sided."""
    return _T95[freedom - 1] if 1 <= freedom <= len(_T95) else 1.96


def nonnegative(rows: Sequence[Row], targets: Sequence[float]) -> list[float]:
    """Return the x ≥ 0 that makes Σ(rows·x − targets)² least, by descent along one axis at a time.

    Franc, Hlaváč and Navara, *Sequential Coordinate-Wise Algorithm for the Non-negative Least Squares
    Problem*, 2005.
    """
    gram, linear, scales = _normal(rows, targets)
    return [x / scale for x, scale in zip(_descend(gram, linear), scales, strict=True)]


def unconstrained(rows: Sequence[Row], targets: Sequence[float]) -> list[float]:
    """Return the x of least squares, whatever its signs; a column of nothing gets 0."""
    gram, linear, scales = _normal(rows, targets)
    return [x / scale for x, scale in zip(_solve(gram, linear), scales, strict=True)]


def _normal(
    rows: Sequence[Row], targets: Sequence[float]
) -> tuple[list[list[float]], list[float], list[float]]:
    """Return the normal equations, and the lengths of the columns by which they are scaled."""
    size = len(rows[0]) if rows else 0
    # Columns of one length converge alike, whether they count seconds or thousands of requests.
    scales = [math.sqrt(sum(row[j] ** 2 for row in rows)) or 1.0 for j in range(size)]
    scaled = [[row[j] / scales[j] for j in range(size)] for row in rows]
    gram = [[sum(row[i] * row[j] for row in scaled) for j in range(size)] for i in range(size)]
    linear = [sum(row[j] * y for row, y in zip(scaled, targets, strict=True)) for j in range(size)]
    return gram, linear, scales


def _solve(gram: Sequence[Row], linear: Row) -> list[float]:
    """Solve by elimination; the columns have length 1, so a pivot near 0 is a column that repeats."""
    size = len(linear)
    table = [[*gram[i], linear[i]] for i in range(size)]
    for j in range(size):
        best = max(range(j, size), key=lambda i: abs(table[i][j]))
        table[j], table[best] = table[best], table[j]
        if abs(table[j][j]) < _PIVOT_MIN:
            continue
        for i in range(size):
            if i != j:
                share = table[i][j] / table[j][j]
                table[i] = [x - share * y for x, y in zip(table[i], table[j], strict=True)]
    return [
        table[j][size] / table[j][j] if abs(table[j][j]) >= _PIVOT_MIN else 0.0 for j in range(size)
    ]


def _descend(gram: Sequence[Row], linear: Row) -> list[float]:
    size = len(linear)
    found = [0.0] * size
    for _ in range(_SWEEPS_MAX):
        moved = 0.0
        for j in range(size):
            if gram[j][j] <= 0:
                continue
            slope = sum(gram[j][i] * found[i] for i in range(size)) - linear[j]
            step = max(0.0, found[j] - slope / gram[j][j]) - found[j]
            found[j] += step
            moved = max(moved, abs(step))
        if moved < _TOLERANCE * max(1e-12, *found):
            break
    return found


def jackknife(
    rows: Sequence[Row],
    targets: Sequence[float],
    statistic: Callable[[list[float]], Sequence[float]],
) -> list[Estimate]:
    """Return what `statistic` makes of the fit without negative costs, with 95 % intervals.

    The delete-a-group jackknife (Kott, *The Delete-a-Group Jackknife*, 2001): the fit is repeated
    without each group of windows in turn, and the scatter of the results tells how much they rest on
    single ones. Groups take every n-th window, so that each has some of every load. The intervals are
    those of the fit that may go below zero: of a cost that is held at zero the other one would say that
    it is known exactly.
    """
    best = statistic(nonnegative(rows, targets))
    groups = min(_GROUPS_MAX, len(rows))
    if groups < 3:
        return [Estimate(value=value, low=0.0, high=math.inf) for value in best]
    free = statistic(unconstrained(rows, targets))
    parts = []
    for group in range(groups):
        kept = [i for i in range(len(rows)) if i % groups != group]
        parts.append(statistic(unconstrained([rows[i] for i in kept], [targets[i] for i in kept])))
    widths = [_width([part[j] for part in parts]) for j in range(len(best))]
    return [
        Estimate(
            value=value,
            low=max(0.0, min(value, centre - width)),
            high=max(value, centre + width),
        )
        for value, centre, width in zip(best, free, widths, strict=True)
    ]


def _width(parts: Sequence[float]) -> float:
    count = len(parts)
    mean = sum(parts) / count
    error = math.sqrt((count - 1) / count * sum((part - mean) ** 2 for part in parts))
    return t95(count - 1) * error


def kinds_in(windows: Sequence[Window]) -> list[str]:
    """Return the kinds of request of which there are enough to have a cost."""
    return [
        kind for kind in KINDS if sum(window.counts.get(kind, 0) for window in windows) >= KIND_MIN
    ]


def design(
    windows: Sequence[Window], kinds: Sequence[str], component: str = API
) -> list[list[float]]:
    """Return one row per window: seconds, requests of each kind, transactions, and wake-ups.

    A group commit does the work of a transaction once for many requests, and an event loop that has
    much to do waits less often. Without columns of their own, the requests of a quiet minute would look
    dearer than those of a busy one. The wake-ups are the API's, so the others' column is empty.
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


def fit(component: str, windows: Sequence[Window], targets: Sequence[float] | None = None) -> Fit:
    """Fit one component's CPU (or what `targets` gives per window) to the requests."""
    kinds = kinds_in(windows)
    rows = design(windows, kinds, component)
    used = [one.cpu_s.get(component, 0.0) for one in windows] if targets is None else list(targets)
    found = jackknife(rows, used, list)
    return Fit(
        component=component,
        idle=found[0],
        per_request=dict(zip(kinds, found[1:-2], strict=True)),
        per_transaction=found[-2] if any(row[-2] for row in rows) else None,
        per_wakeup=found[-1] if any(row[-1] for row in rows) else None,
        windows=len(windows),
        error_share=_error_share(rows, used, [one.value for one in found]),
    )


def _error_share(rows: Sequence[Row], used: Sequence[float], found: Row) -> float:
    """Return how much of what was used the fit puts in the wrong window."""
    total = sum(used)
    if total <= 0:
        return 0.0
    misses = (
        abs(sum(a * b for a, b in zip(row, found, strict=True)) - y)
        for row, y in zip(rows, used, strict=True)
    )
    return sum(misses) / total


def cost_of(
    component: str, windows: Sequence[Window], mix: dict[str, float], transactions: float
) -> Estimate:
    """Return the CPU seconds of one request of a mix, in a process that has no time to wait.

    `mix` has shares that sum to one, `transactions` how many belong to one request. What a process does
    by itself is not in it, nor are wake-ups: at the end of its core there are hardly any.
    """
    kinds = kinds_in(windows)

    def price(found: list[float]) -> list[float]:
        requests = sum(mix.get(kind, 0.0) * x for kind, x in zip(kinds, found[1:-2], strict=True))
        return [requests + transactions * found[-2]]

    used = [one.cpu_s.get(component, 0.0) for one in windows]
    return jackknife(design(windows, kinds, component), used, price)[0]


def line(points: Sequence[tuple[float, float]]) -> Line | None:
    """Return the straight line of least squares, its slope with a 95 % interval.

    None where fewer than three different places were measured.
    """
    if len({x for x, _ in points}) < 3:
        return None
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    start = mean_y - slope * mean_x
    rest = sum((y - start - slope * x) ** 2 for x, y in points)
    width = t95(count - 2) * math.sqrt(rest / (count - 2) / spread)
    return Line(
        intercept=start, slope=slope, low=slope - width, high=slope + width, points=list(points)
    )
