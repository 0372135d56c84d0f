"""The tables that the benchmark prints."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.measurement.results import ScenarioFigures
from bench.measurement.spike import spike_lines, spike_run
from bench.measurement.targets import TargetResult
from bench.scenarios import locks
from bench.scenarios.catalogue import SPIKE

_STYLES = {"PASS": "green", "FALLS SHORT": "red"}
_LOCK_SCENARIOS = {scenario.name for scenario in locks.SCENARIOS}
_SPIKE_WORKERS = {scenario.name: scenario.workers for scenario in SPIKE}


def _table(title: str, names: Sequence[str]) -> Table:
    """Return a table with a column of scenarios and numeric columns."""
    table = Table(title=title)
    table.add_column("scenario", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def cost_table(figures: Sequence[ScenarioFigures]) -> Table:
    """Return one line per scenario."""
    table = _table(
        "CPU in microseconds per request; medians",
        ("req/s", "p50 ms", "p95 ms", "p99 ms", "app", "PG", "Valkey", "total", "× baseline",
         "MiB", "client", "batch"),
    )  # fmt: skip
    table.add_column("statuses")
    table.add_column("audit")
    for one in figures:
        table.add_row(*_cells(one), style="" if not one.unexpected else "red")
    return table


def _cells(one: ScenarioFigures) -> list[str]:
    ratio = "" if one.ratio_to_baseline is None else f"{one.ratio_to_baseline:.2f}"
    times = [f"{value:.1f}" for value in (one.p50_ms, one.p95_ms, one.p99_ms)]
    cpu = (one.cpu_us_app, one.cpu_us_postgres, one.cpu_us_valkey, one.cpu_us_total)
    return [
        one.name,
        f"{one.rps:,.0f}",
        *times,
        *(f"{value:.0f}" for value in cpu),
        ratio,
        f"{one.memory_mib:.0f}",
        f"{one.client_cpu_us:.0f}",
        f"{one.batch_mean:.1f}" if one.batch_mean else "",
        " ".join(f"{status}×{number}" for status, number in one.statuses.items()),
        one.audit,
    ]


def lock_table(figures: Sequence[ScenarioFigures]) -> Table:
    """Return one line per lock scenario: the cost of accepted and refused holds."""
    table = _table(
        "locks; CPU in microseconds; medians, counts of all runs",
        ("total", "per accepted", "req/s", "p99 ms", "accepted", "refused", "sold twice"),
    )
    for one in figures:
        cells = [f"{one.cpu_us_total:.0f}", f"{one.cpu_us_per_success or 0:.0f}"]
        cells += [f"{one.rps:,.0f}", f"{one.p99_ms:.1f}"]
        cells += [str(one.statuses.get(status, 0)) for status in ("201", "409")]
        table.add_row(one.name, *cells, str(one.sold_twice))
    return table


def stream_table(figures: Sequence[ScenarioFigures]) -> Table:
    """Return one line per scenario with event streams."""
    table = _table(
        "event streams; CPU of the application with its other work; medians",
        ("streams", "events/s", "µs per event", "KiB per stream", "requests' p99 ms"),
    )
    for one in figures:
        cells = [f"{one.streams:,}", f"{one.events_per_s:,.0f}", f"{one.cpu_us_per_event or 0:.1f}"]
        table.add_row(one.name, *cells, f"{one.stream_kib:.1f}", f"{one.p99_ms:.1f}")
    return table


def target_table(results: Sequence[TargetResult]) -> Table:
    """Return one line per target."""
    table = Table(title="targets")
    for name in ("target", "bound", "measured", "result"):
        table.add_column(name, no_wrap=True)
    for one in results:
        sign = "≤" if one.at_most else "≥"
        measured = "" if one.measured is None else f"{one.measured:.2f}"
        style = _STYLES.get(one.outcome, "dim")
        table.add_row(one.target, f"{sign} {one.limit:g}", measured, one.outcome, style=style)
    return table


def show(
    console: Console,
    about: Mapping[str, str],
    figures: Sequence[ScenarioFigures],
    targets: Sequence[TargetResult],
) -> None:
    """Print all tables."""
    for name, text in about.items():
        console.print(f"{name:<12} {text}", soft_wrap=True, highlight=False)
    console.print(cost_table(figures))
    if of_locks := [one for one in figures if one.name in _LOCK_SCENARIOS]:
        console.print(lock_table(of_locks))
    if with_streams := [one for one in figures if one.streams]:
        console.print(stream_table(with_streams))
    spikes = [one for one in figures if one.name in _SPIKE_WORKERS]
    if spikes:
        runs = [(spike_run(one, _SPIKE_WORKERS[one.name]), one) for one in spikes]
        console.print("\n".join(spike_lines(runs)), soft_wrap=True, highlight=False, markup=False)
    console.print(target_table(targets))
