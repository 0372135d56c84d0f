"""Runs Valkey 9 from its wheel, in memory only."""

import signal
import socket
from pathlib import Path

from boxoffice.platform.storage.files import write_private
from boxoffice_embedded.errors import ServerFailed
from boxoffice_embedded.servers.home import Home, State, free_port
from boxoffice_embedded.servers.identity import own
from boxoffice_embedded.servers.server_process import EmbeddedProcess, Log

HOST = "127.0.0.1"
VALKEY_NAME = "valkey"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 0.5
PORT_RETRIES = 5


def valkey_url(state: State) -> str:
    """The address of the Valkey that a state describes."""
    return f"redis://:{state.valkey_password}@{HOST}:{state.valkey_port}/0"


class EmbeddedValkey:
    """A Valkey that listens on 127.0.0.1 with a random password and keeps nothing on disk."""

    def __init__(self, home: Home, *, maxmemory_mb: int = 256) -> None:
        self.data_dir = home.place.directory / VALKEY_NAME
        self._home = home
        self._maxmemory_mb = maxmemory_mb
        self._child = EmbeddedProcess("Valkey", Log(home.log_path(VALKEY_NAME)))

    @property
    def url(self) -> str:
        """redis://:password@127.0.0.1:port/0, valid after a start."""
        return valkey_url(self._home.state)

    @property
    def pid(self) -> int | None:
        """The process id; None before the first start."""
        return self._child.pid

    @property
    def log(self) -> Log:
        """The server's log."""
        return self._child.log

    def is_running(self) -> bool:
        """Whether the server lives."""
        return self._child.is_running()

    def start(self) -> None:
        """Return when the server answers; the port is the last run's if it is free."""
        self.prepare()
        self.begin()
        self.settle()

    def revive(self) -> None:
        """Start again, on the same port, a server that died; it comes back empty."""
        self.begin()
        self.wait_ready()

    def prepare(self) -> None:
        """Have a folder of our ownership, and a port."""
        self._home.folder(VALKEY_NAME)
        self._choose_port()

    def begin(self) -> None:
        """Spawn the server; `settle` or `wait_ready` tells when it answers."""
        config = self._write_config()
        self._child.spawn(
            [str(self._home.place.binaries.valkey_server), str(config)],
            identity=self._home.place.identity.wrapper_argument,
            death_signal=signal.SIGTERM,
            directory=self.data_dir,
        )

    def settle(self) -> None:
        """Wait until it answers; take another port if ours is in use."""
        for attempt in range(PORT_RETRIES):
            try:
                return self.wait_ready()
            except ServerFailed as failure:
                if "Address already in use" not in str(failure) or attempt == PORT_RETRIES - 1:
                    raise
            self._home.state.valkey_port = 0
            self._choose_port()
            self.begin()
        return None

    def wait_ready(self) -> None:
        """Return when the server answers; ServerFailed with its log if it does not."""
        try:
            self._child.wait_ready(self._answers, START_TIMEOUT_S)
        except ServerFailed:
            self.stop()
            raise

    def ask_to_stop(self) -> None:
        """Ask for a stop without waiting for it."""
        self._child.ask(signal.SIGTERM)

    def stop(self) -> None:
        """Stop; killed past the deadline, which costs nothing because nothing is kept."""
        self._child.end((signal.SIGTERM, STOP_TIMEOUT_S))

    def _choose_port(self) -> None:
        state = self._home.state
        port = free_port(state.valkey_port)
        if port != state.valkey_port:
            state.valkey_port = port
            self._home.save()

    def _write_config(self) -> Path:
        """Write a file, because every user can read a password on a command line."""
        path = self.data_dir / "valkey.conf"
        settings = {
            "bind": HOST,
            "port": self._home.state.valkey_port,
            "requirepass": self._home.state.valkey_password,
            "daemonize": "no",
            "save": '""',
            "appendonly": "no",
            "maxmemory": f"{self._maxmemory_mb}mb",
            # Eviction would drop the counters of a waiting room to make room for a cache.
            "maxmemory-policy": "noeviction",
        }
        text = "".join(f"{name} {setting}\n" for name, setting in settings.items())
        write_private(path, text.encode())
        own(path, self._home.place.identity)
        return path

    def _answers(self) -> bool:
        """Whether it accepts the password and replies to a ping."""
        state = self._home.state
        hello = f"AUTH {state.valkey_password}\r\nPING\r\n".encode()
        try:
            with socket.create_connection((HOST, state.valkey_port), PROBE_TIMEOUT_S) as probe:
                probe.sendall(hello)
                return _read(probe, len(b"+OK\r\n+PONG\r\n")) == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False


def _read(probe: socket.socket, size_bytes: int) -> bytes:
    received = b""
    while len(received) < size_bytes:
        part = probe.recv(size_bytes - len(received))
        if not part:
            break
        received += part
    return received
