"""What a scenario of the matrix is, and what it hands back; `scenarios/` has them."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from faults.cluster.cluster import Cluster, Topology
from faults.report.result import worst
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile


class Component(StrEnum):
    """Whom a fault strikes."""

    API = "API process"
    POSTGRES = "PostgreSQL"
    VALKEY = "Valkey"
    CLIENTS = "clients"
    MONEY = "money"
    CLOCK = "clock"
    GUARDS = "guards"


class NotRun(Exception):
    """What the scenario needs cannot be had on this machine; the message says what and why."""


@dataclass
class Observations:
    """What a scenario saw, beside what is checked after every scenario.

    `trials` faults were made. `recoveries_s`: from each fault to the next sale. `kills`: how often
    SIGKILL affected, however many processes it ended at once. `broken`: sentences about what the
    scenario
    expected and did not see. `figures` are figures of the scenario's own, by a name that ends in
    a unit; of
    several rounds the worst counts. `counts` are such figures too, and those of all rounds are added.
    """

    trials: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    kills: int = 0
    broken: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Observations") -> None:
        """Take what another round of the same scenario saw."""
        self.trials += other.trials
        self.kills += other.kills
        self.recoveries_s += other.recoveries_s
        self.broken += other.broken
        # Not `+=`, which drops a nought.
        self.counts.update(other.counts)
        for name, figure in other.figures.items():
            self.figures[name] = worst(name, figure, self.figures.get(name, figure))


Play = Callable[[Cluster, LoadGenerator, Random, int], Awaitable[Observations]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A fault under load.

    `run(cluster, load, random, trials)` makes so many faults; a long scenario is played in rounds of
    `round_trials`, each with a fresh schedule and fresh people, and each checked. `trial_s` is about
    how long one trial takes. `recovery_p99_max_s` bounds the time from a fault to the next sale.
    `excuses_late_holds`: a stopped process may hold, when it goes on, what its buyer was refused
    elsewhere meanwhile.
    """

    name: str
    component: Component
    does: str
    expects: str
    run: Play
    trials: int
    trial_s: float
    quick_trials: int = 1
    round_trials: int = 30
    recovery_p99_max_s: float | None = None
    topology: Topology = field(default_factory=Topology)
    profile: WorkloadProfile = field(default_factory=WorkloadProfile)
    seats: int = 6_000
    people: int = 300
    hold_ttl_s: int = 5
    excuses_late_holds: bool = False
    stage: Callable[[], AbstractAsyncContextManager[Cluster]] | None = None


@dataclass(frozen=True, kw_only=True)
class StandaloneScenario:
    """A scenario that brings its own shop, or needs none: `run(random, trials)` does everything."""

    name: str
    component: Component
    does: str
    expects: str
    run: Callable[[Random, int], Awaitable[Observations]]
    trials: int
    trial_s: float
    quick_trials: int = 1
    recovery_p99_max_s: float | None = None


AnyScenario = Scenario | StandaloneScenario


def trials_of(scenario: AnyScenario, share: float, *, is_quick: bool) -> int:
    """Return how many trials a scenario gets: its few quick ones, or its share of all of them."""
    if is_quick:
        return scenario.quick_trials
    return max(scenario.quick_trials, min(scenario.trials, round(scenario.trials * share)))


def share_of(scenarios: list[AnyScenario], minutes: float | None) -> float:
    """Return the share of all trials that fits into so many minutes."""
    if minutes is None:
        return 1.0
    return min(
        1.0, minutes * 60 / sum(scenario.trials * scenario.trial_s for scenario in scenarios)
    )
