"""Deletes what no kept backup needs."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from boxoffice.backups import rules
from boxoffice.backups.catalog import BackupCatalog


class Deleted(NamedTuple):
    """How many were deleted: backups, WAL files, and files of commands that were killed."""

    backups: int
    segments: int
    unfinished: int


def prune(
    catalog: BackupCatalog, full_kept_min: int, now: datetime, say: Callable[[str], None]
) -> Deleted:
    """Keep the newest full backups with all that build on them, and the WAL since the oldest of them.

    Of several clusters in one store each is looked at alone. A killed call leaves what counts whole.
    """
    deleted = Deleted(0, 0, 0)
    backups = catalog.backups()
    for system in sorted({one.system_identifier for one in backups}):
        own = [one for one in backups if one.system_identifier == system]
        kept = rules.kept(own, full_kept_min)
        # What builds on another one goes first: no chain is ever without its begin.
        gone = sorted((one for one in own if one not in kept), key=lambda one: one.finished_at)
        for one in reversed(gone):
            say(f"deleting {one.label}")
            catalog.remove(one)
        stored = {
            one.name.rpartition("/")[2].removesuffix(".gz"): one.name for one in catalog.wal(system)
        }
        unneeded = rules.unneeded_segments(stored, kept)
        for name in unneeded:
            catalog.storage.delete(stored[name])
        deleted = Deleted(
            deleted.backups + len(gone), deleted.segments + len(unneeded), deleted.unfinished
        )
    abandoned = catalog.abandoned(now)
    for name in abandoned:
        catalog.storage.delete(name)
    return deleted._replace(unfinished=len(abandoned))
