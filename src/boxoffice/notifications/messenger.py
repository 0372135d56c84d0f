"""The messenger role: sends queued webhooks and mails while it holds the lease.

Any number can run; the lease lets one work. What a crashed one had claimed is due at once for the next.
"""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg

from boxoffice.errors import Unavailable
from boxoffice.notifications import metrics
from boxoffice.notifications.mail.rules import Shop
from boxoffice.notifications.mail.sender import MailSender
from boxoffice.notifications.mail.store import MailQueue
from boxoffice.notifications.mail.transports import MailboxTransport, MailTransport, SmtpTransport
from boxoffice.notifications.webhooks.client import WebhookClient
from boxoffice.notifications.webhooks.sender import WebhookSender
from boxoffice.notifications.webhooks.store import DeliveryQueue
from boxoffice.observability.logs import log
from boxoffice.observability.rounds import rounds
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.reports.composition import compose_report_mailer
from boxoffice.settings import NotificationSettings, Settings

ROLE = "messenger"

_WAIT_AFTER_FAILURE_MAX_S = 5.0
# A standby tries to acquire the lease this often per lease time.
_ATTEMPTS_PER_LEASE = 10
_HOUSEKEEPING_EVERY_S = 10.0
_FORGET_AT_ONCE_MAX = 1_000
_MAIL_FINISH_MAX_S = 10.0
_DEMO_SENDER = "Boxoffice <tickets@boxoffice.test>"

# Temporary failures, logged in one line without a traceback.
_OUTAGES = (
    Unavailable,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Send until `stop` is set; then finish what is under way and release the lease.

    Raises connection errors of PostgreSQL at the start; continues after later outages.
    """
    database = Database(settings)
    await database.open()
    rounds.done(ROLE)
    messenger = Messenger(settings, database)
    try:
        await messenger.run(stop)
    finally:
        await database.close()


class Messenger:
    """The lease, the senders, and their housekeeping."""

    def __init__(self, settings: Settings, database: Database) -> None:
        limits = settings.notifications
        self._limits = limits
        self._lease = Lease(LeaseStore(database, ROLE, new_id()), limits.messenger_lease_ms)
        self._deliveries = DeliveryQueue(database)
        self._client = WebhookClient(limits)
        self._webhooks = WebhookSender(self._deliveries, self._client, limits)
        self._mail_queue = MailQueue(database)
        self._mails = MailSender(self._mail_queue, _shop(settings), limits, mail_transport(limits))
        self._reports = compose_report_mailer(settings, database)
        self._reports_interval_s = settings.reports.report_mails_interval_ms / 1000
        self._reports_due_at_s = 0.0
        self._queueing: asyncio.Task[int] | None = None
        self._led_under: int | None = None
        self._kept_house_at_s = time.monotonic() - _HOUSEKEEPING_EVERY_S * random.random()  # noqa: S311 - jitter

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set."""
        await self._client.open()
        writing = asyncio.create_task(self._webhooks.write_results())
        try:
            await self._run_rounds(stop)
        finally:
            await cancel_and_wait([writing, *([self._queueing] if self._queueing else [])])
            await self._finish()
            await self._client.close()

    async def _run_rounds(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                wait_s = await self._round()
            except Exception as error:  # the role survives any failed round
                failures += 1
                _log_failure(error, failures)
                wait_s = _wait_after_failure_s(failures)
            else:
                failures = 0
                rounds.done(ROLE)
            await _wait(stop, self._webhooks.wants_more, wait_s)

    async def _round(self) -> float:
        """Claim what is due, if this process leads; return how long to wait for more, in seconds."""
        token = await self._lease.keep()
        if token != self._led_under:
            await self._change_hands(token)
        if token is None:
            return self._limits.messenger_lease_ms / 1000 / _ATTEMPTS_PER_LEASE
        await self._webhooks.fill(token)
        await self._mails.fill(token)
        self._queue_reports()
        await self._keep_house()
        return self._limits.messenger_interval_ms / 1000

    def _queue_reports(self) -> None:
        """Queue reports by mail beside the round: reading their figures may outlast the lease.

        Each period is queued once, also where another process holds the lease meanwhile.
        """
        if self._queueing is not None and self._queueing.done():
            error = None if self._queueing.cancelled() else self._queueing.exception()
            self._queueing = None
            if isinstance(error, Exception):
                _log_failure(error, 1)
        if self._queueing is None and time.monotonic() >= self._reports_due_at_s:
            self._reports_due_at_s = time.monotonic() + self._reports_interval_s
            self._queueing = asyncio.create_task(self._reports.queue_due())

    async def _change_hands(self, token: int | None) -> None:
        if token is None:
            self._webhooks.drop()
            self._mails.drop()
            metrics.forget_backlog()
        else:
            await self._webhooks.take_over(token)
            await self._mails.take_over(token)
        self._led_under = token
        log.info("messenger_leads" if token is not None else "messenger_waits_for_lease")

    async def _keep_house(self) -> None:
        """Delete old records and count what waits, from time to time."""
        if time.monotonic() - self._kept_house_at_s < _HOUSEKEEPING_EVERY_S:
            return
        self._kept_house_at_s = time.monotonic()
        await self._deliveries.forget(self._limits.webhook_history_s, _FORGET_AT_ONCE_MAX)
        waiting, overdue_s = await self._deliveries.backlog()
        metrics.WEBHOOKS_WAITING.set(waiting)
        metrics.WEBHOOKS_OVERDUE_SECONDS.set(overdue_s)
        await self._mail_queue.forget(self._limits.mail_history_s, _FORGET_AT_ONCE_MAX)
        mails, mails_overdue_s = await self._mail_queue.backlog()
        metrics.MAILS_WAITING.set(mails)
        metrics.MAILS_OVERDUE_SECONDS.set(mails_overdue_s)

    async def _finish(self) -> None:
        try:
            await asyncio.gather(
                self._webhooks.finish(self._limits.webhook_timeout_ms / 1000),
                self._mails.finish(min(self._limits.smtp_timeout_ms / 1000, _MAIL_FINISH_MAX_S)),
            )
            await self._lease.release()
        except _OUTAGES as error:
            log.warning("messenger_not_finished", error=repr(error))


def _shop(settings: Settings) -> Shop:
    return Shop(
        settings.notifications.mail_from or _DEMO_SENDER,
        settings.notifications.public_url.rstrip("/"),
        ZoneInfo(settings.payments.venue_time_zone),
    )


def mail_transport(limits: NotificationSettings) -> Callable[[], MailTransport] | None:
    """Return what opens a connection for mail: SMTP before the mailbox; None without either."""
    if limits.smtp_url:
        return lambda: SmtpTransport(limits)
    if limits.mailbox_dir:
        return lambda: MailboxTransport(Path(limits.mailbox_dir), limits.mailbox_mails_max)
    return None


def _log_failure(error: Exception, failures: int) -> None:
    if isinstance(error, _OUTAGES):
        log.warning("messenger_round_failed", failures=failures, error=repr(error))
    else:
        log.error("messenger_round_failed", failures=failures, exc_info=error)


def _wait_after_failure_s(failures: int) -> float:
    wait_s: float = 0.2 * 2 ** min(failures - 1, 10)
    return min(wait_s, _WAIT_AFTER_FAILURE_MAX_S) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


async def _wait(stop: asyncio.Event, wants_more: asyncio.Event, wait_s: float) -> None:
    """Wait for some time, or less where an endpoint has room or the role is to stop."""
    waits = [asyncio.create_task(one.wait()) for one in (stop, wants_more)]
    await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    await cancel_and_wait(waits)
