"""The tables for people."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.measurement.results import Figures, Verdict

_STYLES = {"PASS": "green", "FALLS SHORT": "red"}


def table(rows: Sequence[Figures]) -> Table:
    """Return one line per row."""
    shown = Table(title="CPU in microseconds per request; medians")
    shown.add_column("row", no_wrap=True)
    for name in ("req/s", "p50 ms", "p95 ms", "p99 ms", "app", "PG", "Valkey", "total", "× floor"):
        shown.add_column(name, justify="right", no_wrap=True)
    for name in ("MiB", "client", "batch"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("statuses")
    shown.add_column("audit")
    for row in rows:
        shown.add_row(*_cells(row), style="" if not row.unexpected else "red")
    return shown


def _cells(row: Figures) -> list[str]:
    ratio = "" if row.ratio_to_floor is None else f"{row.ratio_to_floor:.2f}"
    times = [f"{value:.1f}" for value in (row.p50_ms, row.p95_ms, row.p99_ms)]
    cpu = (row.cpu_us_app, row.cpu_us_postgres, row.cpu_us_valkey, row.cpu_us_total)
    statuses = " ".join(f"{status}×{number}" for status, number in row.statuses.items())
    batch = f"{row.batch_mean:.1f}" if row.batch_mean else ""
    return [
        row.name,
        f"{row.rps:,.0f}",
        *times,
        *(f"{value:.0f}" for value in cpu),
        ratio,
        f"{row.memory_mib:.0f}",
        f"{row.client_cpu_us:.0f}",
        batch,
        statuses,
        row.audit,
    ]


def lock_table(rows: Sequence[Figures]) -> Table:
    """Return one line per row about locks: what those who got a seat and those who did not cost."""
    shown = Table(title="locks; CPU in microseconds; medians, counts of all runs")
    shown.add_column("row", no_wrap=True)
    for name in ("total", "per accepted", "req/s", "p99 ms", "accepted", "refused", "sold twice"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        cells = [f"{row.cpu_us_total:.0f}", f"{row.cpu_us_per_success or 0:.0f}"]
        cells += [f"{row.rps:,.0f}", f"{row.p99_ms:.1f}"]
        cells += [str(row.statuses.get(status, 0)) for status in ("201", "409")]
        shown.add_row(row.name, *cells, str(row.sold_twice))
    return shown


def stream_table(rows: Sequence[Figures]) -> Table:
    """Return one line per row that is watched."""
    shown = Table(title="event streams; CPU of the application with all else that it did; medians")
    shown.add_column("row", no_wrap=True)
    for name in ("streams", "events/s", "µs per event", "KiB per stream", "requests' p99 ms"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        cells = [f"{row.streams:,}", f"{row.events_per_s:,.0f}", f"{row.cpu_us_per_event or 0:.1f}"]
        shown.add_row(row.name, *cells, f"{row.stream_kib:.1f}", f"{row.p99_ms:.1f}")
    return shown


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Return one line per target."""
    shown = Table(title="targets")
    for name in ("target", "bound", "measured", "verdict"):
        shown.add_column(name, no_wrap=True)
    for one in verdicts:
        sign = "≤" if one.at_most else "≥"
        measured = "" if one.measured is None else f"{one.measured:.2f}"
        word = one.word
        shown.add_row(
            one.target, f"{sign} {one.limit:g}", measured, word, style=_STYLES.get(word, "dim")
        )
    return shown


def show(
    console: Console, about: Mapping[str, str], rows: Sequence[Figures], verdicts: Sequence[Verdict]
) -> None:
    """Print everything."""
    for name, text in about.items():
        console.print(f"{name:<12} {text}", soft_wrap=True, highlight=False)
    # Wider than most terminals: a line that wraps is easier to read than one that is cut.
    console.print(table(rows))
    if locks := [row for row in rows if row.name.startswith("lock_")]:
        console.print(lock_table(locks))
    if watched := [row for row in rows if row.streams]:
        console.print(stream_table(watched))
    console.print(verdict_table(verdicts))
