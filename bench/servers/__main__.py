"""`python -m bench.servers`: measure the servers, print, and write the figures."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bench.environment import machine
from bench.servers import cost, drain, slow
from bench.servers.candidates import BY_NAME, CANDIDATES, Candidate

Figures = dict[str, Any]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
say = Console(stderr=True, highlight=False).print


@app.command()
def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few requests, one run: to see it work.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    servers: Annotated[str, typer.Option(help="Only these, with commas between.")] = "",
    parts: Annotated[str, typer.Option(help="Only these parts.")] = "cost,drain,slow",
    runs: Annotated[int | None, typer.Option(min=1, help="Runs per server.")] = None,
) -> None:
    """Compare HTTP servers that answer the same bare application."""
    names = servers.split(",") if servers else list(BY_NAME)
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(BY_NAME)}")
    chosen = [candidate for candidate in CANDIDATES if candidate.name in names]
    document: dict[str, Any] = {"about": machine.about("bench.servers")}
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-") as home:
        folder = Path(home)
        measures: dict[str, Callable[[], list[Figures]]] = {
            "cost": lambda: _costs(chosen, folder, runs or (1 if quick else 7), quick=quick),
            "drain": lambda: _drains(chosen, folder),
            "slow": lambda: _sieges(chosen, folder, 3.0 if quick else 35.0),
        }
        document |= {name: measures[name]() for name in measures if name in parts.split(",")}
    document["about"]["load after"] = machine.load_average()
    _show(document)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))


def _costs(chosen: Sequence[Candidate], folder: Path, runs: int, *, quick: bool) -> list[Figures]:
    """Take turns, every other round backwards, and return the medians."""
    count, low_s = (2_000, 2.0) if quick else (30_000, 8.0)
    samples: dict[str, list[Figures]] = {candidate.name: [] for candidate in chosen}
    for number in range(runs):
        for candidate in chosen if number % 2 else chosen[::-1]:
            say(f"… cost, round {number + 1} of {runs}: {candidate.name}")
            found = cost.measure(candidate, folder, count, low_s)
            samples[candidate.name].append(asdict(found))
    return [{"server": name, **_medians(runs_of)} for name, runs_of in samples.items()]


def _medians(samples: Sequence[Figures]) -> Figures:
    return {name: round(median(one[name] for one in samples), 2) for name in samples[0]}


def _drains(chosen: Sequence[Candidate], folder: Path) -> list[Figures]:
    found = []
    for stream, stop_limit in ((False, False), (True, False), (True, True)):
        for candidate in chosen:
            say(f"… drain: {candidate.name}")
            one = drain.measure(candidate, folder, stream=stream, stop_limit=stop_limit)
            case = {"server": candidate.name, "stream": stream, "stop_limit": stop_limit}
            found.append({**case, **asdict(one)})
    return found


def _sieges(chosen: Sequence[Candidate], folder: Path, window_s: float) -> list[Figures]:
    found = []
    for kind in slow.KINDS:
        for candidate in chosen:
            say(f"… slow clients, {kind.name}: {candidate.name}")
            one = slow.measure(candidate, folder, kind, window_s)
            found.append({"kind": kind.name, "server": candidate.name, **asdict(one)})
    return found


def _show(document: dict[str, Any]) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = 180
    for name, text in document["about"].items():
        console.print(f"{name:<12} {text}", soft_wrap=True, highlight=False)
    for part, rows in document.items():
        if part != "about":
            console.print(_table(part, rows))


def _table(title: str, rows: Sequence[Figures]) -> Table:
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, list):
        return ", ".join(value)
    if value is None:
        return "never"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    app()
