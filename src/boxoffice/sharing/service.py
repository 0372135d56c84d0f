"""The heads of concerts' pages, from the look-ups that answer the API."""

from uuid import UUID

from boxoffice.catalog.lookups import CatalogLookups
from boxoffice.errors import ConcertNotFound
from boxoffice.platform.cache import Cache
from boxoffice.platform.ids import parse_uuid
from boxoffice.settings import Settings
from boxoffice.sharing.rules import page_head
from boxoffice.web.page_head import PageHead


class ConcertHeads:
    """Heads of published concerts, as old as the look-ups."""

    def __init__(self, settings: Settings, lookups: CatalogLookups) -> None:
        self._lookups = lookups
        self._base = settings.notifications.public_url.rstrip("/")
        fresh_s = settings.catalog.catalog_cache_ms / 1000
        self._heads: Cache[UUID, PageHead] = Cache(
            self._load,
            ttl_s=lambda _head: fresh_s,
            weight_max=settings.catalog.catalog_cache_entries_max,
        )

    async def head(self, concert_id: str) -> PageHead | None:
        """Return the head of a concert's page; None for what is no id of a published concert."""
        found = parse_uuid(concert_id)
        if found is None:
            return None
        try:
            return await self._heads.get(found)
        except ConcertNotFound:
            return None

    async def _load(self, concert_id: UUID) -> PageHead:
        concert = await self._lookups.concert(concert_id)
        schedules = await self._lookups.schedules(concert_id)
        return page_head(concert.found, schedules.found, self._base)
