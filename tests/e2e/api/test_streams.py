"""Event streams of a real process: they do not delay its end, and what they cost is counted."""

import json
import re
import signal
import socket
import time
from contextlib import ExitStack

from .client import Person, Sale, expect
from .conftest import Running, Start, hold, make_organizer, on_sale, rich

STREAMS = 200
DRAIN_S = 40


def opened(server: Running, sale: Sale, stack: ExitStack) -> socket.socket:
    """Open a stream and read its first event."""
    address = (server.api.host, server.api.port)
    sock = stack.enter_context(socket.create_connection(address, timeout=20))
    sock.sendall(f"GET {sale.seats}/events HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
    raw = b""
    while b"event: snapshot" not in raw or not raw.endswith(b"\n\n"):
        part = sock.recv(65_536)
        assert part, raw
        raw += part
    assert raw.startswith(b"HTTP/1.1 200 ")
    return sock


def rest_of(sock: socket.socket) -> list[tuple[str, dict[str, object]]]:
    """Read to the end of the stream; return its events."""
    raw = b""
    while part := sock.recv(65_536):
        raw += part
    found = re.findall(r"event: (\w+)\n(?:id: \S+\n)?data: (.*)\n\n", raw.decode())
    return [(name, json.loads(data)) for name, data in found]


def counted(server: Running, name: str) -> float:
    """Return a metric of the seats' streams."""
    text = expect(server.api.get("/metrics"), 200).raw.decode()
    found = re.search(rf'^boxoffice_{name}{{[^}}]*topic="seats"[^}}]*}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_stop_ends_hundreds_of_streams_at_once_and_loses_no_event(start: Start) -> None:
    # On a busy machine opening the streams takes longer than the usual silence before `alive`.
    server = start(seat_events_keepalive_ms="600000", drain_timeout_ms=str(1000 * DRAIN_S))
    organizer, buyer = make_organizer(server), rich(server.api)
    sale = on_sale(organizer, 20)
    with ExitStack() as stack:
        socks = [opened(server, sale, stack) for _ in range(STREAMS)]
        assert counted(server, "streams_open") == STREAMS
        hold(buyer, sale, *sale.seat_ids[:2])
        # The process ends only after it has told of what it sold.
        until_told(server, 2 * STREAMS)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for sock in socks:
            events = rest_of(sock)
            assert [name for name, _ in events] == ["changes"]
            assert events[0][1]["seats"] == {"HELD": [0, 1]}
        assert server.process.wait(DRAIN_S) == 0
        # Long before the time that requests get to end.
        assert time.monotonic() - began < DRAIN_S / 2, "streams delayed the stop"
    lines = server.requests()
    assert sum(line["route"].endswith("/events") for line in lines) == STREAMS
    assert not [line for line in server.lines() if line["level"] == "error"]


def until_told(server: Running, events: int) -> None:
    """Wait until so many events were sent."""
    end = time.monotonic() + 15
    while counted(server, "stream_events_total") < events:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_stream_takes_part_in_nothing_else(server: Running, organizer: Person) -> None:
    sale = on_sale(organizer, 20)
    with ExitStack() as stack:
        sock = opened(server, sale, stack)
        # A second request on the connection is not answered, and other connections are served.
        sock.sendall(b"GET /v1/concerts HTTP/1.1\r\nHost: shop\r\n\r\n")
        expect(server.api.get(sale.seats), 200)
        expect(organizer.api.post(f"/v1/admin/schedules/{sale.schedule_id}/close"), 200)
        raw = b""
        while b"event: sale" not in raw:
            raw += sock.recv(65_536)
        assert b"HTTP/1.1" not in raw
        assert b'"on_sale":false' in raw
