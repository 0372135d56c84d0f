"""`python -m bench`: measure, print, and write the figures."""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.environment import machine
from bench.environment.environment import stage
from bench.measurement import results, tables
from bench.measurement.runner import Runner, Sample, Step, wanted
from bench.scenarios import locks as lock_rows
from bench.scenarios import shop
from bench.scenarios.shop import Sizes

_FULL = Sizes(holds=6_000, open_s=15.0, huge=True)
_QUICK = Sizes(holds=800, open_s=3.0, huge=False, watchers=500)
_RUNS, _QUICK_RUNS = 5, 1
_ALL = (*shop.ROWS, *lock_rows.ROWS)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few requests, one run: to see it work.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    rows: Annotated[
        str, typer.Option(help="Only these rows, with commas between; and the floor.")
    ] = "",
    locks: Annotated[
        bool, typer.Option("--locks", help="The rows about locks instead of the others.")
    ] = False,
    runs: Annotated[int | None, typer.Option(min=1, help="Runs per row.")] = None,
    holds: Annotated[int | None, typer.Option(min=32, help="Requests per run.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Connections of the client.")] = 64,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the servers keep their data.")
    ] = None,
) -> None:
    """Measure what a request costs: a bare reply, the usual design, and the shop."""
    sizes = _QUICK if quick else _FULL
    if holds is not None:
        sizes = replace(sizes, holds=holds, open_s=min(sizes.open_s, holds / 200))
    chosen = _chosen(rows, locks=locks, huge=sizes.huge)
    runs = runs or (_QUICK_RUNS if quick else _RUNS)
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-", ignore_cleanup_errors=True) as home:
        about, samples = _measure(chosen, runs, sizes, connections, Path(home), data_dir)
    about["took"] = f"{time.monotonic() - started_at:.0f} s"
    _report(about, samples, json)


def _measure(
    rows: list[shop.Row],
    runs: int,
    sizes: Sizes,
    connections: int,
    folder: Path,
    data_dir: Path | None,
) -> tuple[dict[str, str], dict[str, list[Sample]]]:
    with stage(data_dir or folder / "servers") as servers, _progress() as bar:
        task = bar.add_task("")

        def say(step: Step) -> None:
            bar.update(task, description=step.text, completed=step.done, total=step.total)
            if not bar.console.is_terminal:
                bar.console.print(f"… {step.done}/{step.total} {step.text}")

        about = {
            **machine.about("bench"),
            "disk": machine.file_system(data_dir or folder),
            **_promises(servers.promises()),
        }
        return about, Runner(servers, sizes, folder, connections, say).run(rows, runs)


def _chosen(rows: str, *, locks: bool, huge: bool) -> list[shop.Row]:
    names = [name.strip() for name in rows.split(",") if name.strip()]
    known = [row.name for row in _ALL]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(known)}")
    if locks and not names:
        names = [row.name for row in lock_rows.ROWS]
    return wanted(_ALL if names else shop.ROWS, names, huge=huge)


def _report(about: dict[str, str], samples: dict[str, list[Sample]], json: Path | None) -> None:
    about["load after"] = machine.load_average()
    figures = results.figures(samples)
    verdicts = results.verdicts(figures)
    console = Console()
    if not console.is_terminal:
        console.width = 180
    tables.show(console, about, figures, verdicts)
    if json is not None:
        targets = [{**msgspec.to_builtins(one), "verdict": one.word} for one in verdicts]
        document = {"about": about, "rows": figures, "targets": targets, "samples": samples}
        json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    if any(row.unexpected or row.audit != "clean" for row in figures):
        sys.exit("bench: there were answers that a row is not about, or the audit is not clean")


def _progress() -> Progress:
    return Progress(
        TextColumn("… {task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )


def _promises(found: dict[str, str]) -> dict[str, str]:
    commit, version = found["synchronous_commit"], found["version"]
    return {"PostgreSQL": f"{version}, fsync {found['fsync']}, synchronous_commit {commit}"}


if __name__ == "__main__":
    app()
