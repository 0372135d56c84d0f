"""The installation under test: embedded servers and processes of the product.

A supervisor restarts what dies unasked, on the same port, as a pod's would. Everything is started
from the main thread, because the kernel ties the children's lives to it.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import psutil

from bench.environment.processes import clean_environment
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers, EmbeddedUnavailable
from boxoffice_embedded.servers.home import free_port
from faults.cluster.proxy import Proxy
from faults.workload.fixtures import Fixtures, create_fixtures

if TYPE_CHECKING:
    from faults.cluster.inbox import Inbox
    from faults.cluster.providers import ProviderProcess
    from faults.cluster.standby import Pair

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 40.0
_WATCH_EVERY_S = 0.02
# As `boxoffice up` and `boxoffice serve --workers N` do.
_RESTART_AFTER_S = 0.2
_SERVERS_WATCH_EVERY_S = 0.25
_PROBE_S = 2.0
# With the SQLSTATE, so that scenarios can count PostgreSQL's errors.
_LOGGED = {"log_line_prefix": "%m [%p] %e %q%u@%d "}


class ProcessFailed(Exception):
    """A process failed to start or stop; the message has the end of its log."""


@dataclass(frozen=True)
class Topology:
    """What runs: the number of API processes, sweepers and relays, with or without proxies.

    `roles` are the other roles, one process for each name. `settings` are settings of the product;
    `api_env` is additional environment per API process.
    """

    api: int = 2
    sweepers: int = 1
    relays: int = 1
    roles: Sequence[str] = ()
    is_proxied: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    api_env: Sequence[Mapping[str, str]] = ()


class Process:
    """One process of the product, restarted under the same name."""

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.restarts = 0
        self.wanted = False
        self._argv = argv
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_s: float | None = None

    def start(self) -> None:
        """Start it; it dies with this process."""
        command = wrapped_command(
            [sys.executable, "-m", "boxoffice", *self._argv],
            identity="same",
            death_signal=signal.SIGKILL,
            directory=Path.cwd(),
        )
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                env=dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wanted = True
        self._ended_s = None

    @property
    def pid(self) -> int:
        """Its process id, also after it has ended."""
        if self._process is None:
            raise ProcessFailed(f"{self.name} was never started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended; a paused one runs."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it; the supervisor restarts it."""
        self.signal(signal.SIGKILL)

    def pause(self) -> None:
        """Send SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        self.signal(signal.SIGCONT)

    async def stop(self, *, may_be_killed: bool = False) -> float:
        """Send SIGTERM and return the seconds until it has ended; it is not restarted.

        Raises `ProcessFailed` after a timeout or for an exit code other than 0; with
        `may_be_killed`, SIGKILL is allowed too.
        """
        self.wanted = False
        began_s = time.monotonic()
        self.resume()
        self.signal(signal.SIGTERM)
        while self.is_running:
            if time.monotonic() > began_s + _STOP_WITHIN_S:
                self.end()
                raise ProcessFailed(
                    f"{self.name} did not stop in {_STOP_WITHIN_S:.0f} s: {self.log_tail()}"
                )
            await asyncio.sleep(_WATCH_EVERY_S)
        # One that is still loading has no handler of SIGTERM yet.
        fine = (0, -signal.SIGKILL, -signal.SIGTERM) if may_be_killed else (0,)
        if self._process is not None and self._process.returncode not in fine:
            raise ProcessFailed(
                f"{self.name} ended with {self._process.returncode}: {self.log_tail()}"
            )
        return time.monotonic() - began_s

    def end(self) -> None:
        """Kill it for good."""
        self.wanted = False
        self.kill()
        if self._process is not None:
            self._process.wait()

    def restart_if_dead(self) -> None:
        """Restart it a moment after it has ended unasked."""
        if not self.wanted or self.is_running:
            return
        if self._ended_s is None:
            self._ended_s = time.monotonic()
        elif time.monotonic() >= self._ended_s + _RESTART_AFTER_S:
            self.restarts += 1
            self.start()

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""


class Api(Process):
    """One API process on a port of its own, with its own connections to the servers."""

    def __init__(
        self, name: str, env: Mapping[str, str], log: Path, proxies: "Proxies | None" = None
    ) -> None:
        self.port = free_port(0)
        super().__init__(name, ["serve"], {**env, "BOXOFFICE_PORT": str(self.port)}, log)
        self.url = f"http://127.0.0.1:{self.port}"
        self._proxies = proxies

    @property
    def proxies(self) -> "Proxies":
        """Its proxies; raises `ProcessFailed` if the topology has none."""
        if self._proxies is None:
            raise ProcessFailed(
                f"{self.name} has no proxies: the scenario's topology must have them"
            )
        return self._proxies

    async def close(self) -> None:
        """Kill it and close its proxies."""
        self.end()
        if self._proxies is not None:
            await self._proxies.close()


@dataclass
class Proxies:
    """The proxies of one API process."""

    postgres: Proxy
    valkey: Proxy

    async def close(self) -> None:
        """Close both."""
        await self.postgres.close()
        await self.valkey.close()


class ManagedProcess:
    """PostgreSQL or Valkey; the supervisor restarts a killed one."""

    def __init__(self, name: str, servers: EmbeddedServers) -> None:
        self.name = name
        self.wanted = True
        self._servers = servers

    @property
    def pid(self) -> int:
        """The process id of the postmaster, or of Valkey."""
        one = self._servers.postgres if self.name == "postgres" else self._servers.valkey
        if one.pid is None:
            raise ProcessFailed(f"{self.name} was never started")
        return one.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        one = self._servers.postgres if self.name == "postgres" else self._servers.valkey
        return one.is_running()

    def pids(self) -> list[int]:
        """Return the process ids of the server and its descendants, the topmost first."""
        try:
            top = psutil.Process(self.pid)
            return [top.pid, *(child.pid for child in top.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Kill its first process."""
        send([self.pid], signal.SIGKILL)

    def pause(self) -> None:
        """Send SIGSTOP to all its processes."""
        send(self.pids(), signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT to all its processes."""
        send(self.pids(), signal.SIGCONT)

    def log_bytes(self) -> int:
        """Return the length of the server's log."""
        return self._servers.postgres.log.path.stat().st_size

    def errors_since(self, log_bytes: int, sqlstate: str) -> int:
        """Return the number of errors with that SQLSTATE after that position of the log."""
        with self._servers.postgres.log.path.open("rb") as log:
            log.seek(log_bytes)
            return errors_in(log.read(), sqlstate)

    async def restart(self) -> None:
        """Restart it without blocking the event loop."""
        if self.name == "valkey":
            self._servers.valkey.begin()
            return
        postgres = self._servers.postgres
        # Cleans up after the previous one; nothing is spawned in that thread.
        await asyncio.to_thread(postgres.prepare)
        postgres.begin()
        await asyncio.to_thread(postgres.wait_ready)


def errors_in(log: bytes, sqlstate: str) -> int:
    """Return the number of errors with an SQLSTATE in a log of PostgreSQL."""
    return len(re.findall(rb"\] %b \S+ ERROR: " % sqlstate.encode(), log))


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to the processes that still exist."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Cluster:
    """Everything that runs, by name; `deploy` changes it between scenarios."""

    def __init__(self, servers: EmbeddedServers, folder: Path) -> None:
        self.folder = folder
        self.postgres = ManagedProcess("postgres", servers)
        self.valkey = ManagedProcess("valkey", servers)
        self.servers = servers
        self.settings = Settings.of(
            database_url=servers.database_url,
            valkey_url=servers.valkey_url,
            log_level="error",
            wallet_top_up_free=True,
        )
        self.api: list[Api] = []
        self.sweepers: list[Process] = []
        self.relays: list[Process] = []
        self.roles: list[Process] = []
        # Settings of every process beside those of the topology, such as addresses.
        self.extra_settings: dict[str, object] = {}
        # The simulated payment providers by name, if there are any.
        self.providers: Mapping[str, ProviderProcess] = {}
        # What receives its webhooks and mails, if anything does.
        self.inbox: Inbox | None = None
        # Set if PostgreSQL has a standby.
        self.pair: Pair | None = None
        self._layout: Topology | None = None
        self.problems: list[str] = []

    @property
    def processes(self) -> list[Process]:
        """The processes of the product."""
        return [*self.api, *self.sweepers, *self.relays, *self.roles]

    async def create_fixtures(self, *, seats: int, people: int, hold_ttl_s: int) -> Fixtures:
        """Put a new schedule on sale, with buyers who have money and a high ticket limit."""
        plan = {"hold_ttl_s": hold_ttl_s, "ticket_limit": 1_000}
        return await create_fixtures(self.settings, self.folder, seats=seats, users=people, **plan)

    async def deploy(self, topology: Topology) -> None:
        """Run exactly this topology, and wait until it is ready."""
        if topology != self._layout or not all(one.is_running for one in self.processes):
            await self.clear()
            await self._start(topology)
        await self.wait_until_ready()

    async def _start(self, topology: Topology) -> None:
        self._layout = topology
        for number in range(topology.api):
            more = topology.api_env[number] if number < len(topology.api_env) else {}
            self.api.append(await self._new_api(f"api-{number + 1}", topology, more))
        env = self._env(topology.settings)
        for role, count, kept in (
            ("sweep", topology.sweepers, self.sweepers),
            ("relay", topology.relays, self.relays),
        ):
            for number in range(count):
                name = f"{role}-{number + 1}"
                kept.append(Process(name, [role], env, self._log(name)))
        for number, role in enumerate(topology.roles, start=1):
            name = f"{role}-{number}"
            self.roles.append(Process(name, [role], env, self._log(name)))
        for process in self.processes:
            process.start()

    def another_api(self, name: str, settings: Mapping[str, object]) -> Api:
        """Return one more API process, not started and not supervised; the caller ends it."""
        return Api(name, self._env(settings), self._log(name))

    async def _new_api(self, name: str, topology: Topology, more: Mapping[str, str]) -> Api:
        env = {**self._env(topology.settings), **more}
        if not topology.is_proxied:
            return Api(name, env, self._log(name))
        proxies = Proxies(
            Proxy.of_postgres(self.settings.database.database_url),
            Proxy.of_valkey(self.settings.valkey.valkey_url),
        )
        await proxies.postgres.open()
        await proxies.valkey.open()
        env |= {
            "BOXOFFICE_DATABASE_URL": proxies.postgres.url,
            "BOXOFFICE_VALKEY_URL": proxies.valkey.url,
        }
        return Api(name, env, self._log(name), proxies)

    def _env(self, settings: Mapping[str, object]) -> dict[str, str]:
        given = {
            "database_url": self.settings.database.database_url,
            "valkey_url": self.settings.valkey.valkey_url,
            "log_level": "warning",
            "wallet_top_up_free": True,
            # A few buyers stand for many, so they may let many holds lapse.
            "hold_lapses_free_max": 1_000_000,
            **self.extra_settings,
            **settings,
        }
        return clean_environment() | {
            f"BOXOFFICE_{name.upper()}": str(value) for name, value in given.items()
        }

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def wait_until_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        """Return when every API process is ready; raise `ProcessFailed` after a timeout."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PROBE_S)) as session:
            for api in self.api:
                await _until(lambda api=api: _is_ready(session, api), within_s, api)  # type: ignore[misc]

    async def clear(self) -> None:
        """Stop every process of the product."""
        processes = self.processes
        # A scenario may have killed one that the supervisor has not seen yet.
        stopping = [process.stop(may_be_killed=True) for process in processes]
        ended = await asyncio.gather(*stopping, return_exceptions=True)
        self.problems += [str(one) for one in ended if isinstance(one, ProcessFailed)]
        for api in self.api:
            await api.close()
        self.api, self.sweepers, self.relays, self.roles, self._layout = [], [], [], [], None

    def end(self) -> None:
        """Kill every process of the product."""
        for process in self.processes:
            process.end()

    async def supervise(self) -> None:
        """Restart processes that died, until cancelled."""
        while True:
            for process in self.processes:
                process.restart_if_dead()
            await asyncio.sleep(_WATCH_EVERY_S)

    async def supervise_server(self, server: ManagedProcess) -> None:
        """Restart a server that died, until cancelled; `problems` has the errors."""
        while True:
            try:
                if server.wanted and not server.is_running:
                    await server.restart()
            except EmbeddedUnavailable as error:
                self.problems.append(f"{server.name} did not restart: {error}")
            await asyncio.sleep(_SERVERS_WATCH_EVERY_S)

    def errors_logged(self) -> int:
        """Return the number of log lines of level error so far."""
        logs = {process.log for process in self.processes}
        return sum(log.read_bytes().count(b'"level":"error"') for log in logs if log.exists())


async def _until(holds: Callable[[], object], within_s: float, process: Process) -> None:
    deadline_s = time.monotonic() + within_s
    while not await holds():  # type: ignore[misc]
        if time.monotonic() > deadline_s:
            raise ProcessFailed(
                f"{process.name} was not ready in {within_s:.0f} s: {process.log_tail()}"
            )
        await asyncio.sleep(_WATCH_EVERY_S)


async def _is_ready(session: aiohttp.ClientSession, api: Api) -> bool:
    try:
        async with session.get(f"{api.url}/readyz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@asynccontextmanager
async def start_cluster(
    folder: Path,
    say: Callable[[str], None],
    *,
    data_dir: Path | None = None,
    postgres_options: Mapping[str, str] | None = None,
) -> AsyncIterator[Cluster]:
    """Start the servers, migrate, and yield the cluster without any process of the product.

    ApiCall it in the main thread. It leaves nothing running.
    """
    servers = EmbeddedServers(
        data_dir or folder / "servers",
        say=say,
        postgres_options=_LOGGED | dict(postgres_options or {}),
    )
    with servers:
        async with AsyncExitStack() as stack:
            one = Cluster(servers, folder)
            await migrate(one.settings)
            stack.callback(one.end)
            watching = [
                asyncio.create_task(one.supervise()),
                asyncio.create_task(one.supervise_server(one.postgres)),
                asyncio.create_task(one.supervise_server(one.valkey)),
            ]
            stack.push_async_callback(_end_tasks, watching)
            # A paused server would ignore SIGTERM.
            stack.callback(one.postgres.resume)
            stack.callback(one.valkey.resume)
            yield one
            await one.clear()


async def _end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
