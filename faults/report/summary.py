"""Turns results into a table and a JSON document. Pure, apart from printing."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from faults.report.result import Result
from faults.report.targets import TargetLine, summary_line


def totals(results: Sequence[Result]) -> dict[str, int]:
    """Return the sums over all scenarios."""
    names = (
        "trials",
        "kills",
        "requests",
        "acknowledged",
        "lost",
        "sold_twice",
        "imbalance",
        "double_charges",
    )
    return {name: sum(getattr(one, name) for one in results) for name in names}


def document(
    about: Mapping[str, str],
    results: Sequence[Result],
    reached: Sequence[TargetLine],
    *,
    seed: int,
    is_whole: bool,
) -> Mapping[str, object]:
    """Return the JSON document."""
    scenarios = [
        {
            **msgspec.to_builtins(one),
            "verdict": one.verdict.value,
            "bound": one.bound,
            "recovery_s": {f"p{percent}": one.recovery_s(percent) for percent in (50, 99, 100)},
        }
        for one in results
    ]
    return {
        "about": dict(about),
        "seed": seed,
        "is_whole": is_whole,
        "scenarios": scenarios,
        "totals": totals(results),
        "targets": msgspec.to_builtins(list(reached)),
    }


def show(
    console: Console,
    results: Sequence[Result],
    reached: Sequence[TargetLine],
    *,
    seed: int,
    is_whole: bool,
) -> None:
    """Print the table, failures, sums and targets."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("scenario", "N", "3/N", "kills", "acked", "lost", "twice", "imbal."):
        table.add_column(name, justify="left" if name == "scenario" else "right")
    table.add_column("recovery p50/p99/max s", justify="right")
    table.add_column("unexcused")
    table.add_column("verdict")
    for one in results:
        table.add_row(*_cells(one))
    console.print(table)
    for one in results:
        for sentence in _remarks(one):
            console.print(f"{one.name}: {sentence}", soft_wrap=True, markup=False)
    console.print(_closing(results, seed), markup=False, soft_wrap=True)
    console.print(_targets_table(reached))
    console.print(summary_line(reached, is_whole=is_whole), markup=False, soft_wrap=True)


def _targets_table(reached: Sequence[TargetLine]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="what it must reach")
    for name in ("figure", "target", "measured", "N", "status"):
        table.add_column(name, justify="right" if name == "N" else "left")
    for one in reached:
        table.add_row(one.figure, one.target, one.measured, one.n, one.status.value)
    return table


def _cells(one: Result) -> list[str]:
    bound = "" if one.bound is None else f"{one.bound:.3g}"
    times = ""
    if one.recoveries_s:
        times = "/".join(f"{one.recovery_s(percent):.2f}" for percent in (50, 99, 100))
        times += "" if one.recovery_p99_max_s is None else f" ≤ {one.recovery_p99_max_s:g}"
    counts = [one.kills, one.acknowledged, one.lost, one.sold_twice, one.imbalance]
    unexcused = sum(one.unexcused.values())
    return [
        one.name,
        str(one.trials),
        bound,
        *map(str, counts),
        times,
        str(unexcused),
        one.verdict.value,
    ]


def problems(one: Result) -> list[str]:
    """Return what is wrong with a scenario, one sentence each."""
    sentences = [f"not run: {one.not_run}"] if one.not_run else []
    sentences += [f"broken: {sentence}" for sentence in one.broken]
    sentences += [f"unexcused: {_counted(one.unexcused)}"] if one.unexcused else []
    sentences += ["recovery took longer than allowed"] if one.trials and one.is_slow else []
    return sentences


def _remarks(one: Result) -> list[str]:
    sentences = problems(one)
    sentences += (
        [f"excused: {_counted(one.failures)}"] if one.failures and not one.unexcused else []
    )
    if one.figures:
        sentences.append(", ".join(f"{name} {figure:.4g}" for name, figure in one.figures.items()))
    return sentences


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in Counter(kinds).most_common())


def _closing(results: Sequence[Result], seed: int) -> str:
    verdicts = Counter(one.verdict for one in results)
    sums = totals(results)
    sentences = ", ".join(f"{count} {verdict.value}" for verdict, count in sorted(verdicts.items()))
    promises = f"{sums['lost']} of {sums['acknowledged']} acknowledged effects lost"
    bound = f" (3/N = {3 / sums['kills']:.2g} per kill)" if sums["kills"] else ""
    return f"{sentences}; seed {seed}; {sums['kills']} kills, {promises}{bound}"
