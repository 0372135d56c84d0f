"""The chart of a curve as a file of its own, for light and for dark pages. Pure."""

import math
from collections.abc import Sequence
from html import escape

from bench.curves.laws import CostLaw, CurvePoint
from boxoffice_loadtest.report import charts
from boxoffice_loadtest.report.blocks import Chart, Series

_STEPS = 60
# Above this x the axis is logarithmic.
_LOGARITHMIC_FROM = 100_000
# The colours of the lines are those of the load test's report, on white paper and on dark.
_STYLE = (
    "<style>"
    "svg{--ink:#1c2126;--soft:#59636e;--rule:#d5dade;--paper:#fff}"
    "text{font:12px system-ui,sans-serif;fill:var(--soft)}"
    ".paper{fill:var(--paper)}.grid{stroke:var(--rule)}.axis{stroke:var(--ink)}"
    "@media (prefers-color-scheme:dark){"
    "svg{--ink:#e8eaed;--soft:#a5aeb8;--rule:#3a424a;--paper:#14171a}"
    ".line-0{stroke:#56b4e9}.mark-0{fill:#56b4e9}.line-1{stroke:#ff8a4c}.mark-1{fill:#ff8a4c}"
    ".line-2{stroke:#35c796}.mark-2{fill:#35c796}.line-3{stroke:#e3a3c6}.mark-3{fill:#e3a3c6}"
    "}</style>"
)
_LEGEND_Y, _SIZE = 258, (640, 276)


def chart(title: str, x_name: str, points: Sequence[CurvePoint], law: CostLaw) -> Chart:
    """Return a chart of the points by server, and the line of the law."""
    low, high = points[0].x, points[-1].x
    by_server = [
        Series(name, [(one.x, getattr(one, server)) for one in points])
        for name, server in (("application", "app"), ("PostgreSQL", "postgres"))
    ]
    xs = [_between(low, high, step / _STEPS) for step in range(_STEPS + 1)]
    is_log = high > _LOGARITHMIC_FROM
    return Chart(
        title,
        f"{x_name} (logarithmic)" if is_log else x_name,
        [
            Series("law, µs of CPU per hold", [(x, law.at(x)) for x in xs]),
            Series("measured", [(one.x, one.total) for one in points], is_dots=True),
            *(one for one in by_server if any(y for _, y in one.points)),
        ],
        x_is_log=is_log,
    )


def _between(low: float, high: float, share: float) -> float:
    """Return an x that is evenly spaced on the axis of the chart."""
    if high <= _LOGARITHMIC_FROM:
        return low + (high - low) * share
    ratio: float = (1 + high) / (1 + low)
    return (1 + low) * math.pow(ratio, share) - 1


def image(drawn: Chart) -> str:
    """Return the chart with its legend as an SVG file, on white paper or on dark."""
    width, height = _SIZE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(drawn.title)}">{_STYLE}'
        f'<rect class="paper" width="{width}" height="{height}"/>'
        f'<svg width="{width}" height="250">{charts.svg(drawn)}</svg>'
        f'<g transform="translate(0 {_LEGEND_Y})">{charts.legend_row(drawn)}</g></svg>\n'
    )
