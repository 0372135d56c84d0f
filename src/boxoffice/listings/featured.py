"""The concert that an operator puts at the top of the shop's list."""

from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import ConcertNotFound
from boxoffice.listings import store
from boxoffice.listings.store import FeaturedRow, ListingStore
from boxoffice.listings.views import FeaturedConcert


class Featured:
    """The choice of one concert for the whole shop; a list without it chooses by itself."""

    def __init__(self, listings: ListingStore) -> None:
        self._store = listings

    async def chosen(self) -> FeaturedConcert:
        """Return the choice, also of a concert that is not listed any more."""
        return _presented(await self._store.featured())

    async def choose(
        self, user_id: UUID, concert_id: UUID, *, request_id: str = ""
    ) -> FeaturedConcert:
        """Feature a public concert in place of another one; raise `ConcertNotFound`."""
        async with self._store.transaction() as connection:
            before = await store.locked_featured(connection)
            if before is not None and before.concert_id == concert_id:
                return _presented(before)
            after = await store.feature(connection, concert_id, user_id)
            if after is None:
                raise ConcertNotFound
            if before is not None:
                await record(connection, _action(before, user_id, "concert.unfeatured", request_id))
            await record(connection, _action(after, user_id, "concert.featured", request_id))
        return _presented(after)

    async def clear(self, user_id: UUID, *, request_id: str = "") -> None:
        """Feature none; repeating is no error."""
        async with self._store.transaction() as connection:
            before = await store.locked_featured(connection)
            if before is None:
                return
            await store.feature_none(connection)
            await record(connection, _action(before, user_id, "concert.unfeatured", request_id))


def _presented(found: FeaturedRow | None) -> FeaturedConcert:
    if found is None:
        return FeaturedConcert(concert_id=None, title=None)
    return FeaturedConcert(concert_id=found.concert_id, title=found.title)


def _action(one: FeaturedRow, user_id: UUID, action: str, request_id: str) -> Action:
    return Action(
        organization_id=one.organization_id,
        actor_id=user_id,
        action=action,
        request_id=request_id,
        concert_id=one.concert_id,
    )
