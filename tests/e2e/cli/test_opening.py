"""`up` says that the shop is open when it is, and not before."""

import socketserver
import threading
import time

from boxoffice.settings import Settings
from boxoffice_embedded.up import ReadinessNotice
from tests.support.shop import free_port


class _Served(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Answer as a process that is ready."""
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\n")


def test_it_is_open_once_a_process_serves() -> None:
    port = free_port()
    told: list[str] = []
    opening = ReadinessNotice(
        Settings.of(port=port), lambda: told.append("open"), told.append, patience_s=0
    )
    opening.check()
    opening.check()
    assert len(told) == 1, "it complains once"
    assert told[0].startswith("not open")
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), _Served) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        until = time.monotonic() + 20
        while len(told) < 2 and time.monotonic() < until:
            opening.check()
        opening.check()
        server.shutdown()
    assert told[1:] == ["open"]


def test_it_does_not_complain_early() -> None:
    told: list[str] = []
    opening = ReadinessNotice(
        Settings.of(port=free_port()), lambda: told.append("open"), told.append
    )
    opening.check()
    assert not told
