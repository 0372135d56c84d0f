"""Backups in an S3-compatible store."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from boxoffice.backups.errors import BackupError
from boxoffice.backups.stores.folder import FolderStorage, Storage, StorageEntry
from boxoffice.errors import Unavailable
from boxoffice.platform.storage import transfers
from boxoffice.platform.storage.object_store import Bucket, ObjectStore, StoredObject
from boxoffice.platform.storage.signature import AccessKey
from boxoffice.settings import BackupSettings

_TRIES_MAX = 4
_ANSWER_MAX_BYTES = 4 * transfers.PART_BYTES
_MEDIA_TYPE = "application/octet-stream"
S3_PREFIX = "s3://"


class ObjectStorage:
    """Objects of a bucket below a prefix; a large file is sent in parts, and appears whole.

    The commands of backups run no loop of their own, so each call runs one.
    """

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def put_file(self, name: str, path: Path) -> None:
        """Store a file."""
        asyncio.run(transfers.upload(self._store, self._prefix + name, path))

    def put_new(self, name: str, content: bytes) -> bool:
        """Store a small file unless there is one of this name."""
        return asyncio.run(self._store.put_new(self._prefix + name, content, _MEDIA_TYPE))

    def get(self, name: str) -> bytes | None:
        """Return a small file."""
        return asyncio.run(self._store.get(self._prefix + name))

    def fetch(self, name: str, path: Path) -> bool:
        """Write a file to a path."""
        return asyncio.run(transfers.download(self._store, self._prefix + name, path))

    def entries(self, prefix: str) -> Iterator[StorageEntry]:
        """Yield the objects whose names begin so."""
        for one in asyncio.run(self._listed(prefix)):
            name = one.name.removeprefix(self._prefix)
            yield StorageEntry(name, one.size_bytes, one.written_at)

    async def _listed(self, prefix: str) -> list[StoredObject]:
        return [one async for one in self._store.listed(self._prefix + prefix)]

    def delete(self, name: str) -> None:
        """Delete an object."""
        asyncio.run(self._store.delete(self._prefix + name))


def open_storage(settings: BackupSettings) -> Storage:
    """Return the store of the settings; raise `BackupError` where none is named."""
    location = settings.backup_location
    if not location:
        raise BackupError("set BOXOFFICE_BACKUP_LOCATION to a folder, or to s3://bucket/prefix")
    if not location.startswith(S3_PREFIX):
        return FolderStorage(Path(location))
    name, _, prefix = location.removeprefix(S3_PREFIX).partition("/")
    key = AccessKey(
        settings.backup_s3_access_key, settings.backup_s3_secret_key, settings.backup_s3_region
    )
    bucket = Bucket(settings.backup_s3_url, name, key, settings.backup_s3_timeout_ms / 1000)
    return ObjectStorage(ObjectStore(bucket, time.time, _ANSWER_MAX_BYTES, _TRIES_MAX), prefix)


def check_reachable(storage: Storage) -> None:
    """Read from a store, so that a wrong key or address ends a command before its work."""
    try:
        storage.get("restores/none")
    except Unavailable as error:
        raise BackupError(f"the store of the backups is out of reach: {error}") from error
