"""Runs scenarios: per round fixtures, the fault during a sale, then the checks."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from faults.checks.database import Checked, check
from faults.checks.record import Record
from faults.cluster.cluster import Cluster, ProcessFailed
from faults.report.result import Result, worst
from faults.scenario import AnyScenario, NotRun, Observations, Scenario, StandaloneScenario
from faults.workload.load import LoadGenerator

# A scenario that exceeds its expected duration by this much is stuck.
_PATIENCE_FACTOR = 4
_PATIENCE_S = 150.0
_FIRST_SALE_WITHIN_S = 30.0


class Runner:
    """Runs scenarios in one cluster, one after the other, from one seed."""

    def __init__(self, cluster: Cluster, seed: int, say: Callable[[str], None]) -> None:
        self._world = cluster
        self._seed = seed
        self._say = say

    async def play(self, scenario: AnyScenario, trials: int) -> Result:
        """Run a scenario; its exceptions become its result."""
        result = Result(
            name=scenario.name,
            component=scenario.component.value,
            recovery_p99_max_s=scenario.recovery_p99_max_s,
        )
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(trials * scenario.trial_s * _PATIENCE_FACTOR + _PATIENCE_S):
                await self._play(scenario, trials, result)
        except NotRun as reason:
            result.not_run = str(reason)
        except TimeoutError:
            result.broken.append(f"did not end in time ({time.monotonic() - began_s:.0f} s)")
        except Exception as error:
            result.broken.append(f"{type(error).__name__}: {error}")
        finally:
            await self._put_right(scenario, result)
        result.took_s = time.monotonic() - began_s
        return result

    async def _play(self, scenario: AnyScenario, trials: int, result: Result) -> None:
        if isinstance(scenario, StandaloneScenario):
            self._say(f"{scenario.name}: {trials} trials")
            take(result, await scenario.run(Random(self._name(scenario, 0)), trials))
            return
        if scenario.stage is not None:
            async with scenario.stage() as own:
                runner = Runner(own, self._seed, self._say)
                await runner._play(replace(scenario, stage=None), trials, result)
                result.broken += own.problems
            return
        for number, share in enumerate(rounds(trials, scenario.round_trials), start=1):
            self._say(f"{scenario.name}: round {number}, {share} trials")
            await self._round(scenario, number, share, result)

    async def _round(self, scenario: Scenario, number: int, trials: int, result: Result) -> None:
        cluster, name = self._world, self._name(scenario, number)
        await cluster.deploy(scenario.topology)
        fixtures = await cluster.create_fixtures(
            seats=scenario.seats, people=scenario.people, hold_ttl_s=scenario.hold_ttl_s
        )
        load = LoadGenerator(fixtures, cluster.api, Random(f"{name}/load"), scenario.profile, name)
        logged = cluster.errors_logged()
        async with load.selling():
            await load.next_sale(time.monotonic(), within_s=_FIRST_SALE_WITHIN_S)
            seen = await scenario.run(cluster, load, Random(name), trials)
            if await load.next_sale(time.monotonic()) >= _FIRST_SALE_WITHIN_S:
                seen.broken.append("the sale did not continue")
        take(result, seen)
        take_record(result, load.record)
        checked = await check(
            cluster.settings,
            fixtures,
            load.record,
            name,
            excuses_late_holds=scenario.excuses_late_holds,
        )
        take_checks(result, checked)
        _note(result, "errors_logged_count", cluster.errors_logged() - logged)

    def _name(self, scenario: AnyScenario, number: int) -> str:
        return f"f{self._seed}-{scenario.name}-{number}"

    async def _put_right(self, scenario: AnyScenario, result: Result) -> None:
        """Restore the cluster for the next scenario."""
        cluster = self._world
        for server in (cluster.postgres, cluster.valkey):
            server.wanted = True
            server.resume()
        for process in cluster.processes:
            process.resume()
        result.broken += cluster.problems
        cluster.problems.clear()
        if result.broken and isinstance(scenario, Scenario):
            try:
                await cluster.clear()
            except ProcessFailed as error:
                result.broken.append(str(error))


def rounds(trials: int, round_trials: int) -> list[int]:
    """Return the trials per round, distributed evenly."""
    count = max(1, -(-trials // round_trials))
    return [trials // count + (at < trials % count) for at in range(count)]


def take(result: Result, seen: Observations) -> None:
    """Add the observations of a round."""
    result.trials += seen.trials
    result.kills += seen.kills
    result.recoveries_s += seen.recoveries_s
    result.broken += seen.broken
    for name, figure in seen.figures.items():
        # Zeros are kept.
        result.figures[name] = worst(name, figure, result.figures.get(name, figure))
    for name, count in seen.counts.items():
        result.figures[name] = result.figures.get(name, 0) + count


def take_record(result: Result, record: Record) -> None:
    """Add the clients' record."""
    result.requests += len(record.attempts)
    result.acknowledged += record.acknowledged
    result.failures = dict(Counter(result.failures) + record.failures())
    unexcused = Counter(f"{one.what}: {one.kind}" for one in record.unexcused())
    result.unexcused = dict(Counter(result.unexcused) + unexcused)
    _note(result, "visits_skipped_count", record.skipped)
    _note(result, "longest_gap_s", record.longest_gap_s())
    _sum(result, "answered_after_a_retry_count", record.retried_to_an_answer())
    _sum(result, "requests_without_a_fault_count", record.without_a_fault())


def take_checks(result: Result, checked: Checked) -> None:
    """Add the result of the checks."""
    result.lost += checked.lost
    result.sold_twice += checked.sold_twice
    result.imbalance += checked.imbalance
    result.double_charges += checked.double_charges
    result.broken += checked.broken
    _note(result, "late_holds_count", checked.late_holds)


def _note(result: Result, name: str, figure: float) -> None:
    if figure:
        result.figures[name] = worst(name, figure, result.figures.get(name, figure))


def _sum(result: Result, name: str, count: int) -> None:
    result.figures[name] = result.figures.get(name, 0) + count


def chosen(scenarios: Sequence[AnyScenario], names: Sequence[str]) -> list[AnyScenario]:
    """Return the named scenarios, or all; raise `KeyError` for an unknown name."""
    known = {scenario.name: scenario for scenario in scenarios}
    return [known[name] for name in names] if names else list(scenarios)
