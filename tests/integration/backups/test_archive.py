"""The archive of WAL: the same file twice, another file of one name, cut files, killed writers."""

import os
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from boxoffice.backups.archive import archive_wal, read_wal, stored_name
from boxoffice.backups.catalog import BackupCatalog
from boxoffice.backups.errors import BackupDamaged, BackupError, WalConflict
from boxoffice.backups.retention import prune
from boxoffice.backups.stores.folder import UNFINISHED, FolderStorage
from boxoffice.cli.backups import app
from tests.unit.backups.test_rules import FIRST

SYSTEM, SIZE = 7_713_925_485_215_772_401, 1 << 20
NAME = "000000010000000000000003"


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """The commands keep their files from others, and run in the process of the tests here."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def segment(number: int, fill: bytes = b"\x5a", system: int = SYSTEM) -> bytes:
    """A segment of WAL: its header, and something behind it."""
    header = struct.pack("=HHIQI4xqII", 0xD118, 2, 1, number * SIZE, 0, system, SIZE, 8_192)
    return header + fill * (SIZE - len(header))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory, with what the archive reads of it."""
    (tmp_path / "data/global").mkdir(parents=True)
    (tmp_path / "data/pg_wal").mkdir()
    (tmp_path / "data/global/pg_control").write_bytes(struct.pack("=q", SYSTEM) + bytes(8_184))
    return tmp_path / "data"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A store that does not exist yet."""
    return FolderStorage(tmp_path / "outer/store")


def write(data_dir: Path, content: bytes, name: str = NAME) -> Path:
    """Write a WAL file as the server has it."""
    path = data_dir / "pg_wal" / name
    path.write_bytes(content)
    return path


def test_a_file_is_archived_once(storage: FolderStorage, data_dir: Path, tmp_path: Path) -> None:
    path = write(data_dir, segment(3))
    assert archive_wal(storage, path, data_dir) is True
    assert archive_wal(storage, path, data_dir) is False
    assert read_wal(storage, str(SYSTEM), NAME) == segment(3)
    stored = tmp_path / "outer/store" / stored_name(str(SYSTEM), NAME)
    assert stored.stat().st_mode & 0o777 == 0o600
    assert [folder.stat().st_mode & 0o777 for folder in list(stored.parents)[:4]] == [0o700] * 4


def test_another_file_of_one_name_is_refused(storage: FolderStorage, data_dir: Path) -> None:
    archive_wal(storage, write(data_dir, segment(3)), data_dir)
    with pytest.raises(WalConflict):
        archive_wal(storage, write(data_dir, segment(3, b"\xa5")), data_dir)
    assert read_wal(storage, str(SYSTEM), NAME) == segment(3)


def test_of_two_archivers_one_wins(storage: FolderStorage, data_dir: Path) -> None:
    """After a failover both servers may archive: for each name one content is kept, whole."""
    paths = [write(data_dir, segment(3, bytes([fill])), NAME) for fill in (1,)]
    other = data_dir / "pg_wal2"
    other.mkdir()
    paths.append(other / NAME)
    paths[1].write_bytes(segment(3, b"\x02"))
    outcomes: list[object] = []

    def work(path: Path) -> None:
        try:
            outcomes.append(archive_wal(storage, path, data_dir))
        except WalConflict as refused:
            outcomes.append(refused)

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in outcomes) == ["WalConflict", "bool"]
    assert read_wal(storage, str(SYSTEM), NAME) in [path.read_bytes() for path in paths]


@pytest.mark.parametrize(
    "content",
    [segment(3)[:-1], segment(4), segment(3, system=SYSTEM + 1), b"", bytes(SIZE)],
    ids=["cut", "another position", "another server", "empty", "zeros"],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    storage: FolderStorage, data_dir: Path, content: bytes
) -> None:
    with pytest.raises(BackupDamaged):
        archive_wal(storage, write(data_dir, content), data_dir)
    assert list(storage.entries("wal/")) == []


def test_histories_are_archived_and_other_files_are_not(
    storage: FolderStorage, data_dir: Path
) -> None:
    history = write(data_dir, b"1\t0/3000000\tno recovery target specified\n", "00000002.history")
    assert archive_wal(storage, history, data_dir)
    with pytest.raises(BackupError):
        archive_wal(storage, write(data_dir, b"x", "000000010000000000000003.tmp"), data_dir)
    with pytest.raises(BackupError):
        archive_wal(storage, history, data_dir / "pg_wal")


def test_a_full_disk_leaves_nothing_that_counts(
    storage: FolderStorage, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(data_dir, segment(3))

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            archive_wal(storage, path, data_dir)
    assert list(storage.entries("")) == []
    assert archive_wal(storage, path, data_dir)


def test_what_a_killed_writer_left_does_not_count_and_is_deleted_later(
    storage: FolderStorage, data_dir: Path, tmp_path: Path
) -> None:
    archive_wal(storage, write(data_dir, segment(3)), data_dir)
    left = tmp_path / f"outer/store/wal/{SYSTEM}/{UNFINISHED}{NAME}.gz.0badcafe"
    left.write_bytes(b"half")
    catalog = BackupCatalog(storage)
    assert [one.name for one in catalog.wal(str(SYSTEM))] == [stored_name(str(SYSTEM), NAME)]
    now = datetime.now(UTC)
    assert prune(catalog, 1, now, print).unfinished == 0
    assert left.exists()
    assert prune(catalog, 1, now + timedelta(days=2), print).unfinished == 1
    assert not left.exists()
    assert read_wal(storage, str(SYSTEM), NAME) == segment(3)


def test_a_damaged_file_is_not_read_as_another(storage: FolderStorage, data_dir: Path) -> None:
    archive_wal(storage, write(data_dir, segment(3)), data_dir)
    name = stored_name(str(SYSTEM), NAME)
    content = storage.get(name)
    assert content is not None
    storage.delete(name)
    storage.put_new(name, content[: len(content) // 2])
    with pytest.raises(BackupDamaged):
        read_wal(storage, str(SYSTEM), NAME)


def test_an_incarnation_is_given_out_once(storage: FolderStorage) -> None:
    catalog = BackupCatalog(storage)
    assert [catalog.next_incarnation(b"{}") for _ in range(3)] == [1, 2, 3]


def test_a_standby_knows_the_end_of_the_archive_from_a_store_that_is_away(
    storage: FolderStorage, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery takes 1 for the end; above 125 it stops, and no half history is promoted."""
    archive_wal(storage, write(data_dir, segment(3)), data_dir)
    target, commands = tmp_path / "fetched", CliRunner()

    def fetch(name: str) -> int:
        options = ["fetch-wal", name, str(target), "--data-dir", str(data_dir)]
        return commands.invoke(app, options).exit_code

    monkeypatch.setenv("BOXOFFICE_BACKUP_LOCATION", str(tmp_path / "outer/store"))
    assert fetch(NAME) == 0
    assert target.read_bytes() == segment(3)
    assert fetch(NAME[:-1] + "4") == 1
    for broken in (tmp_path / "not mounted", target):
        monkeypatch.setenv("BOXOFFICE_BACKUP_LOCATION", str(broken))
        assert fetch(NAME) == 200
    for name, value in (
        ("LOCATION", "s3://backups"),
        ("S3_URL", "http://127.0.0.1:1"),
        ("S3_ACCESS_KEY", "key"),
        ("S3_SECRET_KEY", "secret"),
    ):
        monkeypatch.setenv(f"BOXOFFICE_BACKUP_{name}", value)
    assert fetch(NAME) == 200


def test_a_backup_whose_manifest_is_not_stored_is_not_declared_complete(
    storage: FolderStorage,
) -> None:
    catalog = BackupCatalog(storage)
    catalog.add(FIRST)
    catalog.add(FIRST)
    with pytest.raises(BackupError, match=FIRST.label):
        catalog.add(msgspec.structs.replace(FIRST, database="another"))
    assert catalog.backups() == [FIRST]
