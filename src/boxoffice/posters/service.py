"""The use cases of posters: set, describe, remove, and serve their files from memory."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import ConcertNotFound, NotFound, PosterNotFound
from boxoffice.permissions import Actor
from boxoffice.platform.cache import Cache
from boxoffice.posters import store
from boxoffice.posters.images import EncodedPoster, encode
from boxoffice.posters.object_store import ObjectStore
from boxoffice.posters.store import AltTexts, PosterStore
from boxoffice.posters.views import OwnPoster, Poster
from boxoffice.settings import PosterSettings

# Pages that were loaded before a poster was replaced still ask for its files.
_FORGOTTEN_AFTER_S = 86_400
# The content at an address never changes.
_CACHED_S = 86_400.0


class Posters:
    """Posters of concerts; `objects` is where their files are, None for PostgreSQL."""

    def __init__(
        self, settings: PosterSettings, posters: PosterStore, objects: ObjectStore | None
    ) -> None:
        self._settings = settings
        self._store = posters
        self._objects = objects
        # A large picture takes tens of megabytes while it is decoded.
        self._slots = asyncio.Semaphore(settings.poster_uploads_max)
        self._files: Cache[tuple[str, str], bytes] = Cache(
            self._load,
            ttl_s=lambda _content: _CACHED_S,
            weight_max=settings.posters_cached_max_bytes,
            weigh=len,
        )

    async def put(
        self, actor: Actor, concert_id: UUID, raw: bytes, *, request_id: str = ""
    ) -> OwnPoster:
        """Make an uploaded picture the poster of a concert; its alternative texts stay.

        Raises `ConcertNotFound` and `PosterInvalid`.
        """
        owner = await self._owner(concert_id, actor)
        async with self._slots:
            encoded = await asyncio.to_thread(encode, raw, self._settings.poster_pixels_max)
        image_hash = _hash_of(encoded)
        contents = await self._stored(image_hash, encoded)
        async with self._store.transaction() as connection:
            poster = await store.put(connection, concert_id, image_hash, encoded, contents)
            forgotten = await store.forget_files(connection, _FORGOTTEN_AFTER_S)
            entry = _action(actor, owner, concert_id, "poster.uploaded", request_id)
            await record(connection, entry)
        if self._objects is not None:
            for old_hash, name in forgotten:
                await self._objects.delete(_key(old_hash, name))
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

    async def of(self, concert_ids: Sequence[UUID]) -> dict[UUID, Poster]:
        """Return the posters of those of these concerts that have one."""
        return {one.concert_id: one.shown for one in await self._store.of(concert_ids)}

    async def file(self, image_hash: str, name: str) -> bytes:
        """Return a file of a picture; raise `NotFound`."""
        return await self._files.get((image_hash, name))

    async def _owner(self, concert_id: UUID, actor: Actor) -> UUID:
        owner = await self._store.owner(concert_id, actor.organization_ids)
        if owner is None:
            raise ConcertNotFound
        return owner

    async def _stored(self, image_hash: str, encoded: EncodedPoster) -> dict[str, bytes | None]:
        """Return what PostgreSQL keeps of the files, after the object store has the rest."""
        if self._objects is None:
            return dict(encoded.files)
        for name, content in encoded.files.items():
            await self._objects.put(_key(image_hash, name), content, media_type_of(name))
        return dict.fromkeys(encoded.files)

    async def _load(self, key: tuple[str, str]) -> bytes:
        found = await self._store.file(*key)
        if found is None:
            raise NotFound
        if found.content is not None:
            return found.content
        content = await self._objects.get(_key(*key)) if self._objects else None
        if content is None:
            raise NotFound
        return content


def media_type_of(name: str) -> str:
    """Return the media type of a file of a picture."""
    return "image/jpeg" if name.endswith(".jpg") else "image/webp"


def _hash_of(encoded: EncodedPoster) -> str:
    digest = blake2b(digest_size=16)
    for name, content in sorted(encoded.files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _key(image_hash: str, name: str) -> str:
    return f"posters/{image_hash}/{name}"


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
