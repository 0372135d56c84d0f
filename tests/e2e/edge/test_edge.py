"""The edge in front of two pods, by HAProxy and by nginx: what clients and pods see of each other."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import uuid4

from tests.e2e.api.client import Answer, Sale
from tests.e2e.api.conftest import on_sale, rich
from tests.journey import OnSale, walk
from tests.programs import debian_program

from .clients import EdgeStream, seconds_until_closed, shown
from .conftest import IDLE_S, REQUESTS_MAX, SLOW_S, Edges, address_of

CONCERT = "/v1/concerts/{concert_id}"
HOLDS = "/v1/schedules/{schedule_id}/reservations"


def curl(*options: str) -> subprocess.CompletedProcess[str]:
    """Run curl, which speaks HTTP/2 and old versions of TLS."""
    command = [debian_program("curl"), "--silent", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_a_buyer_walks_through_the_edge(edges: Edges, name: str, sale: Sale) -> None:
    proxy = edges.proxies[name]
    walked = await walk(
        proxy.url,
        OnSale(sale.concert_id, sale.schedule_id),
        ca_file=proxy.certificate.ca_file,
    )
    assert walked.ticket_id


def test_http2_over_tls_of_this_decade(edges: Edges, name: str) -> None:
    proxy = edges.proxies[name]
    tls = ("--cacert", str(proxy.certificate.ca_file), proxy.url + "/v1/concerts")
    got = curl("--include", "--http2", *tls)
    assert got.stdout.startswith("HTTP/2 200")
    assert "strict-transport-security: max-age=31536000" in got.stdout
    body = ("--header", "Content-Type: application/json", "--data", '{"email": "x"}')
    posted = curl("--include", "--http2", *tls[:2], *body, proxy.url + "/v1/sessions").stdout
    assert posted.startswith("HTTP/2 422")
    weak = ("--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in curl("--show-error", *weak, *tls).stderr


def test_plain_http_is_sent_to_tls(edges: Edges, name: str) -> None:
    got = curl("--head", f"http://127.0.0.1:{edges.proxies[name].http_port}/me").stdout.lower()
    assert got.startswith("http/1.1 308")
    assert "location: https://127.0.0.1" in got
    assert "strict-transport-security" not in got


def test_a_stream_is_not_buffered_and_outlives_the_timeouts(edges: Edges, name: str) -> None:
    sale = on_sale(edges.organizer, 10)
    buyer = rich(edges.pods[0].api)
    stream = EdgeStream.open(edges.client(name, 11), sale.seats + "/events")
    assert stream.status == 200
    stream.wait_for(b"event: ")
    started = time.monotonic()
    # A sign of life comes every 300 ms, so the connection is never idle for as long as the edge allows.
    while time.monotonic() - started < 1.2 * IDLE_S:
        stream.wait_for(b"\n\n", times=stream.read.count(b"\n\n") + 1)
    held = edges.client(name, 11, buyer.api.token).call(
        "POST", sale.holds, {"seat_ids": sale.seat_ids[:1]}, Idempotency_Key=str(uuid4())
    )
    assert held.status == 201
    # A buffer of some kilobytes would be full after minutes of signs of life.
    assert stream.wait_for(b'"HELD"') < 15
    stream.close()


def test_a_client_cannot_choose_its_address(edges: Edges, name: str, sale: Sale) -> None:
    # A pod has one stream of an address at most.
    def open_stream(number: int, **headers: str) -> EdgeStream:
        return EdgeStream.open(edges.client(name, number), sale.seats + "/events", **headers)

    forged = {"Forwarded": "for=203.0.113.9", "X_Real_IP": "203.0.113.9"}
    own = [open_stream(12, X_Forwarded_For=f"203.0.113.{n}", **forged) for n in range(6)]
    # Which pod gets one of them depends on requests that have not quite ended there.
    assert sorted(stream.status for stream in own) == [200, 200, 429, 429, 429, 429]
    # The load balancer in front may name addresses, and the last one counts.
    refused, next_one = address_of(name, 12), address_of(name, 13)
    named = [
        open_stream(99, X_Forwarded_For=f"{refused}, {next_one}"),
        open_stream(99, X_Forwarded_For=f"{next_one}, {refused}"),
    ]
    assert [stream.status for stream in named] == [200, 429]
    for stream in own + named:
        stream.close()


def test_public_answers_are_kept_and_private_ones_are_not(edges: Edges, name: str) -> None:
    sale = on_sale(edges.organizer, 10)
    path = CONCERT.format(concert_id=sale.concert_id)
    people = [rich(pod.api) for pod in edges.pods]
    client = edges.client(name, 14)
    before = sum(edges.asked("GET", CONCERT))
    started = time.monotonic()
    answers = [client.get(path, X_Request_Id=f"request-{n:04}") for n in range(20)]
    took_s = time.monotonic() - started
    assert shown(answers) == {(200, ""): 20}
    assert len({answer.raw for answer in answers}) == 1
    # An answer from the cache has the id of its own request.
    assert [answer.headers["x-request-id"] for answer in answers] == [
        f"request-{n:04}" for n in range(20)
    ]
    asked = sum(edges.asked("GET", CONCERT)) - before
    # The answer is kept for a second, which HAProxy lets end with the second of the clock.
    assert 1 <= asked <= 2 + took_s
    etag = answers[-1].headers["etag"]
    assert client.get(path, If_None_Match=etag).status == 304
    for person in people:
        known = edges.client(name, 14, person.api.token)
        assert known.get("/v1/me").json["email"] == person.email
        # People with a token get the public answer from the cache, too.
        assert known.get(path).raw == answers[0].raw


def test_nginx_logs_no_query_whatever_its_main_file_logs(edges: Edges) -> None:
    proxy = edges.proxies["nginx"]
    # The log of the drills' main file, in the format that has queries.
    main = proxy.log.with_name("main.log")
    edges.client("nginx", 22).get("/of-tls?name=buyers-name")
    curl("--head", f"http://127.0.0.1:{proxy.http_port}/of-plain-http?name=buyers-name")

    def logged() -> str:
        return main.read_text() + proxy.log.read_text()

    end = time.monotonic() + 20
    while not ("GET /of-tls " in logged() and "HEAD /of-plain-http " in logged()):
        assert time.monotonic() < end, logged()
        time.sleep(0.02)
    assert "buyers-name" not in logged()
    assert main.read_text() == ""


def test_nginx_asks_once_for_what_many_miss(edges: Edges) -> None:
    sale = on_sale(edges.organizer, 10)
    path = CONCERT.format(concert_id=sale.concert_id)
    before = sum(edges.asked("GET", CONCERT))
    barrier = threading.Barrier(24)

    def ask(_n: int) -> int:
        client = edges.client("nginx", 15)
        with closing(client.connection()) as connection:
            connection.connect()
            barrier.wait()
            return client.call("GET", path, on=connection).status

    started = time.monotonic()
    with ThreadPoolExecutor(24) as pool:
        assert set(pool.map(ask, range(24))) == {200}
    took_s = time.monotonic() - started
    # The answer is kept for a second: on a busy machine some ask later.
    assert 1 <= sum(edges.asked("GET", CONCERT)) - before <= 1 + took_s


def test_a_slow_head_and_a_slow_body_reach_no_pod(edges: Edges, name: str, sale: Sale) -> None:
    before = sum(edges.asked("POST", HOLDS))
    client = edges.client(name, 16)
    head = f"POST {sale.holds} HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n"
    with client.raw() as slow_head, client.raw() as slow_body:
        slow_head.sendall(head.encode())
        slow_body.sendall(f"{head}\r\n{{".encode())
        for connection in (slow_head, slow_body):
            seconds, got = seconds_until_closed(connection)
            assert seconds < SLOW_S + 10
            # nginx closes without an answer.
            assert got[9:12] in (b"408", b"")
    assert sum(edges.asked("POST", HOLDS)) == before


def test_an_address_has_a_limit(edges: Edges, name: str) -> None:
    client = edges.client(name, 17)
    answers: list[Answer] = []
    with closing(client.connection()) as connection:
        # nginx forgives 20 requests a second meanwhile, so a slow client needs some more.
        while len(answers) < REQUESTS_MAX + 50 or answers[-1].status != 429:
            answers.append(client.call("GET", "/v1/clock", on=connection))
            assert len(answers) < 20 * REQUESTS_MAX
    counts = shown(answers)
    assert counts[200, ""] >= REQUESTS_MAX
    assert counts[429, "too_many_requests"] > 0
    assert sum(counts.values()) == counts[200, ""] + counts[429, "too_many_requests"]
    refused = next(answer for answer in answers if answer.status == 429)
    assert int(refused.headers["retry-after"]) > 0
    assert edges.client(name, 18).get("/v1/clock").status == 200


def test_what_is_too_large_or_internal_is_refused_in_the_words_of_the_api(
    edges: Edges, name: str, sale: Sale
) -> None:
    client = edges.client(name, 19)
    assert client.announce("POST", sale.holds, 65_537).code == "body_too_large"
    # A seat map may be as large as the pods accept.
    upload = f"/v1/admin/schedules/{sale.schedule_id}/seats"
    assert client.announce("POST", upload, 16 * 2**20 + 1).code == "body_too_large"
    assert client.call("POST", upload, {"seats": ["x" * 100_000]}).code == "unauthenticated"
    for path in ("/metrics", "/readyz", "/healthz"):
        refused = client.get(path)
        assert (refused.status, refused.code) == (404, "not_found")
        assert refused.json["request_id"] == refused.headers["x-request-id"]


def test_writes_of_a_schedule_meet_in_one_pod(edges: Edges, name: str) -> None:
    sale = on_sale(edges.organizer, 20)
    buyer = rich(edges.pods[0].api)
    client = edges.client(name, 20, buyer.api.token)
    before = edges.asked("POST", HOLDS), edges.asked("POST", "/v1/payments")
    # On one connection: a request that has not quite ended counts against the bound of its pod.
    with closing(client.connection()) as connection:
        for seat_id in sale.seat_ids[:4]:
            held = client.call(
                "POST",
                sale.holds,
                {"seat_ids": [seat_id]},
                on=connection,
                Idempotency_Key=str(uuid4()),
            ).json
            body = {"reservation_id": held["reservation_id"], "method": "wallet"}
            paid = client.call(
                "POST",
                "/v1/payments",
                body,
                on=connection,
                Schedule_Id=sale.schedule_id,
                Idempotency_Key=str(uuid4()),
            )
            assert paid.status == 201
    after = edges.asked("POST", HOLDS), edges.asked("POST", "/v1/payments")
    holds, payments = (
        [now - then for now, then in zip(*counts, strict=True)]
        for counts in zip(after, before, strict=True)
    )
    assert sorted(holds) == [0, 4]
    assert payments == holds


def test_writes_of_several_schedules_and_reads_are_shared(edges: Edges, name: str) -> None:
    client = edges.client(name, 21)
    before = edges.asked("POST", HOLDS), edges.asked("GET", "/v1/clock")
    with closing(client.connection()) as connection:
        for _ in range(24):
            client.call("POST", HOLDS.format(schedule_id=uuid4()), {}, on=connection)
            client.call("GET", "/v1/clock", on=connection)
    after = edges.asked("POST", HOLDS), edges.asked("GET", "/v1/clock")
    for now, then in zip(after, before, strict=True):
        assert all(count > 2 for count in (now[0] - then[0], now[1] - then[1]))
