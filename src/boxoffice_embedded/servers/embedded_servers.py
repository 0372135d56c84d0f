"""Both servers together, as `boxoffice up` and the tests use them."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from boxoffice_embedded.servers.home import (
    FALLBACK_ROOT,
    Home,
    lock_holder,
    open_home,
    read_state,
)
from boxoffice_embedded.servers.postgres import EmbeddedPostgres, postgres_url
from boxoffice_embedded.servers.valkey import EmbeddedValkey, valkey_url


def say_on_stderr(line: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True)
class Addresses:
    """The URLs of both servers, with their passwords."""

    database_url: str
    valkey_url: str


def running_addresses(data_dir: Path) -> Addresses | None:
    """Return where the servers of a data directory listen, or None if they do not run."""
    state = read_state(data_dir)
    if state is None or lock_holder(data_dir) is None:
        return None
    return Addresses(postgres_url(state), valkey_url(state))


class EmbeddedServers:
    """A context manager that runs PostgreSQL and Valkey on one data directory.

    Use it in the main thread: the kernel ties the servers' lives to the thread that spawned
    them. Entering raises EmbeddedUnavailable with what to do; leaving stops both. A parent that
    is killed takes both with it within seconds, and the next start on the directory cleans up.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        say: Callable[[str], None] = say_on_stderr,
        fallback_root: Path = FALLBACK_ROOT,
        postgres_options: Mapping[str, str] | None = None,
        valkey_maxmemory_mb: int = 256,
    ) -> None:
        self._data_dir = data_dir
        self._say = say
        self._fallback_root = fallback_root
        self._postgres_options = postgres_options
        self._valkey_maxmemory_mb = valkey_maxmemory_mb
        self._home: Home | None = None
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: EmbeddedValkey | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The database server; RuntimeError before a start."""
        if self._postgres is None:
            raise RuntimeError("the embedded servers are not started")
        return self._postgres

    @property
    def valkey(self) -> EmbeddedValkey:
        """The Valkey server; RuntimeError before a start."""
        if self._valkey is None:
            raise RuntimeError("the embedded servers are not started")
        return self._valkey

    @property
    def database_url(self) -> str:
        """postgresql://…, the same until `stop`, also across `revive`."""
        return self.postgres.url

    @property
    def valkey_url(self) -> str:
        """redis://…, the same until `stop`, also across `revive`."""
        return self.valkey.url

    def start(self) -> None:
        """Lock the directory, start both, and return when both answer."""
        if self._home is not None:
            raise RuntimeError("the embedded servers are started already")
        home = open_home(self._data_dir, fallback_root=self._fallback_root, say=self._say)
        self._home = home
        self._postgres = EmbeddedPostgres(home, self._say, self._postgres_options)
        self._valkey = EmbeddedValkey(home, maxmemory_mb=self._valkey_maxmemory_mb)
        try:
            self._start_both()
        except BaseException:
            self.stop()
            raise
        self._say("PostgreSQL and Valkey are running.")

    def _start_both(self) -> None:
        """Valkey comes up while PostgreSQL makes its database."""
        self.valkey.prepare()
        self.valkey.begin()
        self.postgres.start()
        self.valkey.settle()

    def poll(self) -> tuple[str, ...]:
        """The names of the servers that have died, for a supervisor to ask every second or so."""
        self.postgres.log.bound()
        self.valkey.log.bound()
        alive = {"postgres": self.postgres.is_running(), "valkey": self.valkey.is_running()}
        return tuple(name for name, lives in alive.items() if not lives)

    def revive(self) -> tuple[str, ...]:
        """Start again what has died, on the same URLs; the names of those servers.

        Blocks while PostgreSQL recovers. ServerFailed if one cannot be had again.
        """
        dead = self.poll()
        for name in dead:
            self._say(f"{name} has died; starting it again.")
        if "valkey" in dead:
            self.valkey.revive()
        if "postgres" in dead:
            self.postgres.revive()
        return dead

    def stop(self) -> None:
        """Stop both and release the directory; harmless when nothing runs."""
        home, postgres, valkey = self._home, self._postgres, self._valkey
        self._home = self._postgres = self._valkey = None
        if home is None or postgres is None or valkey is None:
            return
        try:
            valkey.ask_to_stop()
            postgres.stop()
            valkey.stop()
        finally:
            home.close()
