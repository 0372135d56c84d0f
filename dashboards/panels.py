"""From a description of rows and panels to a dashboard of Grafana."""

from collections.abc import Sequence
from itertools import count
from string import ascii_uppercase
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    LegendDisplayMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

_DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH = 24
_HEIGHT = 8
_STAT_HEIGHT = 4


class Line(NamedTuple):
    """An expression of PromQL, and the legend of each of its series."""

    expression: str
    legend: str = ""


class Chart(NamedTuple):
    """Lines over time; `unit` as Grafana names units. `description` says what to see in it."""

    title: str
    unit: str
    lines: Sequence[Line]
    description: str


class Tile(NamedTuple):
    """The newest value of an expression, red from `bad_from` on."""

    title: str
    unit: str
    expression: str
    bad_from: float
    description: str


class Row(NamedTuple):
    """A row of charts or tiles under a heading."""

    title: str
    panels: Sequence[Chart | Tile]


class Board(NamedTuple):
    """A dashboard; `name` is that of its file and its uid."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]


def encoded(board: Board) -> str:
    """Return the JSON of a dashboard, as Grafana imports it."""
    text: str = JSONEncoder(sort_keys=True, indent=2).encode(_dashboard(board).build())
    return text + "\n"


def _dashboard(board: Board) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.name)
        .description(board.description)
        .tags(["boxoffice"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
    )
    numbers = count(1)
    for row in board.rows:
        made.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            shown = _tile(panel) if isinstance(panel, Tile) else _chart(panel)
            shown.id(next(numbers)).datasource(_DATA_SOURCE).span(_span(row))
            made.with_panel(shown)
    return made


def _span(row: Row) -> int:
    """Return the width of the panels of a row: up to four are side by side, more in threes."""
    return _WIDTH // (len(row.panels) if len(row.panels) <= 4 else 3)


def _chart(chart: Chart) -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST)
    panel = (
        timeseries.Panel()
        .title(chart.title)
        .description(chart.description)
        .unit(chart.unit)
        .min(0)
        .line_width(1)
        .fill_opacity(8)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .height(_HEIGHT)
    )
    for ref, line in zip(ascii_uppercase, chart.lines, strict=False):
        panel.with_target(_query(ref, line))
    return panel


def _tile(tile: Tile) -> stat.Panel:
    steps = [Threshold(color="green", value=None), Threshold(color="red", value=tile.bad_from)]
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    return (
        stat.Panel()
        .title(tile.title)
        .description(tile.description)
        .unit(tile.unit)
        .thresholds(thresholds)
        .color_mode(BigValueColorMode.BACKGROUND)
        .height(_STAT_HEIGHT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_query("A", Line(tile.expression)))
    )


def _query(ref: str, line: Line) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(ref).expr(line.expression)
    return query.legend_format(line.legend or "__auto")


def expressions(encoded_board: Any) -> list[str]:
    """Return every expression of a decoded dashboard."""
    if isinstance(encoded_board, dict):
        own = [encoded_board["expr"]] if isinstance(encoded_board.get("expr"), str) else []
        return own + [one for value in encoded_board.values() for one in expressions(value)]
    if isinstance(encoded_board, list):
        return [one for value in encoded_board for one in expressions(value)]
    return []
