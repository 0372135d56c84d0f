"""Archives are unpacked into their folder and nowhere else, on each Python."""

import io
import tarfile
from pathlib import Path

import pytest

from boxoffice.platform.storage.files import unpack


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> tarfile.TarFile:
    """An archive of these members, open for reading."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        for info, content in members:
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    packed.seek(0)
    return tarfile.open(fileobj=packed)


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o600) -> tarfile.TarInfo:
    """A member of a kind."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, "/etc/passwd"
    return info


def test_folders_and_files_keep_what_their_owner_may(tmp_path: Path) -> None:
    packed = archive(
        (member("base", tarfile.DIRTYPE, 0o700), b""),
        (member("base/PG_VERSION"), b"18\n"),
        (member("run", mode=0o777), b"#!/bin/sh\n"),
    )
    unpack(packed, tmp_path)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert found == {"base": 0o700, "PG_VERSION": 0o600, "run": 0o755}
    assert (tmp_path / "base/PG_VERSION").read_bytes() == b"18\n"


@pytest.mark.parametrize("name", ["../outside", "/outside", "base/../../outside"])
def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(tarfile.TarError, match="leads out"):
        unpack(archive((member(name), b"x")), into)
    assert [path.name for path in tmp_path.rglob("*")] == ["into"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(tarfile.TarError, match="neither a file nor a folder"):
        unpack(archive((member("one", kind), b"")), tmp_path)
    assert not [*tmp_path.iterdir()]
