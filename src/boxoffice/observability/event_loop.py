"""How late the event loop runs what is due: the time that every request of the process waits."""

import asyncio
from collections.abc import Callable

from boxoffice.observability.metrics import SECONDS, Timings

_EVERY_S = 1.0

EVENT_LOOP_LAG_SECONDS = Timings(
    "boxoffice_event_loop_lag_seconds",
    "How much later than due the event loop ran a timer, once per second.",
    buckets=SECONDS,
)


async def watch_event_loop(ran: Callable[[], None], every_s: float = _EVERY_S) -> None:
    """Measure every `every_s` seconds, and call `ran` each time, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_at_s = loop.time() + every_s
        await asyncio.sleep(every_s)
        EVENT_LOOP_LAG_SECONDS.observe_all([max(0.0, loop.time() - due_at_s)])
        ran()
