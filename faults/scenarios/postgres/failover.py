"""Failover: the synchronous standby is lost, the primary dies, the standby is promoted."""

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import aiohttp

from faults.checks.database import audit_now, check
from faults.cluster.cluster import Cluster, ProcessFailed, Topology, start_cluster
from faults.cluster.standby import Pair, with_standby
from faults.guards.markers import texts_without
from faults.guards.mutation import copied_tree
from faults.interference.external_clients import allow_traversal, wait_for
from faults.scenario import AnyScenario, Component, Observations, Scenario, StandaloneScenario
from faults.scenarios.postgres.server import RECOVERY_MAX_S, note_largest
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

# Without these guards the product believes a commit that did not wait for the standby.
GUARDS = (
    "promise_batchs_commit_has_waited_for_standby",
    "promise_what_look_up_finds_is_written_behind_once_more",
)
# Long enough for the timeout of a commit, the look-up of its outcome, and its timeout.
_AWAY_S = 5.0
_NOTICED_WITHIN_S = 3.0
# A statement times out after 1.5 s, the look-up of its outcome one second later.
_HASTY = Topology(
    settings={
        "statement_timeout_ms": 500,
        "lock_timeout_ms": 300,
        "unknown_outcome_timeout_ms": 1_000,
        "standby_check_interval_ms": 200,
    }
)
_PROFILE = WorkloadProfile(visits_per_s=15.0)
_GAUGE = 'boxoffice_standbys{state="synchronous"}'

Away = Callable[[Pair], Awaitable[None]]


@asynccontextmanager
async def _with_a_standby() -> AsyncIterator[Cluster]:
    """Run a cluster whose commits wait for a standby."""
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-faults-", ignore_cleanup_errors=True
    ) as name:
        folder = allow_traversal(Path(name))
        async with start_cluster(folder, lambda _: None) as one, with_standby(one):
            yield one


def failing_over(
    away: Away,
) -> Callable[[Cluster, LoadGenerator, Random, int], Awaitable[Observations]]:
    """Return the function of a scenario: standby lost, primary killed, standby promoted."""

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        seen = Observations()
        for _ in range(trials):
            await load.sell_for(random.uniform(0.5, 1.5))
            with load.fault("PostgreSQL", grace_s=RECOVERY_MAX_S, is_lossy=True):
                await _fail_over(cluster, load, away, seen)
            seen.trials += 1
            seen.broken += await audit_now(cluster.settings)
        return seen

    return run


async def _fail_over(cluster: Cluster, load: LoadGenerator, away: Away, seen: Observations) -> None:
    pair = cluster.pair
    if pair is None:
        raise ProcessFailed("this cluster has no standby")
    before = len(load.record.attempts)
    await away(pair)
    await wait_for(
        lambda: _is_told(cluster), _NOTICED_WITHIN_S, "/metrics did not report the missing standby"
    )
    await load.sell_for(_AWAY_S)
    unknown = sum(one.code == "outcome_unknown" for one in load.record.attempts[before:])
    if not unknown:
        seen.broken.append("no response said that its outcome is unknown")
    seen.counts["outcomes_unknown_count"] += unknown
    died_s = time.monotonic()
    await pair.promote()
    note_largest(seen, "promotion_s", time.monotonic() - died_s)
    await pair.follow()
    back_s = time.monotonic()
    note_largest(seen, "standby_back_s", back_s - died_s)
    seen.recoveries_s.append(await load.next_sale(back_s))
    seen.kills += 1


async def _is_told(cluster: Cluster) -> bool:
    """Say whether every process reports synchronous commits without a standby."""
    async with aiohttp.ClientSession() as session:
        for api in cluster.api:
            async with session.get(f"{api.url}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            if f"{_GAUGE} 0.0" not in lines or "boxoffice_commits_synchronous 1.0" not in lines:
                return False
    return True


async def without_its_guards(random: Random, trials: int) -> Observations:
    """The control: without the guards, acknowledged effects must be lost."""
    seen = Observations()
    for number in range(trials):
        async with _with_a_standby() as one:
            with copied_tree() as tree:
                allow_traversal(tree.home)
                _take_guards_away(tree.home)
                env = {"PYTHONPATH": str(tree.home / "src")}
                await one.deploy(replace(_HASTY, api_env=(env, env)))
                lost = await _lost(one, random, f"believing-{number}")
                await one.clear()
        seen.trials += 1
        seen.counts["lost_without_the_guards_count"] += lost
        if not lost:
            seen.broken.append("nothing was lost without the guards: the checks found nothing")
    return seen


def _take_guards_away(home: Path) -> None:
    for file, text in texts_without(GUARDS).items():
        (home / file).write_text(text, "utf-8")


async def _lost(one: Cluster, random: Random, tag: str) -> int:
    fixtures = await one.create_fixtures(seats=3_000, people=200, hold_ttl_s=60)
    load = LoadGenerator(fixtures, one.api, Random(random.random()), _PROFILE, tag)
    async with load.selling():
        await failing_over(Pair.freeze_standby)(one, load, random, 1)
    checked = await check(one.settings, fixtures, load.record, tag)
    return checked.lost


def _scenario(name: str, does: str, away: Away) -> Scenario:
    return Scenario(
        name=name,
        component=Component.POSTGRES,
        does=f"{does}, the sale goes on for {_AWAY_S:.0f} s, the primary is killed, the standby is "
        "promoted, and the old primary becomes its standby",
        expects="503 with Retry-After without a standby, and /metrics says so; no acknowledged "
        "effect is lost or sold twice, and the same processes sell on at the new primary",
        run=failing_over(away),
        trials=5,
        trial_s=14.0,
        round_trials=5,
        recovery_p99_max_s=RECOVERY_MAX_S,
        topology=_HASTY,
        profile=_PROFILE,
        seats=6_000,
        people=300,
        hold_ttl_s=60,
        stage=_with_a_standby,
    )


SCENARIOS: tuple[AnyScenario, ...] = (
    _scenario(
        "failover_standby_stopped",
        "the synchronous standby is killed",
        Pair.stop_standby,
    ),
    _scenario(
        "failover_standby_frozen",
        "the synchronous standby is paused and its connection cut",
        Pair.freeze_standby,
    ),
    StandaloneScenario(
        name="failover_without_its_guards",
        component=Component.GUARDS,
        does="the same without the guards: a COMMIT whose wait for the standby was cancelled "
        "counts as done",
        expects="the checks find the lost acknowledged effects",
        run=without_its_guards,
        trials=2,
        trial_s=25.0,
    ),
)
