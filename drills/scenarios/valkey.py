"""Valkey that fails while a shop with waiting rooms sells: a shard, a promotion, a slot that moves."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

from drills.drill import Drill, DrillReport
from drills.servers.shop import BuyerCall, Buyers, DrillShop, drill_shop, visiting
from drills.servers.valkey_groups import SentinelGroup, ValkeyCluster

_BESIDE_S, _DEAD_S = 6.0, 6.0
_VISITS_PER_S = 12.0
_PER_SHARD, _SEATS, _PEOPLE = 1, 400, 2_000
_WAITING = 1_000
_JOINS_AT_ONCE = 50
_JOIN_AGAIN = 200
_SLOTS_MOVED = 6
_KEPT_MIN = 0.5
# Without CPU to spare a rebuild took up to 19 s. The Sentinels wait for half a second.
_JOINS_BACK_WITHIN_S = 30.0


async def play_shard(report: DrillReport, folder: Path) -> None:
    """Kill one of three masters, and compare the schedules of the others before and meanwhile."""
    with ValkeyCluster(folder) as cluster:
        async with (
            drill_shop(folder, cluster.url) as shop,
            _selling(report, shop, cluster) as (ids, buyers),
        ):
            victim = cluster.owner(f"{{{ids[0]}}}")
            dead = {one for one in ids if cluster.owner(f"{{{one}}}") is victim}
            alive = set(ids) - dead
            report.measure("schedules of the killed shard", len(dead), f"of {len(ids)}")
            async with visiting(buyers, shop.tokens, ids, _VISITS_PER_S):
                await asyncio.sleep(_BESIDE_S)
                killed_at = time.monotonic()
                victim.kill()
                await asyncio.sleep(_DEAD_S)
                victim.start()
                back_at = time.monotonic()
                await asyncio.sleep(_BESIDE_S)
            _report_shard(report, buyers, dead, alive, (killed_at, back_at))
            await _check_books(report, shop, buyers)


def _report_shard(
    report: DrillReport, buyers: Buyers, dead: set[str], alive: set[str], fault: tuple[float, float]
) -> None:
    killed_at, back_at = fault
    others = buyers.failures("join", "poll", "hold", schedules=alive)
    report.check(
        "no request of another shard's schedule is 5xx", holds=not others, seen=len(others)
    )
    own = buyers.failures("poll", "hold", schedules=dead)
    report.check("of its own schedules no poll and no hold is 5xx", holds=not own, seen=len(own))
    before = [one for one in buyers.calls if one.at_s < killed_at and one.schedule_id in alive]
    meanwhile = [
        one for one in buyers.calls if killed_at <= one.at_s < back_at and one.schedule_id in alive
    ]
    for name, calls in (("before", before), ("meanwhile", meanwhile)):
        report.measure(f"p95 of the other shards, {name}", 1_000 * _p95(calls), "ms")
    report.measure("calls of the other shards before", len(before) / _BESIDE_S, "per second")
    report.measure(
        "calls of the other shards meanwhile", len(meanwhile) / (back_at - killed_at), "per second"
    )
    report.check(
        "the other shards' calls go on at the same rate",
        holds=len(meanwhile) / (back_at - killed_at) >= _KEPT_MIN * len(before) / _BESIDE_S,
    )
    refused = buyers.failures("join", schedules=dead)
    report.measure("joins of its own schedules that were refused", len(refused), "requests")
    check_joins(report, "joins again after its return", _first_join(buyers, dead, back_at))


async def play_promotion(report: DrillReport, folder: Path) -> None:
    """Kill the master under Sentinels while a thousand wait, poll and hold."""
    with SentinelGroup(folder) as group:
        async with drill_shop(folder, group.url) as shop:
            ids = await shop.open(
                seats=_SEATS, people=_PEOPLE, rate_per_s=20, is_enough=lambda made: len(made) == 2
            )
            async with shop.buyers() as buyers:
                await _promote(report, shop, buyers, group, ids)


async def _promote(
    report: DrillReport, shop: DrillShop, buyers: Buyers, group: SentinelGroup, ids: list[str]
) -> None:
    waiting, selling = ids
    tickets = await _join_all(buyers, shop, waiting)
    report.measure("people in the queue", len(tickets), "people")
    polling = asyncio.create_task(_poll_on(buyers, waiting, tickets))
    async with visiting(buyers, shop.tokens, [selling], _VISITS_PER_S):
        await asyncio.sleep(_BESIDE_S)
        killed_at = time.monotonic()
        await asyncio.to_thread(_kill_master, group)
        await asyncio.sleep(_BESIDE_S + 4)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    failed = buyers.failures("poll", "hold")
    report.check("no poll and no hold is 5xx", holds=not failed, seen=len(failed))
    report.measure("joins refused meanwhile", len(buyers.failures("join")), "requests")
    check_joins(report, "no number was issued for", _first_join(buyers, {selling}, killed_at))
    known, again = dict(buyers.numbers[waiting]), list(tickets)[:_JOIN_AGAIN]
    joins = (buyers.join(waiting, token) for token in again)
    ended = await asyncio.gather(*joins, return_exceptions=True)
    late = sum(isinstance(one, TimeoutError) for one in ended)
    report.check("each of the waiting people can join again", holds=not late, seen=f"{late} cannot")
    kept = sum(buyers.numbers[waiting][token] == known[token] for token in again)
    report.check("who joins again has the same number", holds=kept == len(again), seen=kept)
    await _check_books(report, shop, buyers)


def _kill_master(group: SentinelGroup) -> None:
    group.master().kill()


async def _join_all(buyers: Buyers, shop: DrillShop, schedule_id: str) -> dict[str, str]:
    tickets: dict[str, str] = {}
    people = [next(shop.tokens) for _ in range(_WAITING)]
    for at in range(0, len(people), _JOINS_AT_ONCE):
        part = people[at : at + _JOINS_AT_ONCE]
        joined = await asyncio.gather(*(buyers.join(schedule_id, one) for one in part))
        tickets.update(zip(part, joined, strict=True))
    return tickets


async def _poll_on(buyers: Buyers, schedule_id: str, tickets: dict[str, str]) -> None:
    while True:
        for token in list(tickets):
            position = await buyers.poll(schedule_id, token, tickets[token])
            tickets[token] = (position or {}).get("queue_ticket") or tickets[token]
            await asyncio.sleep(0.01)


async def play_slot(report: DrillReport, folder: Path) -> None:
    """Move the slots of schedules to other nodes while they sell."""
    with ValkeyCluster(folder) as cluster:
        async with (
            drill_shop(folder, cluster.url) as shop,
            _selling(report, shop, cluster) as (ids, buyers),
        ):
            moved_at: list[tuple[str, float]] = []
            async with visiting(buyers, shop.tokens, ids, _VISITS_PER_S):
                for schedule_id in ids[:_SLOTS_MOVED]:
                    await asyncio.sleep(_BESIDE_S / 3)
                    await asyncio.to_thread(_move, cluster, schedule_id)
                    moved_at.append((schedule_id, time.monotonic()))
                await asyncio.sleep(_BESIDE_S)
            failed = buyers.failures("poll", "hold")
            report.check("no poll and no hold is 5xx", holds=not failed, seen=len(failed))
            report.measure("slots moved", len(moved_at), "slots")
            report.measure("joins refused meanwhile", len(buyers.failures("join")), "requests")
            gaps = [_first_join(buyers, {one}, at) for one, at in moved_at]
            check_joins(report, "longest time until a join after a move", max(gaps))
            await _check_books(report, shop, buyers)


def _move(cluster: ValkeyCluster, schedule_id: str) -> None:
    key = f"{{{schedule_id}}}"
    at = cluster.nodes.index(cluster.owner(key))
    cluster.move_slot(key, cluster.nodes[(at + 1) % len(cluster.nodes)])


@asynccontextmanager
async def _selling(
    report: DrillReport, shop: DrillShop, cluster: ValkeyCluster
) -> AsyncIterator[tuple[list[str], Buyers]]:
    """Open a shop of several schedules on every shard, and lend its buyers."""

    def is_enough(ids: list[str]) -> bool:
        by_node = Counter(cluster.owner(f"{{{one}}}").name for one in ids)
        return all(by_node[node.name] >= _PER_SHARD for node in cluster.nodes)

    ids = await shop.open(seats=_SEATS, people=_PEOPLE, rate_per_s=50, is_enough=is_enough)
    report.say(f"{len(ids)} schedules are on sale")
    async with shop.buyers() as buyers:
        yield ids, buyers


async def _check_books(report: DrillReport, shop: DrillShop, buyers: Buyers) -> None:
    report.check("each visit ends", holds=not buyers.given_up, seen=f"{buyers.given_up} given up")
    repeated = buyers.repeated_numbers()
    report.check("no number was given to two people", holds=repeated == 0, seen=repeated)
    broken = await shop.broken()
    report.check("the audit is clean", holds=not broken, seen="; ".join(broken))
    report.measure("seats held by the visits", buyers.done, "seats")


def check_joins(report: DrillReport, what: str, gap_s: float) -> None:
    """Write a gap without joins down, and fail where it is longer than allowed or never ended."""
    report.measure(what, gap_s, "s", target=f"below {_JOINS_BACK_WITHIN_S:.0f} s")
    report.check(
        f"joins are answered again within {_JOINS_BACK_WITHIN_S:.0f} s",
        holds=gap_s < _JOINS_BACK_WITHIN_S,
        seen=f"{gap_s:.1f} s",
    )


def _first_join(buyers: Buyers, schedules: set[str], since_s: float) -> float:
    """Return how long after a moment a join that began then was first answered with a number."""
    ended = [
        one.at_s + one.seconds - since_s
        for one in buyers.calls
        if one.kind == "join"
        and one.status < 300
        and one.schedule_id in schedules
        and one.at_s >= since_s
    ]
    return min(ended, default=float("inf"))


def _p95(calls: Sequence[BuyerCall]) -> float:
    return quantiles([one.seconds for one in calls], n=20)[18] if len(calls) > 1 else 0.0


DRILLS = (
    Drill(
        "valkey_shard",
        "One of three shards is killed while schedules with waiting rooms sell on each",
        1.0,
        play_shard,
    ),
    Drill(
        "valkey_promotion",
        "The master under Sentinels is killed while 1,000 people wait and others hold",
        1.0,
        play_promotion,
    ),
    Drill(
        "valkey_slot",
        "The slots of schedules move to other nodes while they sell",
        1.0,
        play_slot,
    ),
)
