"""Mails in PostgreSQL: named SQL in, frozen types out."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_SQL = sql_files.load("boxoffice.notifications.mail")


class ClaimedMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that this process is to send; `message_id` without its brackets."""

    user_id: UUID
    mail_id: UUID
    scope_id: UUID
    subject_id: UUID
    kind: str
    queued_at: datetime
    attempts: int
    tries: int
    to_address: str
    language: str
    message_id: str
    name: str


class SoldSeat(msgspec.Struct, frozen=True):
    """A seat as its ticket names it; amounts in minor units, the booking fee beside the price."""

    section: str
    row: str
    number: int
    grade: str
    price_minor: int
    fee_minor: int = 0
    price_type: str = ""
    price_type_ko: str = ""


class ReceiptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says; `time_zone` is None for a performance without a venue, also below."""

    reservation_id: UUID
    order_number: str | None
    amount_minor: int
    currency: str
    paid_at: datetime
    title: str
    artist: str
    venue: str
    address: str
    starts_at: datetime
    doors_at: datetime | None
    time_zone: str | None
    seats: tuple[SoldSeat, ...]


class GuestFacts(ReceiptFacts, frozen=True, kw_only=True):
    """What a mail with complimentary tickets says; `ticket_ids` in the order of the seats."""

    ticket_ids: tuple[UUID, ...]


class RefundFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail about a refund says; `title` and ids are None where nothing had been sold."""

    amount_minor: int
    fee_minor: int
    currency: str
    destination: str
    title: str | None
    schedule_id: UUID | None
    reservation_id: UUID | None
    order_number: str | None
    tickets: int


class ChangeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says about a changed, postponed or cancelled performance.

    `version` of the schedule orders calendar entries. Without a reservation the mail has no link, nor
    for a guest, who has no account; `is_paid`: there are tickets, also of a guest.
    """

    kind: str
    created_at: datetime
    starts_before: datetime
    starts_after: datetime
    venue_before: str
    venue_after: str
    refundable_until: datetime | None
    reason: str
    with_compensation: bool
    version: int
    title: str
    time_zone: str | None
    reservation_id: UUID | None
    order_number: str | None
    is_paid: bool
    is_guest: bool


class SeatOfferFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says about seats that a waiting list offers; they are held until `expires_at`."""

    title: str
    venue: str
    starts_at: datetime
    time_zone: str | None
    expires_at: datetime
    amount_minor: int
    currency: str
    seats: tuple[SoldSeat, ...]


class MailResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a claimed mail; one that does not count was not tried."""

    mail: ClaimedMail
    state: str
    delay_s: float = 0.0
    is_counted: bool = True
    error: str | None = None


class InvitationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an invitation says; its address need not have an account."""

    organization_name: str
    inviter_name: str
    email: str
    role: str
    language: str
    expires_at: datetime


class DecisionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail about an application says."""

    organization_name: str
    state: str
    reason: str


class LinkFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail with a link about an account says; None: the language of the person's mail."""

    purpose: str
    email: str
    language: str | None
    ttl_s: int


class SellerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The organization that sells a performance; `accent` as #rrggbb, and its logo's files."""

    name: str
    accent: str | None
    logo_hash: str | None
    logo_width_px: int | None
    logo_height_px: int | None


class ReportFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail with the totals of a report says; each total has its `currency`."""

    report: str
    frequency: str
    first_day: date
    last_day: date
    organization_name: str
    totals: tuple[dict[str, Any], ...]


class MailQueue:
    """The mails as the messenger takes them. Driver errors pass through."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(
        self, token: int, claim_s: float, *, language: str, domain: str, count_max: int
    ) -> list[ClaimedMail]:
        """Claim due mails under the lease's `token`; empty where the lease is another's."""
        rows = await self._db.fetch(_SQL["claim"], token, claim_s, language, count_max, domain)
        return [ClaimedMail(**row) for row in rows]

    async def requeue(self, token: int) -> None:
        """Make due what earlier holders of the lease had claimed."""
        await self._db.fetch(_SQL["requeue"], token)

    async def write(self, result: MailResult) -> None:
        """Write a result; that of a mail that was claimed since is dropped."""
        await self._db.fetch(
            _SQL["write_result"],
            result.mail.user_id,
            result.mail.mail_id,
            result.mail.attempts,
            result.state,
            result.delay_s,
            result.is_counted,
            result.error,
        )

    async def receipt(
        self, schedule_id: UUID, payment_id: UUID, language: str
    ) -> ReceiptFacts | None:
        """Return the facts of a payment, with texts in a language where there are any."""
        row = await self._db.read_one(_SQL["receipt"], schedule_id, payment_id, language)
        if row is None:
            return None
        seats = msgspec.json.decode(row["seats"] or "[]", type=tuple[SoldSeat, ...])
        return ReceiptFacts(**{**dict(row), "seats": seats})

    async def guest(
        self, schedule_id: UUID, reservation_id: UUID, language: str
    ) -> GuestFacts | None:
        """Return the facts of complimentary tickets; None once they are void."""
        row = await self._db.read_one(_SQL["guest"], schedule_id, reservation_id, language)
        if row is None:
            return None
        seats = msgspec.json.decode(row["seats"] or "[]", type=tuple[SoldSeat, ...])
        return GuestFacts(**{**dict(row), "seats": seats, "ticket_ids": tuple(row["ticket_ids"])})

    async def refund(self, user_id: UUID, refund_id: UUID) -> RefundFacts | None:
        """Return the facts of a refund."""
        row = await self._db.read_one(_SQL["refund"], user_id, refund_id)
        return RefundFacts(**row) if row else None

    async def schedule_change(self, mail: ClaimedMail) -> ChangeFacts | None:
        """Return the facts of a changed performance for a person."""
        row = await self._db.read_one(
            _SQL["schedule_change"], mail.scope_id, mail.subject_id, mail.user_id, mail.language
        )
        return ChangeFacts(**row) if row else None

    async def seat_offer(self, mail: ClaimedMail) -> SeatOfferFacts | None:
        """Return the facts of an offer of a waiting list; None once its hold has ended."""
        row = await self._db.read_one(
            _SQL["seat_offer"], mail.scope_id, mail.subject_id, mail.language
        )
        if row is None:
            return None
        seats = msgspec.json.decode(row["seats"] or "[]", type=tuple[SoldSeat, ...])
        return SeatOfferFacts(**{**dict(row), "seats": seats})

    async def invitation(self, invitation_id: UUID, token_hash: bytes) -> InvitationFacts | None:
        """Note the hash of the token that a mail is about to contain; return what the mail says."""
        async with self._db.writing() as connection:
            row = await connection.fetchrow(_SQL["invitation"], invitation_id, token_hash)
        return InvitationFacts(**row) if row else None

    async def decision(self, application_id: UUID) -> DecisionFacts | None:
        """Return the facts of a decided application."""
        row = await self._db.read_one(_SQL["decision"], application_id)
        return DecisionFacts(**row) if row else None

    async def account_link(self, link_id: UUID, token_hash: bytes) -> LinkFacts | None:
        """Note the hash of the token that a mail is about to contain; None: the link is void."""
        async with self._db.writing() as connection:
            row = await connection.fetchrow(_SQL["account_link"], link_id, token_hash)
        return LinkFacts(**row) if row else None

    async def address_before(self, link_id: UUID) -> str | None:
        """Return the address that an account had before a link changed it."""
        row = await self._db.read_one(_SQL["address_before"], link_id)
        return row["email"] if row else None

    async def seller(self, schedule_id: UUID, language: str) -> SellerFacts | None:
        """Return who sells a schedule, with its name in a language; None for no schedule."""
        row = await self._db.read_one(_SQL["seller"], schedule_id, language)
        return SellerFacts(**row) if row else None

    async def report(self, report_mail_id: UUID) -> ReportFacts | None:
        """Return the facts of a report by mail."""
        row = await self._db.read_one(_SQL["report"], report_mail_id)
        if row is None:
            return None
        return ReportFacts(**{**dict(row), "totals": tuple(msgspec.json.decode(row["totals"]))})

    async def forget(self, history_s: float, count_max: int) -> int:
        """Delete up to `count_max` mails that ended this long ago."""
        return len(await self._db.fetch(_SQL["forget"], history_s, count_max))

    async def backlog(self) -> tuple[int, float]:
        """Return how many mails wait, and the seconds that the oldest has been due."""
        (row,) = await self._db.read(_SQL["backlog"])
        return row["waiting"], row["overdue_s"]


class MailLanguages:
    """The languages that people chose for mail."""

    def __init__(self, db: Database, default: str) -> None:
        self._db = db
        self._default = default

    async def get(self, user_id: UUID) -> str:
        """Return a person's language, or the default."""
        row = await self._db.read_one(_SQL["language"], user_id)
        return row["language"] if row else self._default

    async def choose(self, user_id: UUID, language: str) -> None:
        """Set a person's language; raises `Unavailable` or `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            await connection.execute(_SQL["choose_language"], user_id, language)
