"""A PostgreSQL that replays an archive and then takes connections of this machine's user alone.

It listens on a socket in a folder of its own and on no port, whatever the copied configuration says,
and ends with this process.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from boxoffice.backups.errors import BackupError
from boxoffice.backups.programs import PostgresPrograms, clean_environment
from boxoffice.platform.processes.supervisor import wait_until, wrapped_command

_STOP_TIMEOUT_S = 60.0
_LOOK_EVERY_S = 1.0
_READY_LINE = 7
_LOG_TAIL_CHARS = 2_000

# The copied configuration is not read, but for postgresql.auto.conf, which these override.
_OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "ssl": "off",
    "hot_standby": "off",
    "wal_level": "replica",
    "shared_preload_libraries": "",
    "synchronous_standby_names": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "max_connections": "20",
    "recovery_target_timeline": "latest",
    "recovery_target_action": "promote",
    "primary_conninfo": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class RunAs:
    """The user that the server runs as: ours, or another one for root, whom PostgreSQL refuses."""

    def __init__(self, name: str) -> None:
        """`name` is empty for our own user; raises `BackupError` for root and for an unknown user."""
        self.wrapper_argument = "same"
        self._owner: tuple[int, int] | None = None
        if not name and os.geteuid() != 0:
            return
        try:
            entry = pwd.getpwnam(name or "postgres")
        except KeyError:
            raise BackupError(
                "PostgreSQL does not run as root: name its user with --user"
            ) from None
        self.wrapper_argument = f"user:{entry.pw_uid}:{entry.pw_gid}"
        self._owner = entry.pw_uid, entry.pw_gid

    def own(self, folder: Path) -> None:
        """Give a folder and all in it to the user."""
        if self._owner is None:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *self._owner, follow_symlinks=False)


class ScratchServer:
    """A server on `data_dir`, with its log and its other files in `folder`; all calls block."""

    def __init__(
        self, programs: PostgresPrograms, data_dir: Path, folder: Path, run_as: RunAs
    ) -> None:
        self._programs = programs
        self._data_dir = data_dir
        self._folder = folder
        self._run_as = run_as
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        # A socket's path has 107 bytes at most.
        self.sockets = Path(tempfile.mkdtemp(prefix="boxoffice-"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.sockets, ignore_errors=True)

    def recover(self, options: Mapping[str, str]) -> None:
        """Start, replay, and return when it takes connections; raise `BackupError` with its log.

        A replay has no deadline: it takes as long as the archive is long.
        """
        self._configure()
        (self._data_dir / "recovery.signal").touch(0o600)
        (self._data_dir / "standby.signal").unlink(missing_ok=True)
        self._run_as.own(self._data_dir)
        self._start(options)
        while not wait_until(lambda: self._is_ready() or self._has_ended(), _LOOK_EVERY_S):
            continue
        if self._has_ended():
            raise BackupError(f"the server did not recover: {self._tail()}")

    def stop(self) -> None:
        """Stop with a checkpoint; raise `BackupError` if that does not succeed."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            if process.wait(_STOP_TIMEOUT_S) != 0:
                raise BackupError(f"the server did not stop cleanly: {self._tail()}")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(_STOP_TIMEOUT_S)
            raise BackupError(f"the server did not stop: {self._tail()}") from None

    def _configure(self) -> None:
        (self._folder / "postgresql.conf").write_text("")
        # The socket's folder admits our user alone, and root.
        (self._folder / "hba.conf").write_text("local all all trust\n")
        (self._folder / "ident.conf").write_text("")
        self._log.touch(0o600)
        for folder in (self._folder, self.sockets):
            self._run_as.own(folder)

    def _start(self, options: Mapping[str, str]) -> None:
        files = {
            "config_file": str(self._folder / "postgresql.conf"),
            "hba_file": str(self._folder / "hba.conf"),
            "ident_file": str(self._folder / "ident.conf"),
            "unix_socket_directories": str(self.sockets),
        }
        given = {**_OPTIONS, **files, **options}
        server = [str(self._programs.path("postgres")), "-D", str(self._data_dir)]
        command = wrapped_command(
            [*server, *(word for name, text in given.items() for word in ("-c", f"{name}={text}"))],
            identity=self._run_as.wrapper_argument,
            death_signal=signal.SIGQUIT,
            directory=self._folder,
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                start_new_session=True,
            )

    def _is_ready(self) -> bool:
        """Read the postmaster's own file: without a hot standby it is ready after its promotion."""
        try:
            lines = (self._data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL_CHARS:].strip()
