"""The catalog: the complete backups of a store, the archived WAL, and the restores from it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from boxoffice.backups import rules
from boxoffice.backups.errors import BackupDamaged, BackupError
from boxoffice.backups.rules import BackupManifest, BackupStatus
from boxoffice.backups.stores.folder import UNFINISHED, Storage, StorageEntry

_MANIFEST = "manifest.json"
# An upload that is under way is younger; what a killed process has left is older.
_ABANDONED_AFTER = timedelta(days=1)


class BackupCatalog:
    """Reads and writes a store's catalog. A backup without its manifest is not complete.

    backups/LABEL/manifest.json          written last
    backups/LABEL/base.tar.gz, …
    wal/SYSTEM/000000010000000000000001.gz
    restores/2.json                      the incarnations that were given out
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def backups(self) -> list[BackupManifest]:
        """Return the complete backups, the oldest first; raise `BackupDamaged`."""
        names = [one.name for one in self.storage.entries("backups/")]
        read = [self._read(name) for name in names if name.endswith(f"/{_MANIFEST}")]
        return sorted((one for one in read if one is not None), key=lambda one: one.finished_at)

    def _read(self, name: str) -> BackupManifest | None:
        content = self.storage.get(name)
        if content is None:
            return None  # deleted meanwhile
        try:
            return msgspec.json.decode(content, type=BackupManifest)
        except msgspec.MsgspecError as error:
            raise BackupDamaged(f"{name} is no manifest: {error}") from error

    def add(self, manifest: BackupManifest) -> None:
        """Declare a backup complete, after all of its files are stored; raise `BackupError`."""
        encoded = msgspec.json.format(msgspec.json.encode(manifest))
        name = file_name(manifest.label, _MANIFEST)
        if self.storage.put_new(name, encoded):
            return
        # The store may have it from a try whose answer was lost.
        # guard: catalog_refuses_a_label_that_another_backup_has => if False:
        if self.storage.get(name) != encoded:
            raise BackupError(f"the store has another backup {manifest.label}: make it again")

    def remove(self, manifest: BackupManifest) -> None:
        """Delete a backup, its manifest first: what is left does not count."""
        self.storage.delete(file_name(manifest.label, _MANIFEST))
        for file in manifest.files:
            self.storage.delete(file_name(manifest.label, file.name))

    def wal(self, system_identifier: str) -> Iterator[StorageEntry]:
        """Yield the archived files of a cluster, by their stored names."""
        for one in self.storage.entries(f"wal/{system_identifier}/"):
            if UNFINISHED not in one.name:
                yield one

    def abandoned(self, now: datetime) -> list[str]:
        """Return what processes left that were killed: unfinished files, and parts of backups."""
        complete = {one.label for one in self.backups()}
        return [
            one.name
            for one in self.storage.entries("")
            # guard: prune_leaves_what_is_under_way => if True
            if one.written_at < now - _ABANDONED_AFTER
            # guard: prune_leaves_complete_backups => and True
            and (UNFINISHED in one.name or _is_part_of_none(one.name, complete))
        ]

    def next_incarnation(self, content: bytes) -> int:
        """Return an incarnation that no restore from this store has had, from 1 on."""
        taken = [_incarnation(one.name) for one in self.storage.entries("restores/")]
        number = max(taken, default=0) + 1
        while not self.storage.put_new(f"restores/{number}.json", content):
            number += 1
        return number


def file_name(label: str, name: str) -> str:
    """Return the stored name of a file of a backup."""
    return f"backups/{label}/{name}"


def _is_part_of_none(name: str, complete: set[str]) -> bool:
    kind, _, rest = name.partition("/")
    return kind == "backups" and rest.partition("/")[0] not in complete


def _incarnation(name: str) -> int:
    stem = name.rpartition("/")[2].removesuffix(".json")
    return int(stem) if stem.isdigit() else 0


def backup_status(storage: Storage, now: datetime) -> BackupStatus:
    """Return the age of the newest complete backup and the lag of its archive; for `doctor` and alerts.

    While nothing is written PostgreSQL archives nothing, so an idle server's lag grows.
    """
    catalog = BackupCatalog(storage)
    last = rules.newest(catalog.backups())
    if last is None:
        return BackupStatus(None, None, None, None)
    written = (one.written_at for one in catalog.wal(last.system_identifier))
    archived_at = max(written, default=None)
    lag_s = None if archived_at is None else (now - archived_at).total_seconds()
    age_s = (now - last.finished_at).total_seconds()
    return BackupStatus(last.label, age_s, archived_at, lag_s)
