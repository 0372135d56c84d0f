"""Encoded seat maps are large and many, so one that nobody reads any more must not stay."""

import asyncio
import gc
import weakref

from boxoffice.platform.cache import Once
from boxoffice.seats.rendering import Packer, Pieces, RenderedMap
from boxoffice.seats.states import AVAILABLE

PIECES = Pieces(b'{"schedule_id":"one"', (b'{"seat_id":"A1","status":"',), "tag")


async def pieces() -> Pieces:
    """Return a hall of one seat."""
    return PIECES


async def test_a_version_that_nobody_reads_is_gone_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        rendered = RenderedMap(Once(pieces), Packer(), 7, bytes([AVAILABLE]))
        assert b'"seat_id":"A1"' in await rendered.body()
        assert rendered.took_s > 0
        gone = weakref.ref(rendered)
        del rendered
        await asyncio.sleep(0)
        assert gone() is None, "something in it leads back to it"
    finally:
        gc.enable()
