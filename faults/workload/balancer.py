"""Chooses a ready API process, as a load balancer does."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

import aiohttp

_PROBE_EVERY_S = 0.1
_PROBE_PATIENCE_S = 0.5


class Endpoint(Protocol):
    """One API process."""

    @property
    def name(self) -> str:
        """Its name in the record."""

    @property
    def url(self) -> str:
        """Its address."""


class Balancer:
    """Probes the processes and chooses a ready one."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._ready = {one.url for one in endpoints}
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._retired: list[aiohttp.ClientSession] = []

    def choose(self, turn: int) -> Endpoint:
        """Return the process of this turn, or the next ready one."""
        count = len(self._endpoints)
        in_turn = [self._endpoints[(turn + step) % count] for step in range(count)]
        return next((one for one in in_turn if one.url in self._ready), in_turn[0])

    def session(self, endpoint: Endpoint) -> aiohttp.ClientSession:
        """Return the keep-alive connections to a process."""
        session = self._sessions.get(endpoint.url)
        if session is None:
            session = new_session()
            self._sessions[endpoint.url] = session
        return session

    def unreached(self, endpoint: Endpoint) -> None:
        """Remove a process until it is ready again."""
        self._ready.discard(endpoint.url)

    async def watch(self) -> None:
        """Probe every process until cancelled."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_PROBE_PATIENCE_S)
        ) as session:
            await asyncio.gather(*(self._watch(session, one) for one in self._endpoints))

    async def _watch(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        while True:
            is_ready = False
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{endpoint.url}/readyz") as answer:
                    is_ready = answer.status == 200
            if is_ready:
                self._ready.add(endpoint.url)
            elif endpoint.url in self._ready:
                self._ready.discard(endpoint.url)
                self._let_go(endpoint)
            await asyncio.sleep(_PROBE_EVERY_S)

    def _let_go(self, endpoint: Endpoint) -> None:
        # Connections to a stopping process are not reused; requests in flight on them go on.
        session = self._sessions.pop(endpoint.url, None)
        if session is not None:
            self._retired.append(session)

    async def close(self) -> None:
        """Close all connections."""
        for session in (*self._sessions.values(), *self._retired):
            await session.close()


def new_session() -> aiohttp.ClientSession:
    """Return a client without automatic retries: a silent retry would hide a cut."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    session._retry_connection = False  # noqa: SLF001 — the library has no public switch
    return session
