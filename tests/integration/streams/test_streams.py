"""Event streams over real connections: order, limits, slow readers, signs of life, ends."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from boxoffice.errors import IntegrityError, LastEventIdInvalid
from boxoffice.http import fan_out, streams
from boxoffice.http.streams import event, last_event_id
from boxoffice.settings import Settings
from tests.support.waiting import until

from .stand import PLAIN, SPECIAL, Event, Reader, Stand, standing

QUICK = Settings.of(
    streams_max=40, streams_per_client_max=30, stream_buffer_max_bytes=50_000,
    stream_socket_buffer_bytes=8_192, stream_retry_ms=1_000, log_level="error",
)  # fmt: skip


async def holds(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""

    async def met() -> object:
        return condition()

    await until(met)


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with standing(QUICK) as one:
        yield one


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
async def test_every_reader_gets_every_message_in_order(stand: Stand, way: str) -> None:
    stand.latest = 7
    readers = [await stand.follow(more=way) for _ in range(5)]
    for n in range(8, 30):
        stand.send(n)
    for reader in readers:
        assert reader.status == 200
        assert reader.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reader.headers["cache-control"] == "no-store"
        assert reader.headers["connection"] == "close"
        assert reader.headers["x-request-id"]
        for n in range(7, 30):
            got = await reader.next()
            assert got is not None
            assert (got.name, got.event_id, got.data) == ("number", f"n{n}", {"n": n})
        assert 500 <= reader.retry_ms <= 1_500
    assert stand.access_log.in_flight.count == 0
    assert len(stand.channel) == 5
    for reader in readers:
        await reader.close()
    await holds(lambda: len(stand.streams) == 0)
    assert (stand.emptied, stand.closed) == (1, 5)


async def test_an_old_client() -> None:
    async with standing(QUICK) as stand:
        for version in ("1.0", "1.1"):
            reader = await stand.follow(version=version)
            stand.send(5)
            got = [await reader.next(), await reader.next()]
            assert [one.data["n"] for one in got if one] == [got[0] and got[0].data["n"], 5]
            await reader.close()


async def test_a_message_to_one_reader_reaches_no_other(stand: Stand) -> None:
    one, other = await stand.follow(), await stand.follow()
    stand.subscribers[0].send(event("own", b"1"))
    stand.send(2)
    assert [(await one.next()), (await one.next())][1] == Event("own", "", 1)
    assert (await other.next()) is not None
    got = await other.next()
    assert got is not None
    assert got.data == {"n": 2}


async def test_who_comes_while_a_message_is_written_gets_it_once(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_SLICE", 1), ("_REST_MIN_S", 0.05), ("_DELAY_S", 10)):
        monkeypatch.setattr(fan_out, name, value)
    early = [await stand.follow() for _ in range(3)]
    stand.send(1)
    # The message is under way; the newcomer's first event knows of it.
    late = await stand.follow()
    stand.send(2)
    for reader, wanted in ((early[0], [0, 1, 2]), (late, [1, 2])):
        got = [await reader.next() for _ in wanted]
        assert [one.data["n"] for one in got if one] == wanted


async def test_other_requests_are_served_while_a_message_is_written(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "_SLICE", 2)
    readers = [await stand.follow() for _ in range(9)]
    stand.send(1)
    turns = 0
    done = asyncio.create_task(stand.channel.sent())
    while not done.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 5
    for reader in readers:
        assert [one.data["n"] for one in (await reader.next(), await reader.next()) if one] == [
            0,
            1,
        ]


@pytest.mark.parametrize(
    "end",
    [
        lambda stand: stand.channel.end(),
        lambda stand: stand.streams.drain(),
        lambda stand: [one.end("lifetime") for one in list(stand.subscribers)],
    ],
    ids=["channel", "drain", "lifetime"],
)
async def test_what_was_sent_before_an_end_arrives(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, end: Callable[[Stand], object]
) -> None:
    monkeypatch.setattr(fan_out, "_SLICE", 1)
    readers = [await stand.follow() for _ in range(5)]
    stand.send(1)
    stand.send(2)
    await asyncio.sleep(0)
    end(stand)
    for reader in readers:
        got = [await reader.next() for _ in range(4)]
        assert [one and one.data["n"] for one in got] == [0, 1, 2, None]


class Refusing:
    """A transport that takes nothing."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.abort = transport.abort

    def write(self, _data: bytes) -> None:
        """Refuse it."""
        raise RuntimeError("as if the loop had refused it")


async def test_a_reader_that_takes_nothing_is_dropped_at_its_end(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "_SLICE", 1)
    readers = [await stand.follow() for _ in range(3)]
    last = stand.subscribers[2]
    monkeypatch.setattr(last, "_transport", Refusing(last._transport))
    stand.send(1)
    await asyncio.sleep(0)
    for one in list(stand.subscribers):
        one.end("lifetime")
    for reader, wanted in zip(readers, ([0, 1, None], [0, 1, None], [0, None]), strict=True):
        got = [await reader.next() for _ in wanted]
        assert [one and one.data["n"] for one in got] == wanted
    assert len(stand.streams) == 0


async def test_a_slow_reader_is_dropped_and_comes_back(stand: Stand) -> None:
    slow, quick = await stand.follow(), await stand.follow()
    big = event("number", msgspec.json.encode({"n": 1, "fill": "x" * 10_000}))
    # Who reads nothing has two kernel buffers and `stream_buffer_max_bytes`; a reader keeps all of it.
    sock: socket.socket = slow.writer.get_extra_info("socket")
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sent_bytes = 0
    while len(stand.channel) == 2:
        stand.channel.send(big)
        await stand.channel.sent()
        await quick.next()
        sent_bytes += len(big)
        assert sent_bytes < 20_000_000, "nobody was dropped"
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    while await slow.next():
        pass
    again = await stand.follow(last_event_id="n1")
    assert (await again.next()) is not None
    assert stand.asked[-1] == "n1"
    assert len(stand.channel) == 2


async def test_a_topic_that_outruns_its_writing_loses_its_readers(stand: Stand) -> None:
    reader = await stand.follow()
    for n in range(streams._WAITING_MAX + 2):
        stand.send(n)
    await holds(lambda: len(stand.streams) == 0)
    while await reader.next():
        pass


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
async def test_limits_of_a_client_and_of_the_process(way: str) -> None:
    few = QUICK.replace(streams_max=3, streams_per_client_max=2)
    async with standing(few) as stand:
        readers = [await stand.follow(more=way) for _ in range(2)]
        refused = await stand.follow(more=way)
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        assert (await refused.body())["code"] == "too_many_requests"
        # Behind a proxy that is trusted, the address is the one that it names.
        for at, status in ((1, 200), (2, 503)):
            other = await stand.follow(more=f"X-Forwarded-For: 192.0.2.{at}\r\n{way}")
            assert other.status == status
            readers.append(other)
        assert (await readers[-1].body())["code"] == "overloaded"
        assert len(stand.streams) == 3
        # A reader that leaves frees a place.
        await readers[0].close()
        await holds(lambda: len(stand.streams) == 2)
        assert (await stand.follow(more=way)).status == 200


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
async def test_a_client_of_ipv6_is_its_64(way: str) -> None:
    async with standing(QUICK.replace(streams_per_client_max=2)) as stand:
        for address, status in (
            ("2001:db8:0:1::1", 200),
            ("2001:db8:0:1::2", 200),
            ("2001:db8:0:1:ffff::3", 429),
            ("2001:db8:0:2::1", 200),
        ):
            reader = await stand.follow(more=f"X-Forwarded-For: {address}\r\n{way}")
            assert reader.status == status


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
async def test_the_limit_of_an_address_is_that_of_its_64(way: str) -> None:
    few = QUICK.replace(streams_max=30, streams_per_address_max=2)
    async with standing(few) as stand:

        async def follow(address: str) -> Reader:
            return await stand.follow(more=f"X-Forwarded-For: {address}\r\n{way}")

        first = await follow("2001:db8:0:1::1")
        assert (await follow("2001:db8:0:1:ffff::2")).status == 200
        refused = await follow("2001:db8:0:1::3")
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        assert "One address" in (await refused.body())["detail"]
        for other in ("2001:db8:0:2::1", "192.0.2.1", "::ffff:192.0.2.1"):
            assert (await follow(other)).status == 200
        assert (await follow("192.0.2.1")).status == 429, "an address is one however it is spelt"
        # A reader that leaves frees a place, and nothing is stored of addresses without streams.
        await first.close()
        await holds(lambda: len(stand.streams) == 4)
        assert (await follow("2001:db8:0:1::4")).status == 200
        for reader in stand.readers:
            await reader.close()
        await holds(lambda: len(stand.streams._by_address) == 0)


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
async def test_a_malformed_id_is_refused_and_changes_nothing(stand: Stand, way: str) -> None:
    for wrong in ("a b", "ü", "x" * 129):
        refused = await stand.follow(last_event_id=wrong, more=way)
        assert refused.status == 400
        assert (await refused.body())["code"] == "last_event_id_invalid"
        with pytest.raises(LastEventIdInvalid):
            last_event_id(wrong)
    assert stand.asked == []
    assert len(stand.streams) == 0
    assert (last_event_id(None), last_event_id("")) == ("", "")


async def test_data_of_two_lines_is_a_bug(stand: Stand) -> None:
    with pytest.raises(IntegrityError):
        event("number", b"1\n2")
    stand.latest = 3
    assert event("a", b"{}", "7") == b"event: a\nid: 7\ndata: {}\n\n"


async def test_silence_is_filled_and_a_life_ends() -> None:
    brief = QUICK.replace(stream_heartbeat_ms=50, stream_lifetime_ms=600)
    async with standing(brief) as stand:
        began = time.monotonic()
        reader = await stand.follow()
        while await reader.next():
            pass
        assert time.monotonic() - began > 0.4
        assert reader.comments >= 3
        assert len(stand.streams) == 0


async def test_a_drain_ends_all_streams_and_takes_no_new_ones() -> None:
    patient = QUICK.replace(stream_buffer_max_bytes=10_000_000, drain_timeout_ms=60_000)
    async with standing(patient) as stand:
        stuck = await stand.follow()
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        unsent = stand.subscribers[0]._transport.get_write_buffer_size
        while not unsent():
            stand.channel.send(event("number", b"1" * 100_000))
            await stand.channel.sent()
        readers = [await stand.follow(more=way) for way in (PLAIN, SPECIAL) for _ in range(3)]
        _, idle = await asyncio.open_connection("127.0.0.1", stand.port)
        began = time.monotonic()
        stand.stop()
        for reader in readers:
            while await reader.next():
                pass
        idle.close()
        await holds(lambda: not stand.server.context.connections)
        assert time.monotonic() - began < 30, "the graceful time was waited for"
        with pytest.raises(ConnectionRefusedError):
            await stand.follow()


async def test_a_kept_alive_connection_is_refused_a_stream_while_draining(stand: Stand) -> None:
    stand.streams.drain()
    refused = await stand.follow()
    assert refused.status == 503
    assert (await refused.body())["code"] == "draining"


async def test_what_is_asked_after_a_stream_ends_with_it(stand: Stand) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
    ask = b"GET /numbers HTTP/1.1\r\nHost: shop\r\n\r\n"
    writer.write(ask + ask)
    one = Reader(reader, writer)
    await one.read_head()
    assert one.status == 200
    assert (await one.next()) is not None
    stand.send(1)
    got = await one.next()
    assert got is not None
    assert got.data == {"n": 1}
    assert len(stand.streams) == 1
    await one.close()
