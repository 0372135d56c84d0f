"""A report as one HTML file without scripts or external resources. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files

from boxoffice_loadtest.report import charts
from boxoffice_loadtest.report.blocks import (
    Block,
    Bullets,
    Chart,
    Contents,
    Heading,
    Paragraph,
    Table,
    Tile,
    Tiles,
)

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
    found = list(blocks)
    places = _places(found)
    body = "\n".join(_body(found, places))
    return (
        page.replace("{{lang}}", escape(lang))
        .replace("{{title}}", escape(title))
        .replace("{{style}}", style)
        .replace("{{body}}", body)
    )


def _body(blocks: Sequence[Block], places: Mapping[str, str]) -> Iterator[str]:
    """Yield the blocks; a print sets the parts of a section, with headings of level 3, in columns."""
    is_open = False
    for block in blocks:
        if isinstance(block, Heading):
            is_part = block.level > 2
            if is_open:
                yield "</section>" if is_part else "</section></div>"
            if is_part:
                yield (
                    '<section class="part">'
                    if is_open
                    else '<div class="parts"><section class="part">'
                )
            is_open = is_part
        yield _block(block, places)
    if is_open:
        yield "</section></div>"


def _places(blocks: Iterable[Block]) -> dict[str, str]:
    """Return the anchor of each section by its title."""
    titles = [one.text for one in blocks if isinstance(one, Heading) and one.level == 2]
    return {title: f"section-{number_}" for number_, title in enumerate(titles, 1)}


def _block(block: Block, places: Mapping[str, str]) -> str:
    if isinstance(block, Heading):
        text = f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        return f'<a id="{places[block.text]}"></a>{text}' if block.level == 2 else text
    if isinstance(block, Contents):
        return _contents(block, places)
    if isinstance(block, Tiles):
        return f'<dl class="tiles">{"".join(map(_tile, block.items))}</dl>'
    return _plain(block)


def _contents(block: Contents, places: Mapping[str, str]) -> str:
    links = "".join(
        f'<li><a href="#{place}">{escape(title)}</a></li>' for title, place in places.items()
    )
    return f'<nav aria-label="{escape(block.title)}"><ol>{links}</ol></nav>'


def _tile(one: Tile) -> str:
    sign = _SIGNS.get(one.tone, "")
    note = f'<dd class="small">{escape(one.note)}</dd>' if one.note else ""
    return (
        f'<div class="tile {one.tone}"><dt>{escape(one.name)}</dt>'
        f"<dd>{sign}{escape(one.value)}</dd>{note}</div>"
    )


def _plain(block: Paragraph | Bullets | Table | Chart) -> str:
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
    detail = " detail" if table.is_detail else " narrow" if len(table.columns) == 2 else ""
    return f'<div class="table{detail}"><table>{inner}</table></div>'


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
    kind = "headline" if chart.is_headline else "detail" if chart.is_detail else ""
    attribute = f' class="{kind}"' if kind else ""
    return f"<figure{attribute}>{caption}{drawn}{charts.legend(chart)}</figure>"
