"""One connection against a server that reads everything, and one that ends it."""

import asyncio
from itertools import islice

import pytest

from faults.interference.one_connection import KINDS, SendPattern, play


def test_every_kind_has_a_name_of_its_own_and_sends_without_an_end() -> None:
    assert len({one.name for one in KINDS}) == len(KINDS) >= 20
    for kind in KINDS:
        pieces = list(islice(kind.send(b"/map"), 50))
        assert len(pieces) == 50
        assert sum(map(len, pieces)) > 100_000


@pytest.mark.parametrize("reads", [True, False])
async def test_it_sends_until_it_is_ended(reads: bool) -> None:
    taken = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        while taken < 1_000_000 and (data := await reader.read(65_536)):
            taken += len(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        pattern = SendPattern("any", KINDS[0].send, reads)
        sent = await play(pattern, port, "/map", 10.0)
    assert sent.was_ended
    assert sent.sent_bytes >= 1_000_000


async def test_it_ends_where_nothing_is_taken_any_more() -> None:
    accepted: list[asyncio.StreamWriter] = []

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        accepted.append(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sent = await play(KINDS[1], port, "/map", 0.5)
        # From Python 3.12 on the end of the server waits for its connections.
        for writer in accepted:
            writer.transport.abort()
    assert len(accepted) == 1
    assert not sent.was_ended
