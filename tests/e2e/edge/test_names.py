"""Pods that HAProxy finds by name: a name server says which addresses there are."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from drills.edge.proxies import EdgeCertificate, haproxy
from tests.programs import debian_program
from tests.support.shop import free_port

from .clients import EdgeClient

_TYPE_A, _FOUND_AUTHORITATIVE = 1, 0x8580
ADDRESSES = ("127.0.3.1", "127.0.3.2")


class NameServer:
    """Answers every name with `addresses` (RFC 1035, section 4.1), and has none of IPv6."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ADDRESSES
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def run(self) -> None:
        """Serve until an empty packet comes."""
        while True:
            query, client = self.socket.recvfrom(4_096)
            if not query:
                return
            self.socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        is_v4 = struct.unpack("!H", question[-4:-2])[0] == _TYPE_A
        found = self.addresses if is_v4 else ()
        head = query[:2] + struct.pack("!HHHHH", _FOUND_AUTHORITATIVE, 1, len(found), 0, 0)
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, _TYPE_A, 1, 1, 4) + socket.inet_aton(address)
            for address in found
        )
        return head + question + records


class NamedPod(BaseHTTPRequestHandler):
    """Answers with the address at which it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        body = str(self.request.getsockname()[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def named_pods(port: int) -> Iterator[NameServer]:
    """Run two pods and a name server until the block is left."""
    with ExitStack() as stack:
        for address in ADDRESSES:
            server = stack.enter_context(ThreadingHTTPServer((address, port), NamedPod))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        names = NameServer()
        stack.callback(names.socket.close)
        thread = threading.Thread(target=names.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(names.socket.sendto, b"", ("127.0.0.1", names.port))
        yield names


def test_pods_are_found_by_name_and_followed(certificate: EdgeCertificate, tmp_path: Path) -> None:
    debian_program("haproxy")
    port = free_port()
    with named_pods(port) as names:
        by_name = {
            "EDGE_PODS_NAME": f"pods.test:{port}",
            "EDGE_NAMESERVER": f"127.0.0.1:{names.port}",
            "EDGE_CHECK": "100ms",
        }
        with haproxy([], certificate, tmp_path, **by_name) as proxy:
            client = EdgeClient(proxy.https_port, proxy.certificate.trusted(), "127.0.0.1")

            def answering() -> set[str]:
                return {client.get("/").raw.decode()[:9] for _ in range(6)}

            until(lambda: answering() == set(ADDRESSES), answering)
            names.addresses = ADDRESSES[:1]
            until(lambda: answering() == {ADDRESSES[0]}, answering)


def until(is_so: Callable[[], bool], seen: Callable[[], object]) -> None:
    """Wait until the edge has followed the name server."""
    end = time.monotonic() + 15
    while not is_so():
        if time.monotonic() > end:
            pytest.fail(f"the edge answers from {seen()}")
        time.sleep(0.1)
