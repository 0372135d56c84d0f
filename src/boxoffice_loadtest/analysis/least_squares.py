"""Least squares for a handful of columns, in plain Python. Pure.

scipy would do the same for 216 MB and a second of import time; see decision 0010.
"""

import math
from collections.abc import Callable, Sequence
from statistics import linear_regression, mean

from boxoffice_loadtest.model import Estimate, LineFit

Row = Sequence[float]
Statistic = Callable[[list[float]], Sequence[float]]

_SWEEPS_MAX = 2_000
_TOLERANCE = 1e-12
_PIVOT_MIN = 1e-9
_GROUPS_MIN, _GROUPS_MAX = 3, 20
# Student's t for 95 %, two-sided, by degrees of freedom; above the last one, the normal distribution's.
_T95 = (
    *(12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23),
    *(2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09),
    *(2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04),
)


def t95(freedom: int) -> float:
    """Return the factor of a 95 % interval."""
    return _T95[freedom - 1] if 1 <= freedom <= len(_T95) else 1.96


def dot(one: Row, other: Row) -> float:
    """Return the scalar product."""
    return sum(x * y for x, y in zip(one, other, strict=True))


def nonnegative(rows: Sequence[Row], targets: Sequence[float]) -> list[float]:
    """Return the x ≥ 0 that minimizes Σ(rows·x − targets)².

    Coordinate descent: Franc, Hlaváč and Navara, *Sequential Coordinate-Wise Algorithm for the
    Non-negative Least Squares Problem*, 2005.
    """
    gram, linear, scales = _normal_equations(rows, targets)
    x = [0.0] * len(linear)
    for _ in range(_SWEEPS_MAX):
        moved = 0.0
        for j, row in enumerate(gram):
            if not row[j]:
                continue
            better = max(0.0, x[j] - (dot(row, x) - linear[j]) / row[j])
            moved = max(moved, abs(better - x[j]))
            x[j] = better
        if moved < _TOLERANCE * max(_TOLERANCE, *x):
            break
    return [value / scale for value, scale in zip(x, scales, strict=True)]


def unconstrained(rows: Sequence[Row], targets: Sequence[float]) -> list[float]:
    """Return the x of least squares with any signs; 0 for a column that others make up."""
    gram, linear, scales = _normal_equations(rows, targets)
    return [x / scale for x, scale in zip(_solve(gram, linear), scales, strict=True)]


def _normal_equations(
    rows: Sequence[Row], targets: Sequence[float]
) -> tuple[list[list[float]], list[float], list[float]]:
    """Return AᵀA and Aᵀy of columns scaled to length 1, and the lengths.

    Scaled columns converge alike, whether they count seconds or thousands of requests.
    """
    columns = list(zip(*rows, strict=True))
    scales = [math.hypot(*column) or 1.0 for column in columns]
    scaled = [[x / scale for x in column] for column, scale in zip(columns, scales, strict=True)]
    gram = [[dot(one, other) for other in scaled] for one in scaled]
    return gram, [dot(column, targets) for column in scaled], scales


def _solve(matrix: Sequence[Row], right: Row) -> list[float]:
    """Solve by Gauss-Jordan elimination; a column without a pivot is one that others make up."""
    table = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    solution = [0.0] * len(right)
    pivots: list[int] = []
    for j in range(len(right)):
        top = len(pivots)
        best = max(range(top, len(table)), key=lambda i: abs(table[i][j]))
        if abs(table[best][j]) < _PIVOT_MIN:
            continue
        table[top], table[best] = table[best], table[top]
        for i, row in enumerate(table):
            if i != top:
                factor = row[j] / table[top][j]
                table[i] = [x - factor * y for x, y in zip(row, table[top], strict=True)]
        pivots.append(j)
    for row, j in zip(table, pivots, strict=False):
        solution[j] = row[-1] / row[j]
    return solution


def jackknife(
    rows: Sequence[Row], targets: Sequence[float], statistic: Statistic
) -> list[Estimate]:
    """Return `statistic` of the non-negative fit, with 95 % intervals.

    The delete-a-group jackknife (Kott, *The Delete-a-Group Jackknife*, 2001) repeats the fit without
    each group in turn; a group takes every n-th row, so that each has some of every load. Intervals are
    those of the unconstrained fit: a value that the bound holds at 0 would look exactly known.
    """
    best = statistic(nonnegative(rows, targets))
    groups = min(_GROUPS_MAX, len(rows))
    if groups < _GROUPS_MIN:
        return [Estimate(value=value, low=0.0, high=math.inf) for value in best]
    centres = statistic(unconstrained(rows, targets))
    parts = []
    for group in range(groups):
        kept = [i for i in range(len(rows)) if i % groups != group]
        parts.append(statistic(unconstrained([rows[i] for i in kept], [targets[i] for i in kept])))
    widths = [_half_width(part) for part in zip(*parts, strict=True)]
    return [
        Estimate(
            value=value,
            low=max(0.0, min(value, centre - width)),
            high=max(value, centre + width),
        )
        for value, centre, width in zip(best, centres, widths, strict=True)
    ]


def _half_width(parts: Row) -> float:
    count, middle = len(parts), mean(parts)
    variance = (count - 1) / count * sum((part - middle) ** 2 for part in parts)
    return t95(count - 1) * math.sqrt(variance)


def line(points: Sequence[tuple[float, float]]) -> LineFit | None:
    """Return the least-squares line; None for fewer than three different x."""
    if len({x for x, _ in points}) < 3:
        return None
    xs, ys = zip(*points, strict=True)
    slope, intercept = linear_regression(xs, ys)
    spread = sum((x - mean(xs)) ** 2 for x in xs)
    residual = sum((y - intercept - slope * x) ** 2 for x, y in points)
    freedom = len(points) - 2
    width = t95(freedom) * math.sqrt(residual / freedom / spread)
    return LineFit(
        intercept=intercept,
        slope=slope,
        low=slope - width,
        high=slope + width,
        points=list(points),
    )
