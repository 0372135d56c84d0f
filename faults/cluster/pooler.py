"""PgBouncer in transaction mode, in front of one PostgreSQL."""

import asyncio
import os
import pwd
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice_embedded.servers.home import free_port
from faults.interference.external_clients import allow_traversal

HOST = "127.0.0.1"
_STARTS_WITHIN_S = 10.0
_ENDS_WITHIN_S = 10.0


_TRACKS_SINCE = (1, 21)


def version(argv: Sequence[str]) -> tuple[int, int]:
    """Return major and minor version of a PgBouncer."""
    told = subprocess.run([*argv, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    if found is None:
        raise PoolerFailed(f"not a PgBouncer: {told}")
    return int(found[1]), int(found[2])


def can_track(argv: Sequence[str]) -> bool:
    """Say whether this PgBouncer can track prepared statements."""
    return version(argv) >= _TRACKS_SINCE


class PoolerFailed(RuntimeError):
    """PgBouncer ended or did not listen; the message has its log."""


class PgBouncer:
    """One PgBouncer; `url` is the address of the database behind it.

    `argv` is the program with what must stand before its configuration; `options` go into the
    section `[pgbouncer]`. As root it runs as `nobody`, because it refuses root.
    """

    def __init__(
        self,
        argv: Sequence[str],
        database_url: str,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._argv = argv
        self._home = tempfile.TemporaryDirectory(prefix="boxoffice-pooler-")
        self._folder = allow_traversal(Path(self._home.name))
        self._target = urlsplit(database_url)
        self._options = dict(options or {})
        self._child: asyncio.subprocess.Process | None = None
        self.port = free_port(0)

    @property
    def url(self) -> str:
        """The same database, user and password, through the pooler."""
        netloc = f"{self._target.username}:{self._target.password}@{HOST}:{self.port}"
        return self._target._replace(netloc=netloc, query="").geturl()

    async def __aenter__(self) -> Self:
        """Start it, and return when it listens."""
        await self._start()
        return self

    async def restart(self) -> None:
        """Kill it with all its connections, and start it again on the same port."""
        if self._child is not None:
            self._child.kill()
            await self._child.wait()
        await self._start()

    async def _start(self) -> None:
        nobody = pwd.getpwnam("nobody")
        config = self._folder / "pgbouncer.ini"
        config.write_text(self._configuration(), encoding="utf-8")
        is_root = os.geteuid() == 0
        command = wrapped_command(
            [*self._argv, str(config)],
            identity=f"user:{nobody.pw_uid}:{nobody.pw_gid}" if is_root else "same",
            death_signal=signal.SIGKILL,
            directory=self._folder,
        )
        with self._log.open("wb") as log:
            self._child = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        await self._until_listening()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._stop()
        finally:
            self._home.cleanup()

    async def _stop(self) -> None:
        if self._child is None or self._child.returncode is not None:
            return
        self._child.send_signal(signal.SIGQUIT)
        try:
            await asyncio.wait_for(self._child.wait(), _ENDS_WITHIN_S)
        except TimeoutError:
            self._child.kill()
            await self._child.wait()

    @property
    def _log(self) -> Path:
        return self._folder / "pgbouncer.log"

    def _configuration(self) -> str:
        to = self._target
        options = {
            "listen_addr": HOST,
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            # The pooler logs in by itself, so that a drill needs no list of users.
            "auth_type": "any",
            "pool_mode": "transaction",
            "max_client_conn": "200",
            "default_pool_size": "10",
            **self._options,
        }
        server = f"host={to.hostname} port={to.port} user={to.username} password={to.password}"
        lines = [f"{name} = {value}" for name, value in options.items()]
        return "\n".join(["[databases]", f"* = {server}", "[pgbouncer]", *lines, ""])

    async def _until_listening(self) -> None:
        try:
            async with asyncio.timeout(_STARTS_WITHIN_S):
                while not _listens(self.port):
                    if self._child is None or self._child.returncode is not None:
                        raise PoolerFailed(self._log.read_text(errors="replace"))
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise PoolerFailed(self._log.read_text(errors="replace")) from None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
