"""Measures at an interval how far a role is behind; the roles say of what."""

import asyncio
from collections.abc import Awaitable, Callable

from boxoffice.errors import Overloaded, Unavailable
from boxoffice.observability.logs import log


async def keep_measuring(measure: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Call `measure` periodically; while the database is unavailable, the last result stands."""
    while True:
        try:
            await measure()
        except (Unavailable, Overloaded) as error:
            log.debug("lag_unknown", error=str(error))
        await asyncio.sleep(every_s)
