"""The wheel of the commit that is checked out, built once."""

import subprocess
from pathlib import Path

import pytest

from release import wheel

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository, where there is one: a release is made of a commit."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs git and a repository: a release is made of a commit")
    return ROOT


@pytest.fixture(scope="session")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return wheel.build(repository, "HEAD", tmp_path_factory.mktemp("wheel"))
