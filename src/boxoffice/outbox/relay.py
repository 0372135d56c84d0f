"""The relay role: rounds until stopped, with exponential backoff after failures."""

import asyncio
import random

import asyncpg

from boxoffice.errors import Unavailable
from boxoffice.observability.lag import keep_measuring
from boxoffice.observability.logs import log
from boxoffice.observability.rounds import rounds
from boxoffice.outbox import metrics
from boxoffice.outbox.service import ROLE, Relay
from boxoffice.outbox.store import OutboxStore
from boxoffice.outbox.stream import RelayFenced
from boxoffice.platform.concurrency.supervision import supervised
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.ranking.refresher import refresher_of
from boxoffice.settings import Settings

_WAIT_AFTER_FAILURE_MAX_S = 5.0
# A standby tries to acquire the lease this often per lease time.
_ATTEMPTS_PER_LEASE = 10

# Temporary failures, logged in one line without a traceback.
_OUTAGES = (
    Unavailable,
    ValkeyUnavailable,
    RelayFenced,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Relay events until `stop` is set; then finish the round and release the lease.

    Raises connection errors of PostgreSQL at the start; continues after later outages.
    """
    database = Database(settings)
    valkey = Valkey(settings.valkey)
    await database.open()
    rounds.done(ROLE)
    ranking = refresher_of(database, valkey, settings)
    relay = Relay(database, valkey, settings.outbox, on_sold=ranking.note)
    try:
        tasks = {
            "ranking": lambda: ranking.run(lambda: relay.leads),
            "lag": lambda: _measure_lag(OutboxStore(database), settings),
        }
        async with supervised(tasks):
            await _run_rounds(relay, settings, stop)
    finally:
        await _release(relay)
        await valkey.close()
        await database.close()


async def _measure_lag(outbox: OutboxStore, settings: Settings) -> None:
    """Measure the age of the oldest event beside the rounds, which fail while Valkey is away."""

    async def measure() -> None:
        metrics.OUTBOX_AGE_SECONDS.set(await outbox.oldest_age_s())

    await keep_measuring(measure, settings.observability.lag_check_interval_ms / 1000)


async def _run_rounds(relay: Relay, settings: Settings, stop: asyncio.Event) -> None:
    failures = 0
    led = False
    while not stop.is_set():
        try:
            delivered = await relay.relay_once()
        except Exception as error:  # the role survives any failed round
            failures += 1
            _log_failure(error, failures)
            await _wait(stop, _wait_after_failure_s(settings, failures))
            continue
        failures = 0
        rounds.done(ROLE)
        if relay.leads is not led:
            led = relay.leads
            log.info("relay_leads" if led else "relay_waits_for_lease")
        if not delivered:
            await _wait(stop, _wait_idle_s(settings, leads=led))


def _wait_idle_s(settings: Settings, *, leads: bool) -> float:
    wait_ms = (
        settings.outbox.relay_interval_ms
        if leads
        else settings.outbox.relay_lease_ms / _ATTEMPTS_PER_LEASE
    )
    return wait_ms / 1000


def _wait_after_failure_s(settings: Settings, failures: int) -> float:
    wait_s: float = settings.outbox.relay_interval_ms / 1000 * 2 ** min(failures - 1, 10)
    return min(wait_s, _WAIT_AFTER_FAILURE_MAX_S) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


def _log_failure(error: Exception, failures: int) -> None:
    if isinstance(error, _OUTAGES):
        log.warning("relay_round_failed", failures=failures, error=repr(error))
    else:
        log.error("relay_round_failed", failures=failures, exc_info=error)


async def _wait(stop: asyncio.Event, wait_s: float) -> None:
    try:
        async with asyncio.timeout(wait_s):
            await stop.wait()
    except TimeoutError:
        return


async def _release(relay: Relay) -> None:
    try:
        await relay.release()
    except _OUTAGES as error:
        log.warning("relay_lease_not_released", error=repr(error))
