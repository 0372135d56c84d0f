"""Where requests begin and end on a connection, and how much of them is kept."""

import asyncio
import gc
from itertools import pairwise
from typing import Any

import pytest

from boxoffice.http.api.router import Router
from tests.support.connection import Talk, dependencies, talk

ONE = b"GET /%d HTTP/1.1\r\nHost: shop\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
SEGMENT_BYTES = 262_144


def said(*pieces: bytes, **changed: Any) -> Talk:
    """Return what becomes of these pieces."""
    return asyncio.run(talk(pieces, **changed))


def segments(raw: bytes, size: int = SEGMENT_BYTES) -> list[bytes]:
    """Cut as a socket is read."""
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def test_pipelined_requests_are_bounded_and_all_answered_in_order() -> None:
    raw = b"".join(ONE % at for at in range(3_000))

    async def run() -> Talk:
        return await talk(segments(raw, 20_000), let_go=asyncio.Event())

    told = asyncio.run(run())
    assert 1 < told.waiting_max <= 17
    assert [one.target for one in told.seen] == [b"/%d" % at for at in range(3_000)]
    assert told.statuses == [200] * 3_000
    assert not told.is_closed


def test_the_bound_of_pipelined_requests_is_a_setting() -> None:
    raw = b"".join(ONE % at for at in range(100))

    async def run() -> Talk:
        return await talk([raw], let_go=asyncio.Event(), pipelined_requests_max=3)

    told = asyncio.run(run())
    assert told.waiting_max <= 4
    assert len(told.seen) == 100


@pytest.mark.parametrize("size", [1, 2, 3, 7, 30, 31, 32, 33, 64, 1_000])
def test_segments_do_not_matter(size: int) -> None:
    body = CHUNKED.replace(b"/a", b"/%d") + b"3\r\n\r\n\r\r\n0\r\n\r\n"
    parts = [(ONE if at % 3 else body) % at for at in range(60)]
    told = said(*segments(b"".join(parts), size), pipelined_requests_max=2)
    assert [one.target for one in told.seen] == [b"/%d" % at for at in range(60)]
    assert {one.body for one in told.seen} == {b"", b"\r\n\r"}


def test_bodies_of_requests_that_wait_are_not_read_ahead() -> None:
    big = b"POST /big HTTP/1.1\r\nHost: shop\r\nContent-Length: 4000000\r\n\r\n"

    async def run() -> tuple[Talk, asyncio.Event]:
        let_go = asyncio.Event()
        told = await talk(
            [ONE % 1 + big + b"x" * 100_000, *segments(b"x" * 3_900_000)], let_go=let_go
        )
        return told, let_go

    told, _ = asyncio.run(run())
    assert [len(one.body) for one in told.seen] == [0, 4_000_000]


def test_trailers_are_no_headers() -> None:
    trailers = b"0\r\nX-Forwarded-For: 203.0.113.9\r\nAuthorization: Bearer x\r\n\r\n"
    told = said(CHUNKED + b"1\r\na\r\n" + trailers + ONE % 2)
    assert [one.body for one in told.seen] == [b"a", b""]
    for one in told.seen:
        assert {name for name, _ in one.headers} <= {b"host", b"transfer-encoding"}


def frames(kind: str) -> bytes:
    """What surrounds a body, megabytes of it."""
    return {
        "trailers": b"0\r\n" + b"a:b\r\n" * 400_000,
        "one trailer": b"0\r\na: " + b"b" * 2_000_000,
        "chunk extensions": b"1;a=" + b"b" * 2_000_000,
        "quoted extensions": b'1;a="' + b"b" * 2_000_000,
        "extended chunks": b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nb\r\n" * 40_000,
        "leading zeros": b"0" * 2_000_000,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["trailers", "one trailer", "chunk extensions", "quoted extensions", "extended chunks",
     "leading zeros"],
)  # fmt: skip
def test_what_surrounds_a_body_has_a_bound(kind: str) -> None:
    told = said(CHUNKED, *segments(frames(kind), 65_536))
    assert told.is_closed
    assert told.statuses in ([431], [400])
    assert told.unread_bytes > 1_000_000


def test_small_chunks_are_a_body_like_any_other() -> None:
    told = said(CHUNKED + b"1\r\na\r\n" * 60_000 + b"0\r\n\r\n" + ONE % 2)
    assert [len(one.body) for one in told.seen] == [60_000, 0]


@pytest.mark.parametrize("field", [b"a:b", b"a:", b"a: " + b"b" * 50])
def test_the_number_of_fields_is_bounded(field: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: shop\r\n"
    assert said(head + b"%b\r\n" % field * 127 + b"\r\n").statuses == [200]
    for count in (128, 5_000):
        told = said(*segments(head + b"%b\r\n" % field * count + b"\r\n", 4_000))
        assert (told.statuses, told.is_closed, told.seen) == ([431], True, [])


UPGRADE = b"Host: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize("size", [10, 1_000])
def test_a_request_that_wants_to_upgrade_is_the_last_one(size: int) -> None:
    raw = ONE % 1 + b"GET /2 HTTP/1.1\r\n" + UPGRADE + b"\r\n" + ONE % 3 + ONE % 4
    told = said(*segments(raw, size))
    assert [one.target for one in told.seen] == [b"/1", b"/2"]
    assert told.statuses == [200, 200]
    assert told.is_closed
    assert told.written.count(b"connection: close") == 1
    assert told.written.endswith(b"connection: close\r\n\r\n")


@pytest.mark.parametrize("size", [10, 1_000])
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n",
    ],
)
def test_the_body_of_a_request_that_wants_to_upgrade_is_read(rest: bytes, size: int) -> None:
    raw = b"POST /1 HTTP/1.1\r\n" + UPGRADE + rest + ONE % 2
    told = said(*segments(raw, size))
    assert [(one.target, one.body) for one in told.seen] == [(b"/1", b"hello")]
    assert told.is_closed


def test_nothing_is_read_after_a_request_that_closes() -> None:
    for head in (
        b"HTTP/1.1\r\nHost: a\r\nConnection: close",
        b"HTTP/1.0\r\nConnection: keep-alive",
    ):
        told = said(b"GET /1 " + head + b"\r\n\r\n" + ONE % 2)
        assert [one.target for one in told.seen] == [b"/1"]
        assert told.is_closed


GOOD_HOSTS = [
    b"shop",
    b"shop:80",
    b"",
    b"[::1]",
    b"[::1]:8000",
    b"127.0.0.1:1",
    b"a_b.c-d.",
    b"x%41:",
]
BAD_HOSTS = [b"a b", b"a, b", b"a/b", b"a@b", b"http://a", b"a:b", b"a:80:80", b"\xe9", b"[::1", b"%4",
             b"a\tb", b"a?", b"a#", b"::1"]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_a_host_is_taken(host: bytes) -> None:
    assert said(b"GET / HTTP/1.1\r\nHost: %b \r\n\r\n" % host).statuses == [200]


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_what_is_no_host_is_400(host: bytes) -> None:
    told = said(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
    assert (told.statuses, told.is_closed) == ([400], True)


def test_a_request_has_one_host() -> None:
    assert said(b"GET / HTTP/1.1\r\n\r\n").statuses == [400]
    assert said(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").statuses == [400]
    assert said(b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").statuses == [400]
    assert said(b"GET / HTTP/1.0\r\n\r\n").statuses == [200]


@pytest.mark.parametrize(
    "field",
    [b"gzip, chunked", b"identity", b"chunked, gzip", b"chunked, chunked", b"", b"xchunked"],
)
def test_other_transfer_codings_are_refused(field: bytes) -> None:
    head = CHUNKED.replace(b"chunked", field)
    told = said(head + b"0\r\n\r\n")
    assert (told.statuses, told.seen, told.is_closed) == ([400], [], True)


def test_chunks_are_unknown_to_http_1_0() -> None:
    told = said(CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n")
    assert (told.statuses, told.is_closed) == ([400], True)


def test_who_speaks_http_1_0_is_not_told_to_continue() -> None:
    raw = b"POST / HTTP/1.%d\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab"
    assert said(raw % 0).statuses == [200]
    assert said(raw % 1).statuses == [100, 200]


def test_blanks_around_a_value_are_not_part_of_it() -> None:
    (one,) = said(b"GET / HTTP/1.1\r\nHost: \t a\t \r\nA: b \t\r\n\r\n").seen
    assert dict(one.headers) == {b"host": b"a", b"a": b"b"}


def test_what_follows_an_error_is_not_read() -> None:
    told = said(ONE % 1 + b"GET /2 HTTP/1.1\r\nHost: a b\r\n\r\n" + ONE % 3)
    assert [one.target for one in told.seen] == [b"/1"]
    assert told.is_closed
    assert told.statuses == [200]


def test_the_order_is_kept_where_some_wait_for_their_bodies() -> None:
    parts = []
    for at in range(40):
        parts.append(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\r\n\r" % at)
        parts.append(ONE % (1_000 + at))
    told = said(b"".join(parts))
    assert len(told.seen) == 80
    posts = [one for one in told.seen if one.method == "POST"]
    assert all(one.body == b"\r\n\r" for one in posts)
    assert all(int(a.target[1:]) < int(b.target[1:]) for a, b in pairwise(posts))


def test_what_a_request_took_is_let_go_with_its_answer() -> None:
    # Garbage in cycles waits for the collector, and a hundred large heads are megabytes.
    router = Router([], dependencies())

    async def left() -> int:
        await talk([ONE % 1], router=router)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            told = await talk([ONE % 1 * 50], router=router)
            assert told.statuses == [404] * 50
            gc.collect()
            return sum(type(one).__name__ == "Exchange" for one in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    assert asyncio.run(left()) <= 1, "the last one is the connection's own"
