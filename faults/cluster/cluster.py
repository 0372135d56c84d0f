"""The installation under test: embedded servers and the shop's processes, each to be ended by name.

The supervisor does what a pod's would: what has died and was not stopped is started again, on the same
port. Everything is started from the main thread, to which the kernel ties the lives of the children.
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
    from faults.cluster.standby import Pair

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 40.0
_WATCH_EVERY_S = 0.02
# As `boxoffice up` and `boxoffice serve --workers N` do.
_RESTART_AFTER_S = 0.2
_SERVERS_WATCH_EVERY_S = 0.25
_PROBE_S = 2.0
# With the SQLSTATE, so that rows can count what PostgreSQL refused.
_LOGGED = {"log_line_prefix": "%m [%p] %e %q%u@%d "}


class ProcessFailed(Exception):
    """A process did not start or did not stop as it should; the message has the end of its log."""


@dataclass(frozen=True)
class Topology:
    """What runs: how many API processes, with which settings, and whether behind proxies.

    `settings` are names and values of the shop's settings, `api_env` more environment for each API
    process in turn (a changed clock, for instance), `sweepers` and `relays` how many of each.
    """

    api: int = 2
    sweepers: int = 1
    relays: int = 1
    is_proxied: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    api_env: Sequence[Mapping[str, str]] = ()


class Process:
    """One process of the shop, started again under the same name."""

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
        """Its process id, also of one that has ended."""
        if self._process is None:
            raise ProcessFailed(f"{self.name} was never started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended; a stopped one runs."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once; the supervisor starts it again."""
        self.signal(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it where it is."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it continue."""
        self.signal(signal.SIGCONT)

    async def stop(self, *, may_be_killed: bool = False) -> float:
        """Ask it to end and return after how many seconds it has; it is not started again.

        Raises `ProcessFailed` where it takes too long or ends otherwise than by itself with exit
        code 0;
        with `may_be_killed`, somebody may have killed it before.
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
        fine = (0, -signal.SIGKILL) if may_be_killed else (0,)
        if self._process is not None and self._process.returncode not in fine:
            raise ProcessFailed(
                f"{self.name} ended with {self._process.returncode}: {self.log_tail()}"
            )
        return time.monotonic() - began_s

    def end(self) -> None:
        """End it for good."""
        self.wanted = False
        self.kill()
        if self._process is not None:
            self._process.wait()

    def restart_if_dead(self) -> None:
        """Start it again a moment after it has ended unasked."""
        if not self.wanted or self.is_running:
            return
        if self._ended_s is None:
            self._ended_s = time.monotonic()
        elif time.monotonic() >= self._ended_s + _RESTART_AFTER_S:
            self.restarts += 1
            self.start()

    def log_tail(self) -> str:
        """Return the end of what it has written."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""


class Api(Process):
    """One API process on a port of its own, with its own lines to the servers."""

    def __init__(
        self, name: str, env: Mapping[str, str], log: Path, proxies: "Proxies | None" = None
    ) -> None:
        self.port = free_port(0)
        super().__init__(name, ["serve"], {**env, "BOXOFFICE_PORT": str(self.port)}, log)
        self.url = f"http://127.0.0.1:{self.port}"
        self._proxies = proxies

    @property
    def proxies(self) -> "Proxies":
        """Its proxies; `ProcessFailed` where the topology has none."""
        if self._proxies is None:
            raise ProcessFailed(f"{self.name} has no proxies: the row's topology must ask for them")
        return self._proxies

    async def close(self) -> None:
        """End it and its proxies."""
        self.end()
        if self._proxies is not None:
            await self._proxies.close()


@dataclass
class Proxies:
    """The proxies of one API process."""

    postgres: Proxy
    valkey: Proxy

    async def close(self) -> None:
        """Hang up."""
        await self.postgres.close()
        await self.valkey.close()


class Server:
    """PostgreSQL or Valkey; a killed one is started again by the supervisor."""

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
        """Return the process ids of the server and of everything below it, the topmost first."""
        try:
            top = psutil.Process(self.pid)
            return [top.pid, *(child.pid for child in top.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """End its first process at once."""
        send([self.pid], signal.SIGKILL)

    def pause(self) -> None:
        """Stop all its processes where they are."""
        send(self.pids(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let all of them continue."""
        send(self.pids(), signal.SIGCONT)

    def log_bytes(self) -> int:
        """Return how long the server's log is by now."""
        return self._servers.postgres.log.path.stat().st_size

    def errors_since(self, log_bytes: int, sqlstate: str) -> int:
        """Return how often PostgreSQL has refused something with that SQLSTATE after that length."""
        with self._servers.postgres.log.path.open("rb") as log:
            log.seek(log_bytes)
            return errors_in(log.read(), sqlstate)

    async def restart(self) -> None:
        """Start again what has died, without keeping the clients waiting meanwhile."""
        if self.name == "valkey":
            self._servers.valkey.begin()
            return
        postgres = self._servers.postgres
        # What an earlier one left is ended there; nothing is spawned in that thread.
        await asyncio.to_thread(postgres.prepare)
        postgres.begin()
        await asyncio.to_thread(postgres.wait_ready)


def errors_in(log: bytes, sqlstate: str) -> int:
    """Return how many errors of an SQLSTATE are in a log of PostgreSQL; details are no errors."""
    return len(re.findall(rb"\] %b \S+ ERROR: " % sqlstate.encode(), log))


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that still are there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Cluster:
    """Everything that runs, by name; `deploy` changes it between rows."""

    def __init__(self, servers: EmbeddedServers, folder: Path) -> None:
        self.folder = folder
        self.postgres = Server("postgres", servers)
        self.valkey = Server("valkey", servers)
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
        # In a cluster whose PostgreSQL has a standby.
        self.pair: Pair | None = None
        self._layout: Topology | None = None
        self.problems: list[str] = []

    @property
    def processes(self) -> list[Process]:
        """The processes of the shop."""
        return [*self.api, *self.sweepers, *self.relays]

    async def create_fixtures(self, *, seats: int, people: int, hold_ttl_s: int) -> Fixtures:
        """Put a new schedule on sale, and make people with money who may buy much."""
        plan = {"hold_ttl_s": hold_ttl_s, "ticket_limit": 1_000}
        return await create_fixtures(self.settings, self.folder, seats=seats, users=people, **plan)

    async def deploy(self, topology: Topology) -> None:
        """Have exactly this running and ready."""
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
        for process in self.processes:
            process.start()

    def another_api(self, name: str, settings: Mapping[str, object]) -> Api:
        """Return one more API process, not started, which the caller ends and nobody looks after."""
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
            # A few people stand for many, and nobody in here changes their mind too often.
            "hold_lapses_free_max": 1_000_000,
            **settings,
        }
        return clean_environment() | {
            f"BOXOFFICE_{name.upper()}": str(value) for name, value in given.items()
        }

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def wait_until_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        """Return when both servers and every API process answer; raise `ProcessFailed` where not."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PROBE_S)) as session:
            for api in self.api:
                await _until(lambda api=api: _is_ready(session, api), within_s, api)  # type: ignore[misc]

    async def clear(self) -> None:
        """Stop every process of the shop."""
        processes = self.processes
        # Rows kill, and the supervisor may not have looked since.
        stopping = [process.stop(may_be_killed=True) for process in processes]
        ended = await asyncio.gather(*stopping, return_exceptions=True)
        self.problems += [str(one) for one in ended if isinstance(one, ProcessFailed)]
        for api in self.api:
            await api.close()
        self.api, self.sweepers, self.relays, self._layout = [], [], [], None

    def end(self) -> None:
        """End every process of the shop at once."""
        for process in self.processes:
            process.end()

    async def supervise(self) -> None:
        """Start again what has died, until cancelled."""
        while True:
            for process in self.processes:
                process.restart_if_dead()
            await asyncio.sleep(_WATCH_EVERY_S)

    async def supervise_server(self, server: Server) -> None:
        """Start a server again when it has died, until cancelled; `trouble` has what goes wrong."""
        while True:
            try:
                if server.wanted and not server.is_running:
                    await server.restart()
            except EmbeddedUnavailable as error:
                self.problems.append(f"{server.name} did not come back: {error}")
            await asyncio.sleep(_SERVERS_WATCH_EVERY_S)

    def errors_logged(self) -> int:
        """Return how many lines of level error the shop's processes have written so far."""
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
    """Run the servers, migrated, and yield the cluster without any process of the shop yet.

    Call it in the main thread. When it is left, nothing of it runs any more.
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
            # A stopped server would not hear that it is to end.
            stack.callback(one.postgres.resume)
            stack.callback(one.valkey.resume)
            yield one
            await one.clear()


async def _end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
