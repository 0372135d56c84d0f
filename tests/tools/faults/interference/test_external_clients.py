"""A full disk is full, and has space afterwards; a server that accepts connections says so."""

import contextlib
import errno
from pathlib import Path

import pytest

from boxoffice.settings import Settings
from boxoffice_embedded.servers.home import free_port
from faults.interference.external_clients import accepts_connections, fill_disk, small_disk
from faults.scenario import NotRun

SIZE_MB = 4


def test_a_small_disk_is_full_until_the_filler_is_gone(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "small", SIZE_MB))
        except NotRun as reason:
            pytest.skip(str(reason))
        filler = fill_disk(disk)
        assert filler.stat().st_size <= SIZE_MB * 1024 * 1024
        with pytest.raises(OSError, match="No space left") as caught:
            (disk / "more").write_bytes(b"x" * 4096)
        assert caught.value.errno == errno.ENOSPC
        filler.unlink()
        (disk / "more").write_bytes(b"x" * 4096)
    assert not list((tmp_path / "small").iterdir()), "it is unmounted"


async def test_a_server_that_asks_for_a_password_accepts_connections(settings: Settings) -> None:
    assert await accepts_connections(settings.database.database_url)
    nobody = f"postgresql://boxoffice:secret@127.0.0.1:{free_port(0)}/boxoffice"
    assert not await accepts_connections(nobody)
