"""What happened: overview, results, scenarios, resources and records, as blocks. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from boxoffice_loadtest.analysis import aggregation, costs
from boxoffice_loadtest.measurement.client_log import REJECTIONS
from boxoffice_loadtest.model import GENERATOR, Run, Sample, Scenario, Verdict
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
from boxoffice_loadtest.report.texts import Texts

_TONES = {"PASS": "good", "FAIL": "bad", "NOTE": "note"}
_SHOWN = ("api", "postgres", "valkey", "generator", "sweep", "relay", "harness")
_CHARTED = ("api", "postgres", "valkey", "generator")


def overview(run: Run, t: Texts) -> Iterator[Block]:
    """Say how it ended, what was done, and on what."""
    yield Heading(1, t("title"))
    failed = sum(one.outcome == "FAIL" for one in run.verdicts)
    counted = sum(one.outcome != "NOTE" for one in run.verdicts)
    if run.stopped is not None:
        yield Paragraph(t("partial", reason=reason(run.stopped, t)), "bad")
    if failed:
        yield Paragraph(t("failed", count=failed, total=counted), "bad")
    elif run.stopped is None:
        yield Paragraph(t("passed"), "good")
    yield Heading(2, t("section.overview"))
    yield Paragraph(t("overview.text"))
    if run.is_quick:
        yield Paragraph(t("overview.quick"), "note")
    yield Table([t("col.what"), t("col.value")], [[a, b] for a, b in environment(run, t)])


def reason(stopped: str, t: Texts) -> str:
    """Return why a run was stopped, in the report's language where there is a text for it."""
    return t(f"reason.{stopped}") if t.has(f"reason.{stopped}") else stopped


def environment(run: Run, t: Texts) -> Iterator[tuple[str, str]]:
    """Yield what is known of where it ran."""
    env = run.environment
    yield t("env.when"), run.started_at
    yield t("env.command"), run.command
    yield t("env.took"), t("seconds", value=number(run.seconds, 0))
    target = run.target
    if target == "embedded":
        target = t("env.embedded", workers=env.get("workers", "?"))
    yield t("env.target"), target
    yield t("env.machine"), env.get("machine", "?")
    yield t("env.system"), env.get("system", "?")
    yield t("env.generator"), _generator(run, t)
    if "postgresql_version" in env:
        yield (
            t("env.database"),
            t(
                "env.database_note",
                version=env["postgresql_version"],
                fsync=env["postgresql_fsync"],
                commit=env["postgresql_synchronous_commit"],
                buffers=env["postgresql_shared_buffers"],
            ),
        )
    yield t("env.load"), env.get("load", "?")


def _generator(run: Run, t: Texts) -> str:
    name = run.environment.get("generator", "k6")
    peak = max((aggregation.cores_of(one, GENERATOR) for one in run.samples), default=0.0)
    if run.target != "embedded" or not peak:
        return t("env.generator_elsewhere", name=name)
    cores = float(run.environment.get("cores", "1"))
    return t("env.generator_note", name=name, share=percent(peak / cores))


def results(run: Run, t: Texts) -> Iterator[Block]:
    """Show what was measured against what was wanted."""
    yield Heading(2, t("section.results"))
    columns = [t(f"col.{name}") for name in ("metric", "measured", "target", "outcome", "remark")]
    rows = [
        [
            metric(one, t),
            one.measured,
            one.target,
            t(f"outcome.{one.outcome}"),
            t(f"remark.{one.remark}", **shown(one.details)),
        ]
        for one in run.verdicts
    ]
    yield Table(columns, rows, outcome=3, tones=[_TONES[one.outcome] for one in run.verdicts])


def metric(one: Verdict, t: Texts) -> str:
    """Return the name of what a line of the table is about."""
    name, _, scenario = one.metric.partition(".")
    if scenario:
        return t(f"metric.{name}", scenario=t(f"scenario.{scenario}"))
    return t(f"metric.{name}")


def scenarios(run: Run, t: Texts) -> Iterator[Block]:
    """Show each scenario: what it is, what happened and why."""
    yield Heading(2, t("section.scenarios"))
    for one in run.scenarios:
        yield Heading(3, t(f"scenario.{one.name}"))
        yield Paragraph(t(f"about.{one.name}"))
        yield Bullets([*why(one, t), *_growth(one, run, t)])
        yield _routes(one, t)
        yield _codes(one, t)
        yield from _over_time(one, t)


def why(one: Scenario, t: Texts) -> Iterator[str]:
    """Yield sentences that say what happened in a scenario."""
    yield t(
        "why.visits", visits=number(one.visits, 0), seconds=number(one.seconds, 1),
        dropped=number(one.dropped, 0), answers=number(one.answers, 0), failures=one.failures,
    )  # fmt: skip
    if one.acknowledged.get("holds"):
        yield t("why.done", **shown(one.acknowledged))
        yield _seats(one, t)
    holds = next((route for route in one.routes if route.what == "hold"), None)
    if holds is not None and holds.rejections:
        share = percent(holds.rejections / holds.count, 1)
        yield t("why.refused", percent=share, holds=number(holds.count, 0))
    yield from _batches(one, t)
    maps = next((route for route in one.routes if route.what == "seats"), None)
    if maps is not None and maps.codes.get("304"):
        yield t("why.not_modified", percent=percent(maps.codes["304"] / maps.count))
    if one.failures:
        yield t("why.failures", codes=", ".join(_failing(one)))
    broken = [name for name, holds_ in one.thresholds.items() if not holds_]
    if broken:
        yield t("why.thresholds", names=", ".join(broken))


def _growth(one: Scenario, run: Run, t: Texts) -> Iterator[str]:
    """Say what a soak is for: whether the memory of a component goes on growing.

    The first tenth is left out: caches fill.
    """
    if one.name != aggregation.SOAK:
        return
    from_s = one.started_s + one.seconds / 10
    samples = aggregation.within(run.samples, from_s, one.started_s + one.seconds)
    for name in _SHOWN:
        points = [(sample.at_s, aggregation.memory_of(sample, name)) for sample in samples]
        grown = costs.line(points) if any(mib for _, mib in points) else None
        if grown is not None:
            low, slope, high = (number(3600 * x, 1) for x in (grown.low, grown.slope, grown.high))
            yield t("why.growth", what=t(f"component.{name}"), mib=slope, low=low, high=high)


def _seats(one: Scenario, t: Texts) -> str:
    total = number(one.seats_total, 0)
    if one.sold_out_s is not None:
        return t("why.sold_out", total=total, at=number(one.sold_out_s, 1))
    left = number(one.seats_total - one.seats_taken, 0)
    return t("why.left", taken=number(one.seats_taken, 0), total=total, left=left)


def _batches(one: Scenario, t: Texts) -> Iterator[str]:
    commands = sum(v for k, v in one.batches.items() if k.startswith("commands_sum."))
    batches = sum(v for k, v in one.batches.items() if k.startswith("commands_count."))
    if batches:
        yield t(
            "why.batches", commands=number(commands, 0), batches=number(batches, 0),
            mean=number(commands / batches, 1),
        )  # fmt: skip


def _failing(one: Scenario) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for route in one.routes:
        for code, count in route.codes.items():
            status = int(code.split()[0])
            if not (200 <= status < 400 or status in REJECTIONS):
                counts[code] += count
    yield from (f"{code} × {count}" for code, count in counts.most_common())


def _routes(one: Scenario, t: Texts) -> Table:
    columns = [t(f"col.{name}") for name in ("route", "count", "failures", "rejections")]
    columns += ["p50 ms", "p95 ms", "p99 ms", "max ms"]
    rows = [
        [
            route.what,
            number(route.count, 0),
            number(route.failures, 0),
            number(route.rejections, 0),
            *(number(ms, 1) for ms in (route.p50_ms, route.p95_ms, route.p99_ms, route.max_ms)),
        ]
        for route in one.routes
    ]
    return Table(columns, rows, numeric=frozenset(range(1, 8)))


def _codes(one: Scenario, t: Texts) -> Table:
    counts: Counter[str] = Counter()
    for route in one.routes:
        counts.update(route.codes)
    rows = [[code, number(count, 0), meaning(code, t)] for code, count in counts.most_common()]
    columns = [t("col.code"), t("col.count"), t("col.meaning")]
    return Table(columns, rows, numeric=frozenset({1}))


def meaning(code: str, t: Texts) -> str:
    """Say what an answer means."""
    key = f"code.{code.split(maxsplit=1)[0]}"
    return t(key) if t.has(key) else t("code.other")


def _over_time(one: Scenario, t: Texts) -> Iterator[Chart]:
    series = one.series
    if len(series) < 2:
        return
    refused = [(float(s.at_s), float(s.rejections)) for s in series]
    lines = [Series(t("series.answered"), [(float(s.at_s), float(s.answers)) for s in series])]
    if any(y for _, y in refused):
        lines.append(Series(t("series.refused"), refused))
    failed = [(float(s.at_s), float(s.failures)) for s in series]
    if any(y for _, y in failed):
        lines.append(Series(t("series.failed"), failed))
    yield Chart(t("chart.throughput"), t("chart.seconds"), lines)
    latency = [
        Series(t("series.p50"), [(float(s.at_s), s.p50_ms) for s in series]),
        Series(t("series.p95"), [(float(s.at_s), s.p95_ms) for s in series]),
    ]
    yield Chart(t("chart.latency"), t("chart.seconds"), latency)
    if one.seats_taken and not one.steps:
        taken = [(float(s.at_s), float(s.seats_taken)) for s in series]
        yield Chart(t("chart.seats"), t("chart.seconds"), [Series(t("series.taken"), taken)])


def resources(run: Run, t: Texts) -> Iterator[Block]:
    """Show what each component used."""
    yield Heading(2, t("section.resources"))
    visible = [
        name for name in _SHOWN if any(aggregation.memory_of(one, name) for one in run.samples)
    ]
    if not visible:
        yield Paragraph(t("unseen.processes"), "note")
    else:
        columns = [
            t(f"col.{name}") for name in ("component", "mean_cores", "peak_cores", "peak_mib")
        ]
        yield Table(
            columns, [_used(run.samples, name, t) for name in visible], frozenset({1, 2, 3})
        )
        charted = [name for name in _CHARTED if name in visible]
        for key, read in (("cores", aggregation.cores_of), ("memory", aggregation.memory_of)):
            lines = [
                Series(t(f"component.{name}"), [(one.at_s, read(one, name)) for one in run.samples])
                for name in charted
            ]
            yield Chart(t(f"chart.{key}"), t("chart.seconds"), lines)
    counters = list(_counters(run.samples, t))
    if counters:
        yield Table([t("col.what"), t("col.value")], counters, frozenset({1}))


def _used(samples: Sequence[Sample], name: str, t: Texts) -> list[str]:
    cores = [aggregation.cores_of(one, name) for one in samples]
    memory = max(aggregation.memory_of(one, name) for one in samples)
    mean = sum(cores) / len(cores)
    return [t(f"component.{name}"), number(mean), number(max(cores)), number(memory, 0)]


def _counters(samples: Sequence[Sample], t: Texts) -> Iterator[list[str]]:
    known = (
        ("database", "commits", "counter.commits", 1),
        ("database", "wal_bytes", "counter.wal", 1024),
        ("database", "connections", "counter.connections", 1),
        ("database", "busy", "counter.busy", 1),
        ("valkey", "commands", "counter.valkey", 1),
        ("valkey", "connections", "counter.valkey_connections", 1),
    )
    for server, name, key, unit in known:
        values = [getattr(one, server)[name] for one in samples if name in getattr(one, server)]
        if values:
            yield [t(key), number(max(values) / unit, 0)]


def records(run: Run, t: Texts) -> Iterator[Block]:
    """Show what the comparison found, kind by kind, with samples."""
    yield Heading(2, t("section.records"))
    yield Paragraph(t("records.text"))
    counts: Counter[str] = Counter()
    samples: dict[str, list[str]] = {}
    broken: set[str] = set()
    for one in run.scenarios:
        for finding in one.findings:
            counts[finding.kind] += finding.count
            samples.setdefault(finding.kind, []).extend(
                f"{one.name}: {sample}" for sample in finding.samples
            )
            if finding.is_broken:
                broken.add(finding.kind)
    rows = [[t(f"finding.{kind}"), number(count, 0)] for kind, count in counts.items()]
    tones = ["bad" if kind in broken else "" for kind in counts]
    yield Table([t("col.what"), t("col.count")], rows, frozenset({1}), outcome=1, tones=tones)
    listed = [
        f"{t(f'finding.{kind}')}: {'; '.join(found[:10])}"
        for kind, found in samples.items()
        if found
    ]
    if listed:
        yield Bullets(listed)
