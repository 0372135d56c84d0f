"""Makes a data directory of a backup and the archive, and lets PostgreSQL replay it."""

import asyncio
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import asyncpg

from boxoffice.backups import after_restore, archive, rules
from boxoffice.backups.after_restore import Incarnation
from boxoffice.backups.catalog import BackupCatalog, file_name
from boxoffice.backups.creation import QUERIES, sha256_of, socket_address
from boxoffice.backups.errors import BackupDamaged, BackupError, BackupNotFound, RestoreRefused
from boxoffice.backups.programs import PostgresPrograms
from boxoffice.backups.rules import BackupManifest
from boxoffice.backups.scratch_server import RunAs, ScratchServer
from boxoffice.platform.storage.files import sync_folder, unpack
from boxoffice.settings import Settings

_PRIVATE = 0o700
_SUFFIX = ".gz"


class RestoreTarget(NamedTuple):
    """Until where to replay: a time, a position, or with neither to the end of the archive."""

    moment: datetime | None = None
    position: int | None = None

    def options(self) -> dict[str, str]:
        """Return PostgreSQL's settings for it."""
        if self.moment is not None:
            return {"recovery_target_time": self.moment.isoformat()}
        if self.position is not None:
            return {"recovery_target_lsn": rules.shown_lsn(self.position)}
        return {}

    def shown(self) -> str:
        """Return it as the database keeps it."""
        if self.moment is not None:
            return self.moment.isoformat()
        return "latest" if self.position is None else rules.shown_lsn(self.position)


class RestoreContext(NamedTuple):
    """What a restore works with; `say` shows progress."""

    catalog: BackupCatalog
    programs: PostgresPrograms
    run_as: RunAs
    say: Callable[[str], None]


class Recovered(NamedTuple):
    """What a recovery came to: the last replayed commit (None without one), and where it ended."""

    last_commit_at: datetime | None
    position: int
    timeline: int
    now: datetime
    wal_files: int
    last_archived_at: float | None


def read_target(text: str) -> RestoreTarget:
    """Return the target that a text names: `latest`, an LSN, or a time with its zone.

    Raises `BackupError`.
    """
    if text == "latest":
        return RestoreTarget()
    position = rules.read_lsn(text)
    if position is not None:
        return RestoreTarget(position=position)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BackupError(f"{text!r} is no time, no LSN, and not `latest`") from None
    # guard: restore_target_has_a_time_zone => if False:
    if moment.tzinfo is None:
        raise BackupError(f"{text} has no time zone: write {text}Z for UTC")
    return RestoreTarget(moment=moment)


def chosen(
    backups: list[BackupManifest], label: str | None, target: RestoreTarget
) -> list[BackupManifest]:
    """Return the chain of the named backup, or of the newest that ended before the target.

    Raises `BackupNotFound`.
    """
    if label is not None:
        return rules.chain_of(backups, label)
    usable = backups
    if target.moment is not None:
        usable = rules.before(backups, target.moment)
    elif target.position is not None:
        usable = [one for one in backups if one.stop_position <= target.position]
    last = rules.newest(usable)
    if last is None:
        raise BackupNotFound(f"no complete backup is older than {target.shown()}")
    return rules.chain_of(backups, last.label)


@contextmanager
def recovered_server(
    context: RestoreContext,
    chain: list[BackupManifest],
    target: RestoreTarget,
    folder: Path,
    *,
    is_final: bool,
) -> Iterator[tuple[ScratchServer, Recovered, str]]:
    """Build `folder`/data, replay, and lend the server, what it recovered, and its address.

    `is_final`: the directory will serve, so what this server writes waits there for being archived.
    """
    catalog, programs, run_as, say = context
    backup = chain[-1]
    major = backup.server_version // 10_000
    # guard: restore_by_the_servers_own_version => if False:
    if programs.major_version() != major:
        raise BackupError(f"set BOXOFFICE_BACKUP_PROGRAMS_DIR to programs of PostgreSQL {major}")
    data_dir, wal, run = (folder / name for name in ("data", "wal", "run"))
    for made in (wal, run):
        made.mkdir(_PRIVATE)
    materialize(context, chain, data_dir)
    say("fetching the archive")
    wal_files, last_archived_at = archive.fetch_history(catalog, backup, wal)
    run_as.own(wal)
    with ScratchServer(programs, data_dir, run, run_as) as server:
        say(f"replaying {wal_files} files of WAL")
        server.recover(_options(wal, target, is_final=is_final))
        address = socket_address(server.sockets, backup.database, backup.role)
        found = asyncio.run(_read_recovered(address))
        yield server, Recovered(*found, wal_files, last_archived_at), address


def _options(wal: Path, target: RestoreTarget, *, is_final: bool) -> dict[str, str]:
    quoted = str(wal).replace("%", "%%").replace("'", "'\\''")
    # A command that fails keeps the new timeline's files until the server has its own command again.
    archiving = (
        {"archive_mode": "on", "archive_command": "false", "archive_library": ""}
        if is_final
        else {"archive_mode": "off"}
    )
    return {
        "restore_command": f"cp '{quoted}/%f' \"%p\"",
        **target.options(),
        **archiving,
    }


async def _read_recovered(address: str) -> tuple[datetime | None, int, int, datetime]:
    connection = await asyncpg.connect(address)
    try:
        row = await connection.fetchrow(QUERIES["recovered"])
    finally:
        await connection.close()
    if row is None:
        raise BackupError("the server does not show what it recovered")
    return row["last_commit_at"], row["position"], row["timeline"], row["now"]


def materialize(context: RestoreContext, chain: list[BackupManifest], data_dir: Path) -> None:
    """Fetch a chain, combine it into `data_dir`, and check every file; raise `BackupDamaged`."""
    with tempfile.TemporaryDirectory(prefix="parts-", dir=data_dir.parent) as parts:
        folders = []
        for number, backup in enumerate(chain):
            context.say(f"fetching {backup.label}: {backup.size_bytes:,} bytes")
            into = data_dir if len(chain) == 1 else Path(parts) / str(number)
            _extract(context.catalog, backup, Path(parts), into)
            folders.append(str(into))
        if len(chain) > 1:
            context.say(f"combining {len(chain)} backups")
            arguments = [*folders, "--output", str(data_dir), "--no-sync"]
            context.programs.run("pg_combinebackup", arguments)
    data_dir.chmod(_PRIVATE)
    context.programs.run("pg_verifybackup", ["--quiet", str(data_dir)])


def _extract(catalog: BackupCatalog, backup: BackupManifest, parts: Path, into: Path) -> None:
    into.mkdir(_PRIVATE)
    for file in backup.files:
        fetched = parts / "file"
        if not catalog.storage.fetch(file_name(backup.label, file.name), fetched):
            raise BackupDamaged(f"{backup.label} has lost {file.name}")
        # guard: restore_checks_what_was_stored => if False:
        if sha256_of(fetched) != file.sha256:
            raise BackupDamaged(f"{file.name} of {backup.label} is not what was stored")
        if not file.name.endswith((".tar", f".tar{_SUFFIX}")):
            fetched.replace(into / file.name)
            continue
        place = into / "pg_wal" if file.name.startswith("pg_wal.") else into
        place.mkdir(_PRIVATE, exist_ok=True)
        with tarfile.open(fetched) as archived:
            unpack(archived, place)
        fetched.unlink()


def require_free(data_dir: Path) -> None:
    """Raise `RestoreRefused` where something is, a running server for instance."""
    if data_dir.is_symlink() or (data_dir.exists() and not data_dir.is_dir()):
        raise RestoreRefused(f"{data_dir} is no folder")
    if data_dir.is_dir() and any(data_dir.iterdir()):
        raise RestoreRefused(f"{data_dir} is not empty: name another folder, and keep this one")
    if data_dir.is_mount():
        raise RestoreRefused(f"{data_dir} is a mount point: name a folder below it")


def restore(
    context: RestoreContext,
    settings: Settings,
    chain: list[BackupManifest],
    target: RestoreTarget,
    data_dir: Path,
    *,
    is_ending_sessions: bool,
) -> tuple[Recovered, Incarnation]:
    """Make `data_dir` of a backup and the archive, raise what must not go backward, and stop.

    The folder appears when all of that is done: a restore that was killed leaves none that could serve.
    Raises `BackupError`.
    """
    require_free(data_dir)
    data_dir.parent.mkdir(_PRIVATE, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{data_dir.name}.restoring-", dir=data_dir.parent))
    try:
        # The other user has to reach what is inside.
        folder.chmod(0o711)
        with recovered_server(context, chain, target, folder, is_final=True) as (
            server,
            recovered,
            address,
        ):
            context.say("raising event ids, queue numbers and fencing tokens")
            incarnation = after_restore.begin(
                settings.replace(database_url=address),
                context.catalog,
                recovered_to=recovered.last_commit_at or chain[-1].started_at,
                backup_label=chain[-1].label,
                target=target.shown(),
                is_ending_sessions=is_ending_sessions,
            )
            server.stop()
        require_free(data_dir)
        # Neither an extraction nor a combination has synchronized the files that no replay touched.
        os.sync()
        (folder / "data").rename(data_dir)
        sync_folder(data_dir.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return recovered, incarnation
