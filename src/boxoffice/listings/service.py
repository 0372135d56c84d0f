"""Facts of concerts for lists, from memory; the seats are counted in proportion to what that costs."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.errors import Unavailable
from boxoffice.listings import rules
from boxoffice.listings.rules import Performance
from boxoffice.listings.store import ListingStore
from boxoffice.listings.views import ListingFacts, PageFacts, PriceOfGrade
from boxoffice.platform.cache import Cache
from boxoffice.posters.service import Posters
from boxoffice.settings import ListingSettings

# Counting takes at most this share of a worker's time, whatever the size of the halls.
_SHARE_OF_TIME = 1 / 50
# Prices change rarely.
_PRICES_S = 10.0
# Pages of concerts whose counts are kept.
_PAGES_MAX = 256


class _Counted(NamedTuple):
    performances: dict[UUID, list[Performance]]
    cost_s: float


class _Priced(NamedTuple):
    prices: list[PriceOfGrade]
    cost_s: float


class Listings:
    """Facts of published concerts: posters at once, sales at most `listing_cache_ms` old.

    For many large halls sales are older: fifty times what counting their seats took.
    """

    def __init__(
        self,
        settings: ListingSettings,
        store: ListingStore,
        posters: Posters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._posters = posters
        self._clock = clock
        fresh_s = settings.listing_cache_ms / 1000
        self._counted: Cache[tuple[UUID, ...], _Counted] = Cache(
            self._count,
            ttl_s=lambda counted: max(fresh_s, counted.cost_s / _SHARE_OF_TIME),
            weight_max=_PAGES_MAX,
            clock=clock,
        )
        self._prices: Cache[UUID, _Priced] = Cache(
            self._price,
            ttl_s=lambda priced: max(_PRICES_S, priced.cost_s / _SHARE_OF_TIME),
            weight_max=_PAGES_MAX,
            clock=clock,
        )

    async def facts(self, concert_ids: Sequence[UUID]) -> dict[UUID, ListingFacts]:
        """Return the facts of these concerts; without sales where counting takes too long."""
        posters = await self._posters.of(concert_ids)
        featured = await self._store.featured()
        try:
            counted = (await self._counted.get(tuple(concert_ids))).performances
        except Unavailable:
            counted = {}
        return {
            concert_id: ListingFacts(
                poster=posters.get(concert_id),
                venues=rules.venues_of(counted.get(concert_id, ())),
                cities=rules.cities_of(counted.get(concert_id, ())),
                sale=rules.sale_of(
                    counted.get(concert_id, ()), self._settings.listing_few_left_percent
                ),
                is_featured=featured is not None and featured.concert_id == concert_id,
            )
            for concert_id in concert_ids
        }

    async def page(self, concert_id: UUID) -> PageFacts:
        """Return what the page of a concert shows; prices are some seconds old."""
        posters = await self._posters.of([concert_id])
        try:
            prices = (await self._prices.get(concert_id)).prices
        except Unavailable:
            prices = []
        return PageFacts(poster=posters.get(concert_id), prices=prices)

    def forget(self) -> None:
        """Drop the counts, after a change of a concert in this process."""
        self._counted.clear()
        self._prices.clear()

    async def _price(self, concert_id: UUID) -> _Priced:
        started_at = self._clock()
        found = await self._store.prices(concert_id)
        return _Priced(found, self._clock() - started_at)

    async def _count(self, concert_ids: tuple[UUID, ...]) -> _Counted:
        started_at = self._clock()
        found = await self._store.performances(concert_ids)
        return _Counted(found, self._clock() - started_at)
