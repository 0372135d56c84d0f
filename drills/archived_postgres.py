"""A PostgreSQL of one's own that archives its WAL by the product's command, as an operator's would."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from boxoffice.backups.programs import PostgresPrograms, clean_environment
from boxoffice.cli import plugins
from boxoffice.platform.processes.supervisor import wait_until, wrapped_command
from boxoffice.platform.storage.files import write_private
from boxoffice_embedded.servers.binaries import find_binaries
from boxoffice_embedded.servers.home import free_port
from boxoffice_embedded.servers.identity import namespace, refusal

_USER = "boxoffice"
_START_TIMEOUT_S = 60.0
_READY_LINE = 7
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "replica",
    "summarize_wal": "on",
    "archive_mode": "on",
    "archive_timeout": "60s",
    "max_wal_size": "128MB",
    "shared_buffers": "32MB",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


class PostgresNotStarted(RuntimeError):
    """The server did not start; its log says why."""


def unfit() -> str:
    """Why such a server cannot run here, or nothing: as root it needs a user namespace."""
    if os.geteuid():
        return ""
    why = refusal(namespace(), find_binaries(), Path(tempfile.gettempdir()))
    return f"needs user namespaces: {why}" if why else ""


def find_embedded_programs() -> PostgresPrograms:
    """Return the programs of the embedded PostgreSQL."""
    folder = plugins.server_programs()
    if folder is None:
        raise PostgresNotStarted("the embedded servers are not installed")
    return PostgresPrograms(folder)


class ArchivedPostgres:
    """A server in `folder`/data; `environment` has the settings of its `archive_command`.

    Root runs it in a user namespace, where PostgreSQL believes to be another user while the command
    reaches what root reaches.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "server.log"
        self.port = free_port(0)
        self._environment = clean_environment() | dict(environment)
        self._programs = find_embedded_programs()
        self._identity = "same" if os.geteuid() else namespace().wrapper_argument
        self._password = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address, with the password of its only role."""
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self.port}/{_USER}"

    def __enter__(self) -> Self:
        self.make()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def make(self) -> None:
        """Make the cluster, and the database that has its role's name."""
        self.folder.mkdir(0o700, exist_ok=True)
        password = self.folder / "password"
        write_private(password, self._password.encode())
        options = ["-U", _USER, "-A", "scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"]
        options += ["--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", ["-D", str(self.data_dir), *options])
        server = ["--single", "-j", "-D", str(self.data_dir), "template1"]
        self._run("postgres", server, f"CREATE DATABASE {_USER}".encode())

    def start(self) -> None:
        """Start it, on the same port each time, and return when it answers."""
        command = f"{sys.executable} -m boxoffice backup archive-wal %p"
        options = {**_OPTIONS, "port": str(self.port), "archive_command": command}
        words = [word for name, text in options.items() for word in ("-c", f"{name}={text}")]
        self._process = self._spawn(["postgres", "-D", str(self.data_dir), *words])
        if not wait_until(self._is_ready, _START_TIMEOUT_S):
            raise PostgresNotStarted(self.log.read_text(errors="replace")[-2_000:])

    def kill(self) -> None:
        """End it at once, as a machine that is lost."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop it, without waiting for the archive."""
        self._end(signal.SIGINT)

    def adopt(self, data_dir: Path, origin: "ArchivedPostgres") -> None:
        """Go on with a restored data directory, whose role has the password of its origin."""
        self.data_dir = data_dir
        self._password = origin._password  # noqa: SLF001 - another one of its kind
        if os.geteuid() == 0:
            for path in (data_dir, *data_dir.rglob("*")):
                os.chown(path, 0, 0, follow_symlinks=False)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(_START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _run(self, name: str, arguments: list[str], stdin: bytes = b"") -> None:
        process = self._spawn([name, *arguments], is_fed=True)
        process.communicate(stdin)
        if process.returncode != 0:
            raise PostgresNotStarted(self.log.read_text(errors="replace")[-2_000:])

    def _spawn(self, argv: list[str], *, is_fed: bool = False) -> "subprocess.Popen[bytes]":
        command = wrapped_command(
            [str(self._programs.path(argv[0])), *argv[1:]],
            identity=self._identity,
            death_signal=signal.SIGQUIT,
            directory=self.folder,
        )
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE if is_fed else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise PostgresNotStarted(self.log.read_text(errors="replace")[-2_000:])
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"
