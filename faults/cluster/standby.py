"""A PostgreSQL primary with a synchronous standby, and their change of roles.

Either server may be the primary: a killed one returns as the standby of the other after
`pg_rewind`. The write-ahead log passes a proxy, so that the connection can be cut.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import psutil

from boxoffice_embedded.servers.home import free_port
from boxoffice_embedded.servers.identity import own
from boxoffice_embedded.servers.postgres import HOST, EmbeddedPostgres
from boxoffice_embedded.servers.server_process import EmbeddedProcess, Log
from faults.cluster.cluster import Cluster, ProcessFailed, send
from faults.cluster.proxy import PlainWire, Proxy
from faults.interference.external_clients import SQL, external_connection, wait_for
from faults.scenario import NotRun

STANDBY_NAME = "boxoffice_standby"
_TOOL_WITHIN_S = 60.0
_STREAMS_WITHIN_S = 30.0
_ENDS_WITHIN_S = 20.0


class Node:
    """One of the two servers; its role is decided when it starts."""

    def __init__(self, name: str, first: EmbeddedPostgres, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir
        self.port = port
        self._first = first
        self._place = first.home.place
        self._tag = f"{name}-{first.home.tag}"
        self._child = EmbeddedProcess(name, Log(first.home.log_path(f"postgres-{name}")))
        # The first primary is the embedded server's own process.
        self._pid = None if data_dir != first.data_dir else first.pid
        self.link = Proxy(f"postgresql://{HOST}:{port}", PlainWire)

    @property
    def url(self) -> str:
        """Its own address, without the other host."""
        return self._first.url.replace(
            f":{self._first.home.state.postgres_port}/", f":{self.port}/"
        )

    def start(self, upstream: "Node") -> None:
        """Start as the standby of `upstream`, through its proxy."""
        (self.data_dir / "standby.signal").touch(mode=0o600)
        own(self.data_dir / "standby.signal", self._place.identity)
        port = upstream.link.url.rpartition(":")[2]
        options = {
            **self._first.options,
            "port": str(self.port),
            "cluster_name": self._tag,
            # Needed after a promotion: the first primary's settings are not here.
            "synchronous_standby_names": STANDBY_NAME,
            "primary_conninfo": f"{self._conninfo(port)} application_name={STANDBY_NAME}",
            "wal_retrieve_retry_interval": "200ms",
        }
        words = [word for name, text in options.items() for word in ("-c", f"{name}={text}")]
        self._spawn(
            self._child, [str(self._place.binaries.postgres), "-D", str(self.data_dir), *words]
        )
        self._pid = self._child.pid

    async def copy(self, source: "Node") -> None:
        """Make a base backup of `source`."""
        argv = [*self._tool("pg_basebackup"), "-d", self._conninfo(source.port), "-X", "stream"]
        await self._run([*argv, "-c", "fast", "-D", str(self.data_dir)])

    async def rewind(self, source: "Node") -> None:
        """Rewind to `source`, which was promoted."""
        server = f"--source-server={self._conninfo(source.port)} dbname=boxoffice"
        await self._run([*self._tool("pg_rewind"), server, f"--target-pgdata={self.data_dir}"])

    async def answers(self) -> bool:
        """Say whether it accepts connections."""
        try:
            async with external_connection(self.url):
                return True
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return bool(self._pids())

    def pause(self) -> None:
        """Send SIGSTOP to all its processes."""
        send(self._pids(), signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT to all its processes."""
        send(self._pids(), signal.SIGCONT)

    async def kill(self) -> None:
        """Kill all its processes, and return when they have ended."""
        pids = self._pids()
        send(pids, signal.SIGKILL)
        await wait_for(lambda: self._have_ended(pids), _ENDS_WITHIN_S, "a server did not end")

    async def _have_ended(self, pids: Sequence[int]) -> bool:
        # Both reap their own child.
        self._child.is_running()
        self._first.is_running()
        return not any(psutil.pid_exists(pid) for pid in pids)

    def _pids(self) -> list[int]:
        if self._pid is None:
            return []
        try:
            top = psutil.Process(self._pid)
            return [top.pid, *(child.pid for child in top.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def _conninfo(self, port: str | int) -> str:
        state = self._first.home.state
        return f"host={HOST} port={port} user=boxoffice password={state.postgres_password}"

    def _tool(self, name: str) -> list[str]:
        path = self._place.binaries.tool(name)
        if not path.is_file():
            raise NotRun(f"the embedded PostgreSQL has no {name}")
        return [str(path)]

    async def _run(self, argv: Sequence[str]) -> None:
        tool = EmbeddedProcess(Path(argv[0]).name, self._child.log)
        self._spawn(tool, argv)
        await asyncio.to_thread(tool.wait_success, _TOOL_WITHIN_S)

    def _spawn(self, child: EmbeddedProcess, argv: Sequence[str]) -> None:
        child.spawn(
            argv,
            identity=self._place.identity.wrapper_argument,
            death_signal=signal.SIGQUIT,
            directory=self._place.directory,
        )


class Pair:
    """Primary and standby; `url` leads to the one that accepts writes."""

    def __init__(self, first: EmbeddedPostgres) -> None:
        folder = first.home.folder("postgres-standby")
        self.primary = Node("first", first, first.data_dir, first.home.state.postgres_port)
        self.standby = Node("second", first, folder, free_port(0))
        before, _, after = first.url.rpartition("@")
        database = after.partition("/")[2]
        hosts = ",".join(f"{HOST}:{one.port}" for one in (self.primary, self.standby))
        self.url = f"{before}@{hosts}/{database}?target_session_attrs=read-write"

    async def __aenter__(self) -> Self:
        """Start the standby, and make every commit wait for it."""
        for node in (self.primary, self.standby):
            await node.link.open()
        async with external_connection(self.primary.url) as one:
            # Before the copy, so that both have it.
            await one.execute(SQL["keep_wal"])
            await self.standby.copy(self.primary)
            self.standby.start(self.primary)
            await one.execute(SQL["require_standby"])
            await one.execute(SQL["read_configuration"])
        await self._until_streaming()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in (self.primary, self.standby):
            await node.link.close()
            await node.kill()

    async def stop_standby(self) -> None:
        """Kill the standby."""
        await self.standby.kill()

    async def freeze_standby(self) -> None:
        """Pause the standby and cut its connection, so that nothing in flight arrives."""
        self.standby.pause()
        self.primary.link.refuses = True
        self.primary.link.cut()

    async def promote(self) -> None:
        """Kill the primary and promote the standby."""
        await self.primary.kill()
        self.standby.resume()
        if not self.standby.is_running():
            self.standby.start(self.primary)
        await wait_for(self.standby.answers, _STREAMS_WITHIN_S, "the standby did not answer")
        async with external_connection(self.standby.url) as one:
            if not await one.fetchval(SQL["promote"]):
                raise ProcessFailed("the standby was not promoted")
            await one.execute(SQL["checkpoint"])
        self.primary.link.refuses = False
        self.primary, self.standby = self.standby, self.primary

    async def follow(self) -> None:
        """Make the old primary the standby of the new one."""
        await self.standby.rewind(self.primary)
        self.standby.start(self.primary)
        await self._until_streaming()

    async def _until_streaming(self) -> None:
        await wait_for(self._streams, _STREAMS_WITHIN_S, "the standby does not stream")

    async def _streams(self) -> bool:
        async with external_connection(self.primary.url) as one:
            return bool(await one.fetchval(SQL["standbys_streaming"]) == 1)


@asynccontextmanager
async def with_standby(cluster: Cluster) -> AsyncIterator[Cluster]:
    """Give the cluster's PostgreSQL a synchronous standby; killed servers are not restarted."""
    cluster.postgres.wanted = False
    async with Pair(cluster.servers.postgres) as pair:
        cluster.pair = pair
        cluster.settings = cluster.settings.replace(database_url=pair.url)
        try:
            yield cluster
        finally:
            await cluster.clear()
            cluster.pair = None
