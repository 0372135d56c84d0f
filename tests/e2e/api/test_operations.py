"""What operators see: health, metrics, one log line per request, and a drain that loses nothing."""

import contextlib
import re
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from .client import PASSWORD, Answer, Api, Person, Sale, check_problem, expect, refused
from .conftest import Running, Start

WAIT_S = 10.0


def until(found: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + WAIT_S
    while not found():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def account() -> dict[str, str]:
    """A new user."""
    return {"email": f"{uuid4().hex}@example.test", "password": PASSWORD, "name": "A"}


def test_alive_and_ready(api: Api) -> None:
    assert expect(api.get("/healthz"), 200).json == {"status": "ok"}
    assert expect(api.get("/readyz"), 200).json == {"status": "ready"}


def counted(api: Api, **labels: str) -> float:
    """Return how many requests with these labels the metrics show."""
    text = expect(api.get("/metrics"), 200).raw.decode()
    total = 0.0
    for found, value in re.findall(r"^boxoffice_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        shown = dict(re.findall(r'(\w+)="([^"]*)"', found))
        if labels.items() <= shown.items():
            total += float(value)
    return total


def test_metrics_count_answers_by_route_and_code(api: Api, sale: Sale) -> None:
    assert api.get("/metrics").headers["content-type"].startswith("text/plain")
    route = "/v1/concerts/{concert_id}"
    good = {"method": "GET", "route": route, "status": "200", "code": "ok"}
    bad = {"method": "GET", "route": route, "status": "404", "code": "concert_not_found"}
    before = counted(api, **good), counted(api, **bad)
    expect(api.get(f"/v1/concerts/{sale.concert_id}"), 200)
    refused(api.get("/v1/concerts/none"), "concert_not_found")
    refused(api.get("/v1/concerts/other"), "concert_not_found")
    assert (counted(api, **good), counted(api, **bad)) == (before[0] + 1, before[1] + 2)


def test_addresses_of_strangers_make_no_series(api: Api) -> None:
    for n in range(3):
        refused(api.get(f"/nothing/at/{n}"), "not_found")
    text = api.get("/metrics").raw.decode()
    assert "/nothing/at" not in text
    assert counted(api, route="unknown", code="not_found") >= 3


def logged(server: Running, request_id: str) -> list[dict[str, Any]]:
    """Return the lines of a request; they are written some at a time, a moment after the answer."""
    until = time.monotonic() + 5
    while True:
        lines = [one for one in server.requests() if one["request_id"] == request_id]
        if lines or time.monotonic() > until:
            return lines
        time.sleep(0.02)


def test_one_structured_line_per_request(server: Running, buyer: Person) -> None:
    calls: list[tuple[str, str, int, str]] = [
        ("/v1/me/wallet", "/v1/me/wallet", 200, "ok"),
        (
            "/v1/reservations/none",
            "/v1/reservations/{reservation_id}",
            404,
            "reservation_not_found",
        ),
        ("/v1/nothing", "unknown", 404, "not_found"),
    ]
    for path, route, status, code in calls:
        request_id = f"test-{uuid4()}"
        answer = buyer.api.get(path, headers={"X-Request-Id": request_id})
        assert answer.status == status
        (line,) = logged(server, request_id)
        assert (line["method"], line["route"], line["status"], line["code"]) == (
            "GET",
            route,
            status,
            code,
        )
        assert 0 < line["ms"] < 10_000
        assert {"timestamp", "level"} <= set(line)


def test_the_log_tells_no_secrets(server: Running, buyer: Person) -> None:
    request_id = f"test-{uuid4()}"
    expect(buyer.api.get("/v1/me/wallet", headers={"X-Request-Id": request_id}), 200)
    assert logged(server, request_id)
    log = server.log.read_text()
    for secret in (PASSWORD, buyer.email, buyer.api.token, buyer.api.token.split(".")[2]):
        assert secret not in log


def begun(api: Api, body: bytes) -> socket.socket:
    """Send the head of a sign-up, and return once the server waits for its body."""
    sock = socket.create_connection((api.host, api.port), timeout=WAIT_S)
    head = (
        "POST /v1/users HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    sock.sendall(head.encode())
    assert sock.recv(1000).startswith(b"HTTP/1.1 100")
    return sock


def test_a_drain_finishes_what_is_in_flight(start: Start) -> None:
    server = start(drain_delay_ms="3000", drain_timeout_ms="20000", body_timeout_ms="11000")
    body = b'{"email": "late@example.test", "password": "open sesame 8", "name": "A"}'
    seen: list[Answer] = []

    def is_draining() -> bool:
        seen.append(server.api.get("/readyz"))
        return seen[-1].status == 503

    with begun(server.api, body) as late:
        late.sendall(body[:10])
        server.process.send_signal(signal.SIGTERM)
        until(is_draining, "the drain")
        refused(seen[-1], "draining")
        check_problem(seen[-1])
        assert int(seen[-1].headers["retry-after"]) >= 1
        # Who comes while load balancers still send is served.
        expect(server.api.get("/healthz"), 200)
        expect(server.api.post("/v1/users", account()), 201)
        until(lambda: not listens(server.api), "the end of listening")
        assert server.process.poll() is None
        late.sendall(body[10:])
        assert late.recv(65_536).startswith(b"HTTP/1.1 201")
    assert server.process.wait(2 * WAIT_S) == 0
    assert [line["in_flight"] for line in server.lines() if line["event"] == "draining"]
    assert not [line for line in server.lines() if line["level"] == "error"]


def test_what_a_drain_cuts_is_told_to_come_again(start: Start) -> None:
    server = start(drain_timeout_ms="1000")
    body = b'{"email": "late@example.test", "password": "open sesame 8", "name": "A"}'
    with begun(server.api, body) as late:
        late.sendall(body[:10])
        server.process.send_signal(signal.SIGTERM)
        head, _, _ = late.recv(65_536).lower().partition(b"\r\n\r\n")
        assert head.startswith(b"http/1.1 503")
        assert b"retry-after:" in head
    assert server.process.wait(20) == 0
    (line,) = [line for line in server.requests() if line["status"] != 200]
    assert (line["status"], line["code"]) == (503, "unavailable")


def listens(api: Api) -> bool:
    """Say whether the server still takes connections."""
    try:
        return api.get("/healthz").status == 200
    except OSError:
        return False


def test_a_request_that_does_not_end_is_cut_at_the_drains_deadline(start: Start) -> None:
    server = start(drain_timeout_ms="1000", body_timeout_ms="50000", request_timeout_ms="60000")
    with begun(server.api, b"x" * 100) as stuck:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(WAIT_S) == 0
        with contextlib.suppress(ConnectionResetError):
            assert b"201" not in stuck.recv(1000)


def test_past_its_limits_it_refuses_at_once_with_a_time(start: Start) -> None:
    server = start(password_hashes_in_flight_max="1", password_hashes_waiting_max="1")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: server.api.post("/v1/users", account()), range(16)))
    kinds = {(answer.status, answer.code) for answer in answers}
    assert kinds == {(201, ""), (503, "overloaded")}
    for answer in answers:
        if answer.status == 503:
            check_problem(answer)
            assert int(answer.headers["retry-after"]) >= 1
    assert counted(server.api, status="503", code="overloaded") == sum(
        answer.status == 503 for answer in answers
    )
