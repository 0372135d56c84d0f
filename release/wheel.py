"""The wheel of a commit."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from boxoffice.platform.storage.files import unpack
from release.errors import ReleaseFailed


def build(repository: Path, commit: str, out: Path) -> Path:
    """Build the wheel of a commit into the folder `out`; return its path.

    The commit's own time stands for that of all files. Raises `ReleaseFailed`.
    """
    with tempfile.TemporaryDirectory(prefix="boxoffice-release-") as folder:
        exported, made = Path(folder, "source"), Path(folder, "made")
        export(repository, commit, exported)
        # Away from `out`, which may be relative to another folder, or have wheels of other versions.
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
        _run(command, exported, {"SOURCE_DATE_EPOCH": commit_time_s(repository, commit)})
        [built] = made.glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(built, out / built.name))


def export(repository: Path, commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder; raise `ReleaseFailed`."""
    packed = _git(repository, "archive", "--format=tar", commit)
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        unpack(archive, folder)


def commit_time_s(repository: Path, commit: str) -> str:
    """Return when a commit was made, in seconds since 1970; raise `ReleaseFailed`."""
    return _git(repository, "log", "-1", "--format=%ct", commit).decode().strip()


def _git(repository: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ReleaseFailed(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def _run(command: list[str], folder: Path, added: dict[str, str]) -> None:
    # Without the environment of the caller: a setting of pip or of Python must not change a byte.
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **added}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseFailed(f"the wheel was not built:\n{done.stdout}{done.stderr}")
