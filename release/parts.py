"""The list of the parts of a server, in the format of CycloneDX, from its lock file."""

import subprocess
from pathlib import Path

from release.errors import ReleaseFailed


def write(program: Path, folder: Path, out: Path) -> None:
    """Write the parts of `requirements/server.lock` to the file `out`; raise `ReleaseFailed`.

    `program` is `cyclonedx-py`, `folder` has the files of the release.
    """
    command = [
        str(program), "requirements", str(folder / "requirements/server.lock"),
        "--pyproject", str(folder / "pyproject.toml"), "--mc-type", "application",
        "--output-reproducible", "--of", "JSON", "-o", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseFailed(f"the parts were not listed:\n{done.stderr}")
