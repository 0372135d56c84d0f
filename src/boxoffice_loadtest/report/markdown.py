"""A report as Markdown. Pure."""

from collections.abc import Iterable

from boxoffice_loadtest.report import charts
from boxoffice_loadtest.report.blocks import (
    Block,
    Bullets,
    Chart,
    Contents,
    Heading,
    Paragraph,
    Table,
    Tiles,
    number,
)


def render(blocks: Iterable[Block]) -> str:
    """Return the whole file."""
    return "\n\n".join(text for text in map(_block, blocks) if text) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Paragraph):
        return f"**{block.text}**" if block.tone in ("good", "bad") else block.text
    if isinstance(block, Bullets):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Tiles):
        return "\n".join(
            f"- {one.name}: **{one.value}**{f' ({one.note})' if one.note else ''}"
            for one in block.items
        )
    if isinstance(block, Contents):
        return ""  # Renderers of Markdown make their own.
    return _table(block) if isinstance(block, Table) else _chart(block)


def _table(table: Table) -> str:
    rule = ["---:" if place in table.numeric else "---" for place in range(len(table.columns))]
    rows = [table.columns, rule, *table.rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in row) + " |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _chart(chart: Chart) -> str:
    lines = [f"{chart.title}:", ""]
    for one in chart.series:
        if one.points:
            top = number(max(y for _, y in one.points))
            lines.append(f"- {one.name}: `{charts.sparkline(one)}` max {top}")
    return "\n".join(lines) if len(lines) > 2 else ""
