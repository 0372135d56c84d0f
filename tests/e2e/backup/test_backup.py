"""A server that archives by the product's command is backed up, verified, lost and restored."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from boxoffice.audit import audit
from boxoffice.backups import creation
from boxoffice.backups.catalog import BackupCatalog, backup_status
from boxoffice.backups.errors import BackupDamaged, BackupError, RestoreRefused
from boxoffice.backups.restoring import RestoreContext, RestoreTarget, chosen, restore
from boxoffice.backups.scratch_server import RunAs
from boxoffice.backups.stores.objects import open_storage
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.settings import Settings
from drills.archived_postgres import ArchivedPostgres, find_embedded_programs, unfit
from tests.support.waiting import wait_until

INSERT = "INSERT INTO marks SELECT count(*) FROM marks RETURNING clock_timestamp()"


@dataclass
class Archived:
    """A server, its store, and how many rows of its table `marks` there were at which time."""

    postgres: ArchivedPostgres
    settings: Settings
    catalog: BackupCatalog
    environment: dict[str, str]
    marked_at: list[datetime]

    def run(self, statement: str) -> Any:
        """Run a statement on the server, and return its value."""
        return _run(self.postgres.url, statement)

    def mark(self) -> None:
        """Add a row, in a segment of WAL of its own."""
        self.marked_at.append(self.run(INSERT))
        self.run("SELECT pg_switch_wal()")

    def archive_all(self) -> None:
        """Wait until what is written is in the archive."""
        name = self.run("SELECT pg_walfile_name(pg_switch_wal())")
        count = "SELECT archived_count FROM pg_stat_archiver WHERE last_archived_wal >= "
        wait_until(lambda: self.run(f"{count}'{name}'") is not None, within_s=60)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the product."""
        return subprocess.run(
            [sys.executable, "-m", "boxoffice", "backup", *arguments],
            env={
                **os.environ,
                **self.environment,
                "BOXOFFICE_BACKUP_DATABASE_URL": self.postgres.url,
            },
            capture_output=True,
            text=True,
            check=False,
        )


def _run(url: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def _open_folder() -> Iterator[Path]:
    """Lend a folder that PostgreSQL's own user can enter, where root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a test restores to."""
    for folder in _open_folder():
        yield folder / "restored"


@pytest.fixture(scope="module")
def archived() -> Iterator[Archived]:
    """A server with a full and an incremental backup, and WAL behind both; five rows in all."""
    if why := unfit():
        pytest.skip(why)
    for folder in _open_folder():
        yield from _archived(folder)


def _archived(folder: Path) -> Iterator[Archived]:
    environment = {"BOXOFFICE_BACKUP_LOCATION": str(folder / "store")}
    with ArchivedPostgres(folder / "server", environment) as postgres:
        settings = Settings.of(database_url=postgres.url, backup_location=str(folder / "store"))
        asyncio.run(migrate(settings))
        catalog = BackupCatalog(open_storage(settings.backups))
        made = Archived(postgres, settings, catalog, environment, [])
        made.run("CREATE TABLE marks AS SELECT 0 AS n")
        programs, source = find_embedded_programs(), creation.read_source(settings)
        creation.create(settings, catalog, programs, source, is_full=True, say=print)
        made.mark()
        ran = made.command("create")
        assert ran.returncode == 0, ran.stderr
        for _ in range(3):
            made.mark()
        made.archive_all()
        yield made


def context(archived: Archived) -> RestoreContext:
    return RestoreContext(archived.catalog, find_embedded_programs(), RunAs(""), print)


def test_the_second_backup_is_incremental_and_small(archived: Archived) -> None:
    full, incremental = archived.catalog.backups()
    assert [full.kind, incremental.kind] == ["full", "incremental"]
    assert incremental.parent == full.label
    assert incremental.size_bytes < full.size_bytes / 2
    assert full.schema_version == incremental.schema_version > "0028"
    status = backup_status(archived.catalog.storage, incremental.finished_at)
    assert (status.label, status.backup_age_s) == (incremental.label, 0)
    assert status.archive_lag_s is not None


def test_no_password_and_no_open_file_is_left_in_the_store(archived: Archived) -> None:
    root = Path(archived.settings.backups.backup_location)
    assert {path.stat().st_mode & 0o077 for path in (root, *root.rglob("*"))} == {0}
    ran = archived.command("list", "--json")
    assert len(msgspec.json.decode(ran.stdout)["backups"]) == 2
    assert archived.postgres.url.split(":")[2].split("@")[0] not in ran.stdout + ran.stderr


def test_a_backup_is_verified_on_a_server_of_its_own(archived: Archived) -> None:
    ran = archived.command("verify", "--json")
    assert ran.returncode == 0, ran.stderr
    found = msgspec.json.decode(ran.stdout)
    assert found["ok"]
    assert found["checks"] > 50
    assert len(found["chain"]) == 2
    assert found["rto_s"] > 0
    assert datetime.fromisoformat(found["recovered_to"]) >= archived.marked_at[-1]
    assert found["rpo_s"] > 0


def test_a_server_is_restored_to_a_time_and_goes_on(archived: Archived, place: Path) -> None:
    """The third row was committed after its time, which is the target: two are there, and the first."""
    target = RestoreTarget(moment=archived.marked_at[2])
    chain = chosen(archived.catalog.backups(), None, target)
    assert len(chain) == 2
    recovered, incarnation = restore(
        context(archived), archived.settings, chain, target, place, is_ending_sessions=False
    )
    assert incarnation.number == 1
    assert recovered.timeline == 2
    assert list(place.parent.iterdir()) == [place], "nothing is left beside it"
    with pytest.raises(RestoreRefused, match="not empty"):
        restore(
            context(archived), archived.settings, chain, target, place, is_ending_sessions=False
        )

    again = ArchivedPostgres(place.with_name("again"), archived.environment)
    again.folder.mkdir()
    again.adopt(place, archived.postgres)
    again.start()
    try:
        assert _run(again.url, "SELECT count(*) FROM marks") == 3
        assert _run(again.url, "SELECT max(incarnation) FROM restores") == 1
        report = asyncio.run(audit(archived.settings.replace(database_url=again.url)))
        assert report.ok, report.broken
        # Its own history is archived too, so that the next restore follows it.
        _run(again.url, "SELECT pg_switch_wal()")
        system = chain[0].system_identifier
        wanted = {"00000002.history.gz"}
        wait_until(
            lambda: wanted <= {one.name.rpartition("/")[2] for one in archived.catalog.wal(system)},
            within_s=60,
        )
    finally:
        again.stop()


def test_a_target_that_was_never_reached_is_no_restore(archived: Archived, place: Path) -> None:
    target = RestoreTarget(position=1 << 40)
    chain = archived.catalog.backups()[:1]
    with pytest.raises(BackupError, match="before configured recovery target was reached"):
        restore(
            context(archived),
            archived.settings,
            chain,
            target,
            place,
            is_ending_sessions=False,
        )
    assert list(place.parent.iterdir()) == []


def test_what_is_not_what_was_stored_is_not_restored(archived: Archived, place: Path) -> None:
    copy = place.with_name("store")
    shutil.copytree(archived.settings.backups.backup_location, copy)
    [base, *_] = sorted(copy.glob("backups/*/base.tar.gz"))
    with base.open("r+b") as file:
        file.seek(base.stat().st_size // 2)
        file.write(b"\0\0\0\0")
    settings = archived.settings.replace(backup_location=str(copy))
    own = context(archived)._replace(catalog=BackupCatalog(open_storage(settings.backups)))
    with pytest.raises(BackupDamaged, match=r"base\.tar\.gz .* is not what was stored"):
        restore(
            own, settings, own.catalog.backups()[:1], RestoreTarget(), place,
            is_ending_sessions=False,
        )  # fmt: skip
    assert not place.exists()


def test_a_backup_of_another_version_is_not_restored(archived: Archived, place: Path) -> None:
    other = msgspec.structs.replace(archived.catalog.backups()[0], server_version=170_002)
    with pytest.raises(BackupError, match="programs of PostgreSQL 17"):
        restore(
            context(archived), archived.settings, [other], RestoreTarget(), place,
            is_ending_sessions=False,
        )  # fmt: skip
