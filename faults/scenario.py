"""What a row of the matrix is, and what it hands back; `rows/` has them."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from faults.cluster.cluster import Layout, World
from faults.report.result import worst
from faults.workload.load import Load
from faults.workload.plan import Pace


class Part(StrEnum):
    """Whom a fault strikes."""

    API = "API process"
    POSTGRES = "PostgreSQL"
    VALKEY = "Valkey"
    CLIENTS = "clients"
    MONEY = "money"
    CLOCK = "clock"
    GUARDS = "guards"


class NotRun(Exception):
    """What the row needs cannot be had on this machine; the message says what and why."""


@dataclass
class Observations:
    """What a row saw, beside what is checked after every row.

    `trials` faults were made. `recoveries_s`: from each fault to the next sale. `kills`: how often
    SIGKILL struck, however many processes it ended at once. `broken`: sentences about what the row
    expected and did not see. `figures` are figures of the row's own, by a name that ends in a unit; of
    several rounds the worst counts. `counts` are such figures too, and those of all rounds are added.
    """

    trials: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    kills: int = 0
    broken: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Observations") -> None:
        """Take what another round of the same row saw."""
        self.trials += other.trials
        self.kills += other.kills
        self.recoveries_s += other.recoveries_s
        self.broken += other.broken
        # Not `+=`, which drops a nought.
        self.counts.update(other.counts)
        for name, figure in other.figures.items():
            self.figures[name] = worst(name, figure, self.figures.get(name, figure))


Play = Callable[[World, Load, Random, int], Awaitable[Observations]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault under load.

    `run(world, load, random, trials)` makes so many faults; a long row is played in rounds of
    `round_trials`, each with a fresh schedule and fresh people, and each checked. `trial_s` is about
    how long one trial takes. `recovery_p99_max_s` bounds the time from a fault to the next sale.
    `excuses_late_holds`: a stopped process may hold, when it goes on, what its buyer was refused
    elsewhere meanwhile.
    """

    name: str
    part: Part
    does: str
    expects: str
    run: Play
    trials: int
    trial_s: float
    quick_trials: int = 1
    round_trials: int = 30
    recovery_p99_max_s: float | None = None
    layout: Layout = field(default_factory=Layout)
    pace: Pace = field(default_factory=Pace)
    seats: int = 6_000
    people: int = 300
    hold_ttl_s: int = 5
    excuses_late_holds: bool = False
    stage: Callable[[], AbstractAsyncContextManager[World]] | None = None


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A row that brings its own shop, or needs none: `run(random, trials)` does everything."""

    name: str
    part: Part
    does: str
    expects: str
    run: Callable[[Random, int], Awaitable[Observations]]
    trials: int
    trial_s: float
    quick_trials: int = 1
    recovery_p99_max_s: float | None = None


AnyRow = Row | Errand


def trials_of(row: AnyRow, share: float, *, is_quick: bool) -> int:
    """Return how many trials a row gets: its few quick ones, or its share of all of them."""
    if is_quick:
        return row.quick_trials
    return max(row.quick_trials, min(row.trials, round(row.trials * share)))


def share_of(rows: list[AnyRow], minutes: float | None) -> float:
    """Return the share of all trials that fits into so many minutes."""
    if minutes is None:
        return 1.0
    return min(1.0, minutes * 60 / sum(row.trials * row.trial_s for row in rows))
