"""A disk that is filled is full, and has space again afterwards."""

import contextlib
import errno
from pathlib import Path

import pytest

from faults.matrix import NotRun
from faults.outsiders import fill, small_disk

SIZE_MB = 4


def test_a_small_disk_is_full_until_the_filler_is_gone(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "small", SIZE_MB))
        except NotRun as reason:
            pytest.skip(str(reason))
        filler = fill(disk)
        assert filler.stat().st_size <= SIZE_MB * 1024 * 1024
        with pytest.raises(OSError, match="No space left") as caught:
            (disk / "more").write_bytes(b"x" * 4096)
        assert caught.value.errno == errno.ENOSPC
        filler.unlink()
        (disk / "more").write_bytes(b"x" * 4096)
    assert not list((tmp_path / "small").iterdir()), "it is unmounted"
