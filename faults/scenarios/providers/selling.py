"""A sell-out through payment providers: setting up, interfering, healing, and comparing all books."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import aiohttp
import asyncpg

from boxoffice.platform.postgres import sql_files
from faults.checks.notifications import check_notifications
from faults.checks.provider_books import ProviderBooks, compare_books
from faults.cluster.cluster import Cluster, Topology
from faults.cluster.providers import with_providers
from faults.scenario import Component, Observations, Play, Scenario
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile
from faults.workload.provider_sale import ProviderSale

_SQL = sql_files.load("faults")
_HOLD_TTL_S = 60
_HEALED_WITHIN_S = 120.0
_HURRY_AFTER_S = 10.0
# Slow enough for several faults, and fast enough for a crowd.
_ARRIVING_MIN_S = 15.0
# In a crowd of this size the mix must have struck in every way.
_CROWD_MIN = 4_000
# The wallet goes on selling beside.
_PROFILE = WorkloadProfile(visits_per_s=5.0)
_MIX = {"declined": 0.05, "duplicates": 0.01}
FAST: Mapping[str, object] = {
    "confirm_timeout_ms": 4_000,
    "provider_timeout_ms": 2_000,
    "provider_connect_timeout_ms": 500,
    "provider_breaker_open_ms": 500,
    "cashier_interval_ms": 100,
    "cashier_lease_ms": 1_500,
    "cashier_retry_first_s": 0.2,
    "cashier_retry_max_s": 5,
}
_TOPOLOGY = Topology(roles=("cashier", "cashier", "messenger"), settings=FAST)

Interference = Callable[[Cluster, LoadGenerator, Random, Observations], Awaitable[None]]


@dataclass(frozen=True)
class Course:
    """How a sell-out goes; without healing the comparison has to find a difference.

    `lost` is the share of confirmations whose answer is lost. An interference repeats until the buyers
    are done, unless it is one that is waited for (`is_whole`).
    """

    lost: float = 0.02
    buyers_per_seat: int = 4
    arrivals_per_s: float = 60.0
    within_s: float = 600.0
    heals: bool = True
    is_whole: bool = False


def selling_out(interference: Interference | None = None, course: Course | None = None) -> Play:
    """Return a sell-out through providers during an interference, to as many buyers as trials.

    It ends with the comparison of all books.
    """
    course = course or Course()

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        seen = Observations(trials=trials)
        seats = max(4, trials // course.buyers_per_seat)
        fixtures = await cluster.create_fixtures(seats=seats, people=trials, hold_ttl_s=_HOLD_TTL_S)
        await _set_up(cluster, random, course.lost)
        if cluster.inbox is not None:
            await cluster.inbox.subscribe(cluster.settings, fixtures.schedule_id)
        sale = ProviderSale(
            fixtures, cluster.api, dict(cluster.providers), random, f"{load.tag}-sale"
        )
        began_s = time.monotonic()
        interfering = asyncio.create_task(
            _interfere(interference, cluster, load, random, seen, is_whole=course.is_whole)
        )
        try:
            arriving_s = max(_ARRIVING_MIN_S, trials / course.arrivals_per_s)
            await sale.run(fixtures.people, arriving_s=arriving_s, within_s=course.within_s)
            if course.is_whole:
                await interfering
        finally:
            interfering.cancel()
            await asyncio.gather(interfering, return_exceptions=True)
        seen.figures["sale_s"] = time.monotonic() - began_s
        drawn = await _put_right(cluster)
        if course.heals:
            await _heal(cluster, seen)
        books = await compare_books(cluster.settings, await _books(cluster), sale.record.intents)
        _judge(seen, sale, books, course)
        _note_mix(seen, drawn)
        if course.heals and cluster.inbox is not None:
            await check_notifications(cluster.settings, cluster.inbox, fixtures.schedule_id, seen)
        return seen

    return run


async def _set_up(cluster: Cluster, random: Random, lost: float) -> None:
    for number, (name, provider) in enumerate(cluster.providers.items()):
        await provider.post("/reset", {})
        await provider.post("/mix", {**_MIX, "lost": lost, "seed": random.getrandbits(31)})
        # Notices come to any of the processes; an early one is killed now and then.
        api = cluster.api[number % len(cluster.api)]
        style = {"url": f"{api.url}/v1/webhooks/{name}", "retries_s": [0.5] * 60}
        await provider.post("/notices/style", style)


async def _interfere(
    interference: Interference | None,
    cluster: Cluster,
    load: LoadGenerator,
    random: Random,
    seen: Observations,
    *,
    is_whole: bool,
) -> None:
    while interference is not None:
        await interference(cluster, load, random, seen)
        if is_whole:
            return


async def _put_right(cluster: Cluster) -> dict[str, int]:
    """Let everything go well again; return how often the mix has struck."""
    drawn: dict[str, int] = {}
    for provider in cluster.providers.values():
        with suppress(aiohttp.ClientError, OSError):
            await provider.set_faults()
            for name, count in (await provider.get("/mix")).items():
                drawn[name] = drawn.get(name, 0) + count
    await cluster.wait_until_ready()
    return drawn


async def _heal(cluster: Cluster, seen: Observations) -> None:
    """Wait until the cashier has done what the sale left open; then let time pass for the rest."""
    began_s = time.monotonic()
    connection = await asyncpg.connect(cluster.settings.database.database_url)
    try:
        while await connection.fetchval(_SQL["cashier_left_undone"]):
            waited_s = time.monotonic() - began_s
            if waited_s > _HEALED_WITHIN_S:
                seen.broken.append(f"the cashier was not done in {_HEALED_WITHIN_S:.0f} s")
                return
            if waited_s > _HURRY_AFTER_S:
                await connection.execute(_SQL["hurry_cashier"])
            await asyncio.sleep(0.5)
    finally:
        await connection.close()
        seen.figures["healed_after_s"] = time.monotonic() - began_s


async def _books(cluster: Cluster) -> dict[str, list[dict[str, object]]]:
    return {
        name: (await provider.get("/book"))["movements"]
        for name, provider in cluster.providers.items()
    }


def _judge(seen: Observations, sale: ProviderSale, books: ProviderBooks, course: Course) -> None:
    seen.figures |= {
        "captures_count": float(books.captures),
        "captured_minor": float(books.captured_minor),
        "bought_count": float(sale.record.bought),
        "late_refunds_count": float(books.refunds),
        "unknown_outcomes_count": float(books.unknown_outcomes),
    }
    seen.counts.update({f"{name}_count": n for name, n in _named(sale).items()})
    if course.heals:
        seen.broken += books.broken
        seen.broken += [f"paid beside an unknown outcome: {one}" for one in sale.record.elsewhere]
        if books.open_intents:
            seen.broken.append(f"{books.open_intents} payments have no end")
        if not books.captures:
            seen.broken.append("nothing was paid")
        if course.is_whole and not books.unknown_outcomes:
            seen.broken.append("no payment was in flight when its provider went away")
    elif not books.broken:
        seen.broken.append("without a cashier no difference was found: the comparison sees nothing")


def _named(sale: ProviderSale) -> dict[str, int]:
    answers = sale.record.answers
    return {
        "declined": answers["confirm: 402 payment_declined"],
        "confirmed_later": answers["confirm: 202"],
        "no_answer": sum(n for name, n in answers.items() if name.endswith("no answer")),
        "switched": sum(n for name, n in sale.record.switched.items() if name != "sold"),
        "switched_and_sold": sale.record.switched["sold"],
        "refused_elsewhere": answers["other: 409 payment_in_progress"],
    }


def _note_mix(seen: Observations, drawn: Mapping[str, int]) -> None:
    """Note how often the providers' mix has struck; in a crowd it must have, in every way."""
    for name in ("declined", "lost", "duplicates"):
        count = drawn.get(name, 0)
        seen.counts[f"mix_{name}_count"] += count
        if seen.trials >= _CROWD_MIN and not count:
            seen.broken.append(f"no payment was of the share {name}")


def scenario(
    name: str, does: str, run: Play, trials: int, expects: str, *, trial_s: float = 0.1,
    quick_trials: int = 80, topology: Topology = _TOPOLOGY,
) -> Scenario:  # fmt: skip
    """Return a scenario beside simulated providers, with a buyer for each trial."""
    return Scenario(
        name=name,
        component=Component.PROVIDERS,
        does=does,
        expects=expects,
        run=run,
        trials=trials,
        quick_trials=quick_trials,
        trial_s=trial_s,
        round_trials=trials,
        topology=topology,
        profile=_PROFILE,
        seats=3_000,
        hold_ttl_s=_HOLD_TTL_S,
        stage=with_providers,
    )


EQUAL = (
    "the providers' books equal the ledger, seats equal tickets, every won is sold or on its way back, "
    "and no payment of unknown outcome is sent elsewhere or under another key"
)
