"""Summary, environment, thresholds, and the comparison with an earlier run. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from boxoffice_loadtest.analysis import windows
from boxoffice_loadtest.model import FAIL, GENERATOR, NOTE, LoadTestRun, ThresholdResult
from boxoffice_loadtest.report.blocks import (
    Block,
    Chart,
    Contents,
    Heading,
    Paragraph,
    Table,
    Tile,
    Tiles,
    number,
    percent,
    shown,
)
from boxoffice_loadtest.report.sections import capacity, resources, scenarios
from boxoffice_loadtest.report.texts import Texts

_TONES = {"PASS": "good", "FAIL": "bad", "NOTE": "note"}
_US = 1e6
# Thresholds whose figures are on the first page.
_HEADLINES = (
    "throughput",
    "reliability",
    "latency.onsale",
    "oversell",
    "audit",
    "prediction",
)


def overview(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the result, what the test did, and its environment."""
    yield Heading(1, t("title"))
    failed = sum(one.outcome == FAIL for one in run.thresholds)
    if run.stopped is not None:
        yield Paragraph(t("partial", reason=stop_reason(run.stopped, t)), "bad")
    if failed:
        total = sum(one.outcome != NOTE for one in run.thresholds)
        yield Paragraph(t("failed", count=failed, total=total), "bad")
    elif run.stopped is None:
        yield Paragraph(t("passed"), "good")
    yield from _headline(run, t)
    yield Contents(t("contents"))
    yield Heading(2, t("section.overview"))
    yield Paragraph(t("overview.text"))
    if run.is_quick:
        yield Paragraph(t("overview.quick"), "note")
    yield Table([t("col.what"), t("col.value")], [[a, b] for a, b in environment(run, t)])


def _headline(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the figures and the three charts that matter."""
    tiles = [
        Tile(metric(one, t), _short(one), f"{t('col.target')}: {one.target}", _TONES[one.outcome])
        for one in run.thresholds
        if one.metric.partition(".")[0] in _HEADLINES or one.metric in _HEADLINES
    ]
    if tiles:
        yield Tiles(tiles)
    yield from (replace(chart, is_headline=True) for chart in _three_charts(run, t))


def _three_charts(run: LoadTestRun, t: Texts) -> Iterator[Chart]:
    found = capacity.steps_of(run)
    if found:
        yield from capacity.step_charts(found, t)
    else:
        yield from scenarios.busiest(run, t)
    yield from resources.core_chart(run, t)


def _short(one: ThresholdResult) -> str:
    """Return the percentile that has the bound, of a latency; else what was measured."""
    parts = one.measured.split(" · ")
    if len(parts) == 1:
        return one.measured
    unit = parts[-1].rpartition(" ")[2]
    return next((f"{part} {unit}" for part in parts if part.startswith("p95 ")), one.measured)


def stop_reason(stopped: str, t: Texts) -> str:
    """Return why a run was stopped, translated if there is a text for it."""
    return t(f"stopped.{stopped}") if t.has(f"stopped.{stopped}") else stopped


def environment(run: LoadTestRun, t: Texts) -> Iterator[tuple[str, str]]:
    """Yield the facts about the environment."""
    env = run.environment
    target = run.target
    if target == "embedded":
        target = t("env.embedded", workers=env.get("workers", "?"))
    yield t("env.when"), run.started_at
    yield t("env.command"), run.command
    yield t("env.took"), t("seconds", value=number(run.seconds, 0))
    yield t("env.target"), target
    yield t("env.machine"), env.get("machine", "?")
    yield t("env.system"), env.get("system", "?")
    yield t("env.generator"), _generator(run, t)
    if "postgresql_version" in env:
        note = t(
            "env.database_note",
            version=env["postgresql_version"],
            fsync=env["postgresql_fsync"],
            commit=env["postgresql_synchronous_commit"],
            buffers=env["postgresql_shared_buffers"],
        )
        yield t("env.database"), note
    yield t("env.load"), env.get("load", "?")


def _generator(run: LoadTestRun, t: Texts) -> str:
    name = run.environment.get("generator", "k6")
    peak = max((windows.cores_of(one, GENERATOR) for one in run.samples), default=0.0)
    if run.target != "embedded" or not peak:
        return t("env.generator_elsewhere", name=name)
    cores = float(run.environment.get("cores", "1"))
    return t("env.generator_note", name=name, share=percent(peak / cores))


def thresholds(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the measured values against their bounds."""
    yield Heading(2, t("section.thresholds"))
    columns = [t(f"col.{name}") for name in ("metric", "measured", "target", "outcome", "remark")]
    rows = [
        [
            metric(one, t),
            one.measured,
            one.target,
            t(f"outcome.{one.outcome}"),
            t(f"remark.{one.remark}", **shown(one.details)),
        ]
        for one in run.thresholds
    ]
    yield Table(columns, rows, outcome=3, tones=[_TONES[one.outcome] for one in run.thresholds])


def metric(one: ThresholdResult, t: Texts) -> str:
    """Return the name of a threshold."""
    name, _, scenario = one.metric.partition(".")
    if scenario:
        return t(f"metric.{name}", scenario=t(f"scenario.{scenario}"))
    return t(f"metric.{name}")


def baseline(run: LoadTestRun, before: LoadTestRun | None, t: Texts) -> Iterator[Block]:
    """Compare with an earlier run."""
    if before is None:
        return
    yield Heading(2, t("section.baseline"))
    yield Paragraph(t("baseline.text", when=before.started_at))
    columns = [t(f"col.{name}") for name in ("what", "before", "now", "change")]
    rows = [
        _change(name, was, now)
        for name, was, now in _compared(run, before, t)
        if was is not None or now is not None
    ]
    yield Table(columns, rows, frozenset({1, 2, 3}))


Compared = tuple[str, float | None, float | None]


def _compared(run: LoadTestRun, before: LoadTestRun, t: Texts) -> Iterator[Compared]:
    yield t("baseline.reliability"), _failures(before), _failures(run)
    yield t("baseline.knee"), _knee(before), _knee(run)
    yield t("baseline.cost"), _cost_us(before), _cost_us(run)
    earlier = {(s.name, r.request): r.p95_ms for s in before.scenarios for r in s.requests}
    for scenario in run.scenarios:
        name = t(f"scenario.{scenario.name}")
        for one in scenario.requests:
            was = earlier.get((scenario.name, one.request))
            if was is not None:
                text = t("baseline.scenario_p95", scenario=name, request=one.request)
                yield text, was, one.p95_ms


def _failures(run: LoadTestRun) -> float:
    return float(sum(one.failures for one in run.scenarios))


def _knee(run: LoadTestRun) -> float | None:
    return run.analysis.knee.sustained_per_s if run.analysis.knee else None


def _cost_us(run: LoadTestRun) -> float | None:
    return run.analysis.cost_of_mix_s.value * _US if run.analysis.cost_of_mix_s else None


def _change(name: str, was: float | None, now: float | None) -> list[str]:
    both = ["–" if one is None else number(one) for one in (was, now)]
    change = "–" if was is None or now is None or not was else f"{100 * (now / was - 1):+.0f} %"
    return [name, *both, change]
