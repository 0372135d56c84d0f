"""Line charts as SVG without scripts. Pure.

Colours are those of Okabe and Ito (*Color Universal Design*, 2008), which colour-blind people can
distinguish. Each line also has its own dash pattern and mark, for prints in grey.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape

from boxoffice_loadtest.report.blocks import Chart, Series, number

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 4", "12 4", "5 2 1 2")
_WIDTH, _HEIGHT = 640, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 40
_MARKS = 7
_SVG = "http://www.w3.org/2000/svg"  # a namespace, never fetched
_POINTS_MAX = 240
# About the width of a letter of the legend.
_LETTER = 6


def svg(chart: Chart) -> str:
    """Return the chart as an SVG element."""
    points = [point for one in chart.series for point in one.points]
    if not points:
        return ""
    scale = _Scale(points, is_log=chart.x_is_log)
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    parts = [
        f'<svg {size} role="img" xmlns="{_SVG}" aria-label="{escape(chart.title)}">',
        f"<title>{escape(chart.title)}</title>",
        *_grid(scale, chart.x_name),
        *(line for number_, one in enumerate(chart.series) for line in _line(scale, number_, one)),
        "</svg>",
    ]
    return "".join(parts)


def legend(chart: Chart) -> str:
    """Return the legend as HTML, with the dash and mark of each line."""
    if len(chart.series) < 2:
        return ""
    items = "".join(
        f'<li><svg viewBox="0 0 34 10" width="34" height="10" aria-hidden="true">'
        f"{_sample(number_, one)}</svg>{escape(one.name)}</li>"
        for number_, one in enumerate(chart.series)
    )
    return f'<ul class="legend">{items}</ul>'


def legend_row(chart: Chart) -> str:
    """Return the legend as an element of an SVG image, one line high."""
    items, x = [], _LEFT
    for number_, one in enumerate(chart.series):
        text = f'<text x="40" y="9">{escape(one.name)}</text>'
        items.append(f'<g transform="translate({x} 0)">{_sample(number_, one)}{text}</g>')
        x += 64 + _LETTER * len(one.name)
    return f"<g>{''.join(items)}</g>"


def _sample(number_: int, one: Series) -> str:
    stroke = "" if one.is_dots else f'<line x1="1" y1="5" x2="33" y2="5" {_style(number_)}/>'
    return stroke + _mark(number_, 17, 5)


class _Scale:
    """Maps values to coordinates."""

    def __init__(self, points: Sequence[tuple[float, float]], *, is_log: bool) -> None:
        self._low = min(x for x, _ in points)
        self._high = max(x for x, _ in points)
        self._is_log = is_log
        around = powers(self._low, self._high) if is_log else ticks(self._low, self._high)
        # No tick beyond the lines, so that they fill the width.
        self.x_ticks = [value for value in around if self._low <= value <= self._high] or around
        self.y_ticks = ticks(0.0, max(y for _, y in points) or 1.0)

    def x(self, value: float) -> float:
        low, at, high = (self._place(x) for x in (self._low, value, self._high))
        share = (at - low) / (high - low) if high > low else 0.5
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def _place(self, x: float) -> float:
        return math.log10(1 + x) if self._is_log else x

    def y(self, value: float) -> float:
        share = value / self.y_ticks[-1]
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def ticks(low: float, high: float) -> list[float]:
    """Return round values from at most `low` to at least `high`."""
    if high <= low:
        high = low + 1
    raw = (high - low) / 5
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(size * magnitude for size in (1, 2, 5, 10) if size * magnitude >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(count * step, 10) for count in range(first, last + 1)]


def powers(low: float, high: float) -> list[float]:
    """Return 0 if it is `low`, and the powers of ten from `low` to `high`."""
    exponents = range(math.ceil(math.log10(max(low, 1))), math.floor(math.log10(max(high, 1))) + 1)
    return [0.0] * (low == 0) + [float(10**exponent) for exponent in exponents]


def _grid(scale: _Scale, x_name: str) -> Iterator[str]:
    bottom = _HEIGHT - _BOTTOM
    for value in scale.y_ticks:
        y = scale.y(value)
        yield f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" class="grid"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_label(value)}</text>'
    for value in scale.x_ticks:
        x = scale.x(value)
        yield f'<line x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 4}" class="axis"/>'
        anchor = "end" if x > _WIDTH - _RIGHT - 12 else "middle"
        yield f'<text x="{x}" y="{bottom + 17}" text-anchor="{anchor}">{_label(value)}</text>'
    yield f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - _RIGHT}" y2="{bottom}" class="axis"/>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>'


def _label(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return number(value).rstrip("0").rstrip(".")


def _style(number_: int) -> str:
    dash = _DASHES[number_ % len(_DASHES)]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    colour = COLOURS[number_ % len(COLOURS)]
    # The class gives it another colour in the dark.
    of_line = f'class="line-{number_ % len(COLOURS)}" stroke="{colour}"'
    return f'{of_line} stroke-width="2" fill="none" stroke-linejoin="round"{dashes}'


def _line(scale: _Scale, number_: int, one: Series) -> Iterator[str]:
    shown = thinned(one.points)
    at = [(scale.x(x), scale.y(y)) for x, y in shown]
    if not one.is_dots and len(at) > 1:
        path = "L".join(f"{x} {y}" for x, y in at)
        yield f'<path d="M{path}" {_style(number_)}/>'
    if one.is_dots:
        marked = at
    else:
        # A few marks per line, shifted against those of the others.
        every = max(1, len(at) // _MARKS)
        marked = at[(number_ * every // 3) % every :: every]
    for x, y in marked:
        yield _mark(number_, x, y)


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most 240 points; the highest of each group, so that no peak is lost."""
    if len(points) <= _POINTS_MAX:
        return list(points)
    size = math.ceil(len(points) / _POINTS_MAX)
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [max(group, key=lambda point: point[1]) for group in groups]


def _mark(number_: int, x: float, y: float) -> str:
    place = number_ % len(COLOURS)
    filled = f'class="mark-{place}" fill="{COLOURS[place]}"'
    shape = number_ % 4
    if shape == 0:
        return f'<circle cx="{x}" cy="{y}" r="3.2" {filled}/>'
    if shape == 1:
        return f'<rect x="{x - 3}" y="{y - 3}" width="6" height="6" {filled}/>'
    if shape == 2:
        return f'<path d="M{x} {y - 4}l4 7h-8z" {filled}/>'
    return f'<path d="M{x} {y - 4}l4 4-4 4-4-4z" {filled}/>'


def sparkline(one: Series) -> str:
    """Return a line as text, for Markdown."""
    bars = "▁▂▃▄▅▆▇█"
    values = [y for _, y in one.points]
    if not values:
        return ""
    size = math.ceil(len(values) / 40)
    values = [max(values[start : start + size]) for start in range(0, len(values), size)]
    top = max(values) or 1.0
    return "".join(bars[min(7, int(8 * value / top))] for value in values)
