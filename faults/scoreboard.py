"""From what the rows saw to a table, a verdict and a document. Pure, apart from printing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from faults.record import percentile


class Verdict(StrEnum):
    """What came of a row."""

    PASS = "pass"  # noqa: S105 — it opens nothing
    FAIL = "FAIL"
    NOT_RUN = "not run"


class Result(msgspec.Struct, kw_only=True):
    """One row: `trials` faults, what they cost, and what broke.

    `failures` counts by kind what was neither a success nor a refusal of the business; `inexcusable`
    those of them that no fault excuses. Without a failure in N trials the rate may still be 3/N
    (`bound`, at 95 %).
    """

    name: str
    part: str
    trials: int = 0
    kills: int = 0
    requests: int = 0
    acknowledged: int = 0
    lost: int = 0
    sold_twice: int = 0
    imbalance: int = 0
    recoveries_s: list[float] = []
    recovery_p99_max_s: float | None = None
    failures: dict[str, int] = {}
    inexcusable: dict[str, int] = {}
    figures: dict[str, float] = {}
    broken: list[str] = []
    not_run: str = ""
    took_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Return whether everything that the row is held to was seen; nothing seen is no pass."""
        if self.not_run:
            return Verdict.NOT_RUN
        if self.broken or self.lost or self.sold_twice or self.imbalance or self.inexcusable:
            return Verdict.FAIL
        return Verdict.PASS if self.trials and not self.is_slow else Verdict.FAIL

    @property
    def is_slow(self) -> bool:
        """Whether the sale took longer to go on than the row allows."""
        limit_s = self.recovery_p99_max_s
        if limit_s is None:
            return False
        return not self.recoveries_s or self.recovery_s(99) > limit_s

    @property
    def bound(self) -> float | None:
        """Return 3/N, which bounds a rate of which nothing was seen; None without trials."""
        return 3 / self.trials if self.trials else None

    def recovery_s(self, percent: float) -> float:
        """Return a percentile of the times from fault to sale; 0 of none."""
        return percentile(sorted(self.recoveries_s), percent) if self.recoveries_s else 0.0


def totals(results: Sequence[Result]) -> dict[str, int]:
    """Return what all rows together come to."""
    names = ("trials", "kills", "requests", "acknowledged", "lost", "sold_twice", "imbalance")
    return {name: sum(getattr(one, name) for one in results) for name in names}


def document(
    about: Mapping[str, str], results: Sequence[Result], *, seed: int
) -> Mapping[str, object]:
    """Return everything as one value for JSON."""
    rows = [
        {
            **msgspec.to_builtins(one),
            "verdict": one.verdict.value,
            "bound": one.bound,
            "recovery_s": {f"p{percent}": one.recovery_s(percent) for percent in (50, 99, 100)},
        }
        for one in results
    ]
    return {"about": dict(about), "seed": seed, "rows": rows, "totals": totals(results)}


def show(console: Console, results: Sequence[Result], *, seed: int) -> None:
    """Print the table, what broke, and the sums."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("row", "N", "3/N", "kills", "told", "lost", "twice", "imbal."):
        table.add_column(name, justify="left" if name == "row" else "right")
    table.add_column("recovery p50/p99/max s", justify="right")
    table.add_column("inexcusable")
    table.add_column("verdict")
    for one in results:
        table.add_row(*_cells(one))
    console.print(table)
    for one in results:
        for sentence in _remarks(one):
            console.print(f"{one.name}: {sentence}", soft_wrap=True, markup=False)
    console.print(_closing(results, seed), markup=False, soft_wrap=True)


def _cells(one: Result) -> list[str]:
    bound = "" if one.bound is None else f"{one.bound:.3g}"
    times = ""
    if one.recoveries_s:
        times = "/".join(f"{one.recovery_s(percent):.2f}" for percent in (50, 99, 100))
        times += "" if one.recovery_p99_max_s is None else f" ≤ {one.recovery_p99_max_s:g}"
    counts = [one.kills, one.acknowledged, one.lost, one.sold_twice, one.imbalance]
    inexcusable = sum(one.inexcusable.values())
    return [
        one.name,
        str(one.trials),
        bound,
        *map(str, counts),
        times,
        str(inexcusable),
        one.verdict.value,
    ]


def _remarks(one: Result) -> list[str]:
    said = [f"not run: {one.not_run}"] if one.not_run else []
    said += [f"broken: {sentence}" for sentence in one.broken]
    said += [f"inexcusable: {_counted(one.inexcusable)}"] if one.inexcusable else []
    said += ["the sale took longer to go on than it may"] if one.trials and one.is_slow else []
    said += [f"excused: {_counted(one.failures)}"] if one.failures and not one.inexcusable else []
    if one.figures:
        said.append(", ".join(f"{name} {figure:.4g}" for name, figure in one.figures.items()))
    return said


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in Counter(kinds).most_common())


def _closing(results: Sequence[Result], seed: int) -> str:
    verdicts = Counter(one.verdict for one in results)
    sums = totals(results)
    said = ", ".join(f"{count} {verdict.value}" for verdict, count in sorted(verdicts.items()))
    promises = f"{sums['lost']} of {sums['acknowledged']} acknowledged effects lost"
    bound = f" (3/N = {3 / sums['kills']:.2g} per kill)" if sums["kills"] else ""
    return f"{said}; seed {seed}; {sums['kills']} kills, {promises}{bound}"
