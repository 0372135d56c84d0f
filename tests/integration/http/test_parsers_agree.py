"""Our reading of requests against that of h11, an independent and strict parser.

Where two programs on the way read one connection differently, a request hides in another one's body
(request smuggling). So whatever we take for a request, h11 takes for the same one: its method, target,
body, and where the next one begins. We may refuse more; where we refuse less, it has a name here.
"""

import asyncio
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import h11
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxoffice.http.api.operation import Call, Reply, operation
from boxoffice.http.server import parsing
from tests.support.connection import Seen, Talk, dependencies, talk

EXAMPLES = 1_000


@dataclass
class Reading:
    """The requests that a parser took, and why it went no further."""

    seen: list[Seen] = field(default_factory=list)
    refusal: str = ""


def by_h11(raw: bytes) -> Reading:
    """Read a connection that ends after `raw`, each request answered at once."""
    reading, connection = Reading(), h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(raw)
    while True:
        try:
            seen = _one(connection)
        except h11.RemoteProtocolError as error:
            reading.refusal = str(error)
            return reading
        if seen is None:
            return reading
        reading.seen.append(seen)
        # A server that answers a CONNECT with 200 has become a tunnel.
        connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return reading  # Closed, or handed to another protocol.
        connection.start_next_cycle()


def _one(connection: h11.Connection) -> Seen | None:
    head, parts = None, []
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            if head is None:
                raise AssertionError("a body without a head")
            return Seen(head.method.decode(), bytes(head.target), b"".join(parts))
        else:
            return None


# Where we are more lenient: what has to be in what was read, and why it is harmless.
TOLERATED: dict[str, tuple[re.Pattern[bytes], str]] = {
    "blank lines before a request": (
        re.compile(rb"\A\r?\n|\r\n\r\n\r\n"),
        (
            "RFC 9112, section 2.2, has a server ignore at least one; the parser ignores all of them, "
            "and nothing that they could belong to is left."
        ),
    ),
    "blanks in a request line": (
        re.compile(rb"[A-Z] {2,}[^ \r\n]"),
        (
            "More than one before the target: section 3 allows to split a request line at any blanks, "
            "and no blank can be part of a target."
        ),
    ),
    "another protocol in a request line": (
        re.compile(rb" (?:RTSP|ICE)/1\.0\r\n"),
        (
            "The parser knows them, and reads the rest like HTTP/1.0, whose connections end after one "
            "request."
        ),
    ),
}

METHODS = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"get",
    b"QUERY",
    b"FOO",
]
TARGETS = [
    b"/",
    b"/a/b?c=d",
    b"/things",
    b"*",
    b"http://shop/a?b",
    b"//a",
    b"/a%2Fb",
    b"/a#b",
    b"a:80",
    b"",
]
VERSIONS = [b"HTTP/1.1"] * 8 + [
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"http/1.1",
    b"RTSP/1.0",
    b"",
]
FIELDS = [
    b"Host: shop", b"Host: a b", b"Host:", b"Connection: close", b"Connection: keep-alive",
    b"Connection: upgrade", b"Upgrade: h2c", b"Expect: 100-continue", b"X: y", b"X:\ty ", b": y",
    b"X : y", b" X: y", b"X: a\x00b", b"X: a\rb", b"X: a\nb", b"X", b"X: \xff", b"Content-Length: 0",
    b"Content-Length: 3", b"Content-Length: +3", b"Content-Length: 3, 3", b"Content-Length : 3",
    b"Content-Length: 3_0", b"Content-Length:\x0b3", b"content-length: 03", b"Content-Length: 0x3",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunKED", b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding: x",
    b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: identity", b"Transfer_Encoding: chunked",
    b"Transfer-Encoding: \"chunked\"", b"Transfer-Encoding: chunked;q=1", b"\x00: y",
]  # fmt: skip
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b";", b",", b"0", b"3", b"\x00", b"\xff",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Host: a\r\n", b"HTTP/1.1", b"-", b"+", b"0x",
    b"ffffffffffffffff",
]  # fmt: skip


def chunks() -> st.SearchStrategy[bytes]:
    """A body in chunks, as it should be or nearly so."""
    content = st.binary(min_size=1, max_size=4)
    extension = st.sampled_from(
        [b"", b"", b"", b";a", b";a=b", b'; a="b;c"', b" ", b";\n", b"\t;x"]
    )
    end = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b"", b"\r\r\n"])
    length = st.sampled_from([b"%x", b"%X", b"0%x", b"0x%x", b"+%x", b"%x_0", b"-%x"])

    @st.composite
    def one(draw: Any) -> bytes:
        part: bytes = draw(content)
        spelt: bytes = draw(st.one_of(st.just(b"%x"), length))
        after_length: bytes = draw(end)
        after: bytes = draw(end)
        size: bytes = spelt % len(part)
        extended: bytes = draw(extension)
        return size + extended + after_length + part + after

    trailer = st.sampled_from(
        [b""] * 4 + [b"A: b\r\n", b"Content-Length: 3\r\n", b"A\r\n", b"Host: b\r\n"]
    )
    last = st.sampled_from([b"0", b"0", b"0", b"00", b"0;a=b", b""])
    return st.builds(
        lambda parts, end_of, trailers: b"".join(parts) + end_of + b"\r\n" + trailers + b"\r\n",
        st.lists(one(), max_size=3),
        last,
        trailer,
    )


@st.composite
def requests(draw: Any) -> bytes:
    """A request, with something odd about it now and then."""
    line = [
        draw(st.sampled_from(choice)) for choice in (METHODS[:2] * 4 + METHODS, TARGETS, VERSIONS)
    ]
    blank = draw(st.sampled_from([b" "] * 12 + [b"  ", b"\t", b""]))
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=3))
    if draw(st.integers(0, 9)):
        fields.insert(0, b"Host: shop")
    kind = draw(st.sampled_from(["none", "length", "chunks", "any"]))
    body = b""
    if kind == "length":
        body = draw(st.binary(max_size=5))
        fields.append(b"Content-Length: %d" % len(body))
    elif kind == "chunks":
        body = draw(chunks())
        fields.append(b"Transfer-Encoding: chunked")
    elif kind == "any":
        body = draw(st.one_of(chunks(), st.binary(max_size=5)))
    end = draw(st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\n "]))
    return bytes(end.join([blank.join(line), *fields]) + b"\r\n\r\n" + body)


@st.composite
def connections(draw: Any) -> bytes:
    """What a client may send: a few requests, mutated."""
    raw = bytearray(b"".join(draw(st.lists(requests(), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        cut = draw(st.integers(0, 3))
        raw[at : at + cut] = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=2)))
    return bytes(raw)


def in_pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    """Cut where it says."""
    at = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[begin:end] for begin, end in pairwise(at)]


def told(target: bytes) -> bytes:
    """What an application is told of a target: nothing of an authority."""
    return re.sub(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*(?=[/?])", b"", target)


def compare(raw: bytes, ours: Talk, theirs: Reading) -> str:
    """Raise where we take for a request what h11 does not, or for another one; name a tolerance."""
    for at, one in enumerate(ours.seen):
        if at >= len(theirs.seen):
            names = [name for name, (pattern, _) in TOLERATED.items() if pattern.search(raw)]
            assert names, (raw, one, theirs.refusal)
            return names[0]
        other = theirs.seen[at]
        assert (one.method, one.body) == (other.method, other.body), raw
        assert one.target == told(other.target), raw
    return ""


BOUNDED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@BOUNDED
@given(connections())
def test_what_we_take_for_a_request_h11_does_too(raw: bytes) -> None:
    ours = asyncio.run(talk([raw]))
    compare(raw, ours, by_h11(raw))
    # In every case each request has at most one answer.
    assert len([status for status in ours.statuses if status != 100]) <= len(ours.seen) + 1


@BOUNDED
@given(connections(), st.lists(st.integers(0, 400), max_size=6))
def test_it_does_not_matter_how_it_comes(raw: bytes, cuts: list[int]) -> None:
    whole, cut = asyncio.run(talk([raw])), asyncio.run(talk(in_pieces(raw, cuts)))
    assert cut.seen == whole.seen
    assert cut.is_closed == whole.is_closed


EXAMPLES_OF_TOLERATED = {
    "blank lines before a request": b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "blanks in a request line": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "another protocol in a request line": b"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", TOLERATED)
def test_what_is_tolerated_is_still_a_difference(name: str) -> None:
    raw = EXAMPLES_OF_TOLERATED[name]
    ours, theirs = asyncio.run(talk([raw])), by_h11(raw)
    assert (len(ours.seen), len(theirs.seen)) == (1, 0), "it can go from the list"
    assert compare(raw, ours, theirs) == name


def test_a_parser_that_is_too_lenient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # The control: without our own look at the head, some of it is read differently.
    monkeypatch.setattr(parsing, "check_head", lambda *_: None)
    for line in (b"Transfer-Encoding: gzip, chunked", b"Host: b"):
        raw = b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n0\r\n\r\n" % line
        ours = asyncio.run(talk([raw]))
        assert ours.seen
        with pytest.raises(AssertionError):
            compare(raw, ours, by_h11(raw))


POST = b"POST /a HTTP/1.1\r\nHost: a\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
# Each is read as one request by some and as two by others.
SMUGGLED = {
    "both": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, turned": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 33\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 33\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a length with a low line": b"Content-Length: 3_3\r\n\r\n",
    "a blank before the colon": b"Content-Length : 33\r\n\r\n",
    "another coding": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a coding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a bare LF": b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare CR": b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a NUL": b"X: y\x00\r\nContent-Length: 0\r\n\r\n",
    "a chunk of another base": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a signed chunk": b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "a chunk that overflows": b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n",
    "a chunk that ends in LF": b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    "an extension with LF": b"Transfer-Encoding: chunked\r\n\r\n1;\na\r\n0\r\n\r\n",
    "a chunk without an end": b"Transfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
    "a length in the trailers": b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 33\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_is_hidden_in_a_body(name: str) -> None:
    ours = asyncio.run(talk([POST + SMUGGLED[name] + HIDDEN]))
    assert ours.is_closed, "whoever sends that is not read any further"
    assert b"/hidden" not in {one.target for one in ours.seen}
    assert ours.statuses == [400]


class _Things:
    """What is answered by routes here; the rest is recorded."""

    dependencies = dependencies(body_max_bytes=100)

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    @operation("Look")
    async def on_get(self, _call: Call[Any, Any]) -> Reply:
        self.bodies.append(b"")
        return Reply(encoded=b"")

    @operation("Make", body=msgspec.Raw)
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        self.bodies.append(bytes(call.body))
        return Reply(encoded=b"")


@st.composite
def plain(draw: Any) -> bytes:
    """A request as it should be."""
    digits = draw(st.integers(1, 10**9))
    kind = draw(st.sampled_from(["look", "make", "make in chunks", "elsewhere"]))
    head = b"Host: a\r\nContent-Type: application/json\r\n"
    body = b"%d" % digits
    if kind == "look":
        return b"GET /things HTTP/1.1\r\n" + head + b"\r\n"
    if kind == "elsewhere":
        return b"PUT /other HTTP/1.1\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if kind == "make":
        return (
            b"POST /things HTTP/1.1\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return b"POST /things HTTP/1.1\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk


@BOUNDED
@given(st.lists(plain(), min_size=1, max_size=6), st.lists(st.integers(0, 900), max_size=6))
def test_bodies_of_routes_are_read_the_same(sent: list[bytes], cuts: list[int]) -> None:
    things = _Things()
    raw = b"".join(sent)
    ours = asyncio.run(talk(in_pieces(raw, cuts), routes=[("/things", things)]))
    theirs = by_h11(raw)
    assert len(ours.statuses) == len(theirs.seen) == len(sent)
    assert set(ours.statuses) == {200}
    # What routes get and what is recorded is what h11 read, each in its order.
    theirs_things = [one.body for one in theirs.seen if one.target == b"/things"]
    assert things.bodies == theirs_things
    assert [one.body for one in ours.seen] == [
        one.body for one in theirs.seen if one.target != b"/things"
    ]
