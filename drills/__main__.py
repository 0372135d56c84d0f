"""`python -m drills`: run the drills and print what they found."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from bench.environment import machine
from drills.drill import DrillVerdict
from drills.runner import DrillResult, chosen, play
from drills.scenarios import ALL

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
progress = Console(stderr=True, highlight=False)


@app.command()
def main(
    only: Annotated[str, typer.Option(help="Only these drills, with commas between.")] = "",
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Only list the drills.")] = False,
) -> None:
    """Do what an operator does on a bad day, with the real programs, and check what came of it."""
    try:
        drills = chosen(ALL, only)
    except KeyError as unknown:
        raise typer.BadParameter(f"no drill is called {unknown.args[0]}") from None
    console = Console(highlight=False, soft_wrap=True)
    if show_list:
        for drill in drills:
            console.print(f"{drill.name:24} {drill.minutes:4.1f} min  {drill.title}")
            if why := drill.hindrance():
                console.print(f"{'':24} not here: {why}", markup=False)
        return
    about = machine.about("drills")
    results: list[DrillResult] = []
    for drill in drills:
        progress.print(f"… {drill.name}: {drill.title}")
        results.append(
            asyncio.run(play(drill, lambda text: progress.print(f"  {text}", style="dim")))
        )
        _show(console, results[-1])
    if json is not None:
        json.write_bytes(
            msgspec.json.format(msgspec.json.encode({"about": about, "results": _plain(results)}))
        )
    sys.exit(any(result.verdict is DrillVerdict.FAIL for result in results))


def _show(console: Console, result: DrillResult) -> None:
    console.print(
        f"{result.verdict.upper():8} {result.name} ({result.seconds:.1f} s): {result.title}",
        markup=False,
    )
    for check in result.report.checks:
        seen = f": {check.seen}" if check.seen else ""
        console.print(
            f"  {'ok  ' if check.holds else 'FAIL'} {check.statement}{seen}", markup=False
        )
    for figure in result.report.figures:
        target = f"  (target {figure.target})" if figure.target else ""
        console.print(
            f"       {figure.name}: {figure.value:,.4g} {figure.unit}{target}", markup=False
        )
    if result.detail:
        console.print(f"  {result.detail.rstrip()}", markup=False)


def _plain(results: list[DrillResult]) -> list[dict[str, object]]:
    return [
        {
            "name": result.name,
            "verdict": result.verdict,
            "seconds": round(result.seconds, 1),
            "checks": result.report.checks,
            "figures": result.report.figures,
            "detail": result.detail,
        }
        for result in results
    ]


if __name__ == "__main__":
    app()
