"""The application behind every server: the baseline, and what drains and streams are tried with.

`GET /slow` takes two seconds, `GET /stream` goes on until the application learns that the process is
about to stop, and `GET /readyz` is 503 from then on. How it learns that is the server's business.
"""

import asyncio
from typing import Any

from bench.baselines import bare_server
from boxoffice.observability.access_log import InFlight

SLOW_S = 2.0
CLOSED = "the application was closed"
_TICK_S = 0.1
_HEADERS = [("content-type", "application/json")]

in_flight = InFlight()


def close() -> None:
    """Say that the application's own shutdown has run."""
    in_flight.draining = True
    print(CLOSED, flush=True)


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer over ASGI."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path = scope["path"]
    if path == "/stream":
        await _stream(send)
    elif path == "/slow":
        await _reply(send, await _slow())
    elif path == "/readyz":
        await _reply(send, _readiness())
    else:
        await bare_server.application(scope, receive, send)


async def _live(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    close()
    await send({"type": "lifespan.shutdown.complete"})


async def _slow() -> int:
    await asyncio.sleep(SLOW_S)
    return 200


def _readiness() -> int:
    return 503 if in_flight.draining else 200


async def _reply(send: Any, status: int) -> None:
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def _stream(send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while not in_flight.draining:
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        await asyncio.sleep(_TICK_S)
    await send({"type": "http.response.body", "body": b""})


class Rsgi:
    """The same over RSGI, Granian's own interface."""

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Close, when the server says so."""
        close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        path = scope.path
        if path == "/stream":
            await self._stream(protocol)
        elif path == "/slow":
            protocol.response_bytes(await _slow(), _HEADERS, b"{}")
        elif path == "/readyz":
            protocol.response_bytes(_readiness(), _HEADERS, b"{}")
        else:
            protocol.response_bytes(201, _HEADERS, bare_server.hold(await protocol()))

    async def _stream(self, protocol: Any) -> None:
        transport = protocol.response_stream(200, [("content-type", "text/event-stream")])
        while not in_flight.draining:
            await transport.send_bytes(b":\n\n")
            await asyncio.sleep(_TICK_S)


rsgi = Rsgi()
