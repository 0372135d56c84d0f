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
from bench.environment.environment import running_environment
from bench.measurement import results, tables, targets
from bench.measurement.runner import BenchRunner, RunProgress, chosen, with_workers
from bench.measurement.sample import CLEAN, RunSample
from bench.scenarios import locks as lock_scenarios
from bench.scenarios.catalogue import SCENARIOS, SPIKE
from bench.scenarios.scenario import BenchScenario, Sizes

_FULL = Sizes(holds=6_000, open_s=15.0, huge=True)
_QUICK = Sizes(holds=800, open_s=3.0, huge=False, stream_readers=500, areas=4)
_RUNS, _QUICK_RUNS = 5, 1
_ALL = (*SCENARIOS, *lock_scenarios.SCENARIOS, *SPIKE)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0913, PLR0917 — the options of the command
    quick: Annotated[
        bool, typer.Option("--quick", help="Few requests and one run, to check that it works.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    scenarios: Annotated[
        str, typer.Option(help="Only these scenarios, comma-separated, and the baseline.")
    ] = "",
    rows: Annotated[
        str, typer.Option(help="As --scenarios, each with its variants for more workers.")
    ] = "",
    locks: Annotated[
        bool, typer.Option("--locks", help="The lock scenarios instead of the others.")
    ] = False,
    runs: Annotated[int | None, typer.Option(min=1, help="Runs per scenario.")] = None,
    holds: Annotated[int | None, typer.Option(min=32, help="Requests per run.")] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, help="Connections of the client, if not the scenario's.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the servers keep their data.")
    ] = None,
) -> None:
    """Measure the CPU, latency and memory of requests, side by side with the baselines."""
    sizes = _QUICK if quick else _FULL
    if holds is not None:
        areas = max(1, sizes.areas * holds // sizes.holds)
        sizes = replace(sizes, holds=holds, open_s=min(sizes.open_s, holds / 200), areas=areas)
    names = [*_names(scenarios), *with_workers(_names(rows), [one.name for one in _ALL])]
    selected = _selected(names, locks=locks, huge=sizes.huge)
    # A spike takes as long as five runs of another scenario.
    is_spike = any(one in SPIKE for one in selected)
    runs = runs or (_QUICK_RUNS if quick or is_spike else _RUNS)
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-", ignore_cleanup_errors=True) as home:
        about, samples = _measure(selected, runs, sizes, connections, Path(home), data_dir)
    about["took"] = f"{time.monotonic() - started_at:.0f} s"
    _report(about, samples, json)


def _measure(
    selected: list[BenchScenario],
    runs: int,
    sizes: Sizes,
    connections: int | None,
    folder: Path,
    data_dir: Path | None,
) -> tuple[dict[str, str], dict[str, list[RunSample]]]:
    with running_environment(data_dir or folder / "servers") as servers, _progress() as bar:
        task = bar.add_task("")

        def show(step: RunProgress) -> None:
            bar.update(task, description=step.text, completed=step.done, total=step.total)
            if not bar.console.is_terminal:
                bar.console.print(f"… {step.done}/{step.total} {step.text}")

        about = {
            **machine.about("bench"),
            "disk": machine.file_system(data_dir or folder),
            **_durability(servers.durability()),
        }
        return about, BenchRunner(servers, sizes, folder, connections, show).run(selected, runs)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _selected(names: list[str], *, locks: bool, huge: bool) -> list[BenchScenario]:
    known = [scenario.name for scenario in _ALL]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(known)}")
    if locks and not names:
        names = [scenario.name for scenario in lock_scenarios.SCENARIOS]
    return chosen(_ALL if names else SCENARIOS, names, huge=huge)


def _report(about: dict[str, str], samples: dict[str, list[RunSample]], json: Path | None) -> None:
    about["load after"] = machine.load_average()
    figures = results.figures(samples)
    checked = targets.check(figures)
    console = Console()
    if not console.is_terminal:
        console.width = 180
    tables.show(console, about, figures, checked)
    if json is not None:
        outcomes = [{**msgspec.to_builtins(one), "outcome": one.outcome} for one in checked]
        document = {"about": about, "scenarios": figures, "targets": outcomes, "samples": samples}
        json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    if any(one.unexpected or one.audit != CLEAN for one in figures):
        sys.exit("bench: a scenario got unexpected answers, or an audit is not clean")


def _progress() -> Progress:
    return Progress(
        TextColumn("… {task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )


def _durability(found: dict[str, str]) -> dict[str, str]:
    commit, version = found["synchronous_commit"], found["version"]
    return {"PostgreSQL": f"{version}, fsync {found['fsync']}, synchronous_commit {commit}"}


if __name__ == "__main__":
    app()
