"""Payment providers that are away: for seconds again and again, and for minutes."""

import asyncio
import time
from random import Random

import aiohttp

from faults.cluster.cluster import Api, Cluster
from faults.scenario import AnyScenario, Observations
from faults.scenarios.providers.selling import EQUAL, Course, scenario, selling_out
from faults.workload.load import LoadGenerator

_AWAY_S = 6.0
# In a sale this slow an outage of each provider takes half of the time, less what surrounds it.
_SLOW_PER_S = 6.0
_AROUND_S = 20.0
_AWAY_MIN_S = 5.0
_IN_FLIGHT_S = 2.0
_BREAKS_WITHIN_S = 30.0
_BACK_WITHIN_S = 10.0
_LOOK_S = 0.25
# An outage this long has to see buyers who come back to the provider.
_LONG_S = 60.0
# A seat for each buyer, so that every visit asks a provider.
_SLOWLY = Course(arrivals_per_s=_SLOW_PER_S, buyers_per_seat=1, is_whole=True)


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
        if name in await _offered(cluster.api[0]):
            seen.counts["still_offered_count"] += 1
        else:
            seen.counts["breaker_open_count"] += 1
    finally:
        await provider.start()
    await asyncio.sleep(2.0)


async def be_away_for_long(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> None:
    """Let each provider be away, one after the other, while payments through it are in flight."""
    names = list(cluster.providers)
    random.shuffle(names)
    away_s = max(_AWAY_MIN_S, seen.trials / _SLOW_PER_S / len(names) - _AROUND_S)
    for name in names:
        await _Outage(cluster, load, seen, name).run(away_s)


class _Outage:
    """One provider is away: what is offered, what is sold meanwhile, and what comes back."""

    def __init__(
        self, cluster: Cluster, load: LoadGenerator, seen: Observations, name: str
    ) -> None:
        self._cluster = cluster
        self._load = load
        self._seen = seen
        self._name = name
        self._provider = cluster.providers[name]
        [self._other] = [other for other in cluster.providers if other != name]

    async def run(self, away_s: float) -> None:
        """Close the provider's address for so long, with confirmations in flight.

        It comes back as a new process with its book.
        """
        await self._provider.set_faults(
            {"operation": "confirm", "fault": "delay_after", "seconds": 1.5}
        )
        await asyncio.sleep(_IN_FLIGHT_S)
        await self._provider.post("/away", {"is_away": True})
        began_s = time.monotonic()
        paid = await self._captures(self._other)
        selling = asyncio.create_task(self._load.sell_for(away_s))
        try:
            opened_s = await self._until_offered(is_offered=False, within_s=_BREAKS_WITHIN_S)
            self._worst("breaker_opened_after_s", opened_s)
            await self._stay_away(began_s + away_s)
            if not await selling:
                self._fail("the wallet did not sell meanwhile")
            if await self._captures(self._other) <= paid:
                self._fail(f"{self._other} sold nothing meanwhile")
        finally:
            selling.cancel()
            self._provider.kill()
            self._worst("away_s", time.monotonic() - began_s)
            await self._provider.start()
        await self._come_back(away_s)

    async def _stay_away(self, until_s: float) -> None:
        """The provider is never offered, and the other always is."""
        while time.monotonic() < until_s:
            for api in self._cluster.api:
                offered = await _offered(api)
                if self._name in offered:
                    self._fail(f"{api.name} offered it again")
                if not {self._other, "wallet"} <= offered:
                    self._fail(f"{api.name} offered {sorted(offered)} only")
            await asyncio.sleep(_LOOK_S)

    async def _come_back(self, away_s: float) -> None:
        paid = await self._captures(self._name)
        back_s = await self._until_offered(is_offered=True, within_s=_BACK_WITHIN_S)
        self._worst("offered_again_after_s", back_s)
        await asyncio.sleep(_AROUND_S / 4)
        sold = await self._captures(self._name) - paid
        self._seen.counts["sold_after_return_count"] += sold
        if away_s >= _LONG_S and not sold:
            self._fail("nothing was paid after its return")

    async def _until_offered(self, *, is_offered: bool, within_s: float) -> float:
        """Wait until every process offers the provider, or none does; return the seconds."""
        began_s = time.monotonic()
        while time.monotonic() < began_s + within_s:
            shown = [self._name in await _offered(api) for api in self._cluster.api]
            if all(one is is_offered for one in shown):
                return time.monotonic() - began_s
            await asyncio.sleep(_LOOK_S)
        self._fail(f"not {'offered' if is_offered else 'spared'} within {within_s:.0f} s")
        return within_s

    async def _captures(self, name: str) -> int:
        book = (await self._cluster.providers[name].get("/book"))["movements"]
        return sum(one["kind"] == "capture" for one in book)

    def _worst(self, figure: str, seconds: float) -> None:
        self._seen.figures[figure] = max(seconds, self._seen.figures.get(figure, 0.0))

    def _fail(self, sentence: str) -> None:
        whole = f"{self._name} away: {sentence}"
        if whole not in self._seen.broken:
            self._seen.broken.append(whole)


async def _offered(api: Api) -> set[str]:
    url = f"{api.url}/v1/payment-methods"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        body = await answer.json()
    return {one["method"] for one in body["items"] if one["is_available"]}


SCENARIOS: tuple[AnyScenario, ...] = (
    scenario(
        "providers_away",
        "a provider is away for seconds, again and again",
        selling_out(be_away),
        400,
        f"its breaker opens and the other is offered; the wallet goes on selling; {EQUAL}",
    ),
    scenario(
        "providers_away_for_minutes",
        "each provider is away for two minutes while payments through it are in flight",
        selling_out(be_away_for_long, _SLOWLY),
        1_800,
        "its breaker opens in every process and stays open, buyers take the other method, the wallet "
        f"goes on selling, and it is offered again after a probe; {EQUAL}",
        trial_s=0.18,
        quick_trials=240,
    ),
)
