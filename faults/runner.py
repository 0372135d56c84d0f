"""Plays rows: a fresh sale for each round, the fault, and then the judges."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from faults.checks.database import Checked, check
from faults.checks.record import Record
from faults.cluster.cluster import PartFailed, World
from faults.report.result import Result, worst
from faults.scenario import AnyRow, Errand, NotRun, Observations, Row
from faults.workload.load import Load

# What a row may take beyond the time that it is expected to, before it counts as stuck.
_PATIENCE_FACTOR = 4
_PATIENCE_S = 150.0
_FIRST_SALE_WITHIN_S = 30.0


class Runner:
    """Plays rows in one world, one after the other, all from one seed."""

    def __init__(self, world: World, seed: int, say: Callable[[str], None]) -> None:
        self._world = world
        self._seed = seed
        self._say = say

    async def play(self, row: AnyRow, trials: int) -> Result:
        """Play a row; whatever goes wrong in it is its result."""
        result = Result(
            name=row.name, part=row.part.value, recovery_p99_max_s=row.recovery_p99_max_s
        )
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(trials * row.trial_s * _PATIENCE_FACTOR + _PATIENCE_S):
                await self._play(row, trials, result)
        except NotRun as reason:
            result.not_run = str(reason)
        except TimeoutError:
            result.broken.append(f"did not end in time ({time.monotonic() - began_s:.0f} s)")
        except Exception as error:
            result.broken.append(f"{type(error).__name__}: {error}")
        finally:
            await self._put_right(row, result)
        result.took_s = time.monotonic() - began_s
        return result

    async def _play(self, row: AnyRow, trials: int, result: Result) -> None:
        if isinstance(row, Errand):
            self._say(f"{row.name}: {trials} trials")
            take(result, await row.run(Random(self._name(row, 0)), trials))
            return
        if row.stage is not None:
            async with row.stage() as own:
                runner = Runner(own, self._seed, self._say)
                await runner._play(replace(row, stage=None), trials, result)
                result.broken += own.trouble
            return
        for number, share in enumerate(rounds(trials, row.round_trials), start=1):
            self._say(f"{row.name}: round {number}, {share} trials")
            await self._round(row, number, share, result)

    async def _round(self, row: Row, number: int, trials: int, result: Result) -> None:
        world, name = self._world, self._name(row, number)
        await world.arrange(row.layout)
        field = await world.sow(seats=row.seats, people=row.people, hold_ttl_s=row.hold_ttl_s)
        load = Load(field, world.api, Random(f"{name}/load"), row.pace, name)
        logged = world.errors_logged()
        async with load.selling():
            await load.next_sale(time.monotonic(), within_s=_FIRST_SALE_WITHIN_S)
            seen = await row.run(world, load, Random(name), trials)
            if await load.next_sale(time.monotonic()) >= _FIRST_SALE_WITHIN_S:
                seen.broken.append("the sale did not go on")
        take(result, seen)
        take_record(result, load.record)
        checked = await check(
            world.settings, field, load.record, name, excuses_late_holds=row.excuses_late_holds
        )
        take_checks(result, checked)
        _note(result, "errors_logged_count", world.errors_logged() - logged)

    def _name(self, row: AnyRow, number: int) -> str:
        return f"f{self._seed}-{row.name}-{number}"

    async def _put_right(self, row: AnyRow, result: Result) -> None:
        """Leave the next row a world that works."""
        world = self._world
        for server in (world.postgres, world.valkey):
            server.wanted = True
            server.go_on()
        for process in world.processes:
            process.go_on()
        result.broken += world.trouble
        world.trouble.clear()
        if result.broken and isinstance(row, Row):
            try:
                await world.clear()
            except PartFailed as error:
                result.broken.append(str(error))


def rounds(trials: int, round_trials: int) -> list[int]:
    """Return how many trials each round has, as even as can be."""
    count = max(1, -(-trials // round_trials))
    return [trials // count + (at < trials % count) for at in range(count)]


def take(result: Result, seen: Observations) -> None:
    """Add what a round of the row saw."""
    result.trials += seen.trials
    result.kills += seen.kills
    result.recoveries_s += seen.recoveries_s
    result.broken += seen.broken
    for name, figure in seen.figures.items():
        # Also a nought: nothing grew, nothing failed.
        result.figures[name] = worst(name, figure, result.figures.get(name, figure))
    for name, count in seen.counts.items():
        result.figures[name] = result.figures.get(name, 0) + count


def take_record(result: Result, record: Record) -> None:
    """Add what the clients saw."""
    result.requests += len(record.attempts)
    result.acknowledged += record.acknowledged
    result.failures = dict(Counter(result.failures) + record.failures())
    inexcusable = Counter(f"{one.what}: {one.kind}" for one in record.inexcusable())
    result.inexcusable = dict(Counter(result.inexcusable) + inexcusable)
    _note(result, "visits_skipped_count", record.skipped)
    _note(result, "longest_gap_s", record.longest_gap_s())
    _sum(result, "answered_after_a_retry_count", record.retried_to_an_answer())
    _sum(result, "requests_without_a_fault_count", record.without_a_fault())


def take_checks(result: Result, checked: Checked) -> None:
    """Add what the judges found."""
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


def chosen(rows: Sequence[AnyRow], names: Sequence[str]) -> list[AnyRow]:
    """Return the rows of these names, all without any; `KeyError` with a name that is none."""
    known = {row.name: row for row in rows}
    return [known[name] for name in names] if names else list(rows)
