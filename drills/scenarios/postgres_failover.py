"""The leader of three servers under Patroni is killed, and switched over, while two processes sell."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import aiohttp

from boxoffice.platform.postgres.migrations import migrate
from drills import archived_postgres, patroni
from drills.drill import Drill, DrillReport
from drills.patroni import PatroniCluster, patroni_cluster
from faults.checks.database import check
from faults.cluster.cluster import Cluster, Topology, start_cluster
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_KILLS = 5
_SWITCHOVERS = 2
_SELLS_S = 3.0
# A Patroni that is killed holds the leader's key for 20 s; then come the election and our own wait.
_GAP_MAX_S = 30.0
_PROFILE = WorkloadProfile(visits_per_s=15.0)
_ROLES = ("archive", "auditor", "messenger")
_TOPOLOGY = Topology(
    roles=_ROLES, settings={"db_standby": "required", "standby_check_interval_ms": 1_000}
)


@dataclass(slots=True)
class Failovers:
    """What was measured, in seconds."""

    writable_s: list[float] = field(default_factory=list)
    sale_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    rewinds: int = 0


async def play(report: DrillReport, folder: Path) -> None:
    """Sell on two processes through kills and switchovers, and compare the buyers' record."""
    async with patroni_cluster(folder) as servers, start_cluster(folder, report.say) as shop:
        shop.settings = shop.settings.replace(database_url=servers.url)
        await migrate(shop.settings)
        await shop.deploy(_TOPOLOGY)
        before = [process.pid for process in shop.processes]
        fixtures = await shop.create_fixtures(seats=20_000, people=600, hold_ttl_s=180)
        load = LoadGenerator(fixtures, shop.api, random.Random(18), _PROFILE, "failover")
        kills, switchovers = Failovers(), Failovers()
        async with load.selling():
            for _ in range(_KILLS):
                await _kill_leader(report, servers, load, kills)
            for _ in range(_SWITCHOVERS):
                await _switch_over(report, servers, load, switchovers)
            await load.sell_for(_SELLS_S)
        _check_processes(report, shop, before)
        await _check_metrics(report, shop)
        checked = await check(shop.settings, fixtures, load.record, load.tag)
        effects = [*load.record.holds, *load.record.payments]
        report.check("0 acknowledged effects are lost", holds=not checked.lost, seen=checked.lost)
        report.check(
            "0 seats are sold twice", holds=not checked.sold_twice, seen=checked.sold_twice
        )
        report.check(
            "the audit and the buyers' record agree with the database",
            holds=not checked.broken,
            seen="; ".join(checked.broken) or f"{len(effects)} holds and payments acknowledged",
        )
        _measure(report, kills, switchovers)


async def _kill_leader(
    report: DrillReport, servers: PatroniCluster, load: LoadGenerator, seen: Failovers
) -> None:
    await load.sell_for(_SELLS_S)
    old = await servers.leader()
    rewinds = old.rewinds()
    with load.fault("PostgreSQL", grace_s=_GAP_MAX_S, is_lossy=True):
        died_s = time.monotonic()
        await old.kill()
        new = await servers.until_writable(but=old)
        seen.writable_s.append(time.monotonic() - died_s)
        seen.sale_s.append(await load.next_sale(died_s))
        await old.start()
        await servers.until_complete()
        seen.back_s.append(time.monotonic() - died_s)
    seen.rewinds += old.rewinds() > rewinds
    report.say(f"{old.name} killed, {new.name} leads after {seen.writable_s[-1]:.1f} s")


async def _switch_over(
    report: DrillReport, servers: PatroniCluster, load: LoadGenerator, seen: Failovers
) -> None:
    await load.sell_for(_SELLS_S)
    with load.fault("PostgreSQL", grace_s=_GAP_MAX_S, is_lossy=True):
        began_s = time.monotonic()
        old = await servers.switch_over()
        new = await servers.until_writable(but=old)
        seen.writable_s.append(time.monotonic() - began_s)
        seen.sale_s.append(await load.next_sale(time.monotonic()))
        await servers.until_complete()
    report.say(f"{old.name} handed over to {new.name} in {seen.writable_s[-1]:.1f} s")


def _check_processes(report: DrillReport, shop: Cluster, before: list[int]) -> None:
    after = [process.pid for process in shop.processes]
    running = [process.name for process in shop.processes if process.is_running]
    report.check(
        "no process of the shop was restarted",
        holds=after == before and len(running) == len(before),
        seen=", ".join(running),
    )


async def _check_metrics(report: DrillReport, shop: Cluster) -> None:
    wanted = {
        "boxoffice_commits_synchronous 1.0",
        "boxoffice_standby_expected 1.0",
        'boxoffice_standbys{state="synchronous"} 1.0',
    }
    await asyncio.sleep(2 * _TOPOLOGY.settings["standby_check_interval_ms"] / 1000)  # type: ignore[operator]  # a number
    missing = set(wanted)
    async with aiohttp.ClientSession() as session:
        for api in shop.api:
            async with session.get(f"{api.url}/metrics") as answer:
                missing -= set((await answer.text()).splitlines())
    report.check(
        "afterwards commits wait for a synchronous standby, and /metrics says so",
        holds=not missing,
        seen=", ".join(sorted(missing)),
    )


def _measure(report: DrillReport, kills: Failovers, switchovers: Failovers) -> None:
    target = f"below {_GAP_MAX_S:.0f} s"
    report.check(
        "each old leader returned as a standby, by pg_rewind where its log had gone further",
        holds=len(kills.back_s) == _KILLS,
        seen=f"{kills.rewinds} of {_KILLS} by pg_rewind",
    )
    report.check(
        f"each gap is {target}", holds=max(kills.sale_s) < _GAP_MAX_S, seen=max(kills.sale_s)
    )
    report.measure("kill to writable, p95", _p95(kills.writable_s), "s", target=target)
    report.measure("kill to the next sale, p95", _p95(kills.sale_s), "s", target=target)
    report.measure("kill to all servers back, p95", _p95(kills.back_s), "s")
    report.measure("switchover to writable, longest", max(switchovers.writable_s), "s")
    report.measure("writable to the next sale, longest", max(switchovers.sale_s), "s")


def _p95(values: list[float]) -> float:
    return sorted(values)[ceil(0.95 * len(values)) - 1]


DRILL = Drill(
    name="postgres_failover",
    title="the leader of three PostgreSQL under Patroni is killed during a sale",
    minutes=5.0,
    play=play,
    programs=("etcd",),
    unfit=lambda: patroni.unfit() or archived_postgres.unfit(),
)
