"""Where backups are kept: the port of a store, and a folder."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from boxoffice.platform.storage.files import sync_folder

# A process that was killed leaves such files; `prune` deletes them.
UNFINISHED = ".unfinished-"
_FILE, _FOLDER = 0o600, 0o700


class StorageEntry(NamedTuple):
    """A file in a store: its name, its bytes, and when it was written."""

    name: str
    size_bytes: int
    written_at: datetime


class Storage(Protocol):
    """Files by name, with `/` between the parts; a file is there whole or not at all."""

    def put_file(self, name: str, path: Path) -> None:
        """Store a file, also a large one; one of this name is replaced."""

    def put_new(self, name: str, content: bytes) -> bool:
        """Store a small file unless there is one of this name; return whether it was stored."""

    def get(self, name: str) -> bytes | None:
        """Return a small file; None where there is none."""

    def fetch(self, name: str, path: Path) -> bool:
        """Write a file to a path; return False where there is none."""

    def entries(self, prefix: str) -> Iterator[StorageEntry]:
        """Yield the files whose names begin so."""

    def delete(self, name: str) -> None:
        """Delete a file; one that is missing is no error."""


class FolderStorage:
    """A folder, best on another machine or disk than the server's.

    A file is written beside its place, synchronized, and linked or renamed: a killed process, a full
    disk or a power failure leaves no half-written file under a name that counts.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_file(self, name: str, path: Path) -> None:
        """Store a file."""
        target, unfinished = self._prepare(name)
        try:
            with path.open("rb") as source, _create(unfinished) as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
                _synchronize(copy)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        sync_folder(target.parent)

    def put_new(self, name: str, content: bytes) -> bool:
        """Store a small file unless there is one of this name."""
        target, unfinished = self._prepare(name)
        try:
            with _create(unfinished) as file:
                file.write(content)
                _synchronize(file)
            # A link, unlike a renaming, fails where the name is taken.
            os.link(unfinished, target)
        except FileExistsError:
            return False
        finally:
            unfinished.unlink(missing_ok=True)
        sync_folder(target.parent)
        return True

    def get(self, name: str) -> bytes | None:
        """Return a small file."""
        with suppress(FileNotFoundError):
            return (self._root / name).read_bytes()
        # A disk that is not mounted is no empty store.
        self._root.stat()
        return None

    def fetch(self, name: str, path: Path) -> bool:
        """Write a file to a path."""
        with suppress(FileNotFoundError), (self._root / name).open("rb") as source:
            with path.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            return True
        return False

    def entries(self, prefix: str) -> Iterator[StorageEntry]:
        """Yield the files whose names begin so, unfinished ones included."""
        folder = self._root / prefix.rpartition("/")[0]
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(self._root).as_posix()
            with suppress(FileNotFoundError):
                if name.startswith(prefix) and path.is_file():
                    stat = path.stat()
                    at = datetime.fromtimestamp(stat.st_mtime, UTC)
                    yield StorageEntry(name, stat.st_size, at)

    def delete(self, name: str) -> None:
        """Delete a file, and its folder with the last one."""
        path = self._root / name
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()

    def _prepare(self, name: str) -> tuple[Path, Path]:
        target = self._root / name
        for folder in reversed([target.parent, *target.parent.parents]):
            folder.mkdir(_FOLDER, exist_ok=True)
        return target, target.with_name(f"{UNFINISHED}{target.name}.{secrets.token_hex(4)}")


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE), "wb")


def _synchronize(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
