"""Sell-outs through payment providers that decline, stall, cut answers, or storm with notices."""

import asyncio
import time
from contextlib import suppress
from random import Random

import aiohttp
import msgspec

from boxoffice.platform.ids import ScopedId, new_id
from faults.cluster.cluster import Cluster, Topology
from faults.scenario import AnyScenario, Observations
from faults.scenarios.providers.selling import EQUAL, FAST, Course, scenario, selling_out
from faults.workload.load import LoadGenerator

_KILL_EVERY_S = (0.3, 2.0)
_STORM_AT_ONCE = 32
_STORM_SALE_KEPT_MIN = 0.5
_NO_CASHIER = Topology(settings=FAST)


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


SCENARIOS: tuple[AnyScenario, ...] = (
    scenario(
        "providers_sell_out",
        "1,000 seats are sold to 4,000 people through both providers with 5 % declines, 2 % lost "
        "answers and 1 % duplicates",
        selling_out(),
        4_000,
        EQUAL,
        trial_s=0.02,
    ),
    scenario(
        "providers_sell_out_and_kills",
        "the same, while API processes, cashiers and the messenger are killed",
        selling_out(kill_processes),
        4_000,
        EQUAL,
    ),
    scenario(
        "providers_stall",
        "a provider answers confirmations after their deadline, again and again",
        selling_out(stall),
        400,
        EQUAL,
    ),
    scenario(
        "providers_cut_answers",
        "answers of a provider are cut, dropped, malformed or 500, again and again",
        selling_out(cut_answers),
        400,
        EQUAL,
    ),
    scenario(
        "providers_notice_storm",
        "every process gets forged, unknown and repeated notices as fast as it answers",
        selling_out(storm),
        400,
        f"the wallet's sale keeps at least half of its pace; {EQUAL}",
    ),
    scenario(
        "providers_without_cashier",
        "half of the answers are lost, and there is no cashier",
        selling_out(course=Course(heals=False, lost=0.5, within_s=25.0)),
        80,
        "the comparison finds money that no book has: the negative control",
        topology=_NO_CASHIER,
    ),
)
