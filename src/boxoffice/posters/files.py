"""Files of encoded pictures: kept in PostgreSQL or an object store, and served from memory."""

import asyncio
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TypeVar

from boxoffice.errors import NotFound
from boxoffice.platform.cache import Cache
from boxoffice.platform.storage.object_store import Bucket, ObjectStore
from boxoffice.platform.storage.signature import AccessKey
from boxoffice.posters import store
from boxoffice.posters.store import Connection, PosterStore
from boxoffice.settings import PosterSettings

# Pages that were loaded before a picture was replaced still ask for its files.
_FORGOTTEN_AFTER_S = 86_400
# The content at an address never changes.
_CACHED_S = 86_400.0

_HEADERS = {"cache-control": "public, max-age=31536000, immutable"}

E = TypeVar("E")


def object_store_of(settings: PosterSettings, now_s: Callable[[], float]) -> ObjectStore:
    """Return the object store of the settings, not of pictures in PostgreSQL."""
    key = AccessKey(settings.s3_access_key, settings.s3_secret_key, settings.s3_region)
    bucket = Bucket(settings.s3_url, settings.s3_bucket, key, settings.s3_timeout_ms / 1000)
    return ObjectStore(bucket, now_s, settings.poster_max_bytes)


class PictureFiles:
    """Files of pictures by a hash of all of them; `objects` is where they are, None for PostgreSQL."""

    def __init__(
        self, settings: PosterSettings, posters: PosterStore, objects: ObjectStore | None
    ) -> None:
        self._pixels_max = settings.poster_pixels_max
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

    async def encoded(self, encode: Callable[[bytes, int], E], raw: bytes) -> E:
        """Return what `encode` makes of an upload and the most pixels it may have, in a thread."""
        async with self._slots:
            return await asyncio.to_thread(encode, raw, self._pixels_max)

    async def stored(self, image_hash: str, files: Mapping[str, bytes]) -> dict[str, bytes | None]:
        """Return what PostgreSQL keeps of the files, after the object store has the rest."""
        if self._objects is None:
            return dict(files)
        for name, content in files.items():
            await self._objects.put(_key(image_hash, name), content, media_type_of(name), _HEADERS)
        return dict.fromkeys(files)

    async def write(
        self, connection: Connection, image_hash: str, contents: Mapping[str, bytes | None]
    ) -> list[tuple[str, str]]:
        """Write files in a transaction; return those that no picture has needed for a day."""
        await store.store_files(connection, image_hash, contents)
        return await store.forget_files(connection, _FORGOTTEN_AFTER_S)

    async def delete(self, forgotten: list[tuple[str, str]]) -> None:
        """Delete files from the object store, after the transaction that forgot them."""
        if self._objects is not None:
            for image_hash, name in forgotten:
                await self._objects.delete(_key(image_hash, name))

    async def file(self, image_hash: str, name: str) -> bytes:
        """Return a file of a picture; raise `NotFound`."""
        return await self._files.get((image_hash, name))

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
    return {"jpg": "image/jpeg", "png": "image/png"}.get(name.rpartition(".")[2], "image/webp")


def hash_of(files: Mapping[str, bytes]) -> str:
    """Return the hash by which the files of a picture are addressed."""
    digest = blake2b(digest_size=16)
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _key(image_hash: str, name: str) -> str:
    return f"posters/{image_hash}/{name}"
