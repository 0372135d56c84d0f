"""What happened in each scenario. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from boxoffice_loadtest.analysis import least_squares, windows
from boxoffice_loadtest.measurement.client_log import REJECTIONS
from boxoffice_loadtest.model import SOAK, LoadTestRun, ScenarioResult
from boxoffice_loadtest.report.blocks import (
    Block,
    Bullets,
    Chart,
    Heading,
    Paragraph,
    Series,
    Table,
    number,
    percent,
    shown,
)
from boxoffice_loadtest.report.sections.resources import COMPONENTS
from boxoffice_loadtest.report.texts import Texts


def scenarios(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show each scenario: what it does, what happened and why."""
    yield Heading(2, t("section.scenarios"))
    for one in run.scenarios:
        yield Heading(3, t(f"scenario.{one.name}"))
        yield Paragraph(t(f"about.{one.name}"))
        yield Bullets([*facts(one, t), *_memory_growth(one, run, t)])
        yield _requests(one, t)
        yield _codes(one, t)
        yield from (replace(chart, is_detail=True) for chart in _timeline(one, t))


def busiest(run: LoadTestRun, t: Texts) -> Iterator[Chart]:
    """Draw throughput and latency of the scenario with the most answers."""
    if run.scenarios:
        one = max(run.scenarios, key=lambda found: found.answers)
        yield from list(_timeline(one, t))[:2]


def facts(one: ScenarioResult, t: Texts) -> Iterator[str]:
    """Yield sentences that say what happened."""
    yield t(
        "fact.iterations", iterations=number(one.iterations, 0), seconds=number(one.seconds, 1),
        dropped=number(one.dropped_iterations, 0), answers=number(one.answers, 0),
        failures=one.failures,
    )  # fmt: skip
    if one.acknowledged.get("holds"):
        yield t("fact.done", **shown(one.acknowledged))
        yield _seats(one, t)
    holds = one.request("hold")
    if holds is not None and holds.rejections:
        share = percent(holds.rejections / holds.count, 1)
        yield t("fact.refused", percent=share, holds=number(holds.count, 0))
    yield from _batches(one, t)
    maps = one.request("seats")
    if maps is not None and maps.codes.get("304"):
        yield t("fact.not_modified", percent=percent(maps.codes["304"] / maps.count))
    if one.failures:
        yield t("fact.failures", codes=", ".join(_failing_codes(one)))
    failed = [name for name, is_met in one.k6_thresholds.items() if not is_met]
    if failed:
        yield t("fact.k6_thresholds", names=", ".join(failed))


def _memory_growth(one: ScenarioResult, run: LoadTestRun, t: Texts) -> Iterator[str]:
    """Say whether memory grows during a soak; the first tenth is left out, while caches fill."""
    if one.name != SOAK:
        return
    from_s = one.started_s + one.seconds / 10
    samples = windows.within(run.samples, from_s, one.started_s + one.seconds)
    for name in COMPONENTS:
        points = [(sample.at_s, windows.memory_of(sample, name)) for sample in samples]
        grown = least_squares.line(points) if any(mib for _, mib in points) else None
        if grown is not None:
            low, slope, high = (number(3600 * x, 1) for x in (grown.low, grown.slope, grown.high))
            component = t(f"component.{name}")
            yield t("fact.growth", component=component, mib=slope, low=low, high=high)


def _seats(one: ScenarioResult, t: Texts) -> str:
    total = number(one.seats_total, 0)
    if one.sold_out_s is not None:
        return t("fact.sold_out", total=total, at=number(one.sold_out_s, 1))
    left = number(one.seats_total - one.seats_taken, 0)
    return t("fact.left", taken=number(one.seats_taken, 0), total=total, left=left)


def _batches(one: ScenarioResult, t: Texts) -> Iterator[str]:
    commands, batches = one.batch_sum("commands_sum"), one.batch_sum("commands_count")
    if batches:
        yield t(
            "fact.batches", commands=number(commands, 0), batches=number(batches, 0),
            mean=number(commands / batches, 1),
        )  # fmt: skip


def _failing_codes(one: ScenarioResult) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for request in one.requests:
        for code, count in request.codes.items():
            status = int(code.split()[0])
            if not (200 <= status < 400 or status in REJECTIONS):
                counts[code] += count
    yield from (f"{code} × {count}" for code, count in counts.most_common())


def _requests(one: ScenarioResult, t: Texts) -> Table:
    columns = [t(f"col.{name}") for name in ("request", "count", "failures", "rejections")]
    columns += ["p50 ms", "p95 ms", "p99 ms", "max ms"]
    rows = [
        [
            found.request,
            number(found.count, 0),
            number(found.failures, 0),
            number(found.rejections, 0),
            *(number(ms, 1) for ms in (found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms)),
        ]
        for found in one.requests
    ]
    return Table(columns, rows, numeric=frozenset(range(1, 8)))


def _codes(one: ScenarioResult, t: Texts) -> Table:
    counts: Counter[str] = Counter()
    for request in one.requests:
        counts.update(request.codes)
    rows = [[code, number(count, 0), meaning(code, t)] for code, count in counts.most_common()]
    columns = [t("col.code"), t("col.count"), t("col.meaning")]
    return Table(columns, rows, numeric=frozenset({1}), is_detail=True)


def meaning(code: str, t: Texts) -> str:
    """Return what a status means."""
    key = f"code.{code.split(maxsplit=1)[0]}"
    return t(key) if t.has(key) else t("code.other")


def _timeline(one: ScenarioResult, t: Texts) -> Iterator[Chart]:
    if len(one.timeline) < 2:
        return

    def series(key: str, field: str) -> Series:
        points = [(float(s.at_s), float(getattr(s, field))) for s in one.timeline]
        return Series(t(f"series.{key}"), points)

    optional = (series("refused", "rejections"), series("failed", "failures"))
    lines = [series("answered", "answers"), *(s for s in optional if any(y for _, y in s.points))]
    yield Chart(t("chart.throughput"), t("chart.seconds"), lines)
    latency = [series("p50", "p50_ms"), series("p95", "p95_ms")]
    yield Chart(t("chart.latency"), t("chart.seconds"), latency)
    if one.seats_taken and not one.steps:
        yield Chart(t("chart.seats"), t("chart.seconds"), [series("taken", "seats_taken")])
