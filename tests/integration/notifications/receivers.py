"""Receivers of webhooks on this machine: each keeps what it got and answers as it is told."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import msgspec
from standardwebhooks.webhooks import Webhook

from boxoffice.notifications.webhooks.rules import shown_secret

Respond = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


class Received(NamedTuple):
    """One request."""

    head: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        """The id by which a receiver recognizes a repetition."""
        return self.headers["webhook-id"]

    def verified(self, secret: bytes) -> Any:
        """Return the payload that the reference library verifies; it raises for a wrong signature."""
        return Webhook(shown_secret(secret)).verify(self.body, self.headers)

    @property
    def payload(self) -> Any:
        """The payload, unverified."""
        return msgspec.json.decode(self.body)


async def no_content(writer: asyncio.StreamWriter, _nth: int) -> None:
    """WebhookAnswer 204 and keep the connection."""
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def status(code: int, *headers: str, body: bytes = b"") -> Respond:
    """WebhookAnswer with a status."""

    async def respond(writer: asyncio.StreamWriter, _nth: int) -> None:
        lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return respond


async def stall(_writer: asyncio.StreamWriter, _nth: int) -> None:
    """WebhookAnswer nothing until the client leaves."""
    await asyncio.sleep(3_600)


async def cut(writer: asyncio.StreamWriter, _nth: int) -> None:
    """Close without an answer."""
    writer.close()


@dataclass
class Receiver:
    """A server on 127.0.0.1; `respond` gets the writer and the number of the request, from 0."""

    respond: Respond = no_content
    received: list[Received] = field(default_factory=list)
    sent_bytes: int = 0
    open_now: int = 0
    open_max: int = 0
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None:
            raise RuntimeError("enter the receiver first")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The ids of the events, in order of arrival, with repetitions."""
        return [one.event_id for one in self.received]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            while not writer.is_closing():
                self.received.append(await _read(reader))
                await self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.open_max = max(self.open_max, self.open_now)
        try:
            await self.respond(writer, len(self.received) - 1)
            await writer.drain()
        finally:
            self.open_now -= 1


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    return Received(first, headers, await reader.readexactly(int(headers["content-length"])))
