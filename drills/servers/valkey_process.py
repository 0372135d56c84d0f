"""One Valkey, or Sentinel, as a child process with a configuration file of its own."""

import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from boxoffice_embedded.servers import home
from boxoffice_embedded.servers.binaries import find_binaries
from drills.servers.certificates import Certificates

HOST = "127.0.0.1"
PASSWORD = "of-the-servers"  # noqa: S105 - on this machine, for a moment
_START_TIMEOUT_S, _STOP_TIMEOUT_S = 10.0, 5.0

Settings = Mapping[str, str | int]


class ValkeyProcess:
    """A server that keeps nothing on disk; `kill` and `start` again bring it back empty."""

    def __init__(
        self,
        folder: Path,
        settings: Settings | None = None,
        *,
        name: str = "valkey",
        program: str | None = None,
        flags: tuple[str, ...] = (),
        lines: tuple[str, ...] = (),
        tls: Certificates | None = None,
        **connection: Any,
    ) -> None:
        self.port = free_port()
        self.name = name
        self._folder = folder / name
        self._program = program or str(find_binaries().valkey_server)
        self._flags = flags
        self._lines = lines
        self._settings = dict(settings or {})
        self._connection = connection
        if tls is not None:
            self._settings |= _tls(tls, self.port)
            self._connection |= {
                "ssl": True,
                "ssl_ca_certs": str(tls.ca),
                "ssl_certfile": str(tls.client.certificate),
                "ssl_keyfile": str(tls.client.key),
            }
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def at(self) -> str:
        """host:port."""
        return f"{HOST}:{self.port}"

    def client(self, **changed: Any) -> "Redis":
        """Return a connection of a test's own; the caller closes it."""
        login: dict[str, Any] = {"password": PASSWORD, **self._connection, **changed}
        once = Retry(NoBackoff(), 0)
        return Redis(host=HOST, port=self.port, socket_timeout=5.0, retry=once, **login)

    def command(self, *words: str | bytes | int) -> Any:
        """Send one command and return its reply."""
        with self.client() as client:
            return client.execute_command(*words)

    def start(self) -> None:
        """Return when the server answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "server.conf"
        if not path.exists():
            path.write_text(self._configuration(), encoding="utf-8")
        with (self._folder / "server.log").open("ab") as log:
            self._child = subprocess.Popen(
                [self._program, str(path), *self._flags], stdout=log, stderr=log, cwd=self._folder
            )
        until = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError((self._folder / "server.log").read_text(errors="replace"))
            time.sleep(0.01)

    def pause(self) -> None:
        """Stop it without ending it (SIGSTOP); `kill` ends it too."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait(_STOP_TIMEOUT_S)
            self._child = None

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _configuration(self) -> str:
        own: dict[str, str | int] = {
            "bind": HOST,
            "port": self.port,
            "dir": str(self._folder),
            "save": '""',
            "appendonly": "no",
            "repl-diskless-sync-delay": 0,
            "requirepass": PASSWORD,
            "masterauth": PASSWORD,
        }
        if "--sentinel" in self._flags:
            own = {name: own[name] for name in ("bind", "port", "dir", "requirepass")}
        settings = {name: value for name, value in {**own, **self._settings}.items() if value != ""}
        lines = [f"{name} {value}" for name, value in settings.items()]
        return "\n".join([*lines, *self._lines, ""])

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False


def _tls(tls: Certificates, port: int) -> Settings:
    """Return settings of a server that talks TLS only, with clients that have a certificate."""
    return {
        "port": 0,
        "tls-port": port,
        "tls-ca-cert-file": str(tls.ca),
        "tls-cert-file": str(tls.server.certificate),
        "tls-key-file": str(tls.server.key),
        "tls-auth-clients": "yes",
    }


def free_port() -> int:
    """Return a port without a listener, below the range of outgoing connections."""
    return home.free_port(0)
