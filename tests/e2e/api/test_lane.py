"""The fast path and the framework's way give the same answers, and answers come in order."""

import asyncio
import json
import socket
from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from boxoffice.accounts.tokens import Caller
from boxoffice.errors import NotFound, TokenInvalid
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.server.fast_path import Lane, Run
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.platform.ids import parse_uuid

from .client import Answer, Api, Person, Sale, expect, refused, sign_up
from .conftest import Start, hold, make_organizer, on_sale, open_room, room_of

# A header that is given twice is reason enough to take the framework's way.
PLAIN: tuple[bytes, ...] = ()
SPECIAL = (b"X-Twice: 1", b"X-Twice: 2")
OWN = {"date", "x-request-id", "content-length"}


def request(
    api: Api, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> list[bytes]:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: shop"]
    if api.token:
        lines.append(b"Authorization: Bearer " + api.token.encode())
    lines += [f"{name}: {value}".encode() for name, value in headers.items()]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return lines


def ask(
    api: Api,
    method: str,
    path: str,
    way: tuple[bytes, ...],
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send one request one way, in one segment."""
    lines = [*request(api, method, path, headers or {}, body), *way, b"Connection: close", b"", b""]
    with socket.create_connection((api.host, api.port), timeout=15) as sock:
        sock.sendall(b"\r\n".join(lines) + (body or b""))
        raw = b""
        while part := sock.recv(65_536):
            raw += part
    return parsed(raw)


def parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    pairs = [field.partition(": ") for field in fields]
    return Answer(int(status.split()[1]), {n.lower(): v for n, _, v in pairs}, body)


def shown(answer: Answer) -> tuple[int, dict[str, str], Any]:
    headers = {name: value for name, value in answer.headers.items() if name not in OWN}
    body: Any = answer.raw
    if answer.headers.get("content-type", "").endswith("json") and not answer.headers.get(
        "content-encoding"
    ):
        body = json.loads(body) if body else None
        if answer.code:
            body.pop("request_id")
    return answer.status, headers, body


JSON = {"Content-Type": "application/json"}


def cases(sale: Sale, taken: str, key: str) -> list[tuple[str, str, dict[str, str], bytes | None]]:
    seats, holds, pay = sale.seats, sale.holds, "/v1/payments"
    keyed = {**JSON, "Idempotency-Key": str(uuid4())}
    wish = json.dumps({"seat_ids": [taken]}).encode()
    return [
        ("GET", "/v1/concerts", {}, None),
        ("GET", f"/v1/concerts/{sale.concert_id}", {}, None),
        ("GET", f"/v1/concerts/{sale.concert_id}/schedules", {}, None),
        ("GET", f"/v1/concerts/{uuid4()}", {}, None),
        ("GET", "/v1/concerts/nobody", {}, None),
        ("GET", seats, {}, None),
        ("GET", seats, {"Accept-Encoding": "gzip"}, None),
        ("GET", seats, {"If-None-Match": "*"}, None),
        ("GET", seats, {"Content-Length": "0"}, None),
        ("POST", holds, {**JSON, "Idempotency-Key": key}, wish),
        ("POST", holds, keyed, wish),
        ("POST", holds, JSON, wish),
        ("POST", holds, {**JSON, "Idempotency-Key": "a b"}, wish),
        ("POST", holds, {**keyed, "Content-Type": "text/plain"}, wish),
        ("POST", holds, {**keyed, "Content-Type": "application/JSON; charset=utf-8"}, wish),
        ("POST", holds, {**keyed, "Authorization": "Basic abc"}, wish),
        ("POST", holds, keyed, b"{"),
        ("POST", holds, keyed, b'{"seat_ids": ["a"], "seat_ids": ["b"]}'),
        ("POST", holds, keyed, b'{"seat_ids": []}'),
        ("POST", holds, keyed, b'{"seat_ids": ["nowhere"]}'),
        ("POST", holds, keyed, b'{"quantity": 1, "grade": "none"}'),
        ("POST", holds, keyed, b""),
        ("POST", holds, keyed, b" " * 70_000),
        ("POST", holds.replace(sale.schedule_id, str(uuid4())), keyed, wish),
        ("POST", pay, keyed, b'{"reservation_id": "nothing", "method": "wallet"}'),
        ("POST", pay, keyed, b'{"reservation_id": "nothing", "method": "gold"}'),
    ]


def test_both_ways_answer_alike(api: Api, buyer: Person, organizer: Person, other: Person) -> None:
    sale = on_sale(organizer, 20)
    taken = sale.seat_ids[0]
    hold(other, sale, taken)
    key = str(uuid4())
    expect(buyer.api.post(sale.holds, {"seat_ids": [sale.seat_ids[1]]}, key=key), 201)
    seen = set()
    for method, path, headers, body in cases(sale, taken, key):
        caller = api if "Authorization" in headers else buyer.api
        fast_path = ask(caller, method, path, PLAIN, headers, body)
        framed = ask(caller, method, path, SPECIAL, headers, body)
        assert shown(fast_path) == shown(framed), (method, path, headers, body)
        seen.add(fast_path.status)
    assert {200, 304, 400, 401, 404, 409, 413, 415, 422} <= seen


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["lane", "framework"])
def test_behind_a_proxy_the_limit_of_an_address_is_the_clients(
    start: Start, way: tuple[bytes, ...]
) -> None:
    shop = start(queue_address_requests_per_s_max="1")
    organizer = make_organizer(shop)
    sale = on_sale(organizer, 3)
    open_room(organizer, sale)
    addresses = (f"192.0.2.{at}" for at in count(1))

    def asked(method: str, api: Api, address: str, ticket: str = "") -> Answer:
        headers = {"X-Forwarded-For": address, "Queue-Ticket": ticket}
        return ask(api, method, room_of(sale), way, headers)

    people = [sign_up(shop.api) for _ in range(4)]
    joined = [expect(asked("POST", one.api, next(addresses)), 201).json for one in people]
    tickets = [one["queue_ticket"] for one in joined]
    for _ in range(5):
        for ticket in tickets:
            expect(asked("GET", shop.api, next(addresses), ticket), 200)
    # One client that asks again and again is refused, as soon as it asks twice within a second.
    one_address = next(addresses)
    answers = (asked("GET", shop.api, one_address, tickets[0]).status for _ in range(200))
    assert 429 in answers


def test_a_hold_and_its_repetition_the_other_way_are_one(buyer: Person, organizer: Person) -> None:
    sale = on_sale(organizer, 20)
    headers = {**JSON, "Idempotency-Key": str(uuid4())}
    body = json.dumps({"seat_ids": sale.seat_ids[:2]}).encode()
    first = ask(buyer.api, "POST", sale.holds, PLAIN, headers, body)
    again = ask(buyer.api, "POST", sale.holds, SPECIAL, headers, body)
    assert expect(first, 201).raw == expect(again, 201).raw
    assert first.headers["location"] == again.headers["location"]


def test_answers_come_in_the_order_of_the_requests(buyer: Person, organizer: Person) -> None:
    sale = on_sale(organizer, 20)
    api = buyer.api
    parts = []
    for at in range(5):
        headers = {**JSON, "Idempotency-Key": str(uuid4()), "X-Request-Id": f"request-{2 * at}"}
        body = json.dumps({"seat_ids": [sale.seat_ids[at]]}).encode()
        parts.append(b"\r\n".join([*request(api, "POST", sale.holds, headers, body), b"", body]))
        headers = {"X-Request-Id": f"request-{2 * at + 1}"}
        parts.append(b"\r\n".join([*request(api, "GET", "/v1/concerts", headers, None), b"", b""]))
    last = b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    with socket.create_connection((api.host, api.port), timeout=15) as sock:
        sock.sendall(b"".join(parts) + last)
        raw = b""
        while part := sock.recv(65_536):
            raw += part
    order = [raw.index(b"x-request-id: request-%d\r" % at) for at in range(10)]
    assert order == sorted(order)
    assert raw.count(b"HTTP/1.1 201") == 5
    assert raw.endswith(b'{"status":"ok"}')


def test_a_body_in_pieces_is_waited_for(buyer: Person, organizer: Person) -> None:
    sale = on_sale(organizer, 20)
    body = json.dumps({"seat_ids": sale.seat_ids[:1]}).encode()
    headers = {**JSON, "Idempotency-Key": str(uuid4())}
    lines = request(buyer.api, "POST", sale.holds, headers, body)
    with socket.create_connection((buyer.api.host, buyer.api.port), timeout=15) as sock:
        for piece in (b"\r\n".join(lines[:3]), b"\r\n".join([b"", *lines[3:], b"", b""])):
            sock.sendall(piece)
        for at in range(0, len(body), 7):
            sock.sendall(body[at : at + 7])
        assert parsed(sock.recv(65_536)).status == 201


def _nobody(_token: str) -> Caller:
    raise TokenInvalid


class _Thing:
    """A resource of the lane's own tests."""

    dependencies = RouteDependencies(
        _nobody, body_max_bytes=10, body_timeout_s=1, request_timeout_s=1
    )

    @operation("Look", fast_path=True, path={"thing_id": PathId(parse_uuid, NotFound, "")})
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        return Reply(call.ids)

    @operation("Make", 201, fast_path=True, body=dict)
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        return Reply(call.body)


@pytest.fixture
def lane() -> Lane:
    routes = [("/things/{thing_id}", _Thing()), ("/things", _Thing())]
    return Lane(routes, AccessLog(InFlight(), log_requests=False))


def test_the_lane_takes_what_is_plain(lane: Lane) -> None:
    thing = uuid4()
    way = lane.find(b"GET", f"/things/{thing}".encode(), {})
    assert way is not None
    assert way.ids == {"thing_id": thing}
    assert lane.find(b"POST", b"/things", {b"content-length": b"10"}) is not None


@pytest.mark.parametrize(
    ("method", "target", "head"),
    [
        (b"GET", b"/things/%b?a=1", {}),
        (b"GET", b"/things/%b/more", {}),
        (b"GET", b"/other/%b", {}),
        (b"HEAD", b"/things/%b", {}),
        (b"GET", b"/things/%b", {b"content-length": b"2"}),
        (b"GET", b"/things/%b", {b"transfer-encoding": b"chunked"}),
        (b"POST", b"/things", {}),
        (b"POST", b"/things", {b"content-length": b"11"}),
        (b"POST", b"/things", {b"content-length": b"-1"}),
        (b"POST", b"/things", {b"content-length": b"5", b"expect": b"100-continue"}),
        (b"POST", b"/things", {b"content-length": b"5", b"upgrade": b"h2c"}),
    ],
)
def test_the_lane_leaves_the_rest(
    lane: Lane, method: bytes, target: bytes, head: dict[bytes, bytes]
) -> None:
    filled = target.replace(b"%b", str(uuid4()).encode())
    assert lane.find(method, filled, head) is None


def test_made_up_targets_are_not_all_remembered(lane: Lane) -> None:
    for _ in range(10_000):
        assert lane.find(b"GET", f"/things/{uuid4()}".encode(), {}) is not None
    assert len(lane._known) <= 4_096


MAP = b"x" * 100_000


class _Large(_Thing):
    @operation("Look", fast_path=True, path={"thing_id": PathId(parse_uuid, NotFound, "")})
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        return Reply(encoded=MAP)


async def test_a_large_answer_is_not_copied_for_everybody() -> None:
    """Whoever does not read it keeps it in memory: one for all of them."""
    lane = Lane([("/things/{thing_id}", _Large())], AccessLog(InFlight(), log_requests=False))
    way = lane.find(b"GET", f"/things/{uuid4()}".encode(), {})
    assert way is not None
    sent: list[bytes] = []
    run = Run(lane, way, b"GET", {}, True, None, lambda *parts: sent.extend(parts[:2]))
    run.start()
    await asyncio.sleep(0)
    head, body = sent
    assert b"content-length: 100000\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert body is MAP


def test_an_unknown_schedule_is_not_found(buyer: Person, sale: Sale) -> None:
    path = sale.holds.replace(sale.schedule_id, str(uuid4()))
    refused(buyer.api.keyed(path, {"seat_ids": ["A-1-1"]}), "schedule_not_found")
