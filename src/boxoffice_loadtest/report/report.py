"""The report: the same blocks as HTML and as Markdown. Pure."""

from collections.abc import Iterator

from boxoffice_loadtest.model import Run
from boxoffice_loadtest.report import html, markdown
from boxoffice_loadtest.report.blocks import Block, Paragraph
from boxoffice_loadtest.report.sections import conclusions, summary
from boxoffice_loadtest.report.texts import Texts, load


def blocks(run: Run, t: Texts, before: Run | None = None) -> Iterator[Block]:
    """Yield the whole report, in the order of reading."""
    yield from summary.overview(run, t)
    yield from summary.results(run, t)
    yield from conclusions.baseline(run, before, t)
    yield from summary.scenarios(run, t)
    yield from conclusions.staircase(run, t)
    yield from summary.resources(run, t)
    yield from conclusions.costs(run, t)
    yield from conclusions.spec(run, t)
    yield from conclusions.sale(run, t)
    yield from conclusions.prediction(run, t)
    yield from summary.records(run, t)
    yield from conclusions.limits(run, t)
    yield Paragraph(t("footer"))


def as_html(run: Run, lang: str, before: Run | None = None) -> str:
    """Return the report as one HTML file."""
    t = load(lang)
    return html.render(blocks(run, t, before), t("title"), lang)


def as_markdown(run: Run, lang: str, before: Run | None = None) -> str:
    """Return the report as Markdown."""
    return markdown.render(blocks(run, load(lang), before))
