"""Clients of the edge, each with an address of its own on this machine."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.api.client import JSON_TYPE, Answer

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class EdgeClient:
    """A client at `address`, a loopback address; with a `token`, the person who calls."""

    port: int
    trusted: ssl.SSLContext = field(repr=False)
    address: str
    token: str = ""

    def connection(self) -> http.client.HTTPSConnection:
        """Return a connection that is not open yet."""
        return http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=TIMEOUT_S,
            context=self.trusted,
            source_address=(self.address, 0),
        )

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        on: http.client.HTTPSConnection | None = None,
        **headers: str,
    ) -> Answer:
        """Send one request, on a connection of its own or `on` one; `Queue_Pass` is `Queue-Pass`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        encoded = None
        if body is not None:
            encoded, sent["Content-Type"] = json.dumps(body).encode(), JSON_TYPE
        connection = on or self.connection()
        try:
            connection.request(method, path, encoded, sent)
            return _read(connection)
        finally:
            if on is None:
                connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        """Send a GET; `options` are those of `call`."""
        return self.call("GET", path, **options)

    def announce(self, method: str, path: str, length_bytes: int) -> Answer:
        """Send the head of a request, and read the answer to it."""
        with closing(self.connection()) as connection:
            connection.putrequest(method, path)
            connection.putheader("Content-Type", JSON_TYPE)
            connection.putheader("Content-Length", str(length_bytes))
            connection.endheaders()
            return _read(connection)

    def raw(self) -> ssl.SSLSocket:
        """Open a connection for bytes of one's own."""
        plain = socket.create_connection(
            ("127.0.0.1", self.port), timeout=TIMEOUT_S, source_address=(self.address, 0)
        )
        return self.trusted.wrap_socket(plain, server_hostname="127.0.0.1")


def _read(connection: http.client.HTTPSConnection) -> Answer:
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, found, answer.read())


@dataclass
class EdgeStream:
    """An open event stream: its status, and the bytes so far."""

    connection: ssl.SSLSocket
    status: int = 0
    read: bytes = b""

    @classmethod
    def open(cls, client: EdgeClient, path: str, **headers: str) -> "EdgeStream":
        """Ask for a stream and read the head of the answer."""
        one = cls(client.raw())
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: shop", *lines, "", ""])
        one.connection.sendall(head.encode())
        one.wait_for(b"\r\n\r\n")
        one.status = int(one.read.split(b" ", 2)[1])
        return one

    def wait_for(self, wanted: bytes, *, times: int = 1) -> float:
        """Read until `wanted` has come so often; return how many seconds that took."""
        started = time.monotonic()
        while self.read.count(wanted) < times:
            piece = self.connection.recv(65_536)
            if not piece:
                raise AssertionError(f"the stream ended after {self.read!r}")
            self.read += piece
        return time.monotonic() - started

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def seconds_until_closed(connection: ssl.SSLSocket) -> tuple[float, bytes]:
    """Read to the end; return how long that took, and what was read."""
    started, got = time.monotonic(), b""
    while True:
        try:
            piece = connection.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            piece = b""
        if not piece:
            return time.monotonic() - started, got
        got += piece


def shown(answers: list[Answer]) -> Mapping[tuple[int, str], int]:
    """Count answers by status and code."""
    counts: dict[tuple[int, str], int] = {}
    for answer in answers:
        counts[answer.status, answer.code] = counts.get((answer.status, answer.code), 0) + 1
    return counts
