"""The tables for people."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.measurement.results import ScenarioFigures, TargetResult

_STYLES = {"PASS": "green", "FALLS SHORT": "red"}


def table(scenarios: Sequence[ScenarioFigures]) -> Table:
    """Return one line per scenario."""
    shown = Table(title="CPU in microseconds per request; medians")
    shown.add_column("scenario", no_wrap=True)
    for name in (
        "req/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "app",
        "PG",
        "Valkey",
        "total",
        "× baseline",
    ):
        shown.add_column(name, justify="right", no_wrap=True)
    for name in ("MiB", "client", "batch"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("statuses")
    shown.add_column("audit")
    for scenario in scenarios:
        shown.add_row(*_cells(scenario), style="" if not scenario.unexpected else "red")
    return shown


def _cells(scenario: ScenarioFigures) -> list[str]:
    ratio = "" if scenario.ratio_to_baseline is None else f"{scenario.ratio_to_baseline:.2f}"
    times = [f"{value:.1f}" for value in (scenario.p50_ms, scenario.p95_ms, scenario.p99_ms)]
    cpu = (
        scenario.cpu_us_app,
        scenario.cpu_us_postgres,
        scenario.cpu_us_valkey,
        scenario.cpu_us_total,
    )
    statuses = " ".join(f"{status}×{number}" for status, number in scenario.statuses.items())
    batch = f"{scenario.batch_mean:.1f}" if scenario.batch_mean else ""
    return [
        scenario.name,
        f"{scenario.rps:,.0f}",
        *times,
        *(f"{value:.0f}" for value in cpu),
        ratio,
        f"{scenario.memory_mib:.0f}",
        f"{scenario.client_cpu_us:.0f}",
        batch,
        statuses,
        scenario.audit,
    ]


def lock_table(scenarios: Sequence[ScenarioFigures]) -> Table:
    """Return one line per scenario about locks: what those who got a seat and those who did not cost."""
    shown = Table(title="locks; CPU in microseconds; medians, counts of all runs")
    shown.add_column("scenario", no_wrap=True)
    for name in ("total", "per accepted", "req/s", "p99 ms", "accepted", "refused", "sold twice"):
        shown.add_column(name, justify="right", no_wrap=True)
    for scenario in scenarios:
        cells = [f"{scenario.cpu_us_total:.0f}", f"{scenario.cpu_us_per_success or 0:.0f}"]
        cells += [f"{scenario.rps:,.0f}", f"{scenario.p99_ms:.1f}"]
        cells += [str(scenario.statuses.get(status, 0)) for status in ("201", "409")]
        shown.add_row(scenario.name, *cells, str(scenario.sold_twice))
    return shown


def stream_table(scenarios: Sequence[ScenarioFigures]) -> Table:
    """Return one line per scenario that is watched."""
    shown = Table(title="event streams; CPU of the application with all else that it did; medians")
    shown.add_column("scenario", no_wrap=True)
    for name in ("streams", "events/s", "µs per event", "KiB per stream", "requests' p99 ms"):
        shown.add_column(name, justify="right", no_wrap=True)
    for scenario in scenarios:
        cells = [
            f"{scenario.streams:,}",
            f"{scenario.events_per_s:,.0f}",
            f"{scenario.cpu_us_per_event or 0:.1f}",
        ]
        shown.add_row(scenario.name, *cells, f"{scenario.stream_kib:.1f}", f"{scenario.p99_ms:.1f}")
    return shown


def target_table(target_results: Sequence[TargetResult]) -> Table:
    """Return one line per target."""
    shown = Table(title="targets")
    for name in ("target", "bound", "measured", "verdict"):
        shown.add_column(name, no_wrap=True)
    for one in target_results:
        sign = "≤" if one.at_most else "≥"
        measured = "" if one.measured is None else f"{one.measured:.2f}"
        word = one.word
        shown.add_row(
            one.target, f"{sign} {one.limit:g}", measured, word, style=_STYLES.get(word, "dim")
        )
    return shown


def show(
    console: Console,
    about: Mapping[str, str],
    scenarios: Sequence[ScenarioFigures],
    target_results: Sequence[TargetResult],
) -> None:
    """Print everything."""
    for name, text in about.items():
        console.print(f"{name:<12} {text}", soft_wrap=True, highlight=False)
    # Wider than most terminals: a line that wraps is easier to read than one that is cut.
    console.print(table(scenarios))
    if locks := [scenario for scenario in scenarios if scenario.name.startswith("lock_")]:
        console.print(lock_table(locks))
    if watched := [scenario for scenario in scenarios if scenario.streams]:
        console.print(stream_table(watched))
    console.print(target_table(target_results))
