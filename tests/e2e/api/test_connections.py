"""What is wrong below the level of a request: slow, oversized and broken senders."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from itertools import pairwise

import pytest

from tests.conftest import Servers
from tests.support.database import copied_database

from .client import Answer, Api, Person, check_problem
from .conftest import Running, Start, running

HEAD_TIMEOUT_S = 0.6
BODY_TIMEOUT_S = 0.4
WRITE_TIMEOUT_S = 0.7
# More than a connection of loopback keeps on its way, and than the server's own buffer.
UNREAD_MIN_BYTES = 12_000_000


@pytest.fixture(scope="module")
def hasty(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A server that does not wait long."""
    log = tmp_path_factory.mktemp("hasty") / "serve.log"
    limits = {
        "header_timeout_ms": str(round(HEAD_TIMEOUT_S * 1000)),
        "body_timeout_ms": str(round(BODY_TIMEOUT_S * 1000)),
        "write_timeout_ms": str(round(WRITE_TIMEOUT_S * 1000)),
    }
    with (
        copied_database(servers.database_url, template) as database_url,
        running(database_url, servers.valkey_url, log, **limits) as server,
    ):
        yield server
        server.stop()
        lines = server.lines()
        assert [line for line in lines if line["level"] in ("error", "critical")] == []
        assert [line for line in lines if line.get("status", 0) >= 500] == []


@contextmanager
def connected(api: Api) -> Iterator[socket.socket]:
    """Open a connection."""
    with socket.create_connection((api.host, api.port), timeout=15) as sock:
        yield sock


def received(sock: socket.socket) -> bytes:
    """Read until the server hangs up; a reset counts as that."""
    parts = []
    try:
        while part := sock.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def parsed(raw: bytes) -> Answer:
    """Read one answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    return Answer(int(first.split()[1]), {k.lower(): v for k, v in headers.items()}, body)


def post(length: str, *fields: str) -> bytes:
    """The head of a sign-up."""
    lines = ["POST /v1/users HTTP/1.1", "Host: shop", "Content-Type: application/json", length]
    return "\r\n".join([*lines, *fields, "", ""]).encode()


def test_a_slow_head_is_cut_off(hasty: Running) -> None:
    for beginning in (b"", b"GET /v1/concerts HTTP/1.1\r\nHost: shop\r\n"):
        started = time.monotonic()
        with connected(hasty.api) as sock:
            sock.sendall(beginning)
            answer = parsed(received(sock))
            waited_s = time.monotonic() - started
        assert answer.status == 408
        assert HEAD_TIMEOUT_S - 0.05 <= waited_s < HEAD_TIMEOUT_S + 5


def test_a_dripping_head_has_one_deadline(hasty: Running) -> None:
    with connected(hasty.api) as sock:
        started = time.monotonic()
        sock.settimeout(0.05)
        raw = b""
        sock.sendall(b"GET /v1/concerts HTTP/1.1\r\nHost: shop\r\nX: ")
        while not raw:
            try:
                sock.sendall(b"x")
                raw = sock.recv(4096)
            except TimeoutError:
                assert time.monotonic() - started < 10, "a byte at a time keeps the connection"
        assert parsed(raw).status == 408


def test_a_slow_body_is_408(hasty: Running) -> None:
    for head, part in (
        (post("Content-Length: 100"), b'{"email": "a'),
        (post("Transfer-Encoding: chunked"), b"5\r\nhello\r\n"),
    ):
        with connected(hasty.api) as sock:
            sock.sendall(head + part)
            answer = parsed(received(sock))
        assert (answer.status, answer.code) == (408, "body_too_slow")
        check_problem(answer)


def test_a_body_that_never_begins_is_408(hasty: Running) -> None:
    for head in (post("Content-Length: 100"), post("Transfer-Encoding: chunked")):
        with connected(hasty.api) as sock:
            sock.sendall(head)
            assert parsed(received(sock)).status == 408


def test_a_body_that_goes_on_after_its_refusal_is_cut_off(hasty: Running) -> None:
    refusals = {
        413: post("Content-Length: 1000000"),
        408: post("Content-Length: 50000"),
        404: post("Content-Length: 50000").replace(b"/v1/users", b"/v1/nothing"),
    }
    for status, head in refusals.items():
        with connected(hasty.api) as sock:
            sock.sendall(head + b"x")
            assert parsed(sock.recv(65_536)).status == status
            assert drips(sock) < 5000


def drips(sock: socket.socket) -> int:
    """Send a byte now and then until the server hangs up; return how often that worked."""
    sock.settimeout(0.005)
    sent = 0
    while sent < 5000:
        try:
            sock.sendall(b"x")
            sent += 1
            if sock.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            break
    return sent


def test_an_oversized_head_is_431(hasty: Running) -> None:
    heads = {
        "one field": b"GET /healthz HTTP/1.1\r\nHost: shop\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        "many fields": b"GET /healthz HTTP/1.1\r\nHost: shop\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        "target": b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: shop\r\n\r\n",
        "query": b"GET /healthz?" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: shop\r\n\r\n",
        "no end": b"GET /healthz HTTP/1.1\r\nHost: shop\r\nX: " + b"x" * 400_000,
    }
    for name, head in heads.items():
        with connected(hasty.api) as sock:
            try:
                sock.sendall(head)
            except (ConnectionResetError, BrokenPipeError):
                assert name == "no end"
            raw = received(sock)
        # Who is cut off while sending may find the connection reset before the answer.
        assert not raw or parsed(raw).status == 431, (name, raw[:200])
        assert raw or len(head) > 65_536, name


def test_a_head_within_the_limit_is_served(hasty: Running) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nX: " + b"x" * 30_000
    with connected(hasty.api) as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert parsed(received(sock)).status == 200


GARBAGE = [
    b"\x00\x01\x02\x03\r\n\r\n",
    b"hello\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /healthz\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /healthz HTTP/1.1\r\nHost: shop\r\nNo colon here\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: shop\r\nX: a\x00b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: shop\r\nX : y\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: shop\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: shop\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: shop\r\n\r\n",
    b"BREW /healthz HTTP/1.1\r\nHost: shop\r\n\r\n",
    post("Content-Length: ten") + b"{}",
    post("Content-Length: -1"),
    post("Content-Length: 99999999999999999999999"),
    post("Content-Length: 2", "Content-Length: 3") + b"{}",
    post("Content-Length: 2", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    post("Transfer-Encoding: chunked") + b"zz\r\n{}\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("raw", GARBAGE)
def test_what_is_not_http_is_400(hasty: Running, raw: bytes) -> None:
    with connected(hasty.api) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        answer = parsed(received(sock))
    assert answer.status == 400
    assert b"Traceback" not in answer.raw


def test_a_caller_that_hangs_up_in_its_body_is_no_failure(hasty: Running) -> None:
    with connected(hasty.api) as sock:
        sock.sendall(post("Content-Length: 100") + b"{")
    assert hasty.api.get("/healthz").status == 200


def ended(api: Api) -> dict[str, float]:
    """Return how many connections have been ended, by reason."""
    text = api.get("/metrics").raw.decode()
    lines = re.findall(
        r'^boxoffice_connections_ended_total\{reason="(\w+)"\} (\S+)$', text, re.MULTILINE
    )
    return {reason: float(number) for reason, number in lines}


def asked_again_and_again(api: Api) -> bytes:
    """Requests whose answers are too much for what lies between the ends of a connection."""
    answer_bytes = len(api.get("/openapi.json").raw)
    one = b"GET /openapi.json HTTP/1.1\r\nHost: shop\r\n\r\n"
    return one * (UNREAD_MIN_BYTES // answer_bytes)


def cut_off(hasty: Running, after: float) -> bool:
    """Wait until one more connection was cut for its answer than `after`."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if ended(hasty.api).get("answer_not_taken", 0) > after:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "last", [b"", b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"]
)
def test_who_never_takes_the_answer_is_cut_off(hasty: Running, last: bytes) -> None:
    before = ended(hasty.api).get("answer_not_taken", 0)
    with connected(hasty.api) as sock:
        sock.sendall(asked_again_and_again(hasty.api) + last)
        assert cut_off(hasty, before)
        assert len(received(sock)) < UNREAD_MIN_BYTES


def test_who_takes_the_answer_is_not_cut_off(hasty: Running) -> None:
    # The control of the test above: as much, and for longer than the deadline, but it is taken.
    before = ended(hasty.api).get("answer_not_taken", 0)
    started = time.monotonic()
    size, longest_s = take_all(hasty)
    # Where this process did not run for so long, it was rightly cut off.
    while longest_s > WRITE_TIMEOUT_S / 2 and time.monotonic() - started < 60:
        before = ended(hasty.api).get("answer_not_taken", 0)
        started = time.monotonic()
        size, longest_s = take_all(hasty)
    assert time.monotonic() - started > WRITE_TIMEOUT_S
    assert size > UNREAD_MIN_BYTES * 0.9
    assert ended(hasty.api).get("answer_not_taken", 0) == before


def take_all(hasty: Running) -> tuple[int, float]:
    """Take as much in small parts; return its size, and the longest time between two of them."""
    last = b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    taken_at, size = [time.monotonic()], 0
    with connected(hasty.api) as sock, suppress(ConnectionResetError):
        sock.sendall(asked_again_and_again(hasty.api) + last)
        while part := sock.recv(UNREAD_MIN_BYTES // 40):
            size += len(part)
            taken_at.append(time.monotonic())
            time.sleep(WRITE_TIMEOUT_S / 20)
    return size, max((later - one for one, later in pairwise(taken_at)), default=0.0)


def test_what_is_refused_below_a_request_is_counted(hasty: Running) -> None:
    before = ended(hasty.api)
    wrong = {
        "head_too_large": b"GET /healthz HTTP/1.1\r\nHost: shop\r\nX: "
        + b"x" * 40_000
        + b"\r\n\r\n",
        "not_http": b"hello\r\n\r\n",
        "request_too_slow": b"GET /healthz HTTP/1.1\r\nHost: shop\r\n",
    }
    for raw in wrong.values():
        with connected(hasty.api) as sock:
            sock.sendall(raw)
            received(sock)
    after = ended(hasty.api)
    assert {reason: after[reason] - before.get(reason, 0) for reason in wrong} == dict.fromkeys(
        wrong, 1
    )


def take(api: Api, count: int, taken: ExitStack) -> int:
    """Take connections; return how many were refused because earlier ones had not quite ended."""
    until, kept, refused = time.monotonic() + 20, 0, 0
    while kept < count:
        assert time.monotonic() < until
        with ExitStack() as attempt:
            sock = attempt.enter_context(connected(api))
            raw = b""
            with suppress(ConnectionError):
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n")
                raw = sock.recv(65_536)
            if raw.startswith(b"HTTP/1.1 200"):
                kept += 1
                taken.push(attempt.pop_all())
            else:
                refused += 1
    return refused


def refused_until_served(api: Api) -> int:
    """Ask until the server is not full any more; return how often it was."""
    until, refused = time.monotonic() + 20, 0
    while not is_served(api):
        assert time.monotonic() < until, "a connection that ends makes room"
        refused += 1
    return refused


def is_served(api: Api) -> bool:
    """Whether there is room for one more connection."""
    try:
        return api.get("/healthz").status == 200
    except (OSError, HTTPException):
        return False


def test_too_many_connections_are_refused_with_a_time(start: Start) -> None:
    api = start(connections_max="3").api
    with ExitStack() as taken:
        refused = take(api, 3, taken)
        with connected(api) as sock:
            answer = parsed(received(sock))
    refused += refused_until_served(api)
    assert ended(api)["too_many_connections"] == 1 + refused
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("trusted", [False, True])
def test_one_address_has_its_share_of_the_connections(
    start: Start, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    # Loopback is trusted to be a proxy unless told otherwise, and then all clients share its limit.
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1" if trusted else "192.0.2.1")
    api = start(connections_per_address_max="3").api
    with ExitStack() as taken:
        refused = take(api, 3, taken)
        if trusted:
            assert api.get("/healthz").status == 200
            return
        with connected(api) as sock:
            answer = parsed(received(sock))
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    refused += refused_until_served(api)
    assert ended(api)["too_many_of_one_address"] == 1 + refused


def test_blank_lines_do_not_keep_a_connection(start: Start) -> None:
    api = start(keep_alive_ms="1000").api
    with connected(api) as sock:
        sock.sendall(b"GET /v1/concerts HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200")
        until = time.monotonic() + 10
        with suppress(OSError):
            while time.monotonic() < until:
                sock.sendall(b"\r\n")
                time.sleep(0.1)
        assert time.monotonic() < until


def test_requests_in_one_segment_are_answered_in_order(hasty: Running) -> None:
    one = b"GET /v1/concerts/%d HTTP/1.1\r\nHost: shop\r\nX-Request-Id: request-%d\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    with connected(hasty.api) as sock:
        sock.sendall(b"".join(one % (n, n) + b"\r\n" for n in range(5)) + last)
        raw = received(sock)
    order = [f"request-{n}".encode() for n in range(5)]
    at = [raw.index(b"x-request-id: " + name) for name in order]
    assert at == sorted(at)
    assert raw.endswith(b'{"status":"ok"}')


def test_a_caller_may_wait_for_leave_to_send_the_body(api: Api, buyer: Person) -> None:
    body = json.dumps({"amount": 0}).encode()
    fields = [
        "POST /v1/me/wallet/top-ups HTTP/1.1", "Host: shop", "Content-Type: application/json",
        f"Authorization: Bearer {buyer.api.token}", "Idempotency-Key: k", "Expect: 100-continue",
        f"Content-Length: {len(body)}", "Connection: close", "", "",
    ]  # fmt: skip
    with connected(api) as sock:
        sock.sendall("\r\n".join(fields).encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert parsed(received(sock)).code == "amount_invalid"
