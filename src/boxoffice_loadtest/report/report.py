"""The report: the same blocks as HTML and as Markdown. Pure."""

from collections.abc import Iterator

from boxoffice_loadtest.model import LoadTestRun
from boxoffice_loadtest.report import html, markdown
from boxoffice_loadtest.report.blocks import Block, Paragraph
from boxoffice_loadtest.report.sections import (
    capacity,
    deployment,
    findings,
    limits,
    resources,
    scenarios,
    summary,
)
from boxoffice_loadtest.report.texts import Texts, load


def blocks(run: LoadTestRun, t: Texts, before: LoadTestRun | None = None) -> Iterator[Block]:
    """Yield the whole report, in the order of reading."""
    yield from summary.overview(run, t)
    yield from summary.thresholds(run, t)
    yield from summary.baseline(run, before, t)
    yield from scenarios.scenarios(run, t)
    yield from capacity.steps(run, t)
    yield from resources.resources(run, t)
    yield from capacity.costs(run, t)
    yield from deployment.deployment(run, t)
    yield from deployment.sale(run, t)
    yield from deployment.prediction(run, t)
    yield from findings.findings(run, t)
    yield from limits.limits(run, t)
    yield Paragraph(t("footer"))


def as_html(run: LoadTestRun, lang: str, before: LoadTestRun | None = None) -> str:
    """Return the report as one HTML file."""
    t = load(lang)
    return html.render(blocks(run, t, before), t("title"), lang)


def as_markdown(run: LoadTestRun, lang: str, before: LoadTestRun | None = None) -> str:
    """Return the report as Markdown."""
    return markdown.render(blocks(run, load(lang), before))
