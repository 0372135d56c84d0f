"""The log cannot be written: its reader is gone, or its disk is full. The sale goes on."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.conftest import ONE_ADDRESS, Servers
from tests.support.shop import dying_with_us

from .client import Api, expect
from .test_operations import account, begun, counted, until


@contextmanager
def serving(
    database_url: str, valkey_url: str, out: int
) -> Iterator[tuple[subprocess.Popen[bytes], Api]]:
    """Run `boxoffice serve` with its log in `out`, on a port that listens before it does."""
    env = {name: v for name, v in os.environ.items() if not name.startswith("BOXOFFICE_")}
    env |= {"BOXOFFICE_DATABASE_URL": database_url, "BOXOFFICE_VALKEY_URL": valkey_url}
    env |= {f"BOXOFFICE_{name.upper()}": str(value) for name, value in ONE_ADDRESS.items()}
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = sock.fileno()
        argv = dying_with_us([sys.executable, "-m", "boxoffice", "serve", "--fd", str(fd)])
        process = subprocess.Popen(argv, env=env, stdout=out, stderr=out, pass_fds=(fd,))
        api = Api("127.0.0.1", sock.getsockname()[1])
    try:
        yield process, api
    finally:
        process.kill()
        process.wait()


@contextmanager
def broken_pipe() -> Iterator[int]:
    """A pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def full_disk() -> Iterator[int]:
    """A file on a disk without any space."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        yield full
    finally:
        os.close(full)


@pytest.mark.parametrize("log", [broken_pipe, full_disk])
def test_a_log_that_cannot_be_written_stops_nothing(
    log: Callable[[], AbstractContextManager[int]], servers: Servers, database_url: str
) -> None:
    body = b'{"email": "late@example.test", "password": "open sesame 8", "name": "A"}'
    with log() as out, serving(database_url, servers.valkey_url, out) as (process, api):
        expect(api.get("/readyz"), 200)
        for _ in range(3):
            expect(api.post("/v1/users", account()), 201)
            time.sleep(0.15)  # longer than answers wait to be logged
        until(lambda: counted(api, route="/v1/users") >= 3, "the counters of the answers")
        assert b"boxoffice_log_lost_total 0.0" not in api.get("/metrics").raw
        with begun(api, body) as late:
            process.send_signal(signal.SIGTERM)
            late.sendall(body)
            assert late.recv(65_536).startswith(b"HTTP/1.1 201")
        assert process.wait(20) == 0
