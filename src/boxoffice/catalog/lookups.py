"""Public look-ups of concerts and schedules, from memory."""

import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from boxoffice.brands.service import Brands
from boxoffice.brands.views import Brand
from boxoffice.catalog.rich_texts import rich_texts
from boxoffice.catalog.rules import Place
from boxoffice.catalog.shared import metrics
from boxoffice.catalog.shared.lookups import SharedLookups
from boxoffice.catalog.store import CatalogStore
from boxoffice.catalog.views import ConcertItem, ConcertPage, OneSchedule, ScheduleOnOffer
from boxoffice.errors import ConcertNotFound, ScheduleNotFound
from boxoffice.listings.service import Listings
from boxoffice.platform.cache import Cache
from boxoffice.platform.valkey.reading_turns import PublishedReading, ReadingTurn
from boxoffice.settings import Settings

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
# Where look-ups are shared, one that is in use is read again after this share of its lifetime, and
# another process is waited for during the second one: no request finds it too old.
_SHARED_SHARE = 0.6
_WAIT_SHARE = 0.25
_READ_SHARE = 0.15
# Prices and counts in a look-up may be older than it (`listings/service.py`): after a change here, this
# process uses no other one's for so long.
_OWN_S = 30.0
_PAGES = "pages"


class Lookup(Generic[T]):
    """The result of a look-up; the same object as long as it is served from memory.

    `shown` caches its encoded body and ETag.
    """

    __slots__ = ("age_s", "found", "shown", "until")

    def __init__(self, found: T, age_s: float = 0.0, until: float = math.inf) -> None:
        self.found = found
        # When the load began that found it: another process may have read it earlier.
        self.age_s = age_s
        # When it is too old (monotonic seconds), where it is shared.
        self.until = until
        self.shown: tuple[bytes, str] | None = None


class CatalogLookups:
    """Look-ups of what is published, at most `catalog_cache_ms` old."""

    def __init__(
        self,
        settings: Settings,
        store: CatalogStore,
        clock: Callable[[], float] = time.monotonic,
        listings: Listings | None = None,
        brands: Brands | None = None,
        shared: SharedLookups | None = None,
    ) -> None:
        """`listings` adds posters, prices and the state of sales, `brands` who sells.

        With `shared`, look-ups of other processes are used.
        """
        self._shared = shared
        self._invalidated_at = -math.inf
        # By concert, and of all pages: until when this process reads for itself.
        self._own_until: dict[Hashable, float] = {}
        self._listings = listings
        self._brands = brands
        self._settings = settings
        self._store = store
        self._clock = clock
        self._pages = self._cache("page", self._load_page, list[ConcertItem])
        self._concerts = self._cache("concert", self._load_concert, ConcertPage)
        self._schedules = self._cache("schedules", self._load_schedules, list[ScheduleOnOffer])
        self._one_schedule = self._cache("schedule", self._load_schedule, OneSchedule)

    async def concerts(self, limit: int, after: Place | None) -> Lookup[list[ConcertItem]]:
        """Return published concerts, newest first, from the place `after` on.

        Includes one more than `limit` where more follow.
        """
        return await self._pages.get((limit, after))

    async def concert(self, concert_id: UUID) -> Lookup[ConcertPage]:
        """Return a published concert; raise `ConcertNotFound`."""
        return await self._concerts.get(concert_id)

    async def schedules(self, concert_id: UUID) -> Lookup[list[ScheduleOnOffer]]:
        """Return the schedules of a published concert, without drafts and past performances.

        Raises `ConcertNotFound`.
        """
        return await self._schedules.get(concert_id)

    async def schedule(self, schedule_id: UUID) -> Lookup[OneSchedule]:
        """Return a schedule that is no draft, including past ones; raise `ScheduleNotFound`."""
        return await self._one_schedule.get(schedule_id)

    def invalidate(self, concert_id: UUID) -> None:
        """Drop what is cached of a concert."""
        self._keep_own(concert_id, _PAGES)
        self._pages.clear()
        if self._listings is not None:
            self._listings.forget()
        self._concerts.invalidate(concert_id)
        self._schedules.invalidate(concert_id)
        # The publication of a draft makes its schedules visible.
        self._one_schedule.clear()

    def forget_lists(self) -> None:
        """Drop what is cached of lists, after a change of their order."""
        self._keep_own(_PAGES)
        self._pages.clear()

    def _keep_own(self, *changed: Hashable) -> None:
        self._invalidated_at = now = self._clock()
        kept = {key: until for key, until in self._own_until.items() if until > now}
        self._own_until = {**kept, **dict.fromkeys(changed, now + _OWN_S)}

    def _is_shared(self, key: Hashable) -> bool:
        """Say whether other processes may know a look-up; a page's key is its limit and its place."""
        if isinstance(key, tuple):
            # Any place may be asked for: only first pages get keys in Valkey.
            # guard: shared_lookup_of_first_pages => if False:
            if key[1] is not None:
                return False
            key = _PAGES
        # guard: shared_lookup_no_older_parts_after_a_change_here => return True
        return self._clock() >= self._own_until.get(key, -math.inf)

    def _cache(
        self, name: str, load: Callable[[K], Awaitable[T]], kind: type[T]
    ) -> Cache[K, Lookup[T]]:
        ttl_s = self._settings.catalog.catalog_cache_ms / 1000
        decoder = msgspec.json.Decoder(kind)

        async def look_up(key: K) -> Lookup[T]:
            shared = self._shared
            if shared is None or not shared.is_active() or not self._is_shared(key):
                return Lookup(await load(key))
            began_at, known_as = self._clock(), f"{name}:{key}"
            # guard: shared_lookup_began_after_a_change_here => after = began_at - ttl_s * _SHARED_SHARE
            after = max(began_at - ttl_s * _SHARED_SHARE, self._invalidated_at)
            cached = cache.get_cached(key)
            # guard: shared_lookup_no_request_waits_for_another_process => if False:
            if cached is None:
                found = await shared.first(known_as, after)
            else:
                # Late in its lifetime nothing is waited for: requests would soon wait too.
                latest = min(began_at + ttl_s * _WAIT_SHARE, cached.until - ttl_s * _READ_SHARE)
                found = await shared.next(known_as, after, latest - began_at)
            if isinstance(found, PublishedReading):
                with contextlib.suppress(msgspec.DecodeError):
                    value = decoder.decode(found.parts[0])
                    age_s, until = began_at - found.began_at, found.began_at + ttl_s
                    lookup = Lookup(value, age_s, until)
                    metrics.LOOKUP_READINGS.labels("shared").inc()
                    return lookup
                found = ReadingTurn()
            value = await load(key)
            metrics.LOOKUP_READINGS.labels("database").inc()
            shared.publish(known_as, found, msgspec.json.encode(value))
            return Lookup(value, until=began_at + ttl_s)

        def due_s(lookup: Lookup[T]) -> float:
            is_shared = self._shared is not None and self._shared.is_active()
            return ttl_s * _SHARED_SHARE - lookup.age_s if is_shared else math.inf

        cache = Cache(
            look_up,
            ttl_s=lambda lookup: ttl_s - lookup.age_s,
            due_s=due_s,
            weight_max=self._settings.catalog.catalog_cache_entries_max,
            clock=self._clock,
        )
        return cache

    async def _load_page(self, key: tuple[int, Place | None]) -> list[ConcertItem]:
        limit, after = key
        found = await self._store.published_concerts(after, limit + 1)
        if self._listings is None or not found:
            return found
        facts = await self._listings.facts([one.concert_id for one in found])
        return [
            msgspec.structs.replace(one, **msgspec.structs.asdict(facts[one.concert_id]))
            for one in found
        ]

    async def _load_concert(self, concert_id: UUID) -> ConcertPage:
        concert = await self._store.published_concert(concert_id)
        if concert is None:
            raise ConcertNotFound
        members = {**msgspec.structs.asdict(concert), "rich": rich_texts(concert)}
        if self._listings is not None:
            members |= msgspec.structs.asdict(await self._listings.page(concert_id))
        return ConcertPage(**members, brand=await self._brand(concert_id))

    async def _brand(self, concert_id: UUID) -> Brand | None:
        return None if self._brands is None else await self._brands.of_concert(concert_id)

    async def _load_schedules(self, concert_id: UUID) -> list[ScheduleOnOffer]:
        await self._concerts.get(concert_id)
        return await self._store.schedules(concert_id, for_buyers=True)

    async def _load_schedule(self, schedule_id: UUID) -> OneSchedule:
        schedule = await self._store.published_schedule(schedule_id)
        if schedule is None:
            raise ScheduleNotFound
        seats_max = self._settings.holds.seats_per_hold_max
        brand = await self._brand(schedule.concert_id)
        return msgspec.structs.replace(schedule, seats_per_hold_max=seats_max, brand=brand)
