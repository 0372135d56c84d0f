"""Sends claimed mails over a few connections: claim, send, write the result.

A crash between sending and writing repeats the mail under the same Message-ID: SMTP allows no more.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from email.message import EmailMessage

from boxoffice.accounts.credentials.link_tokens import new_link_token
from boxoffice.errors import IntegrityError
from boxoffice.notifications import metrics
from boxoffice.notifications.mail import accounts, rules, teams
from boxoffice.notifications.mail.branding import put_seller
from boxoffice.notifications.mail.changes import schedule_change, seat_offer
from boxoffice.notifications.mail.reports import report_mail
from boxoffice.notifications.mail.rules import Shop
from boxoffice.notifications.mail.store import ClaimedMail, MailQueue, MailResult, ReceiptFacts
from boxoffice.notifications.mail.transports import (
    MailDeferred,
    MailRefused,
    MailServerAway,
    MailTransport,
)
from boxoffice.notifications.rules import MAIL_DELAYS_S, delay_s
from boxoffice.observability.logs import log
from boxoffice.observability.tracing import spans
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.ids import ScopedId
from boxoffice.settings import NotificationSettings
from boxoffice.tickets import qr

_CLAIMED_PER_CONNECTION = 4
_PAUSE_FIRST_S = 1.0
_PAUSE_MAX_S = 60.0
_WRITE_AGAIN_AFTER_S = 0.5


class MailSender:
    """The sender of one process; without a transport mails stay queued."""

    def __init__(
        self,
        queue: MailQueue,
        shop: Shop,
        settings: NotificationSettings,
        transport: Callable[[], MailTransport] | None,
    ) -> None:
        self._queue = queue
        self._shop = shop
        self._settings = settings
        self._transport = transport
        self._waiting: deque[tuple[ClaimedMail, float]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._paused_until_s = 0.0

    @property
    def claim_s(self) -> float:
        """How long a claim lasts: for every mail that one connection has claimed."""
        return 60.0 + (_CLAIMED_PER_CONNECTION + 1) * self._settings.smtp_timeout_ms / 1000

    async def fill(self, token: int) -> int:
        """Claim what is due and start sending it; return how many. Driver errors pass through."""
        if self._transport is None or time.monotonic() < self._paused_until_s:
            return 0
        most = self._settings.smtp_connections_max * _CLAIMED_PER_CONNECTION
        room = most - len(self._waiting) - len(self._tasks)
        if room <= 0:
            return 0
        claimed = await self._queue.claim(
            token,
            self.claim_s,
            language=self._settings.mail_language,
            domain=self._shop.domain,
            count_max=room,
        )
        now_s = time.monotonic()
        self._waiting.extend((one, now_s) for one in claimed)
        while len(self._tasks) < min(self._settings.smtp_connections_max, len(self._waiting)):
            task = asyncio.create_task(self._work(self._transport()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(claimed)

    async def take_over(self, token: int) -> None:
        """Make due what an earlier holder of the lease had claimed."""
        await self._queue.requeue(token)

    def drop(self) -> None:
        """Forget what is claimed and not begun: the lease is another's."""
        self._waiting.clear()

    async def finish(self, within_s: float) -> None:
        """End the mails that are under way; the others are sent later."""
        self.drop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        await cancel_and_wait(self._tasks, within_s=1.0)

    async def _work(self, transport: MailTransport) -> None:
        """Send what waits over one connection."""
        try:
            await transport.open()
            while self._waiting:
                mail, since_s = self._waiting.popleft()
                if time.monotonic() - since_s < self.claim_s / 2:
                    await self._send(transport, mail)
            self._failures = 0
        except MailServerAway as error:
            await self._pause(str(error))
        except Exception as error:  # a bug must not stop the role
            log.error("mail_failed", exc_info=error)
            await self._pause("internal")
        finally:
            await transport.close()

    async def _pause(self, reason: str) -> None:
        """Spare a server that is away; what is claimed is due again after the pause."""
        self._failures += 1
        pause_s = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2 ** min(self._failures - 1, 10))
        self._paused_until_s = time.monotonic() + pause_s
        log.warning("mail_server_away", reason=reason, pause_s=pause_s)
        while self._waiting:
            mail, _ = self._waiting.popleft()
            await self._write(_untried(mail, pause_s, reason))

    async def _send(self, transport: MailTransport, mail: ClaimedMail) -> None:
        try:
            message = await self._composed(mail)
            if seller := await self._queue.seller(mail.scope_id, mail.language):
                put_seller(message, seller, self._shop)
            # An invitation goes to an address that need not be of an account.
            recipient = message["To"].addresses[0].addr_spec
            with spans.span("mail", {"boxoffice.mail.kind": mail.kind}, "client"):
                await transport.send(message, recipient)
        except MailServerAway as error:
            await self._write(_untried(mail, _PAUSE_FIRST_S, str(error)))
            raise
        except MailRefused as error:
            metrics.MAILS.labels(mail.kind, "refused").inc()
            log.warning("mail_refused", mail_id=str(mail.mail_id), reason=str(error))
            await self._write(MailResult(mail=mail, state="FAILED", error=str(error)))
        except MailDeferred as error:
            await self._write(_deferred(mail, str(error)))
        except Exception as error:  # a bug in one mail must not stop the others
            log.error("mail_failed", mail_id=str(mail.mail_id), exc_info=error)
            await self._write(_deferred(mail, "internal"))
        else:
            metrics.MAILS.labels(mail.kind, "sent").inc()
            await self._write(MailResult(mail=mail, state="SENT"))

    async def _composed(self, mail: ClaimedMail) -> EmailMessage:
        """Return the mail; a new kind is one more case."""
        match mail.kind:
            case "receipt":
                if receipt := await self._receipt(mail):
                    return rules.receipt(mail, receipt, self._shop)
            case "guest":
                if facts := await self._queue.guest(mail.scope_id, mail.subject_id, mail.language):
                    ids = [ScopedId(mail.scope_id, one) for one in facts.ticket_ids]
                    codes = await asyncio.to_thread(lambda: [qr.png(str(one)) for one in ids])
                    return rules.guest(mail, facts, self._shop, codes)
                raise MailRefused("the tickets are void")
            case "refund" | rules.REFUND_FAILED:
                if refund := await self._queue.refund(mail.user_id, mail.subject_id):
                    return rules.refund(mail, refund, self._shop)
            case (
                "schedule_changed"
                | "schedule_postponed"
                | "schedule_cancelled"
                | "waiting_list_offer"
            ):
                return await self._of_schedule(mail)
            case "invitation" | "application_decided" | "report":
                return await self._of_organization(mail)
            case _:
                return await self._of_account(mail)
        raise IntegrityError(f"a mail {mail.kind} has no facts")

    async def _of_account(self, mail: ClaimedMail) -> EmailMessage:
        """Return what changed, or a link with a token of its own: only its hash is kept."""
        match mail.kind:
            case "verify_email" | "change_email" | "reset_password":
                token = new_link_token(mail.subject_id)
                facts = await self._queue.account_link(mail.subject_id, token.hash)
                if facts is None:
                    raise MailRefused("the link is void")
                return accounts.link(mail, facts, token.text, self._shop)
            case "password_changed":
                return accounts.password_changed(mail, self._shop)
            case "email_changed":
                if before := await self._queue.address_before(mail.subject_id):
                    return accounts.email_changed(mail, before, self._shop)
        raise IntegrityError(f"a mail {mail.kind} has no facts")

    async def _of_schedule(self, mail: ClaimedMail) -> EmailMessage:
        """Return a mail about a performance that was changed, or about seats of its waiting list."""
        if mail.kind == "waiting_list_offer":
            offer = await self._queue.seat_offer(mail)
            if offer is None:
                raise MailRefused("the hold has ended")
            return seat_offer(mail, offer, self._shop)
        change = await self._queue.schedule_change(mail)
        if change is None:
            raise IntegrityError(f"change {mail.subject_id} is gone")
        return schedule_change(mail, change, self._shop)

    async def _of_organization(self, mail: ClaimedMail) -> EmailMessage:
        """Return a report, a decision, or an invitation: of its token only the hash is kept."""
        if mail.kind == "report":
            report = await self._queue.report(mail.subject_id)
            if report is None:
                raise IntegrityError(f"report mail {mail.subject_id} is gone")
            return report_mail(mail, report, self._shop)
        if mail.kind == "application_decided":
            decided = await self._queue.decision(mail.subject_id)
            if decided is None:
                raise IntegrityError(f"application {mail.subject_id} is gone")
            return teams.decision(mail, decided, self._shop)
        token = new_link_token(mail.subject_id)
        facts = await self._queue.invitation(mail.subject_id, token.hash)
        if facts is None:
            raise IntegrityError(f"invitation {mail.subject_id} is gone")
        return teams.invitation(mail, facts, token.text, self._shop)

    async def _receipt(self, mail: ClaimedMail) -> ReceiptFacts | None:
        return await self._queue.receipt(mail.scope_id, mail.subject_id, mail.language)

    async def _write(self, result: MailResult) -> None:
        """Write a result, until PostgreSQL takes it or the claim is over."""
        until_s = time.monotonic() + self.claim_s / 2
        while True:
            try:
                return await self._queue.write(result)
            except Exception as error:  # PostgreSQL may be away for a while
                log.warning("mail_result_not_written", error=repr(error))
                if time.monotonic() > until_s:
                    return None
                await asyncio.sleep(_WRITE_AGAIN_AFTER_S)


def _untried(mail: ClaimedMail, pause_s: float, reason: str) -> MailResult:
    return MailResult(mail=mail, state="WAITING", delay_s=pause_s, is_counted=False, error=reason)


def _deferred(mail: ClaimedMail, reason: str) -> MailResult:
    wait_s = delay_s(mail.tries + 1, MAIL_DELAYS_S, random.random())  # noqa: S311 - jitter
    metrics.MAILS.labels(mail.kind, "given_up" if wait_s is None else "failed").inc()
    return MailResult(
        mail=mail,
        state="FAILED" if wait_s is None else "WAITING",
        delay_s=wait_s or 0.0,
        error=reason,
    )
