"""Makes a base backup with `pg_basebackup` and stores it."""

import asyncio
import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import msgspec

from boxoffice.backups import rules
from boxoffice.backups.catalog import BackupCatalog, file_name
from boxoffice.backups.errors import BackupError
from boxoffice.backups.programs import PostgresPrograms
from boxoffice.backups.rules import BackupFile, BackupManifest
from boxoffice.platform.postgres import database, sql_files
from boxoffice.platform.storage.files import write_private
from boxoffice.settings import Settings

QUERIES = sql_files.load("boxoffice.backups")
_SERVER_MANIFEST = "backup_manifest"
_INCREMENTAL_FROM = 17


class SourceServer(NamedTuple):
    """The server that is copied."""

    server_version: int
    system_identifier: str
    timeline: int
    segment_bytes: int
    has_summaries: bool
    archive_mode: str
    database: str
    role: str
    has_tablespaces: bool
    schema_version: str
    now: datetime

    @property
    def major_version(self) -> int:
        """Return its major version."""
        return self.server_version // 10_000


class _WalRange(
    msgspec.Struct, rename={"begin": "Start-LSN", "end": "End-LSN", "timeline": "Timeline"}
):
    timeline: int
    begin: str
    end: str


class _ServerManifest(msgspec.Struct, rename={"ranges": "WAL-Ranges"}):
    ranges: list[_WalRange]


def read_source(settings: Settings) -> SourceServer:
    """Return what a backup has to know of the server; raise `Unavailable` or `BackupError`."""

    async def read() -> SourceServer:
        connection = await database.connect(settings, bounded=False, plain=True)
        try:
            return SourceServer(**dict(await connection.fetchrow(QUERIES["source"]) or {}))
        finally:
            await connection.close()

    try:
        return asyncio.run(read())
    except asyncpg.PostgresError as error:
        raise BackupError(f"PostgreSQL does not show what a backup needs: {error}") from error


def create(
    settings: Settings,
    catalog: BackupCatalog,
    programs: PostgresPrograms,
    source: SourceServer,
    *,
    is_full: bool,
    say: Callable[[str], None],
) -> BackupManifest:
    """Make a backup: incremental where one may build on the last, unless `is_full`.

    Raises `BackupError`. What is stored of a backup that failed does not count, and `prune` deletes it.
    """
    if source.has_tablespaces:
        raise BackupError("the server has tablespaces of its own: use another tool for its backups")
    parent = None if is_full else _parent(settings, catalog, source)
    kind = "full" if parent is None else "incremental"
    label = f"{source.now:%Y%m%dT%H%M%SZ}-{kind}-{secrets.token_hex(2)}"
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-backup-", dir=settings.backups.backup_work_dir or None
    ) as work:
        folder = Path(work)
        say(f"copying the server: {label}")
        _copy(settings, catalog, programs, folder, parent)
        if source.major_version >= 18:
            programs.run("pg_verifybackup", ["--format=tar", "-n", str(folder / "base")])
        manifest = _stored(catalog, folder / "base", source, label, parent, say)
    catalog.add(manifest)
    if source.archive_mode == "off":
        say("archive_mode is off: what is written from now on can not be restored")
    return manifest


def _parent(
    settings: Settings, catalog: BackupCatalog, source: SourceServer
) -> BackupManifest | None:
    if source.major_version < _INCREMENTAL_FROM or not source.has_summaries:
        return None
    return rules.parent_of_next(
        catalog.backups(),
        source.system_identifier,
        source.timeline,
        settings.backups.backup_chain_max,
    )


def _copy(
    settings: Settings,
    catalog: BackupCatalog,
    programs: PostgresPrograms,
    folder: Path,
    parent: BackupManifest | None,
) -> None:
    arguments = [
        "--pgdata",
        str(folder / "base"),
        "--format=tar",
        "--gzip",
        "--compress=client-gzip:1",
    ]
    arguments += ["--wal-method=stream", "--checkpoint=fast", "--no-password", "--label=boxoffice"]
    if parent is not None:
        old = folder / "parent_manifest"
        if not catalog.storage.fetch(file_name(parent.label, _SERVER_MANIFEST), old):
            raise BackupError(f"{parent.label} has lost its manifest: make a full backup")
        arguments.append(f"--incremental={old}")
    url = settings.backups.backup_database_url or settings.database.database_url
    with _login(url, folder) as (address, environment):
        programs.run("pg_basebackup", ["--dbname", address, *arguments], environment)


@contextmanager
def _login(url: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Lend an address without its password, and the environment that names the file that has it."""
    address, password = without_password(url)
    passwords = folder / "passwords"
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    write_private(passwords, f"*:*:*:*:{escaped}\n".encode())
    try:
        yield address, {"PGPASSFILE": str(passwords), "PGAPPNAME": "boxoffice-backup"}
    finally:
        passwords.unlink(missing_ok=True)


def without_password(url: str) -> tuple[str, str]:
    """Return an address of PostgreSQL without its password, and the password."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    fields = [one for one in parts.query.split("&") if one]
    given = [one.partition("=")[2] for one in fields if one.startswith("password=")]
    kept = "&".join(one for one in fields if not one.startswith("password="))
    # `urlunsplit` drops the slashes of an address without a host.
    shown = f"{parts.scheme}://{user}{at}{hosts}{parts.path}{'?' if kept else ''}{kept}"
    return shown, unquote(given[0] if given else password)


def _stored(
    catalog: BackupCatalog,
    folder: Path,
    source: SourceServer,
    label: str,
    parent: BackupManifest | None,
    say: Callable[[str], None],
) -> BackupManifest:
    read = msgspec.json.decode((folder / _SERVER_MANIFEST).read_bytes(), type=_ServerManifest)
    files = []
    for path in sorted(folder.iterdir()):
        say(f"storing {path.name}: {path.stat().st_size:,} bytes")
        files.append(BackupFile(path.name, path.stat().st_size, sha256_of(path)))
        catalog.storage.put_file(file_name(label, path.name), path)
    last = read.ranges[-1]
    return BackupManifest(
        label=label,
        kind="full" if parent is None else "incremental",
        parent=None if parent is None else parent.label,
        system_identifier=source.system_identifier,
        timeline=last.timeline,
        start_position=_position(read.ranges[0].begin),
        stop_position=_position(last.end),
        segment_bytes=source.segment_bytes,
        started_at=source.now,
        # By this machine's clock, which is that of `restore --to` as well.
        finished_at=datetime.now(UTC),
        server_version=source.server_version,
        product_version=version("boxoffice"),
        schema_version=source.schema_version,
        database=source.database,
        role=source.role,
        files=files,
    )


def _position(lsn: str) -> int:
    position = rules.read_lsn(lsn)
    if position is None:
        raise BackupError(f"pg_basebackup wrote the position {lsn!r}")
    return position


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def socket_address(folder: Path, name: str, role: str) -> str:
    """Return the address of a database at a socket in a folder."""
    return f"postgresql:///{quote(name, '')}?host={quote(str(folder), '')}&user={quote(role, '')}"
