"""The sweeper role: closes lapsed holds in bounded batches and writes their events.

No request waits for it, because the seats of a lapsed hold are free at once. Any number of sweepers can
run; each skips what another is closing. A schedule that fails does not delay the others.
"""

import asyncio
import contextlib
import random
from uuid import UUID

from prometheus_client import Gauge

from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.observability.rounds import rounds
from boxoffice.observability.tracing import spans
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations import metrics
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings

ROLE = "sweep"

# Not among the metrics of the module: a process that sells must not export 0.
SWEEP_LAG_SECONDS = Gauge(
    "boxoffice_sweep_lag_seconds",
    "Time since the end of the oldest lapsed hold that is not closed, at the last round; 0: none.",
)

_WAIT_AFTER_FAILURE_MAX_S = 5.0


async def sweep_once(store: ReservationStore, batch_max: int) -> int:
    """Close at most `batch_max` lapsed holds per schedule and return how many were closed.

    Raises `Unavailable` where the database is; an error of one schedule is logged.
    """
    closed = 0
    lapsed = await store.lapsed_schedules()
    SWEEP_LAG_SECONDS.set(lapsed[0].lag_s if lapsed else 0.0)
    for schedule in lapsed:
        closed += await _close(store, schedule.schedule_id, batch_max)
    if closed:
        log.info("holds_expired", count=closed)
    return closed


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Sweep until `stop` is set; the pause grows with each failure in a row.

    Raises the error of the first connection to PostgreSQL; later outages only delay it.
    """
    db = Database(settings)
    await db.open()
    rounds.done(ROLE)
    try:
        await _turns(ReservationStore(db), settings, stop)
    finally:
        await db.close()


async def _turns(store: ReservationStore, settings: Settings, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        try:
            closed = await sweep_once(store, settings.holds.sweep_batch_max)
        except Exception as error:  # one failed turn must not end the role
            failures += 1
            _log_failure(error, failures)
            await _wait(stop, _wait_after_failure_s(settings, failures))
            continue
        failures = 0
        rounds.done(ROLE)
        if closed < settings.holds.sweep_batch_max:
            await _wait(stop, settings.holds.sweep_interval_ms / 1000)


async def _close(store: ReservationStore, schedule_id: UUID, batch_max: int) -> int:
    """Close at most `batch_max` lapsed holds of one schedule; failures are retried in the next turn."""
    closed = 0
    try:
        # Most of the due ones may have been paid, so a call may close fewer than it read.
        more = True
        while more and closed < batch_max:
            with spans.span("sweep"):
                swept = await store.expire(schedule_id, batch_max - closed)
            closed += swept.closed
            more = swept.more
    except Unavailable:
        raise
    except Exception as error:  # the other schedules must not wait for this one
        log.error("sweep_of_schedule_failed", schedule_id=str(schedule_id), exc_info=error)
    metrics.HOLDS_EXPIRED.inc(closed)
    return closed


def _log_failure(error: Exception, failures: int) -> None:
    if isinstance(error, Unavailable):
        log.warning("sweep_failed", failures=failures, reason=str(error))
    else:
        log.error("sweep_failed", failures=failures, exc_info=error)


def _wait_after_failure_s(settings: Settings, failures: int) -> float:
    wait_s: float = settings.holds.sweep_interval_ms / 1000 * 2 ** min(failures - 1, 10)
    return min(wait_s, _WAIT_AFTER_FAILURE_MAX_S) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    # Not `wait_for`: that of Python 3.11 swallows a cancellation that comes with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
