"""Reads the statistics of a sale, and flushes this worker's traffic sums to Valkey."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from boxoffice.errors import ScheduleNotFound
from boxoffice.observability.logs import log
from boxoffice.observability.metrics import FINE_SECONDS
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.cache import Cache
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.sales_stats import metrics, rules
from boxoffice.sales_stats.rules import Point, TrafficSums
from boxoffice.sales_stats.store import SalesStatsStore, StatsSchedule, Totals
from boxoffice.sales_stats.traffic_counter import SHOP, TrafficCounter
from boxoffice.sales_stats.traffic_store import TrafficStore
from boxoffice.settings import SalesStatsSettings

_FLUSH_EVERY_S = 1.0
# Reading takes at most this share of a worker's time, whatever the size of the hall.
_SHARE_OF_TIME = 1 / 20


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of people in the last settled step: requests per second, and the 95th percentile."""

    requests: float
    p95_ms: float | None


class ScheduleStats(msgspec.Struct, frozen=True, kw_only=True):
    """The statistics of a schedule; traffic is None where Valkey did not answer."""

    at: datetime
    schedule: StatsSchedule
    totals: Totals
    shop: Traffic | None
    series: list[Point]
    cost_s: float


class SalesStats:
    """Reads statistics, caches them in proportion to what reading cost, and flushes traffic sums."""

    def __init__(
        self,
        settings: SalesStatsSettings,
        store: SalesStatsStore,
        traffic_store: TrafficStore,
        traffic_counter: TrafficCounter,
        now_s: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._traffic_store = traffic_store
        self._traffic_counter = traffic_counter
        self._now_s = now_s
        self._clock = clock
        cache_s = settings.sales_stats_cache_ms / 1000
        self._read: Cache[tuple[UUID, int, StatsSchedule], ScheduleStats] = Cache(
            self._load,
            ttl_s=lambda stats: max(cache_s, stats.cost_s / _SHARE_OF_TIME),
            weight_max=settings.sales_stats_schedules_max,
            clock=clock,
        )

    async def read(
        self, organization_ids: OrganizationIds, schedule_id: UUID, window_s: int
    ) -> ScheduleStats:
        """Return the statistics of a schedule of these organizations; raise `ScheduleNotFound`.

        None as the organizations reads any schedule, with the traffic of the whole shop.
        """
        schedule = await self._store.schedule(schedule_id, organization_ids)
        if schedule is None:
            raise ScheduleNotFound
        stats = await self._read.get((schedule_id, rules.read_window(window_s), schedule))
        series = stats.series[-rules.steps_in(window_s) :]
        shop = stats.shop if organization_ids is None else None
        return msgspec.structs.replace(stats, series=series, shop=shop)

    async def _load(self, key: tuple[UUID, int, StatsSchedule]) -> ScheduleStats:
        schedule_id, window_s, schedule = key
        started_at, now_s = self._clock(), self._now_s()
        steps = rules.window(now_s, window_s)
        totals = await self._store.totals(schedule_id)
        sold = await self._store.sold(schedule_id, steps, schedule.hold_ttl_s)
        cost_s = self._clock() - started_at
        counted, shop = await self._counted(str(schedule_id), steps)
        return ScheduleStats(
            at=datetime.fromtimestamp(now_s, UTC),
            schedule=schedule,
            totals=totals,
            shop=shop,
            series=rules.series(steps, counted, sold, FINE_SECONDS),
            cost_s=cost_s,
        )

    async def _counted(
        self, scope: str, steps: range
    ) -> "tuple[dict[int, TrafficSums] | None, Traffic | None]":
        """Return the traffic of a schedule and of the shop; None where Valkey is away."""
        last = steps[-1:]
        try:
            counted = dict(await self._traffic_store.read(scope, steps))
            shop = (await self._traffic_store.read(SHOP, last)).get(last.start, TrafficSums())
        except ValkeyUnavailable:
            return None, None
        p95_ms = rules.percentile_ms(shop.times, FINE_SECONDS, 0.95)
        return counted, Traffic(requests=shop.requests / rules.STEP_S, p95_ms=p95_ms)

    async def flush(self) -> int:
        """Add this worker's sums to those in Valkey; return how many calls were added.

        Sums that Valkey does not accept are dropped: they are missing in a chart and nowhere else.
        """
        flushed = 0
        for (scope, step), sums in self._traffic_counter.drain().items():
            try:
                await self._traffic_store.add(scope, step, sums)
            except ValkeyUnavailable:
                metrics.DROPPED.inc()
            else:
                flushed += sums.requests if scope == SHOP else 0
        return flushed

    async def run(self) -> None:
        """Flush every second until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_EVERY_S)
            try:
                await self.flush()
            except Exception as error:  # one failed flush does not end the loop
                log.warning("sales_stats_flush_failed", error=repr(error))
