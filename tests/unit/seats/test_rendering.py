"""Encoded seat maps are large and many, so one without readers must be freed."""

import asyncio
import gc
import weakref

from boxoffice.platform.concurrency.single_flight import SingleFlight
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.rendering.seat_map import GzipPartCache, MapTemplate, RenderedMap

PIECES = MapTemplate(b'{"schedule_id":"one"', (b'{"seat_id":"A1","status":"',), "tag")


async def pieces() -> MapTemplate:
    """Return a hall of one seat."""
    return PIECES


async def test_a_version_without_readers_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        rendered = RenderedMap(SingleFlight(pieces), GzipPartCache(), 7, bytes([AVAILABLE]))
        assert b'"seat_id":"A1"' in await rendered.body()
        assert rendered.took_s > 0
        gone = weakref.ref(rendered)
        del rendered
        await asyncio.sleep(0)
        assert gone() is None, "something in it leads back to it"
    finally:
        gc.enable()
