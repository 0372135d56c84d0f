"""Names of WAL files, chains of backups, and which of them are kept. Pure.

Source of the names: PostgreSQL's documentation, "WAL Internals" and "Continuous Archiving".
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from boxoffice.backups.errors import BackupNotFound

BackupKind = Literal["full", "incremental"]

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_ARCHIVED = re.compile(r"[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_XLOG_ID_BYTES = 1 << 32


class BackupFile(msgspec.Struct, frozen=True):
    """A file of a backup: its name there, its bytes, and the SHA-256 of them in hexadecimal."""

    name: str
    size_bytes: int
    sha256: str


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a complete backup is; its file is written last. Positions are bytes of WAL."""

    label: str
    kind: BackupKind
    parent: str | None
    system_identifier: str
    timeline: int
    start_position: int
    stop_position: int
    segment_bytes: int
    started_at: datetime
    finished_at: datetime
    server_version: int
    product_version: str
    schema_version: str
    database: str
    role: str
    files: list[BackupFile]

    @property
    def size_bytes(self) -> int:
        """The bytes that it takes in its store."""
        return sum(file.size_bytes for file in self.files)


class Segment(NamedTuple):
    """A segment of WAL: its timeline, and its number since the beginning of all WAL."""

    timeline: int
    number: int

    def name(self, segment_bytes: int) -> str:
        """Return the name of its file."""
        high, low = divmod(self.number, _XLOG_ID_BYTES // segment_bytes)
        return f"{self.timeline:08X}{high:08X}{low:08X}"


def is_archived_name(name: str) -> bool:
    """Say whether PostgreSQL archives files of such a name."""
    return _ARCHIVED.fullmatch(name) is not None


def segment_of(name: str, segment_bytes: int) -> Segment | None:
    """Return the segment of a whole WAL file's name, None for another file."""
    found = _SEGMENT.fullmatch(name)
    if found is None:
        return None
    timeline, high, low = (int(part, 16) for part in found.groups())
    return Segment(timeline, high * (_XLOG_ID_BYTES // segment_bytes) + low)


def read_lsn(text: str) -> int | None:
    """Return the position of an LSN such as 16/B374D848, None for another text."""
    found = _LSN.fullmatch(text)
    return None if found is None else int(found[1], 16) * _XLOG_ID_BYTES + int(found[2], 16)


def shown_lsn(position: int) -> str:
    """Return a position as PostgreSQL writes it."""
    high, low = divmod(position, _XLOG_ID_BYTES)
    return f"{high:X}/{low:X}"


def newest(backups: Iterable[BackupManifest]) -> BackupManifest | None:
    """Return the backup that ended last."""
    return max(backups, key=lambda one: one.finished_at, default=None)


def chain_of(backups: Iterable[BackupManifest], label: str) -> list[BackupManifest]:
    """Return a backup after those on which it builds, the full one first; raise `BackupNotFound`."""
    by_label = {one.label: one for one in backups}
    chain: list[BackupManifest] = []
    wanted: str | None = label
    while wanted is not None:
        if wanted not in by_label or len(chain) > len(by_label):
            raise BackupNotFound(f"the catalog has no complete backup {wanted}")
        chain.append(by_label[wanted])
        wanted = chain[-1].parent
    return chain[::-1]


def before(backups: Iterable[BackupManifest], moment: datetime) -> list[BackupManifest]:
    """Return the backups from which a server can be rolled forward to a time."""
    # guard: backup_that_ended_after_the_target_is_not_used => return list(backups)
    return [one for one in backups if one.finished_at <= moment]


def parent_of_next(
    backups: Collection[BackupManifest], system_identifier: str, timeline: int, chain_max: int
) -> BackupManifest | None:
    """Return the backup on which an incremental one may build, None where a full one is needed.

    A chain restores as long as each part of it is whole, so it has `chain_max` backups at most.
    """
    last = newest(one for one in backups if one.system_identifier == system_identifier)
    # guard: backup_of_another_timeline_is_no_parent: or last.timeline != timeline =>
    if last is None or last.timeline != timeline:
        return None
    # guard: backup_chain_is_bounded => return last
    return last if len(chain_of(backups, last.label)) < chain_max else None


def kept(backups: Collection[BackupManifest], full_kept_min: int) -> list[BackupManifest]:
    """Return the newest full backups, and all that build on them."""
    full = sorted((one for one in backups if one.kind == "full"), key=lambda one: one.finished_at)
    roots = {one.label for one in full[-full_kept_min:]}
    return [one for one in backups if chain_of(backups, one.label)[0].label in roots]


def unneeded_segments(names: Iterable[str], kept_backups: Sequence[BackupManifest]) -> list[str]:
    """Return the whole segments before the first that a kept backup needs; none without a backup.

    Histories of timelines stay: they are small, and a restore needs them all.
    """
    if not kept_backups:
        return []
    segment_bytes = kept_backups[0].segment_bytes
    first = min(one.start_position // segment_bytes for one in kept_backups)
    found = ((name, segment_of(name[:24], segment_bytes)) for name in names)
    # guard: wal_that_a_kept_backup_needs_stays: one.number < first => True
    return [name for name, one in found if one is not None and one.number < first]


def missing_segments(names: Iterable[str], backup: BackupManifest) -> list[str]:
    """Return the segments that the archive lacks between a backup's begin and its newest segment."""
    size = backup.segment_bytes
    found = {one for one in (segment_of(name, size) for name in names) if one is not None}
    numbers = {one.number for one in found}
    first = backup.start_position // size
    after = {number for number in numbers if number >= first}
    if not after:
        return []
    lacking = sorted(set(range(first, max(after) + 1)) - after)
    return [Segment(backup.timeline, number).name(size) for number in lacking]


class BackupStatus(NamedTuple):
    """How old the newest complete backup is, and how far the archive lags behind; None without one."""

    label: str | None
    backup_age_s: float | None
    archived_at: datetime | None
    archive_lag_s: float | None
