"""A hundred thousand readers of a board in front of nginx; few of their requests reach pods."""

import asyncio
import ssl
import time
from pathlib import Path

from drills.edge.proxies import EdgeCertificate, EdgeProxy, nginx
from tests.e2e.api.client import Sale, expect
from tests.e2e.api.conftest import admin_of, on_sale
from tests.support.board_signature import is_verified
from tests.support.waiting import until

from .clients import EdgeClient
from .conftest import Edges

BOARD = "/v1/schedules/{schedule_id}/queue/board"
SEATS = "/v1/schedules/{schedule_id}/seats"
CONNECTIONS = 125
BATCHES = 8
READERS_PER_BATCH = 100
READERS = CONNECTIONS * BATCHES * READERS_PER_BATCH
# It ends the answers of a batch.
LAST = b"GET /edge-health HTTP/1.1\r\nHost: shop\r\n\r\n"


def board_path(sale: Sale) -> str:
    """Return the path of a board."""
    return BOARD.format(schedule_id=sale.schedule_id)


async def read_batches(proxy: EdgeProxy, trusted: ssl.SSLContext, path: str, etag: str) -> bytes:
    """Send the requests of many readers on one connection, half of them with an ETag."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.https_port, ssl=trusted)
    head = f"GET {path} HTTP/1.1\r\nHost: shop\r\n".encode()
    known = head + f"If-None-Match: {etag}\r\n\r\n".encode()
    batch = (head + b"\r\n" + known) * (READERS_PER_BATCH // 2) + LAST
    statuses = b""
    for _ in range(BATCHES):
        writer.write(batch)
        answers = bytearray()
        while not answers.endswith(b"\r\n\r\nok\n"):
            piece = await reader.read(262_144)
            assert piece, "the edge closed the connection"
            answers += piece
        statuses += b"".join(one[:1] for one in answers.split(b"HTTP/1.1 ")[1:-1])
    writer.close()
    return statuses


async def test_a_hundred_thousand_readers_cost_the_shop_a_request_per_second(
    edges: Edges, certificate: EdgeCertificate, tmp_path: Path
) -> None:
    sale = on_sale(edges.organizer, 10)
    expect(edges.organizer.api.post(admin_of(sale), {"mode": "fifo"}), 200)
    path, trusted = board_path(sale), certificate.trusted()
    pods = [f"127.0.0.1:{pod.api.port}" for pod in edges.pods]
    # All readers have one address here.
    limits = {"EDGE_ADDRESS_REQUESTS": "100000r/s", "EDGE_ADDRESS_BURST": "200000"}
    with nginx(pods, certificate, tmp_path, **limits) as proxy:
        client = EdgeClient(proxy.https_port, trusted, "127.0.0.1")
        etag = expect(client.get(path), 200).headers["etag"]
        before, started = sum(edges.asked("GET", BOARD)), time.monotonic()
        jobs = (read_batches(proxy, trusted, path, etag) for _ in range(CONNECTIONS))
        answered = b"".join(await asyncio.gather(*jobs))
        took_s = time.monotonic() - started
        asked = sum(edges.asked("GET", BOARD)) - before
        # 200, or 304 until the board changes.
        assert len(answered) == READERS
        assert set(answered) <= {ord("2"), ord("3")}
        print(f"{READERS:,} readers in {took_s:.1f} s, {asked} requests of pods")
        assert asked <= 2 + 2 * took_s

        expect(edges.organizer.api.post(admin_of(sale), {"paused": True}), 200)

        async def is_paused() -> bool:
            return bool(client.get(path).json["notice"] == "paused")

        await until(is_paused, 10.0)


def test_pages_and_their_files_come_from_the_cache(edges: Edges, name: str) -> None:
    client = edges.client(name, 22)
    sale = on_sale(edges.organizer, 10)
    page = client.get(f"/schedules/{sale.schedule_id}/queue").raw.decode()
    entry = page.partition('data-entry="')[2].partition('"')[0]
    for path in ("/schedules/{id}/queue", "/concerts/{id}", "/assets/boot.js", entry):
        own = path.replace("{id}", str(sale.schedule_id))
        before, started = requests_of(edges), time.monotonic()
        answers = [client.get(own) for _ in range(15)]
        took_s = time.monotonic() - started
        assert {(one.status, one.raw) for one in answers} == {(200, answers[0].raw)}
        assert "public" in answers[0].headers["cache-control"]
        assert requests_of(edges) - before <= 2 + took_s, path


def test_both_proxies_keep_a_seat_map(edges: Edges, name: str) -> None:
    sale = on_sale(edges.organizer, 10)
    client, path = edges.client(name, 23), SEATS.format(schedule_id=sale.schedule_id)
    before, started = sum(edges.asked("GET", SEATS)), time.monotonic()
    answers = [client.get(path) for _ in range(20)]
    took_s = time.monotonic() - started
    assert {(one.status, one.raw) for one in answers} == {(200, answers[0].raw)}
    # Kept for `BOXOFFICE_SEATS_CACHE_MS`, at most a second; browsers ask each time.
    assert "max-age=0" in answers[0].headers["cache-control"]
    assert sum(edges.asked("GET", SEATS)) - before <= 2 + 2 * took_s


def requests_of(edges: Edges) -> int:
    """How many requests of pages and their files the pods have answered; their log follows."""
    for pod in edges.pods:
        pod.api.get("/metrics")
    routes = [line["route"] for pod in edges.pods for line in pod.requests()]
    return sum(not route.startswith(("/v1/", "/metrics", "/readyz")) for route in routes)


def test_both_proxies_keep_a_board(edges: Edges, name: str) -> None:
    sale = on_sale(edges.organizer, 10)
    expect(edges.organizer.api.post(admin_of(sale), {"mode": "fifo", "paused": True}), 200)
    client, path = edges.client(name, 21), board_path(sale)
    before, started = sum(edges.asked("GET", BOARD)), time.monotonic()
    answers = [client.get(path) for _ in range(20)]
    took_s = time.monotonic() - started
    assert {(one.status, one.headers["cache-control"]) for one in answers} == {
        (200, "public, max-age=1")
    }
    assert sum(edges.asked("GET", BOARD)) - before <= 2 + took_s
    assert client.get(path).headers["etag"].startswith('"')
    # The signature passes with the bytes, and a 304 has that of the board that it means.
    keys = expect(client.get("/v1/board-keys"), 200)
    assert is_verified(answers[0].raw, answers[0].headers["jws-signature"], keys.json)
    latest = client.get(path)
    same = client.get(path, If_None_Match=latest.headers["etag"])
    assert (same.status, same.headers["jws-signature"]) == (
        304,
        latest.headers["jws-signature"],
    )
    # Personal polls pass.
    for _ in range(3):
        assert client.get(path.removesuffix("/board")).code == "queue_ticket_invalid"
