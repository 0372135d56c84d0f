"""The use cases of posters: set, describe and remove."""

from collections.abc import Sequence
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import ConcertNotFound, PosterNotFound
from boxoffice.permissions import Actor
from boxoffice.posters import store
from boxoffice.posters.files import PictureFiles, hash_of
from boxoffice.posters.images import encode
from boxoffice.posters.store import AltTexts, PosterStore
from boxoffice.posters.views import OwnPoster, Poster


class Posters:
    """Posters of concerts."""

    def __init__(self, posters: PosterStore, files: PictureFiles) -> None:
        self._store = posters
        self._files = files

    async def put(
        self, actor: Actor, concert_id: UUID, raw: bytes, *, request_id: str = ""
    ) -> OwnPoster:
        """Make an uploaded picture the poster of a concert; its alternative texts stay.

        Raises `ConcertNotFound` and `PosterInvalid`.
        """
        owner = await self._owner(concert_id, actor)
        encoded = await self._files.encoded(encode, raw)
        image_hash = hash_of(encoded.files)
        contents = await self._files.stored(image_hash, encoded.files)
        async with self._store.transaction() as connection:
            poster = await store.put(connection, concert_id, image_hash, encoded)
            forgotten = await self._files.write(connection, image_hash, contents)
            entry = _action(actor, owner, concert_id, "poster.uploaded", request_id)
            await record(connection, entry)
        await self._files.delete(forgotten)
        return poster

    async def describe(
        self, actor: Actor, concert_id: UUID, texts: AltTexts, *, request_id: str = ""
    ) -> OwnPoster:
        """Set the alternative texts of a poster; raise `ConcertNotFound` or `PosterNotFound`."""
        owner = await self._owner(concert_id, actor)
        async with self._store.transaction() as connection:
            poster = await store.describe(connection, concert_id, texts)
            if poster is None:
                raise PosterNotFound
            entry = _action(actor, owner, concert_id, "poster.described", request_id)
            await record(connection, entry)
        return poster

    async def delete(self, actor: Actor, concert_id: UUID, *, request_id: str = "") -> None:
        """Take a poster away, where there is one; raise `ConcertNotFound`."""
        owner = await self._owner(concert_id, actor)
        async with self._store.transaction() as connection:
            if await store.delete(connection, concert_id):
                entry = _action(actor, owner, concert_id, "poster.removed", request_id)
                await record(connection, entry)

    async def own(self, actor: Actor, concert_id: UUID) -> OwnPoster | None:
        """Return the poster of a concert, None without one; raise `ConcertNotFound`."""
        await self._owner(concert_id, actor)
        found = await self._store.of([concert_id])
        return found[0] if found else None

    async def of(self, concert_ids: Sequence[UUID]) -> dict[UUID, Poster]:
        """Return the posters of those of these concerts that have one."""
        return {one.concert_id: one.shown for one in await self._store.of(concert_ids)}

    async def _owner(self, concert_id: UUID, actor: Actor) -> UUID:
        owner = await self._store.owner(concert_id, actor.organization_ids)
        if owner is None:
            raise ConcertNotFound
        return owner


def _action(
    actor: Actor, organization_id: UUID, concert_id: UUID, action: str, request_id: str
) -> Action:
    return Action(
        organization_id=organization_id,
        actor_id=actor.user_id,
        action=action,
        request_id=request_id,
        concert_id=concert_id,
    )
