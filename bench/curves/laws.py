"""Laws of cost: two coefficients that are fitted to measured points, and where a law breaks. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import linear_regression, mean

import msgspec

# Beyond this share of the cost at the first point, a size counts as expensive.
TOLERATED_GROWTH = 0.1
_US_PER_S = 1_000_000.0


class CurvePoint(msgspec.Struct, frozen=True):
    """Microseconds of CPU per hold at `x`, of each server; `app` is 0 where only PostgreSQL works."""

    x: float
    app: float
    postgres: float
    valkey: float

    @property
    def total(self) -> float:
        """CPU of all servers."""
        return self.app + self.postgres + self.valkey


class LawForm(StrEnum):
    """What the cost grows with."""

    LINE = "line"
    LOGARITHM = "logarithm"
    INVERSE = "inverse"

    def term(self, x: float) -> float:
        """Return x, its binary logarithm (of 1 + x, so that 0 is allowed), or its inverse."""
        if self is LawForm.LINE:
            return x
        return math.log2(1 + x) if self is LawForm.LOGARITHM else 1 / x


@dataclass(frozen=True)
class CostLaw:
    """`fixed + slope · term(x)` in microseconds; `error` is the mean distance of the points (share)."""

    form: LawForm
    fixed: float
    slope: float
    error: float

    def at(self, x: float) -> float:
        """Return the cost at `x`."""
        return self.fixed + self.slope * self.form.term(x)

    def text(self, name: str) -> str:
        """Return the formula, with `name` for x."""
        slope = f"{'−' if self.slope < 0 else '+'} {figure(abs(self.slope))}"
        term = {
            LawForm.LINE: f"{slope} · {name}",
            LawForm.LOGARITHM: f"{slope} · log₂(1 + {name})",
            LawForm.INVERSE: f"{slope} / {name}",
        }[self.form]
        return f"{figure(self.fixed)} {term}"


def figure(value: float) -> str:
    """Return a number with three significant digits, without an exponent from 0.0001 on."""
    return f"{float(f'{value:.3g}'):,.10g}"


def fit(points: Sequence[tuple[float, float]], form: LawForm) -> CostLaw:
    """Return the least-squares law of a form; needs two different x."""
    terms, costs = [form.term(x) for x, _ in points], [cost for _, cost in points]
    slope, fixed = linear_regression(terms, costs)
    law = CostLaw(form, fixed, slope, 0.0)
    error = mean(abs(law.at(x) - cost) / cost for x, cost in points)
    return CostLaw(form, fixed, slope, error)


def balance(law: CostLaw) -> float | None:
    """Return the x at which both terms are equal: there the larger one changes; None without one."""
    if law.fixed <= 0 or law.slope <= 0:
        return None
    return law.slope / law.fixed if law.form is LawForm.INVERSE else law.fixed / law.slope


def grown(law: CostLaw, first: float) -> float | None:
    """Return the x from which a hold costs a tenth more than at `first`; None if it never does."""
    if law.slope <= 0 or law.form is LawForm.INVERSE:
        return None
    term = law.form.term(first) + TOLERATED_GROWTH * law.at(first) / law.slope
    if law.form is LawForm.LINE:
        return term
    return 2**term - 1 if term < math.log2(1e15) else None


def full_core(law: CostLaw, holds_per_s: float) -> float | None:
    """Return the x at which `holds_per_s` holds fill one core; None if none does."""
    if law.slope <= 0 or law.form is not LawForm.LINE:
        return None
    return max(0.0, (_US_PER_S / holds_per_s - law.fixed) / law.slope)
