"""PostgreSQL's own programs: where they are, and how they are called."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from boxoffice.backups.errors import ProgramFailed

_OUTPUT_MAX_CHARS = 2_000
# Debian keeps the programs of each major version in a folder of its own.
_DEBIAN = Path("/usr/lib/postgresql")


class PostgresPrograms:
    """The programs of one installation, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return the path of a program; raise `ProgramFailed`."""
        found = self._folder / name
        if not found.is_file():
            raise ProgramFailed(f"{found} is missing: set BOXOFFICE_BACKUP_PROGRAMS_DIR")
        return found

    def run(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> str:
        """Run a program to its end and return its output; raise `ProgramFailed` with what it said."""
        ran = subprocess.run(  # noqa: S603 - PostgreSQL's own program, no shell
            [str(self.path(name)), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment() | dict(environment or {}),
        )
        if ran.returncode != 0:
            said = (ran.stderr.strip() or ran.stdout.strip())[-_OUTPUT_MAX_CHARS:]
            raise ProgramFailed(f"{name} ended with {ran.returncode}: {said}")
        return ran.stdout

    def major_version(self) -> int:
        """Return the major version of the server that they belong to."""
        text = self.run("postgres", ["--version"])
        number = text.split()[2].partition(".")[0]
        return int("".join(sign for sign in number if sign.isdigit()))


def clean_environment() -> dict[str, str]:
    """Return our environment without what configures PostgreSQL's programs or has our secrets."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PG", "BOXOFFICE_", "LC_"))
    }
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def find_programs(
    setting: str, embedded: Path | None, major: int | None = None
) -> PostgresPrograms:
    """Return the programs of the setting, of PATH, of Debian's folders, or of the embedded servers.

    `major` is the server's version, None for any. Raises `ProgramFailed`.
    """
    if setting:
        return PostgresPrograms(Path(setting))
    on_path = shutil.which("pg_basebackup")
    # Debian has wrappers on PATH, and the server beside none of them.
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(_DEBIAN.glob("*/bin"), reverse=True)
    places += [embedded] if embedded else []
    for place in places:
        programs = PostgresPrograms(place)
        if (place / "postgres").is_file() and major in (None, programs.major_version()):
            return programs
    raise ProgramFailed(
        "no programs of PostgreSQL were found: set BOXOFFICE_BACKUP_PROGRAMS_DIR to their folder"
        + (f", of version {major}" if major else "")
    )
