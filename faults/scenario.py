"""Scenario types, and what a scenario returns."""

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
    """What a fault affects."""

    API = "API process"
    POSTGRES = "PostgreSQL"
    VALKEY = "Valkey"
    CLIENTS = "clients"
    MONEY = "money"
    PROVIDERS = "payment providers"
    CLOCK = "clock"
    GUARDS = "guards"


class NotRun(Exception):
    """This machine lacks what the scenario needs; the message says what."""


@dataclass
class Observations:
    """What a scenario observed, beside the checks that follow every scenario.

    `trials`: faults injected. `recoveries_s`: from each fault to the next sale. `kills`: SIGKILLs,
    those of one moment counted once. `broken`: expectations that failed, as sentences. `figures`:
    measurements by a name that ends in a unit, the worst of several rounds. `counts`: measurements
    that are added up.
    """

    trials: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    kills: int = 0
    broken: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Observations") -> None:
        """Add the observations of another round."""
        self.trials += other.trials
        self.kills += other.kills
        self.recoveries_s += other.recoveries_s
        self.broken += other.broken
        # `update`, because `+=` drops zeros.
        self.counts.update(other.counts)
        for name, figure in other.figures.items():
            self.figures[name] = worst(name, figure, self.figures.get(name, figure))


Play = Callable[[Cluster, LoadGenerator, Random, int], Awaitable[Observations]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A fault during a sale.

    `run(cluster, load, random, trials)` injects that many faults. Rounds of `round_trials` have a
    schedule and buyers of their own and are checked separately. `trial_s` is the expected duration
    of a trial, `recovery_p99_max_s` bounds the time from a fault to the next sale.
    `excuses_late_holds`: a paused process may complete a hold that another process refused
    meanwhile.
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
    """A scenario that starts its own installation, or needs none."""

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
    """Return the number of trials: the quick ones, or a share of all."""
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
