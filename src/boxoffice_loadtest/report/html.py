"""A report as one HTML file without scripts or external resources. Pure."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files

from boxoffice_loadtest.report import charts
from boxoffice_loadtest.report.blocks import Block, Bullets, Chart, Heading, Paragraph, Table

# A result must be readable without colour.
_SIGNS = {"good": "✓ ", "bad": "✗ "}


def render(blocks: Iterable[Block], title: str, lang: str) -> str:
    """Return the whole file."""
    style = (files("boxoffice_loadtest.report") / "templates" / "report.css").read_text(
        encoding="utf-8"
    )
    page = (files("boxoffice_loadtest.report") / "templates" / "report.html").read_text(
        encoding="utf-8"
    )
    body = "\n".join(_block(block) for block in blocks)
    return (
        page.replace("{{lang}}", escape(lang))
        .replace("{{title}}", escape(title))
        .replace("{{style}}", style)
        .replace("{{body}}", body)
    )


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        tone = f' class="{block.tone}"' if block.tone else ""
        return f"<p{tone}>{escape(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in block.items) + "</ul>"
    return _table(block) if isinstance(block, Table) else _chart(block)


def _table(table: Table) -> str:
    head = "".join(
        f"<th{_side(table, place)}>{escape(name)}</th>" for place, name in enumerate(table.columns)
    )
    rows = "".join(_row(table, place) for place in range(len(table.rows)))
    inner = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="table"><table>{inner}</table></div>'


def _row(table: Table, place: int) -> str:
    tone = table.tones[place] if place < len(table.tones) else ""
    cells = []
    for column, text in enumerate(table.rows[place]):
        attributes = _side(table, column)
        if column == table.outcome and tone:
            attributes = f' class="outcome {tone}"'
        sign = _SIGNS.get(tone, "") if column == table.outcome else ""
        name = escape(table.columns[column])
        cells.append(f'<td{attributes} data-name="{name}">{sign}{escape(text)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _side(table: Table, column: int) -> str:
    return ' class="number"' if column in table.numeric else ""


def _chart(chart: Chart) -> str:
    drawn = charts.svg(chart)
    if not drawn:
        return ""
    caption = f"<figcaption>{escape(chart.title)}</figcaption>"
    return f"<figure>{caption}{drawn}{charts.legend(chart)}</figure>"
