"""Sell-outs through payment providers that decline, stall, cut answers, storm, or are away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import aiohttp
import asyncpg
import msgspec

from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.postgres import sql_files
from faults.checks.provider_books import ProviderBooks, compare_books
from faults.cluster.cluster import Cluster, Topology
from faults.cluster.providers import with_providers
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile
from faults.workload.provider_sale import ProviderSale

_SQL = sql_files.load("faults")
# A buyer for each trial; as many seats as a quarter of the buyers.
_BUYERS_PER_SEAT = 4
_HOLD_TTL_S = 60
_SALE_WITHIN_S = 600.0
_HEALED_WITHIN_S = 120.0
_HURRY_AFTER_S = 10.0
# Slow enough for several faults, and fast enough for a crowd.
_ARRIVING_MIN_S, _ARRIVALS_PER_S = 15.0, 60.0
_KILL_EVERY_S = (0.3, 2.0)
_AWAY_S = 6.0
_STORM_AT_ONCE = 32
_STORM_SALE_KEPT_MIN = 0.5
_FAST = {
    "confirm_timeout_ms": 4_000,
    "provider_timeout_ms": 2_000,
    "provider_connect_timeout_ms": 500,
    "provider_breaker_open_ms": 500,
    "cashier_interval_ms": 100,
    "cashier_lease_ms": 1_500,
    "cashier_retry_first_s": 0.2,
    "cashier_retry_max_s": 5,
}
_TOPOLOGY = Topology(roles=("cashier", "cashier", "messenger"), settings=_FAST)
_NO_CASHIER = Topology(settings=_FAST)
# The wallet goes on selling beside.
_PROFILE = WorkloadProfile(visits_per_s=5.0)
_MIX = {"declined": 0.05, "duplicates": 0.01}

Interference = Callable[[Cluster, LoadGenerator, Random, Observations], Awaitable[None]]


def selling_out(
    interference: Interference | None = None,
    *,
    heals: bool = True,
    lost: float = 0.02,
    within_s: float = _SALE_WITHIN_S,
) -> Callable[[Cluster, LoadGenerator, Random, int], Awaitable[Observations]]:
    """Return a sell-out through providers during an interference, to as many buyers as trials.

    It ends with the comparison of all books; without healing, the comparison has to find a difference.
    """

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        seen = Observations(trials=trials)
        seats = max(4, trials // _BUYERS_PER_SEAT)
        fixtures = await cluster.create_fixtures(seats=seats, people=trials, hold_ttl_s=_HOLD_TTL_S)
        await _set_up(cluster, random, lost)
        sale = ProviderSale(
            fixtures, cluster.api, dict(cluster.providers), random, f"{load.tag}-sale"
        )
        began_s = time.monotonic()
        interfering = asyncio.create_task(_interfere(interference, cluster, load, random, seen))
        try:
            arriving_s = max(_ARRIVING_MIN_S, trials / _ARRIVALS_PER_S)
            await sale.run(fixtures.people, arriving_s=arriving_s, within_s=within_s)
        finally:
            interfering.cancel()
            await asyncio.gather(interfering, return_exceptions=True)
        seen.figures["sale_s"] = time.monotonic() - began_s
        await _put_right(cluster)
        if heals:
            await _heal(cluster, seen)
        books = await compare_books(cluster.settings, await _books(cluster))
        _judge(seen, sale, books, heals=heals)
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
) -> None:
    if interference is not None:
        while True:
            await interference(cluster, load, random, seen)


async def _put_right(cluster: Cluster) -> None:
    for provider in cluster.providers.values():
        with suppress(aiohttp.ClientError, OSError):
            await provider.set_faults()
    await cluster.wait_until_ready()


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


def _judge(seen: Observations, sale: ProviderSale, books: ProviderBooks, *, heals: bool) -> None:
    seen.figures |= {
        "captures_count": float(books.captures),
        "bought_count": float(sale.record.bought),
        "late_refunds_count": float(books.refunds),
    }
    seen.counts.update({f"{name}_count": n for name, n in _named(sale).items()})
    if heals:
        seen.broken += books.broken
        if books.open_intents:
            seen.broken.append(f"{books.open_intents} payments have no end")
        if not books.captures:
            seen.broken.append("nothing was paid")
    elif not books.broken:
        seen.broken.append("without a cashier no difference was found: the comparison sees nothing")


def _named(sale: ProviderSale) -> dict[str, int]:
    answers = sale.record.answers
    return {
        "declined": answers["confirm: 402 payment_declined"],
        "confirmed_later": answers["confirm: 202"],
        "no_answer": sum(n for name, n in answers.items() if name.endswith("no answer")),
    }


async def kill_processes(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> None:
    """Kill an API process, a cashier or the messenger."""
    await asyncio.sleep(random.uniform(*_KILL_EVERY_S))
    victims = [one for one in (*cluster.api, *cluster.roles) if one.is_running]
    victim = random.choice(victims)
    is_api = victim in cluster.api
    with load.fault(f"kill {victim.name}", grace_s=15.0, affected=[victim.name] if is_api else ()):
        victim.kill()
        seen.kills += 1


async def stall(cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations) -> None:
    """Let one provider answer after the deadline, then in time again."""
    provider = random.choice(list(cluster.providers.values()))
    await provider.set_faults(
        {"operation": "confirm", "fault": random.choice(["delay_before", "delay_after"]),
         "seconds": 6.0}
    )  # fmt: skip
    await asyncio.sleep(1.0)
    await provider.set_faults()
    await asyncio.sleep(2.0)


async def cut_answers(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> None:
    """Cut, drop, spoil and fail the answers of one provider for a moment."""
    provider = random.choice(list(cluster.providers.values()))
    faults = ["cut", "drop_after", "drop_before", "malformed", "error_after", "error_before"]
    await provider.set_faults({"operation": "*", "fault": random.choice(faults)})
    await asyncio.sleep(0.7)
    await provider.set_faults()
    await asyncio.sleep(1.5)


async def be_away(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> None:
    """Kill one provider for a while: its breaker opens, the other and the wallet go on selling."""
    await asyncio.sleep(2.0)
    name, provider = random.choice(list(cluster.providers.items()))
    provider.kill()
    try:
        sold_per_s = await load.sell_for(_AWAY_S)
        if not sold_per_s:
            seen.broken.append(f"the wallet did not sell while {name} was away")
        if name in await _offered(cluster):
            seen.counts["still_offered_count"] += 1
        else:
            seen.counts["breaker_open_count"] += 1
    finally:
        await provider.start()
    await asyncio.sleep(2.0)


async def _offered(cluster: Cluster) -> set[str]:
    url = f"{cluster.api[0].url}/v1/payment-methods"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        body = await answer.json()
    return {one["method"] for one in body["items"] if one["is_available"]}


async def storm(cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations) -> None:
    """Send forged, unknown and repeated notices to every process, as fast as they answer."""
    statuses: dict[int, int] = {}
    own = [_toss_notice(str(ScopedId(new_id(), new_id()))) for _ in range(4)]
    ends_s = time.monotonic() + 5.0

    async def send(session: aiohttp.ClientSession, at: int) -> None:
        headers = {"Content-Type": "application/json"}
        while time.monotonic() < ends_s:
            body = random.choice([*own, _toss_notice("another-shop-1"), b"{}"])
            name = random.choice(["toss", "toss", "stripe"])
            url = f"{cluster.api[at % len(cluster.api)].url}/v1/webhooks/{name}"
            with suppress(aiohttp.ClientError, OSError):
                async with session.post(url, data=body, headers=headers) as answer:
                    await answer.read()
                    statuses[answer.status] = statuses.get(answer.status, 0) + 1

    calm = await load.sell_for(3.0)
    async with aiohttp.ClientSession() as session:
        sending = [asyncio.create_task(send(session, at)) for at in range(_STORM_AT_ONCE)]
        stormy = await load.sell_for(5.0)
        await asyncio.gather(*sending)
    seen.counts["notices_count"] += sum(statuses.values())
    if set(statuses) - {200, 400, 503}:
        seen.broken.append(f"notices were answered {sorted(statuses)}")
    if calm:
        kept = stormy / calm
        seen.figures["sale_kept_share_min"] = min(
            kept, seen.figures.get("sale_kept_share_min", kept)
        )
        if kept < _STORM_SALE_KEPT_MIN:
            seen.broken.append(f"{kept:.0%} of the wallet's sale were left in a storm of notices")


def _toss_notice(order_id: str) -> bytes:
    event = {
        "eventType": "PAYMENT_STATUS_CHANGED",
        "createdAt": "2026-11-30T10:00:00.000000",
        "data": {"orderId": order_id, "paymentKey": "storm", "status": "DONE"},
    }
    return msgspec.json.encode(event)


def _scenario(
    name: str,
    does: str,
    run: Callable[[Cluster, LoadGenerator, Random, int], Awaitable[Observations]],
    trials: int,
    expects: str,
    topology: Topology = _TOPOLOGY,
) -> Scenario:
    return Scenario(
        name=name,
        component=Component.PROVIDERS,
        does=does,
        expects=expects,
        run=run,
        trials=trials,
        quick_trials=80,
        trial_s=0.1,
        round_trials=trials,
        topology=topology,
        profile=_PROFILE,
        seats=3_000,
        hold_ttl_s=_HOLD_TTL_S,
        stage=with_providers,
    )


_EQUAL = (
    "the providers' books equal the ledger, seats equal tickets, and every won is sold or on its way "
    "back"
)

SCENARIOS: tuple[AnyScenario, ...] = (
    _scenario(
        "providers_sell_out_and_kills",
        "1,000 seats are sold to 4,000 people through both providers with 5 % declines, 2 % lost "
        "answers and 1 % duplicates, while API processes, cashiers and the messenger are killed",
        selling_out(kill_processes),
        4_000,
        _EQUAL,
    ),
    _scenario(
        "providers_stall",
        "a provider answers confirmations after their deadline, again and again",
        selling_out(stall),
        400,
        _EQUAL,
    ),
    _scenario(
        "providers_cut_answers",
        "answers of a provider are cut, dropped, malformed or 500, again and again",
        selling_out(cut_answers),
        400,
        _EQUAL,
    ),
    _scenario(
        "providers_away",
        "a provider is away for seconds, again and again",
        selling_out(be_away),
        400,
        f"its breaker opens and the other is offered; the wallet goes on selling; {_EQUAL}",
    ),
    _scenario(
        "providers_notice_storm",
        "every process gets forged, unknown and repeated notices as fast as it answers",
        selling_out(storm),
        400,
        f"the wallet's sale keeps at least half of its pace; {_EQUAL}",
    ),
    _scenario(
        "providers_without_cashier",
        "half of the answers are lost, and there is no cashier",
        selling_out(heals=False, lost=0.5, within_s=25.0),
        80,
        "the comparison finds money that no book has: the negative control",
        _NO_CASHIER,
    ),
)
