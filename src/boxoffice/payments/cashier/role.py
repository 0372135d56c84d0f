"""The cashier role: rounds until stopped, with exponential backoff after failures."""

import asyncio
import contextlib
import random

import asyncpg

from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.observability.rounds import rounds
from boxoffice.payments.cashier.service import ROLE, Cashier
from boxoffice.settings import Settings

_WAIT_AFTER_FAILURE_MAX_S = 5.0
# A standby tries to acquire the lease this often per lease time.
_ATTEMPTS_PER_LEASE = 10
_OUTAGES = (
    Unavailable,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


async def run_rounds(cashier: Cashier, settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set; then let the work in progress end and release the lease."""
    try:
        await _rounds(cashier, settings, stop)
    finally:
        try:
            await cashier.finish(settings.server.drain_timeout_ms / 1000)
        except _OUTAGES as error:
            log.warning("cashier_lease_not_released", error=repr(error))


async def _rounds(cashier: Cashier, settings: Settings, stop: asyncio.Event) -> None:
    rounds.done(ROLE)
    failures = 0
    led = False
    while not stop.is_set():
        try:
            started = await cashier.run_once()
        except Exception as error:  # the role survives any failed round
            failures += 1
            _log_failure(error, failures)
            await _wait(stop, _wait_after_failure_s(settings, failures))
            continue
        failures = 0
        rounds.done(ROLE)
        if cashier.leads is not led:
            led = cashier.leads
            log.info("cashier_leads" if led else "cashier_waits_for_lease")
        await _wait(stop, _wait_s(settings, leads=led, is_busy=started > 0))


def _wait_s(settings: Settings, *, leads: bool, is_busy: bool) -> float:
    if not leads:
        return settings.cashier.cashier_lease_ms / _ATTEMPTS_PER_LEASE / 1000
    interval_s: float = settings.cashier.cashier_interval_ms / 1000
    # What was started may have freed its place soon.
    return interval_s / 10 if is_busy else interval_s


def _wait_after_failure_s(settings: Settings, failures: int) -> float:
    wait_s: float = settings.cashier.cashier_interval_ms / 1000 * 2 ** min(failures - 1, 10)
    return min(wait_s, _WAIT_AFTER_FAILURE_MAX_S) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


def _log_failure(error: Exception, failures: int) -> None:
    if isinstance(error, _OUTAGES):
        log.warning("cashier_round_failed", failures=failures, error=repr(error))
    else:
        log.error("cashier_round_failed", failures=failures, exc_info=error)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    # Not `wait_for`: that of Python 3.11 swallows a cancellation that comes with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
