"""Runs PostgreSQL 18 from its wheel on a data directory of ours."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from boxoffice.platform.processes.supervisor import wait_until
from boxoffice.platform.storage.files import sync_folder, write_private
from boxoffice_embedded.errors import ServerFailed
from boxoffice_embedded.servers.home import POSTGRES_NAME, Home, State, free_port
from boxoffice_embedded.servers.identity import own
from boxoffice_embedded.servers.server_process import EmbeddedProcess, Log

HOST = "127.0.0.1"
USER = DATABASE = "boxoffice"
RUNTIME_ROLE = "boxoffice_runtime"
START_TIMEOUT_S = 120.0  # recovery after a crash replays up to max_wal_size
INITDB_TIMEOUT_S = 120.0
STOP_FAST_TIMEOUT_S = 20.0
STOP_IMMEDIATE_TIMEOUT_S = 5.0
LEFTOVERS_TIMEOUT_S = 5.0
PORT_RETRIES = 5
CREATE_DATABASE = Path(__file__).with_name("create_database.sql")
SET_PASSWORD = Path(__file__).with_name("set_password.sql")
INSTANCE_NAME = "boxoffice.instance"

OPTIONS: Mapping[str, str] = {
    "listen_addresses": HOST,
    # A socket's path may have 107 bytes at most, which a deep data directory exceeds.
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "max_locks_per_transaction": "256",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "off",
    "max_wal_size": "1GB",
    "min_wal_size": "128MB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    # Parallel queries need /dev/shm, which containers keep small.
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "track_io_timing": "on",
    "client_connection_check_interval": "2s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_lock_waits": "on",
    "log_min_duration_statement": "1s",
    # Parameters carry passwords and e-mail addresses.
    "log_parameter_max_length": "0",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def runtime_url(state: State) -> str:
    """The same for the role that serves, which owns nothing."""
    login = f"{RUNTIME_ROLE}:{state.postgres_password}"
    return f"postgresql://{login}@{HOST}:{state.postgres_port}/{DATABASE}"


def postgres_url(state: State) -> str:
    """The address of the database that a state describes."""
    login = f"{USER}:{state.postgres_password}"
    return f"postgresql://{login}@{HOST}:{state.postgres_port}/{DATABASE}"


class EmbeddedPostgres:
    """A PostgreSQL that listens on 127.0.0.1 with a random password; all calls block."""

    def __init__(
        self, home: Home, say: Callable[[str], None], options: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = home.place.directory / POSTGRES_NAME
        self._home = home
        self._say = say
        self._options = {**OPTIONS, **(options or {})}
        self._child = EmbeddedProcess("PostgreSQL", Log(home.log_path("postgres")))

    @property
    def url(self) -> str:
        """postgresql://user:password@127.0.0.1:port/database, valid after a start."""
        return postgres_url(self._home.state)

    @property
    def runtime_url(self) -> str:
        """The address as the role that serves, once it was made."""
        return runtime_url(self._home.state)

    @property
    def password(self) -> str:
        """The password of both roles."""
        return self._home.state.postgres_password

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None before the first start."""
        return self._child.pid

    @property
    def log(self) -> Log:
        """The server's log."""
        return self._child.log

    @property
    def home(self) -> Home:
        """The data directory: binaries, user and state."""
        return self._home

    @property
    def options(self) -> Mapping[str, str]:
        """The server's options, but for its port and its name."""
        return self._options

    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return self._child.is_running()

    def start(self) -> None:
        """Make the database if there is none, and return when the server answers."""
        self.prepare()
        for attempt in range(PORT_RETRIES):
            self._choose_port()
            try:
                self.begin()
                self.wait_ready()
            except ServerFailed as failure:
                # Another process may take the port before the server binds it.
                if "could not bind" not in str(failure) or attempt == PORT_RETRIES - 1:
                    raise
                self._home.state.postgres_port = 0
            else:
                return

    def revive(self) -> None:
        """Start again, on the same port, a server whose postmaster died."""
        self.prepare()
        self.begin()
        self.wait_ready()

    def prepare(self) -> None:
        """End the processes of an earlier run, and make the data directory complete and ours."""
        if self.is_running():
            raise RuntimeError(f"PostgreSQL runs already as process {self.pid}")
        self._end_leftovers()
        for unfinished in self._home.place.directory.glob(f"{POSTGRES_NAME}.new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        if not self.data_dir.exists():
            self._make_database()
        self._home.folder(POSTGRES_NAME)
        self._remove_stale_pid_file()
        self._claim()

    def begin(self) -> None:
        """Spawn the postmaster; `wait_ready` tells when it answers."""
        options = self._options | {
            "port": str(self._home.state.postgres_port),
            "cluster_name": self._home.tag,
        }
        settings = [word for name, text in options.items() for word in ("-c", f"{name}={text}")]
        server = [str(self._home.place.binaries.postgres), "-D", str(self.data_dir)]
        self._spawn(self._child, [*server, *settings], signal.SIGINT)

    def wait_ready(self) -> None:
        """Return when the server answers; ServerFailed with its log if it does not."""
        try:
            self._child.wait_ready(self._is_ready, START_TIMEOUT_S)
        except ServerFailed:
            self.stop()
            raise

    def ask_to_stop(self) -> None:
        """Ask for a fast stop without waiting for it."""
        self._child.ask(signal.SIGINT)

    def stop(self) -> None:
        """Stop fast: roll back what is open, write a checkpoint; escalate past the deadlines."""
        self._child.end(
            (signal.SIGINT, STOP_FAST_TIMEOUT_S), (signal.SIGQUIT, STOP_IMMEDIATE_TIMEOUT_S)
        )
        if self._child.exit_code() not in (None, 0):
            self._end_leftovers()

    def _spawn(
        self,
        child: EmbeddedProcess,
        argv: list[str],
        death_signal: signal.Signals,
        *,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        child.spawn(
            argv,
            identity=self._home.place.identity.wrapper_argument,
            death_signal=death_signal,
            directory=self._home.place.directory,
            stdin=stdin,
        )

    def _choose_port(self) -> None:
        state = self._home.state
        port = free_port(state.postgres_port)
        if port != state.postgres_port:
            state.postgres_port = port
            self._home.save()

    def _is_ready(self) -> bool:
        """The postmaster's own word, which says more than an open port."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _make_database(self) -> None:
        """Run initdb beside the final place and rename, so that a half-made one is never used."""
        self._say("Making the PostgreSQL database; this takes a few seconds, once.")
        started_s = time.monotonic()
        workshop = self._home.folder(f"{POSTGRES_NAME}.new-{secrets.token_hex(4)}")
        data, password = workshop / "data", workshop / "password"
        self._write_owned(password, self._home.state.postgres_password)
        self._run_initdb(data, password)
        self._run_single_user(data, "template1", CREATE_DATABASE.read_text())
        self._write_owned(data / INSTANCE_NAME, self._home.state.instance)
        data.rename(self.data_dir)
        sync_folder(self.data_dir.parent)
        shutil.rmtree(workshop)
        self._say(f"PostgreSQL database made in {time.monotonic() - started_s:.1f} s.")

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        access = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={password_file}"]
        command = [str(self._home.place.binaries.initdb), "-D", str(folder), *locale, *access]
        self._run("initdb", command)

    def _run_single_user(self, folder: Path, database: str, sql: str) -> None:
        """Run one statement in single-user mode, before clients can connect."""
        settings = ["-c", "exit_on_error=on", "-c", "log_checkpoints=off"]
        server = [str(self._home.place.binaries.postgres), "--single", "-j", "-D", str(folder)]
        with tempfile.TemporaryFile() as script:
            script.write(sql.encode())
            script.seek(0)
            self._run("PostgreSQL", [*server, *settings, database], stdin=script.fileno())

    def _run(self, name: str, command: list[str], *, stdin: int = subprocess.DEVNULL) -> None:
        child = EmbeddedProcess(name, self.log)
        self._spawn(child, command, signal.SIGTERM, stdin=stdin)
        try:
            child.wait_success(INITDB_TIMEOUT_S)
        finally:
            child.end((signal.SIGTERM, STOP_IMMEDIATE_TIMEOUT_S))

    def _write_owned(self, path: Path, text: str) -> None:
        write_private(path, text.encode())
        own(path, self._home.place.identity)

    def _claim(self) -> None:
        """Give a database whose `servers.json` was lost the password of the new one."""
        claim = self.data_dir / INSTANCE_NAME
        if claim.exists() and claim.read_text() == self._home.state.instance:
            return
        self._say("The password of the database was lost; setting a new one.")
        sql = SET_PASSWORD.read_text().replace("{password}", self._home.state.postgres_password)
        self._run_single_user(self.data_dir, "postgres", sql)
        self._write_owned(claim, self._home.state.instance)

    def _remove_stale_pid_file(self) -> None:
        """Drop a pid file whose pid now belongs to something else; PostgreSQL would wait for it.

        We hold the lock of the directory, so a live postmaster here can only be one that
        was started by hand: its pid file stays, and PostgreSQL refuses by itself.
        """
        path = self.data_dir / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int(path.read_text().split("\n", 1)[0])
            if f"-D {self.data_dir} " not in _command_line(pid):
                path.unlink()

    def _end_leftovers(self) -> None:
        """End the processes of a dead supervisor or postmaster.

        A busy backend does not notice that its postmaster is gone, and PostgreSQL refuses to
        start beside it. Without a postmaster there is nothing to save in its memory: what was
        acknowledged is in the log on disk.
        """
        postmasters = [pid for pid in self._leftovers() if not _is_backend(pid)]
        for pid in postmasters:
            _send(pid, signal.SIGINT)
        if postmasters:
            wait_until(lambda: not self._leftovers(), STOP_FAST_TIMEOUT_S)
        if not wait_until(self._kill_leftovers, LEFTOVERS_TIMEOUT_S):
            raise ServerFailed(f"processes of {self.data_dir} do not end: {self._leftovers()}")

    def _kill_leftovers(self) -> bool:
        pids = self._leftovers()
        for pid in pids:
            _send(pid, signal.SIGKILL)
        return not pids

    def _leftovers(self) -> list[int]:
        """Every process that names our cluster; command lines are legible to all users."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if self._is_ours(_command_line(pid))]

    def _is_ours(self, command_line: str) -> bool:
        return command_line.startswith(f"postgres: {self._home.tag}: ") or (
            f"cluster_name={self._home.tag}" in command_line
        )


def _command_line(pid: int) -> str:
    """A process's command line with spaces between the words; empty for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return text.replace(b"\0", b" ").decode(errors="replace")


def _is_backend(pid: int) -> bool:
    return _command_line(pid).startswith("postgres: ")


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
