"""The use case of the figures, and the turn in which a worker hands its own over."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from boxoffice.errors import ScheduleNotFound
from boxoffice.observability.logs import log
from boxoffice.observability.metrics import FINE_SECONDS
from boxoffice.platform.cache import Cache
from boxoffice.platform.valkey import ValkeyAway
from boxoffice.sales_stats import metrics, rules
from boxoffice.sales_stats.counters import Counters
from boxoffice.sales_stats.meter import SHOP, Meter
from boxoffice.sales_stats.rules import Point, Sums
from boxoffice.sales_stats.store import FiguresStore, OwnSchedule, Totals
from boxoffice.settings import SalesStatsSettings

_HAND_OVER_EVERY_S = 1.0
# Reading the figures takes at most this part of the time, however large the hall and many the watchers.
_SHARE_OF_TIME = 1 / 20


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of people in the last settled step: per second, and the time of 95 of a hundred."""

    requests: float
    p95_ms: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a schedule; `series` is None-filled where Valkey did not tell what was asked."""

    at: datetime
    schedule: OwnSchedule
    totals: Totals
    shop: Traffic | None
    series: list[Point]
    cost_s: float


class LiveFigures:
    """Reads figures, one reading for all who watch, and keeps the reading as long as it is dear."""

    def __init__(
        self,
        settings: SalesStatsSettings,
        store: FiguresStore,
        counters: Counters,
        meter: Meter,
        now_s: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._counters = counters
        self._meter = meter
        self._now_s = now_s
        self._clock = clock
        cache_s = settings.figures_cache_ms / 1000
        self._read: Cache[tuple[UUID, int, OwnSchedule], Figures] = Cache(
            self._load,
            ttl_s=lambda figures: max(cache_s, figures.cost_s / _SHARE_OF_TIME),
            weight_max=settings.figures_schedules_max,
            clock=clock,
        )

    async def read(self, organizer_id: UUID | None, schedule_id: UUID, window_s: int) -> Figures:
        """Return the figures of a schedule of this organizer; raise `ScheduleNotFound`.

        Those of the whole shop are for who asks as None, about anybody's schedule.
        """
        schedule = await self._store.schedule(schedule_id, organizer_id)
        if schedule is None:
            raise ScheduleNotFound
        figures = await self._read.get((schedule_id, rules.read_window(window_s), schedule))
        series = figures.series[-rules.steps_in(window_s) :]
        shop = figures.shop if organizer_id is None else None
        return msgspec.structs.replace(figures, series=series, shop=shop)

    async def _load(self, key: tuple[UUID, int, OwnSchedule]) -> Figures:
        schedule_id, window_s, schedule = key
        started_at, now_s = self._clock(), self._now_s()
        steps = rules.window(now_s, window_s)
        totals = await self._store.totals(schedule_id)
        sold = await self._store.sold(schedule_id, steps, schedule.hold_ttl_s)
        cost_s = self._clock() - started_at
        counted, shop = await self._counted(str(schedule_id), steps)
        return Figures(
            at=datetime.fromtimestamp(now_s, UTC),
            schedule=schedule,
            totals=totals,
            shop=shop,
            series=rules.series(steps, counted, sold, FINE_SECONDS),
            cost_s=cost_s,
        )

    async def _counted(
        self, scope: str, steps: range
    ) -> "tuple[dict[int, Sums] | None, Traffic | None]":
        """Return what was asked about a schedule, and of the shop; None where Valkey is away."""
        last = steps[-1:]
        try:
            counted = dict(await self._counters.read(scope, steps))
            shop = (await self._counters.read(SHOP, last)).get(last.start, Sums())
        except ValkeyAway:
            return None, None
        p95_ms = rules.percentile_ms(shop.times, FINE_SECONDS, 0.95)
        return counted, Traffic(requests=shop.requests / rules.STEP_S, p95_ms=p95_ms)

    async def hand_over(self) -> int:
        """Add what this worker has counted to everybody's sums; return how many calls that was.

        What cannot be handed over is dropped: it is missing in a chart and nowhere else.
        """
        handed = 0
        for (scope, step), sums in self._meter.take().items():
            try:
                await self._counters.add(scope, step, sums)
            except ValkeyAway:
                metrics.FIGURES_DROPPED.inc()
            else:
                handed += sums.requests if scope == SHOP else 0
        return handed

    async def run(self) -> None:
        """Hand over every second until cancelled."""
        while True:
            await asyncio.sleep(_HAND_OVER_EVERY_S)
            try:
                await self.hand_over()
            except Exception as error:  # the figures outlive whatever one turn meets
                log.warning("figures_not_handed_over", error=repr(error))
