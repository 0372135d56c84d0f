"""CPU, memory and server counters. Pure."""

from collections.abc import Callable, Iterator, Sequence

from boxoffice_loadtest.analysis import windows
from boxoffice_loadtest.model import LoadTestRun, ResourceSample
from boxoffice_loadtest.report.blocks import (
    Block,
    Chart,
    Heading,
    Paragraph,
    Series,
    Table,
    number,
)
from boxoffice_loadtest.report.texts import Texts

COMPONENTS = ("api", "postgres", "valkey", "generator", "sweep", "relay", "harness")
_COUNTERS = (
    ("database", "commits", "counter.commits", 1),
    ("database", "wal_bytes", "counter.wal", 1024),
    ("database", "connections", "counter.connections", 1),
    ("database", "active", "counter.active", 1),
    ("valkey", "commands", "counter.valkey", 1),
    ("valkey", "connections", "counter.valkey_connections", 1),
)


def resources(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show what each component used."""
    yield Heading(2, t("section.resources"))
    visible = [
        name for name in COMPONENTS if any(windows.memory_of(one, name) for one in run.samples)
    ]
    if visible:
        yield _usage_table(run.samples, visible, t)
        yield _chart_of("memory", windows.memory_of, run.samples, t)
    else:
        yield Paragraph(t("unseen.processes"), "note")
    counters = list(_counters(run.samples, t))
    if counters:
        yield Table([t("col.what"), t("col.value")], counters, frozenset({1}))


def _usage_table(samples: Sequence[ResourceSample], visible: Sequence[str], t: Texts) -> Table:
    columns = [t(f"col.{name}") for name in ("component", "mean_cores", "peak_cores", "peak_mib")]
    return Table(columns, [_usage(samples, name, t) for name in visible], frozenset({1, 2, 3}))


def _usage(samples: Sequence[ResourceSample], name: str, t: Texts) -> list[str]:
    cores = [windows.cores_of(one, name) for one in samples]
    memory = max(windows.memory_of(one, name) for one in samples)
    mean = sum(cores) / len(cores)
    return [t(f"component.{name}"), number(mean), number(max(cores)), number(memory, 0)]


def core_chart(run: LoadTestRun, t: Texts) -> Iterator[Chart]:
    """Draw the cores of each component, where processes could be seen."""
    if any(windows.memory_of(one, name) for one in run.samples for name in COMPONENTS):
        yield _chart_of("cores", windows.cores_of, run.samples, t)


def _chart_of(
    key: str,
    read: Callable[[ResourceSample, str], float],
    samples: Sequence[ResourceSample],
    t: Texts,
) -> Chart:
    visible = [name for name in COMPONENTS if any(windows.memory_of(one, name) for one in samples)]
    lines = [
        Series(t(f"component.{name}"), [(one.at_s, read(one, name)) for one in samples])
        for name in windows.COMPONENTS
        if name in visible
    ]
    return Chart(t(f"chart.{key}"), t("chart.seconds"), lines)


def _counters(samples: Sequence[ResourceSample], t: Texts) -> Iterator[list[str]]:
    for server, name, key, unit in _COUNTERS:
        values = [getattr(one, server)[name] for one in samples if name in getattr(one, server)]
        if values:
            yield [t(key), number(max(values) / unit, 0)]
