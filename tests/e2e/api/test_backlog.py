"""How many connections the kernel keeps waiting is what the setting says."""

import os
import signal
import socket
import struct
import subprocess
import sys

from tests.conftest import Servers
from tests.support.shop import dying_with_us

from .client import Api, expect

BACKLOG = 300


def backlog_of(listening: socket.socket) -> int:
    """Return the bound of a listening socket; Linux tells it in the field of acknowledged segments."""
    info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    found: int = struct.unpack_from("I", info, 8 + 5 * 4)[0]
    return found


def test_the_backlog_is_that_of_the_settings(servers: Servers, database_url: str) -> None:
    env = {name: v for name, v in os.environ.items() if not name.startswith("BOXOFFICE_")}
    env |= {"BOXOFFICE_DATABASE_URL": database_url, "BOXOFFICE_VALKEY_URL": servers.valkey_url}
    env["BOXOFFICE_BACKLOG_MAX"] = str(BACKLOG)
    with socket.create_server(("127.0.0.1", 0), backlog=7) as sock:
        assert backlog_of(sock) == 7
        fd = sock.fileno()
        argv = dying_with_us([sys.executable, "-m", "boxoffice", "serve", "--fd", str(fd)])
        with subprocess.Popen(argv, env=env, pass_fds=(fd,)) as process:
            try:
                expect(Api("127.0.0.1", sock.getsockname()[1]).get("/readyz"), 200)
                assert backlog_of(sock) == BACKLOG
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
            finally:
                process.kill()
