"""Backups in a real S3-compatible store (SeaweedFS): conditions, parts, lists, wrong keys."""

import asyncio
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from boxoffice.backups.archive import archive_wal, read_wal
from boxoffice.backups.catalog import BackupCatalog
from boxoffice.backups.errors import WalConflict
from boxoffice.backups.retention import prune
from boxoffice.backups.stores.objects import ObjectStorage, open_storage
from boxoffice.errors import Unavailable
from boxoffice.platform.storage import transfers
from boxoffice.platform.storage.object_store import Bucket, ObjectStore
from boxoffice.platform.storage.signature import AccessKey
from boxoffice.settings import Settings
from boxoffice_embedded.servers.home import free_port
from tests.integration.backups.test_archive import NAME, SYSTEM, data_dir, segment, write
from tests.programs import environment_program
from tests.support.waiting import wait_until

__all__ = ["data_dir"]

KEY = AccessKey("boxoffice", "a-secret-of-this-test", "us-east-1")
_IDENTITY = {
    "name": "boxoffice",
    "credentials": [{"accessKey": KEY.key_id, "secretKey": KEY.secret}],
    "actions": ["Admin"],
}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """An empty bucket of a running store."""
    weed = environment_program("programs", "weed")
    folder = tmp_path_factory.mktemp("weed")
    (folder / "s3.json").write_bytes(msgspec.json.encode({"identities": [_IDENTITY]}))
    ports = {name: free_port(0) for name in ("master", "volume", "filer", "s3")}
    # Each has another port for its peers, which is 10,000 above where it is not named.
    words = [f"-{name}.port={port}" for name, port in ports.items()]
    words += [f"-{name}.port.grpc={free_port(0)}" for name in ports]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    server = subprocess.Popen(
        [
            weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
            "-s3.config=s3.json", "-master.telemetry=false", "-volume.max=20", *words,
        ],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{ports['s3']}"
    try:
        wait_until(lambda: server.poll() is not None or _answers(url), within_s=60)
        made = Bucket(url, "backups", KEY, 20.0)
        asyncio.run(ObjectStore(made, time.time, 1 << 20, 20).call("PUT", ""))
        yield made
    finally:
        # It takes its time to say good-bye to its own parts.
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5)  # noqa: S310 - of this machine
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def storage(bucket: Bucket, request: pytest.FixtureRequest) -> ObjectStorage:
    """A prefix of the test's own."""
    settings = Settings.of(
        backup_location=f"s3://{bucket.name}/{request.node.name.replace('_', '-')}",
        backup_s3_url=bucket.url,
        backup_s3_access_key=KEY.key_id,
        backup_s3_secret_key=KEY.secret,
    )
    made = open_storage(settings.backups)
    assert isinstance(made, ObjectStorage)
    return made


def test_wal_is_archived_once_and_not_replaced(storage: ObjectStorage, data_dir: Path) -> None:
    path = write(data_dir, segment(3))
    assert archive_wal(storage, path, data_dir) is True
    assert archive_wal(storage, path, data_dir) is False
    with pytest.raises(WalConflict):
        archive_wal(storage, write(data_dir, segment(3, b"\xa5")), data_dir)
    assert read_wal(storage, str(SYSTEM), NAME) == segment(3)
    [entry] = BackupCatalog(storage).wal(str(SYSTEM))
    assert entry.size_bytes < len(segment(3))
    assert abs(entry.written_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_of_two_writers_of_one_name_the_store_keeps_the_first(bucket: Bucket) -> None:
    """Both have seen that there is none: the condition is the store's."""
    store = ObjectStore(bucket, time.time, 1 << 20)

    async def both() -> list[int]:
        only_new = {"if-none-match": "*"}
        expected = {409, 412}
        calls = [
            store.call("PUT", "race", body, only_new, expected=expected) for body in (b"1", b"2")
        ]
        return sorted([reply.status for reply in await asyncio.gather(*calls)])

    first, second = asyncio.run(both())
    assert (first, second in {409, 412}) == (200, True)


def test_a_large_file_is_sent_and_fetched_in_parts(storage: ObjectStorage, tmp_path: Path) -> None:
    path, copy = tmp_path / "base.tar", tmp_path / "copy"
    path.write_bytes(bytes(range(256)) * (2 * transfers.PART_BYTES // 256) + b"the end")
    storage.put_file("backups/b/base.tar", path)
    assert storage.fetch("backups/b/base.tar", copy)
    assert copy.read_bytes() == path.read_bytes()
    assert not storage.fetch("backups/b/none", copy)
    # A backup without its manifest is what a killed command left.
    catalog = BackupCatalog(storage)
    assert catalog.backups() == []
    assert prune(catalog, 1, datetime.now(UTC), print).unfinished == 0
    assert prune(catalog, 1, datetime.now(UTC) + timedelta(days=2), print).unfinished == 1
    assert list(storage.entries("")) == []


def test_an_upload_that_fails_leaves_no_object(
    storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "base.tar"
    path.write_bytes(bytes(transfers.PART_BYTES + 1))
    read = transfers._read

    def fail(path: Path, start: int, length: int) -> bytes:
        if start:
            raise OSError(5, "Input/output error")
        return read(path, start, length)

    monkeypatch.setattr(transfers, "_read", fail)
    with pytest.raises(OSError, match="Input/output"):
        storage.put_file("base.tar", path)
    assert list(storage.entries("")) == []


def test_a_wrong_key_is_unavailable(bucket: Bucket) -> None:
    wrong = bucket._replace(key=KEY._replace(secret="another"))
    with pytest.raises(Unavailable, match="403"):
        asyncio.run(ObjectStore(wrong, time.time, 1 << 20).get("x"))
