"""PostgreSQL stands still while a process is to stop: it ends in its time, and with exit code 0."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import asyncpg
import psutil
import pytest

from boxoffice.cli import serve
from boxoffice.settings import Settings
from tests.support.waiting import wait_until

from .client import expect
from .conftest import Running, Start, rich

DRAIN_MS = 1_000
# Beside what is promised: the machine that runs the tests may be busy.
BUSY_S = 5.0


async def processes_of(database_url: str) -> list[psutil.Process]:
    """Return every process of the server, the first one first."""
    stranger = await asyncpg.connect(database_url)
    server = psutil.Process(await stranger.fetchval("SELECT pg_backend_pid()")).parent()
    await stranger.close()
    assert server is not None
    return [server, *server.children(recursive=True)]


@contextmanager
def standing_still(server: list[psutil.Process]) -> Iterator[None]:
    """Stop all of them for a while."""
    try:
        tell(server, signal.SIGSTOP)
        yield
    finally:
        tell(server, signal.SIGCONT)


def tell(server: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to those that are left."""
    for one in server:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def charging(server: Running, token: str, stack: ExitStack) -> socket.socket:
    """Ask for a top-up on a connection of its own, and wait for nothing."""
    sock = stack.enter_context(socket.create_connection((server.api.host, server.api.port)))
    body = b'{"amount": 1000}'
    sock.sendall(
        b"POST /v1/me/wallet/top-ups HTTP/1.1\r\nHost: shop\r\nIdempotency-Key: k\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n%s"
        % (len(body), token.encode(), body)
    )
    return sock


def is_deciding(server: Running) -> bool:
    """Whether a batch is at the database."""
    metrics = expect(server.api.get("/metrics"), 200).raw
    return re.search(rb"^boxoffice_batch_queue_length [1-9]", metrics, re.MULTILINE) is not None


@pytest.mark.skipif(
    "BOXOFFICE_TEST_DATABASE_URL" in os.environ, reason="the processes of PostgreSQL are not ours"
)
async def test_a_process_ends_in_its_time_while_postgresql_stands_still(start: Start) -> None:
    server = start(drain_timeout_ms=str(DRAIN_MS))
    token = rich(server.api).api.token
    postgres = await processes_of(server.database_url)
    with ExitStack() as stack, standing_still(postgres):
        for _ in range(10):
            charging(server, token, stack)
        wait_until(lambda: is_deciding(server), within_s=20)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(40) == 0
        took_s = time.monotonic() - began
    assert took_s < serve.stop_timeout_s(Settings.of(drain_timeout_ms=DRAIN_MS)) + BUSY_S
    assert took_s > DRAIN_MS / 1000, "nothing was under way"
    assert not [line for line in server.requests() if line["status"] == 500]
