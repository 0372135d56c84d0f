"""The page of the curves: for each its chart, law, limit and points, as Markdown. Pure."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files

import msgspec

from bench.curves import charts
from bench.curves.laws import CostLaw, CurvePoint, LawForm, balance, figure, fit, full_core, grown
from bench.curves.scenarios import HOLDS_PER_S

Points = Sequence[CurvePoint]
IMAGES = "images/costs"


class CurvePage(msgspec.Struct, frozen=True):
    """What is written about a curve, from `texts.toml`."""

    name: str
    title: str
    x_name: str
    variable: str
    form: LawForm
    limit: str
    why: str


class CurveTexts(msgspec.Struct, frozen=True):
    """The introduction and the curves in order."""

    intro: str
    pages: list[CurvePage]


def _batch_limit(points: Points, law: CostLaw) -> str:
    at = balance(law)
    if at is None:
        return (
            f"Up to {points[-1].x:.0f} commands a batch, no point where the law changes was found."
        )
    return (
        f"Below {at:.1f} commands a batch the transaction costs more than the hold itself; above "
        f"{10 * at:.0f} it is less than a tenth, and larger batches save little."
    )


def _worker_limit(points: Points, law: CostLaw) -> str:
    at = balance(law)
    if at is None:
        return f"Up to {points[-1].x:.0f} workers a hold costs no more than with one."
    return (
        f"Each further worker adds {law.slope:.0f} µs to every hold. On as many cores as workers, "
        f"PostgreSQL included, fewer than {figure(1e6 / law.slope)} holds per second are sold, however "
        f"many there are; {at:.1f} sell half."
    )


def _growth_limit(points: Points, law: CostLaw) -> str:
    at, first, last = grown(law, points[0].x), points[0], points[-1]
    share = last.total / first.total
    seen = f"At {last.x:,.0f} a hold costs {share:.2f} times as much as at {first.x:,.0f}."
    if at is None:
        return f"{seen} The law does not grow by a tenth."
    return f"{seen} By the law it costs a tenth more from {_about(at, points)}."


def _core_limit(points: Points, law: CostLaw) -> str:
    at = full_core(fit([(one.x, one.app) for one in points], law.form), HOLDS_PER_S)
    if at is None:
        return f"Up to {points[-1].x:,.0f} the cost does not grow."
    return (
        f"One worker at {HOLDS_PER_S:.0f} holds per second has a full core at {_about(at, points)}."
    )


def _about(at: float, points: Points) -> str:
    beyond = ", far beyond what was measured" if at > 2 * points[-1].x else ""
    return f"about {figure(at)}{beyond}"


_LIMITS = {
    "batch": _batch_limit,
    "workers": _worker_limit,
    "growth": _growth_limit,
    "core": _core_limit,
}


def texts() -> CurveTexts:
    """Return the texts of the page."""
    found = tomllib.loads((files(__package__) / "texts.toml").read_text(encoding="utf-8"))
    return msgspec.convert(found, CurveTexts)


def law_of(page: CurvePage, points: Points) -> CostLaw:
    """Return the law of all servers' CPU."""
    return fit([(one.x, one.total) for one in points], page.form)


def images(curves: Mapping[str, Points]) -> dict[str, str]:
    """Return the SVG files by name."""
    drawn = {}
    for page in texts().pages:
        points = curves[page.name]
        chart = charts.chart(page.title, page.x_name, points, law_of(page, points))
        drawn[f"{page.name}.svg"] = charts.image(chart)
    return drawn


def markdown(curves: Mapping[str, Points], about: Mapping[str, str]) -> str:
    """Return the page."""
    found = texts()
    lines = [
        "# Cost as work grows",
        "",
        found.intro.strip(),
        "",
        *(f"- {name}: {text}" for name, text in about.items()),
        "",
        "| size | law, µs per hold | error | where it breaks |",
        "|---|---|---:|---|",
        *(_summary(page, curves[page.name]) for page in found.pages),
    ]
    for page in found.pages:
        lines += ["", *_section(page, curves[page.name])]
    return "\n".join(lines) + "\n"


def _limit(page: CurvePage, points: Points, law: CostLaw) -> str:
    return _LIMITS[page.limit](points, law)


def _summary(page: CurvePage, points: Points) -> str:
    law = law_of(page, points)
    cells = (page.title, law.text(page.variable), f"{law.error:.0%}", _limit(page, points, law))
    return f"| {' | '.join(cells)} |"


def _section(page: CurvePage, points: Points) -> list[str]:
    law, first, last = law_of(page, points), points[0], points[-1]
    costs = f"{first.total:,.0f} to {last.total:,.0f} µs"
    seen = f"From {first.x:,.0f} to {last.x:,.0f} {page.x_name} a hold goes from {costs}."
    return [
        f"## {page.title}",
        "",
        page.why,
        "",
        f"![{seen}]({IMAGES}/{page.name}.svg)",
        "",
        f"{seen} {_limit(page, points, law)}",
        "",
        f"| {page.x_name} | application | PostgreSQL | Valkey | total µs | law |",
        "|---:|" + "---:|" * 5,
        *(_row(one, law) for one in points),
    ]


def _row(one: CurvePoint, law: CostLaw) -> str:
    size = f"{one.x:,.0f}" if one.x == int(one.x) else f"{one.x:,.1f}"
    costs = (one.app, one.postgres, one.valkey, one.total, law.at(one.x))
    return f"| {size} | {' | '.join(f'{cost:,.0f}' for cost in costs)} |"
