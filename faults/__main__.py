"""`python -m faults`: run the fault scenarios and print the summary."""

import asyncio
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from bench.environment import machine
from faults.cluster.cluster import start_cluster
from faults.report import summary, targets
from faults.report.result import Result, Verdict
from faults.runner import Runner, chosen
from faults.scenario import AnyScenario, share_of, trials_of
from faults.scenarios import ALL

_INTERRUPTED_EXIT_CODE = 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
progress = Console(stderr=True, highlight=False)


@app.command()
def main(
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="The same seed, the same faults.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="About how long; fewer trials per scenario.")
    ] = None,
    only: Annotated[str, typer.Option(help="Only these scenarios, with commas between.")] = "",
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few trials of each scenario.")] = False,
    show_list: Annotated[bool, typer.Option("--list", help="Only list the scenarios.")] = False,
) -> None:
    """Inject faults into every part of the installation during a sale."""
    scenarios = _scenarios(only)
    if show_list:
        _list(scenarios)
        return
    seed = random.randrange(2**32) if seed is None else seed
    share = share_of(scenarios, minutes)
    plan = [(scenario, trials_of(scenario, share, is_quick=quick)) for scenario in scenarios]
    about = machine.about("faults")
    results: list[Result] = []
    is_finished = asyncio.run(_play(plan, seed, results))
    is_whole = is_finished and plan == [(scenario, scenario.trials) for scenario in ALL]
    reached = targets.lines(results, is_whole=is_whole)
    about["load after"] = machine.load_average()
    console = Console()
    if not console.is_terminal:
        console.width = 150
    summary.show(console, results, reached, seed=seed, is_whole=is_whole)
    if json is not None:
        document = summary.document(about, results, reached, seed=seed, is_whole=is_whole)
        json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    if not is_finished:
        sys.exit(_INTERRUPTED_EXIT_CODE)
    is_missed = any(one.status is targets.TargetStatus.MISSED for one in reached)
    sys.exit(is_missed or any(one.verdict is Verdict.FAIL for one in results))


async def _play(plan: list[tuple[AnyScenario, int]], seed: int, results: list[Result]) -> bool:
    """Run the plan; false if Ctrl-C or SIGTERM ended it early."""
    playing = asyncio.ensure_future(_play_all(plan, seed, results))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    try:
        await playing
    except asyncio.CancelledError:
        progress.print("… interrupted; everything is stopped", style="dim")
        return False
    return True


async def _play_all(plan: list[tuple[AnyScenario, int]], seed: int, results: list[Result]) -> None:
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-faults-", ignore_cleanup_errors=True
    ) as folder:
        async with start_cluster(Path(folder), _say) as one:
            runner = Runner(one, seed, _say)
            _say(f"seed {seed}")
            for scenario, trials in plan:
                results.append(await runner.play(scenario, trials))
                last = results[-1]
                _say(f"{scenario.name}: {last.verdict.value} in {last.took_s:.0f} s")
                for sentence in summary.problems(last):
                    _say(f"{scenario.name}: {sentence}")


def _scenarios(only: str) -> list[AnyScenario]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    try:
        return chosen(ALL, names)
    except KeyError as error:
        known = ", ".join(scenario.name for scenario in ALL)
        raise typer.BadParameter(f"{error.args[0]} is not one of {known}") from None


def _list(scenarios: list[AnyScenario]) -> None:
    console = Console(highlight=False)
    for scenario in scenarios:
        about = f"({scenario.component.value}, {scenario.trials} trials): {scenario.does}"
        console.print(f"{scenario.name} {about} → {scenario.expects}", markup=False, soft_wrap=True)


def _say(text: str) -> None:
    progress.print(f"… {text}", style="dim", markup=False, soft_wrap=True)


if __name__ == "__main__":
    app()
