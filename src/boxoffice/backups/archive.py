"""The archive of WAL: what PostgreSQL's `archive_command` calls, and what a restore reads.

A file is stored once. The same file again is no error: PostgreSQL repeats a command whose answer was
lost. Another file of the same name is refused: two servers write one history, or one was restored
without its archive.
"""

import gzip
import struct
import zlib
from pathlib import Path

from boxoffice.backups import rules
from boxoffice.backups.catalog import BackupCatalog
from boxoffice.backups.errors import BackupDamaged, BackupError, WalConflict
from boxoffice.backups.stores.folder import Storage

_FASTEST = 1
# The first field of pg_control, and the begin of a segment (access/xlog_internal.h): a short page
# header with the timeline and the address of the page, and then the system identifier.
_CONTROL = struct.Struct("=q")
_SEGMENT_HEADER = struct.Struct("=HHIQI4xqII")


def archive_wal(storage: Storage, path: Path, data_dir: Path) -> bool:
    """Store a WAL file of the server in `data_dir`; return False if the archive has it already.

    Raises `WalConflict`, `BackupDamaged` for a file that is not what its name says, `BackupError`, and
    what the store raises; PostgreSQL keeps the file and tries again.
    """
    if not rules.is_archived_name(path.name):
        raise BackupError(f"{path.name} is no name of a WAL file")
    system_identifier = read_system_identifier(data_dir)
    content = path.read_bytes()
    # guard: archive_takes_segments_of_their_own_name_only
    _check_segment(path.name, content, system_identifier)
    name = stored_name(system_identifier, path.name)
    # With no time in it the same content is the same file.
    if storage.put_new(name, gzip.compress(content, _FASTEST, mtime=0)):
        return True
    # guard: archive_refuses_another_file_of_the_same_name => if False:
    if read_wal(storage, system_identifier, path.name) != content:
        raise WalConflict(f"the archive has another {path.name}: two servers write one history")
    return False


def read_wal(storage: Storage, system_identifier: str, name: str) -> bytes | None:
    """Return an archived file, None where there is none; raise `BackupDamaged`."""
    stored = storage.get(stored_name(system_identifier, name))
    if stored is None:
        return None
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise BackupDamaged(f"the archived {name} cannot be read: {error}") from error


def fetch_history(
    catalog: BackupCatalog, backup: rules.BackupManifest, folder: Path
) -> tuple[int, float | None]:
    """Write what a restore of a backup may replay into a folder.

    Returns how many files, and when the last was archived, in seconds since the Unix epoch.
    """
    first = backup.start_position // backup.segment_bytes
    count, last_at = 0, None
    for one in catalog.wal(backup.system_identifier):
        name = one.name.rpartition("/")[2].removesuffix(".gz")
        segment = rules.segment_of(name[:24], backup.segment_bytes)
        if segment is not None and segment.number < first:
            continue
        content = read_wal(catalog.storage, backup.system_identifier, name)
        if content is not None:
            (folder / name).write_bytes(content)
            count, last_at = count + 1, max(last_at or 0.0, one.written_at.timestamp())
    return count, last_at


def stored_name(system_identifier: str, name: str) -> str:
    """Return where an archived file of a cluster is."""
    return f"wal/{system_identifier}/{name}.gz"


def read_system_identifier(data_dir: Path) -> str:
    """Return the system identifier of a server's data directory; raise `BackupError`."""
    try:
        control = (data_dir / "global" / "pg_control").read_bytes()
    except OSError as error:
        raise BackupError(f"{data_dir} is no data directory of PostgreSQL: {error}") from error
    return str(_CONTROL.unpack_from(control)[0])


def _check_segment(name: str, content: bytes, system_identifier: str) -> None:
    """Refuse a segment that was cut, or is another server's or another one than its name says."""
    if len(name.removesuffix(".partial")) != len("000000010000000000000001"):
        return
    if len(content) < _SEGMENT_HEADER.size:
        raise BackupDamaged(f"{name} has {len(content)} bytes only")
    _, _, _, address, _, system, size, _ = _SEGMENT_HEADER.unpack_from(content)
    segment = rules.segment_of(name[:24], size) if size else None
    is_whole = segment is not None and len(content) == size and address == segment.number * size
    if not is_whole or str(system) != system_identifier:
        raise BackupDamaged(f"{name} is not the segment of this server that its name says")
