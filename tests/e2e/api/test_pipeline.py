"""A request is answered the same however its head is made, and answers come in order."""

import asyncio
import json
import socket
from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from boxoffice.errors import NotFound
from boxoffice.http.api.operation import Call, PathId, Reply, operation
from boxoffice.http.api.router import Router
from boxoffice.http.server.context import ServerContext, connection_limits
from boxoffice.http.server.exchange import Exchange
from boxoffice.platform.ids import parse_uuid
from boxoffice.settings import Settings
from tests.support.connection import dependencies, quiet_log
from tests.support.waiting import wait_until

from .client import Answer, Api, Person, Sale, expect, refused, sign_up
from .conftest import Start, hold, make_organizer, on_sale, open_room, room_of

# A head with a field that comes twice is looked at once more.
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


def test_a_repeated_field_changes_no_answer(
    api: Api, buyer: Person, organizer: Person, other: Person
) -> None:
    sale = on_sale(organizer, 20)
    taken = sale.seat_ids[0]
    hold(other, sale, taken)
    key = str(uuid4())
    expect(buyer.api.post(sale.holds, {"seat_ids": [sale.seat_ids[1]]}, key=key), 201)
    seen = set()
    for method, path, headers, body in cases(sale, taken, key):
        caller = api if "Authorization" in headers else buyer.api
        plain = ask(caller, method, path, PLAIN, headers, body)
        repeated = ask(caller, method, path, SPECIAL, headers, body)
        assert shown(plain) == shown(repeated), (method, path, headers, body)
        seen.add(plain.status)
    assert {200, 304, 400, 401, 404, 409, 413, 415, 422} <= seen


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
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
    # Until a process leads the room it cannot be joined.
    wait_until(lambda: asked("POST", people[0].api, next(addresses)).status == 201, 20)
    joined = [expect(asked("POST", one.api, next(addresses)), 201).json for one in people]
    tickets = [one["queue_ticket"] for one in joined]
    for _ in range(5):
        for ticket in tickets:
            expect(asked("GET", shop.api, next(addresses), ticket), 200)
    # One client that asks again and again is refused, as soon as it asks twice within a second.
    one_address = next(addresses)
    answers = (asked("GET", shop.api, one_address, tickets[0]).status for _ in range(200))
    assert 429 in answers


def test_a_hold_and_its_repetition_in_another_head_are_one(
    buyer: Person, organizer: Person
) -> None:
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


MAP = b"x" * 100_000


class _Things:
    """Answers with the id that it is asked for, or with what it is sent."""

    dependencies = dependencies(body_max_bytes=10)

    @operation("Look", path={"thing_id": PathId(parse_uuid, NotFound, "")})
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        return Reply(call.ids)


class _Large(_Things):
    @operation("Look", path={"thing_id": PathId(parse_uuid, NotFound, "")})
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        return Reply(encoded=MAP)


def test_made_up_targets_are_not_all_remembered() -> None:
    router = Router([("/things/{thing_id}", _Things())], dependencies())
    for _ in range(10_000):
        thing = uuid4()
        match = router.find("GET", f"/things/{thing}".encode())
        assert match.ids == {"thing_id": thing}
        assert router.find("GET", f"/nothing/{thing}".encode()).template == "unknown"
    assert len(router._known) <= 4_096


class _Sent:
    """Keeps what is written as it is."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def send_answer(self, answer: bytes, rest: bytes, *, keep_alive: bool) -> None:
        assert keep_alive
        self.parts += [answer, rest]


async def test_a_large_answer_is_not_copied_for_each_reader() -> None:
    """Clients that do not read it keep it in memory: one copy for all of them."""
    router = Router([("/things/{thing_id}", _Large())], dependencies())
    state = ServerContext(router, quiet_log(), connection_limits(Settings().server))
    match = router.find("GET", f"/things/{uuid4()}".encode())
    sent: Any = _Sent()
    exchange = Exchange(sent, state, match, "GET", {}, None, state.loop)
    state.loop.call_soon(exchange.start)
    for _ in range(3):
        await asyncio.sleep(0)
    head, body = sent.parts
    assert b"content-length: 100000\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert body is MAP


def test_an_unknown_schedule_is_not_found(buyer: Person, sale: Sale) -> None:
    path = sale.holds.replace(sale.schedule_id, str(uuid4()))
    refused(buyer.api.keyed(path, {"seat_ids": ["A-1-1"]}), "schedule_not_found")
