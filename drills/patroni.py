"""Three servers of PostgreSQL under Patroni and etcd, with the configuration of `deploy/patroni/`.

As root, the servers run in a user namespace: PostgreSQL refuses root, and another user could not enter
the home in which the interpreter and this tree may be.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import psutil

from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice_embedded.servers.binaries import find_binaries
from boxoffice_embedded.servers.home import free_port
from boxoffice_embedded.servers.identity import namespace
from drills.drill import program

HOST = "127.0.0.1"
CONFIGURATION = Path(__file__).parents[1] / "deploy" / "patroni" / "patroni.yml"
_PASSWORD = "of-this-drill"  # noqa: S105 - made for three servers that live for minutes
_READY_WITHIN_S = 90.0
_POLL_S = 0.05
_PROBE_S = 2.0

Child = asyncio.subprocess.Process


class PatroniFailed(RuntimeError):
    """A server did not reach the state that was waited for; the message has the end of its log."""


def patroni_program() -> Path:
    """Where `make drills` installs Patroni, in an environment of its own."""
    return Path(sys.prefix) / "patroni" / "bin" / "patroni"


def unfit() -> str:
    """Why no Patroni can be started, or nothing."""
    at = patroni_program()
    return "" if at.exists() else f"needs Patroni: make drills installs it in {at.parents[1]}"


class PatroniMember:
    """One server: Patroni and its PostgreSQL."""

    def __init__(self, name: str, folder: Path, etcd_port: int) -> None:
        self.name = name
        self.port, self.rest_port = free_port(0), free_port(0)
        self.data_dir = folder / name / "data"
        self.log = folder / f"{name}.log"
        self._folder = folder / name
        self._folder.mkdir()
        self._etcd_port = etcd_port
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """Host and port of its PostgreSQL."""
        return f"{HOST}:{self.port}"

    def url(self, user: str, database: str) -> str:
        """Its own address, without the other servers."""
        return f"postgresql://{user}:{_PASSWORD}@{self.address}/{database}"

    async def start(self) -> None:
        """Start Patroni, which starts PostgreSQL."""
        identity = namespace().wrapper_argument if os.geteuid() == 0 else "same"
        command = [str(patroni_program()), str(CONFIGURATION)]
        self._child = await _spawn(command, identity, self._folder, self.log, self._environment())

    async def kill(self) -> None:
        """Kill Patroni and PostgreSQL at once, as a machine that loses its power."""
        pids = [*self._postgres_pids()]
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._child is not None:
            await self._child.wait()
        await until(lambda: not any(map(psutil.pid_exists, pids)), "a killed server did not end")

    async def state(self) -> Mapping[str, Any]:
        """What Patroni says of it: role, state, timeline; nothing while it does not answer."""
        timeout = aiohttp.ClientTimeout(total=_PROBE_S)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://{HOST}:{self.rest_port}/patroni") as answer,
            ):
                found: Mapping[str, Any] = await answer.json()
                return found
        return {}

    def rewinds(self) -> int:
        """How often pg_rewind has run here."""
        return self.log.read_text(errors="replace").count("running pg_rewind")

    def _postgres_pids(self) -> list[int]:
        try:
            first = int((self.data_dir / "postmaster.pid").read_text().splitlines()[0])
            server = psutil.Process(first)
            return [first, *(child.pid for child in server.children(recursive=True))]
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return []

    def _environment(self) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
        mine = {
            "NAME": self.name,
            "ETCD3_HOSTS": f"{HOST}:{self._etcd_port}",
            "RESTAPI_LISTEN": f"{HOST}:{self.rest_port}",
            "RESTAPI_CONNECT_ADDRESS": f"{HOST}:{self.rest_port}",
            "POSTGRESQL_LISTEN": self.address,
            "POSTGRESQL_CONNECT_ADDRESS": self.address,
            "POSTGRESQL_DATA_DIR": str(self.data_dir),
            "POSTGRESQL_BIN_DIR": str(find_binaries().tool("postgres").parent),
            "POSTGRESQL_PGPASS": str(self._folder / "pgpass"),
            "SUPERUSER_USERNAME": "postgres",
            "SUPERUSER_PASSWORD": _PASSWORD,
            "REPLICATION_USERNAME": "replicator",
            "REPLICATION_PASSWORD": _PASSWORD,
            "REWIND_USERNAME": "rewinder",
            "REWIND_PASSWORD": _PASSWORD,
        }
        return kept | {f"PATRONI_{name}": text for name, text in mine.items()}


class PatroniCluster:
    """The servers; `url` names all of them and leads to the one that takes writes."""

    def __init__(self, members: Sequence[PatroniMember]) -> None:
        self.members = members
        hosts = ",".join(one.address for one in members)
        self.url = f"postgresql://boxoffice:{_PASSWORD}@{hosts}/boxoffice"

    async def leader(self, *, but: PatroniMember | None = None) -> PatroniMember:
        """Return the server that leads, of those that are not `but`."""
        found: list[PatroniMember] = []

        async def leads() -> bool:
            states = [(one, await one.state()) for one in self.members if one is not but]
            found[:] = [one for one, state in states if state.get("role") in ("primary", "master")]
            return len(found) == 1

        await until_true(leads, lambda: self._logs("no server leads"))
        return found[0]

    async def until_complete(self) -> None:
        """Return when one server leads, the others stream, and one of them is synchronous."""

        async def is_complete() -> bool:
            states = [await one.state() for one in self.members]
            streaming = sum(state.get("replication_state") == "streaming" for state in states)
            is_synchronous = any(state.get("sync_standby") for state in states)
            return streaming == len(self.members) - 1 and is_synchronous

        await until_true(is_complete, lambda: self._logs("the servers are not complete"))

    async def until_writable(self, *, but: PatroniMember) -> PatroniMember:
        """Return the server on which a commit is acknowledged again, with its standby."""
        others = [one for one in self.members if one is not but]
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline_s:
            for one in others:
                if await _commits(one):
                    return one
            await asyncio.sleep(_POLL_S)
        raise PatroniFailed(self._logs("no server takes writes"))

    async def switch_over(self) -> PatroniMember:
        """Have another server lead, as `patronictl switchover` does; return the earlier leader."""
        old = await self.leader()
        body = {"leader": old.name}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{HOST}:{old.rest_port}/switchover", json=body) as answer,
        ):
            if answer.status != 200:
                raise PatroniFailed(f"no switchover: {answer.status} {await answer.text()}")
        return old

    def _logs(self, what: str) -> str:
        ends = [
            f"{one.name}: {one.log.read_text(errors='replace')[-1500:]}" for one in self.members
        ]
        return "\n".join([what, *ends])


@asynccontextmanager
async def patroni_cluster(folder: Path) -> AsyncIterator[PatroniCluster]:
    """Run etcd and three servers with the role and the database of the shop; leave nothing running."""
    etcd_port = free_port(0)
    async with _etcd(folder, etcd_port):
        members = [PatroniMember(f"pg{number}", folder, etcd_port) for number in (1, 2, 3)]
        cluster = PatroniCluster(members)
        try:
            for one in members:
                await one.start()
            leader = await cluster.leader()
            await cluster.until_complete()
            await _create_database(leader)
            yield cluster
        finally:
            for one in members:
                await one.kill()


@asynccontextmanager
async def _etcd(folder: Path, port: int) -> AsyncIterator[None]:
    peer = f"http://{HOST}:{free_port(0)}"
    client = f"http://{HOST}:{port}"
    argv = [program("etcd") or "etcd", "--data-dir", str(folder / "etcd"), "--name", "drill"]
    argv += ["--listen-client-urls", client, "--advertise-client-urls", client]
    argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    argv += ["--initial-cluster", f"drill={peer}"]
    child = await _spawn(argv, "same", folder, folder / "etcd.log", dict(os.environ))
    try:
        await until_true(lambda: _is_healthy(client), lambda: "etcd is not healthy")
        yield
    finally:
        child.kill()
        await child.wait()


async def _is_healthy(url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
            return answer.status == 200
    return False


async def _create_database(leader: PatroniMember) -> None:
    one = await asyncpg.connect(leader.url("postgres", "postgres"))
    try:
        await one.execute(f"CREATE ROLE boxoffice LOGIN PASSWORD '{_PASSWORD}'")
        await one.execute("GRANT pg_read_all_stats TO boxoffice")
        await one.execute("CREATE DATABASE boxoffice OWNER boxoffice")
    finally:
        await one.close()


async def _commits(member: PatroniMember) -> bool:
    """Say whether a commit that waits for the standby is acknowledged there."""
    try:
        one = await asyncpg.connect(member.url("boxoffice", "boxoffice"), timeout=_PROBE_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        return bool(
            await one.fetchval(
                "SELECT pg_logical_emit_message(true, 'drill', '') IS NOT NULL"
                " WHERE NOT pg_is_in_recovery() AND current_setting('synchronous_standby_names') <> ''",
                timeout=_PROBE_S,
            )
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    finally:
        one.terminate()


async def _spawn(
    argv: Sequence[str], identity: str, folder: Path, log: Path, env: Mapping[str, str]
) -> Child:
    command = wrapped_command(
        argv, identity=identity, death_signal=signal.SIGKILL, directory=folder
    )
    with log.open("ab") as out:
        return await asyncio.create_subprocess_exec(
            *command,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


async def until(holds: Callable[[], bool], message: str) -> None:
    """Return when it holds; raise `PatroniFailed` with the message after a while."""

    async def asked() -> bool:
        return holds()

    await until_true(asked, lambda: message)


async def until_true(holds: "Callable[[], Any]", message: Callable[[], str]) -> None:
    """Return when an awaited condition holds; raise `PatroniFailed` after a while."""
    deadline_s = time.monotonic() + _READY_WITHIN_S
    while not await holds():
        if time.monotonic() > deadline_s:
            raise PatroniFailed(message())
        await asyncio.sleep(_POLL_S)
