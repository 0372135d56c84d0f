"""Named SQL in, frozen types out; the outcomes of the functions are passed on unchanged."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.errors import IdempotencyKeyReused, RefundJobRunning
from boxoffice.payments.refunds.policy import Quote, RefundPolicy
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_QUERIES = sql_files.load("boxoffice.payments.refunds")
_KEYS = frozenset({"refunds_key_unique", "refund_jobs_key_unique"})
_ONE_JOB = "refund_jobs_one_at_a_time"
_READ_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class RefundableSale:
    """A payment with its tickets in the order of the seats; `now` is the database's time.

    `fees_minor` are the booking fees of the tickets, which `prices_minor` do not include.
    `policy` is None where the sale was made without one of its own, `time_zone` where the performance
    has no venue. Date, place or start changed at `changed_at`; the fee is waived until
    `refundable_until`.
    """

    payment_id: UUID
    reservation_id: UUID
    user_id: UUID
    amount_minor: int
    currency: str
    method: str
    created_at: datetime
    starts_at: datetime
    changed_at: datetime | None
    refundable_until: datetime | None
    is_cancelled: bool
    time_zone: str | None
    policy: RefundPolicy | None
    organization_id: UUID
    concert_id: UUID
    ticket_ids: tuple[UUID, ...]
    prices_minor: tuple[int, ...]
    fees_minor: tuple[int, ...]
    are_live: tuple[bool, ...]
    now: datetime


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it is kept; late money has an intent and no payment."""

    refund_id: UUID
    user_id: UUID
    schedule_id: UUID | None
    payment_id: UUID | None
    intent_id: UUID | None
    amount_minor: int
    fee_minor: int
    compensation_minor: int
    currency: str
    status: str
    reason: str
    destination: str
    provider: str | None
    payment_key: str | None
    failure: str | None
    is_whole: bool
    ticket_ids: tuple[UUID, ...]
    seat_ids: tuple[str, ...]
    created_at: datetime
    sent_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class RefundCommand:
    """Refund tickets of a payment, in the order of the lines of `quote`."""

    schedule_id: UUID
    payment_id: UUID
    user_id: UUID
    refund_id: UUID
    quote: Quote
    starts_at: datetime
    reason: str
    to_wallet: bool
    decided_by: UUID
    key: str
    fingerprint: bytes
    job_id: UUID | None = None


class RefundOutcome(NamedTuple):
    """What the database decided; `seat_versions` are the new versions of the freed `seat_ids`."""

    name: str
    seat_ids: tuple[str, ...]
    seat_versions: tuple[int, ...]


class ManualRefund(NamedTuple):
    """Whose refund waits for an operator, and of which concert, if it is for tickets."""

    user_id: UUID
    schedule_id: UUID | None
    concert_id: UUID | None
    organization_id: UUID | None


class LockedSchedule(NamedTuple):
    """The fields of a schedule that a policy depends on."""

    status: str
    currency: str
    concert_id: UUID
    organization_id: UUID


@dataclass(frozen=True, slots=True)
class RefundJob:
    """The refund of a whole schedule: how many payments were looked at, and how many refused."""

    job_id: UUID
    schedule_id: UUID
    asked_by: UUID
    after_payment_id: UUID | None
    payments: int
    refused: int
    with_compensation: bool
    created_at: datetime
    finished_at: datetime | None


class RefundStore:
    """Refunds, policies and the jobs of whole schedules."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, for the functions of this module.

        Raises `IdempotencyKeyReused`, `RefundJobRunning`, `Unavailable` and `OutcomeUnknown`.
        """
        try:
            async with self._db.writing() as connection:
                yield connection
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name in _KEYS:
                raise IdempotencyKeyReused from error
            if error.constraint_name == _ONE_JOB:
                raise RefundJobRunning from error
            raise

    async def sale(
        self,
        schedule_id: UUID,
        payment_id: UUID,
        *,
        user_id: UUID | None = None,
        organization_ids: OrganizationIds = None,
    ) -> RefundableSale | None:
        """Return a payment, of this person or of these organizations where they are given."""
        query = _QUERIES["sale"]
        row = await self._db.read_one(query, schedule_id, payment_id, user_id, organization_ids)
        return None if row is None else _sale(row)

    async def find(self, user_id: UUID, key: str, fingerprint: bytes) -> Refund | None:
        """Return the refund of a key; raise `IdempotencyKeyReused` if its request was another one."""
        row = await self._db.read_one(_QUERIES["find_by_key"], user_id, key, fingerprint)
        if row is None:
            return None
        # guard: find_refund_fingerprint_is_compared => if False:
        if not row["is_same"]:
            raise IdempotencyKeyReused
        return _refund(row)

    async def get(self, user_id: UUID, refund_id: UUID) -> Refund | None:
        """Return a refund of this person."""
        row = await self._db.read_one(_QUERIES["get"], user_id, refund_id)
        return None if row is None else _refund(row)

    async def of_transaction(self, user_id: UUID, provider: str, key: str) -> Refund | None:
        """Return the refund of this person that moved as a provider's transaction."""
        row = await self._db.read_one(_QUERIES["of_transaction"], user_id, provider, key)
        return None if row is None else _refund(row)

    async def of_user(self, user_id: UUID, before: UUID | None, count: int) -> list[Refund]:
        """Return at most `count` refunds of this person, the newest first."""
        rows = await self._db.read(_QUERIES["of_user"], user_id, before, count)
        return [_refund(row) for row in rows]

    async def of_schedule(
        self, schedule_id: UUID, organization_ids: OrganizationIds, before: UUID | None, count: int
    ) -> list[Refund]:
        """Return at most `count` refunds of a schedule, newest first; None means any organization."""
        rows = await self._db.read(
            _QUERIES["of_schedule"], schedule_id, organization_ids, before, count
        )
        return [_refund(row) for row in rows]

    async def of_payments(self, payments: Sequence[tuple[UUID, UUID]]) -> list[Refund]:
        """Return the refunds of payments, each with its person, the oldest first."""
        people, ids = [one[0] for one in payments], [one[1] for one in payments]
        return [_refund(row) for row in await self._db.read(_QUERIES["of_payments"], people, ids)]

    async def manual(self, after: UUID | None, count: int) -> list[Refund]:
        """Return at most `count` refunds that wait for an operator, the oldest first."""
        return [_refund(row) for row in await self._db.read(_QUERIES["manual"], after, count)]

    async def owner_of_manual(self, refund_id: UUID) -> ManualRefund | None:
        """Return whose refund waits for an operator, or was resolved by one."""
        row = await self._db.read_one(_QUERIES["owner_of_manual"], refund_id)
        return None if row is None else ManualRefund(*row)

    async def policy(
        self, schedule_id: UUID, organization_ids: OrganizationIds = (), *, for_buyers: bool = True
    ) -> "FoundPolicy | None":
        """Return the policy of a schedule that buyers see, or of one of these organizations."""
        query = _QUERIES["policy"]
        row = await self._db.read_one(query, schedule_id, organization_ids, not for_buyers)
        return None if row is None else FoundPolicy(_policy(row["policy"]), row["time_zone"])

    async def job(
        self, schedule_id: UUID, job_id: UUID, organization_ids: OrganizationIds
    ) -> RefundJob | None:
        """Return a job of a schedule; None means any organization."""
        row = await self._db.read_one(_QUERIES["job"], schedule_id, job_id, organization_ids)
        return None if row is None else _job(row)

    async def jobs(
        self, schedule_id: UUID, organization_ids: OrganizationIds, before: UUID | None, count: int
    ) -> list[RefundJob]:
        """Return at most `count` jobs of a schedule, the newest first; None means any."""
        rows = await self._db.read(_QUERIES["jobs"], schedule_id, organization_ids, before, count)
        return [_job(row) for row in rows]

    async def job_to_do(self, job_id: UUID) -> RefundJob | None:
        """Return an unfinished job."""
        row = await self._db.read_one(_QUERIES["job_to_do"], job_id)
        return None if row is None else _job(row)

    async def next_payments(self, job: RefundJob) -> list[tuple[UUID, UUID]]:
        """Return the next payments of a job with their payers."""
        query = _QUERIES["next_payments"]
        rows = await self._db.read(query, job.schedule_id, job.after_payment_id, _READ_AT_ONCE)
        return [(row["payment_id"], row["user_id"]) for row in rows]

    async def advance(self, job_id: UUID, payment_id: UUID, payments: int, refused: int) -> None:
        """Note how far a job has come: the last payment, how many more, and how many were refused."""
        async with self.transaction() as connection:
            await connection.execute(_QUERIES["advance_job"], job_id, payment_id, payments, refused)

    async def end_pass(self, job_id: UUID, again_s: float, settle_s: float) -> bool:
        """End a pass of a job; return whether it is finished, else it is due in `again_s`.

        One of a performance that was cancelled less than `settle_s` ago is not finished.
        """
        async with self.transaction() as connection:
            is_finished: bool = await connection.fetchval(_QUERIES["end_pass"], job_id, settle_s)
            if is_finished:
                await connection.execute(_QUERIES["job_done"], job_id)
            else:
                await connection.execute(_QUERIES["job_due"], job_id, again_s)
        return is_finished

    async def drop_job(self, job_id: UUID) -> None:
        """Drop the cashier's work for a job that is finished or unknown."""
        async with self.transaction() as connection:
            await connection.execute(_QUERIES["job_done"], job_id)

    async def begin(self, refund: Refund, call_id: UUID, retry_s: float) -> bool:
        """Note that the provider is about to be asked; return False if nothing is owed any more."""
        async with self.transaction() as connection:
            row = await connection.fetchrow(
                _QUERIES["begin"], refund.user_id, refund.refund_id, call_id, retry_s
            )
        return row is not None and row["outcome"] == "begun"

    async def answered(
        self, user_id: UUID, call_id: UUID, outcome: str, status: str | None, body: object
    ) -> None:
        """Record the answer to a call."""
        text = msgspec.json.encode(body).decode()
        async with self.transaction() as connection:
            await connection.execute(_QUERIES["answer"], user_id, call_id, outcome, status, text)

    async def settle(
        self,
        refund: Refund,
        status: str,
        *,
        key: str | None = None,
        happened_at: datetime | None = None,
        failure: str | None = None,
    ) -> str:
        """Book what a provider said: DONE, FAILED or CAME_BACK; return the outcome."""
        async with self.transaction() as connection:
            outcome: str = await connection.fetchval(
                _QUERIES["settle"],
                refund.user_id,
                refund.refund_id,
                status,
                key,
                happened_at,
                failure,
                new_id(),
            )
        return outcome

    async def postpone(self, refund_id: UUID, after_s: float) -> None:
        """Let the cashier look at a refund again later."""
        async with self.transaction() as connection:
            await connection.execute(_QUERIES["postpone"], refund_id, after_s)


class FoundPolicy(NamedTuple):
    """The policy of a schedule, and the time zone of its venue; None where it has none of its own."""

    policy: RefundPolicy | None
    time_zone: str | None


async def decide(connection: Connection, command: RefundCommand) -> RefundOutcome:
    """Decide a refund in the caller's transaction."""
    lines = command.quote.lines
    row = await connection.fetchrow(
        _QUERIES["decide"],
        command.schedule_id,
        command.payment_id,
        command.user_id,
        command.refund_id,
        [new_id() for _ in range(3)],
        [UUID(line.ticket_id) for line in lines],
        [line.refund_minor for line in lines],
        [line.fee_minor for line in lines],
        command.quote.compensation_minor,
        command.starts_at,
        command.quote.valid_until,
        command.reason,
        command.to_wallet,
        command.decided_by,
        command.job_id,
        command.key,
        command.fingerprint,
    )
    if row is None or row["outcome"] != "refunded":
        return RefundOutcome("" if row is None else row["outcome"], (), ())
    return RefundOutcome(row["outcome"], tuple(row["seat_ids"]), tuple(row["seat_versions"]))


async def resolve(
    connection: Connection, user_id: UUID, refund_id: UUID, *, to_wallet: bool
) -> str:
    """End a refund that waits for an operator in the caller's transaction; return the outcome."""
    outcome: str = await connection.fetchval(
        _QUERIES["resolve"], user_id, refund_id, to_wallet, new_id()
    )
    return outcome


async def lock_schedule(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> LockedSchedule | None:
    """Lock a schedule of these organizations until the transaction ends."""
    row = await connection.fetchrow(_QUERIES["lock_schedule"], schedule_id, organization_ids)
    return None if row is None else LockedSchedule(*row)


async def add_policy(
    connection: Connection, schedule_id: UUID, user_id: UUID, policy: RefundPolicy
) -> None:
    """Add the next version of a schedule's policy."""
    text = msgspec.json.encode(policy).decode()
    await connection.execute(_QUERIES["add_policy"], schedule_id, user_id, text)


async def job_by_key(connection: Connection, schedule_id: UUID, key: str) -> RefundJob | None:
    """Return the job that was asked for under a key."""
    row = await connection.fetchrow(_QUERIES["job_by_key"], schedule_id, key)
    return None if row is None else _job(row)


async def join_job(
    connection: Connection, schedule_id: UUID, *, with_compensation: bool
) -> UUID | None:
    """Return the job of a schedule that is not finished, and let it pay a compensation if asked to."""
    job_id: UUID | None = await connection.fetchval(
        _QUERIES["join_job"], schedule_id, with_compensation
    )
    return job_id


async def start_job(
    connection: Connection,
    schedule_id: UUID,
    user_id: UUID,
    key: str,
    *,
    with_compensation: bool,
) -> UUID:
    """Begin the refund of a whole schedule; return its id."""
    job_id = new_id()
    await connection.execute(
        _QUERIES["start_job"], schedule_id, job_id, user_id, with_compensation, key
    )
    return job_id


def _policy(text: str | None) -> RefundPolicy | None:
    return None if text is None else msgspec.json.decode(text, type=RefundPolicy)


def _sale(row: Record) -> RefundableSale:
    tuples = ("ticket_ids", "prices_minor", "fees_minor", "are_live")
    fields: dict[str, Any] = {**dict(row), **{name: tuple(row[name] or ()) for name in tuples}}
    return RefundableSale(**{**fields, "policy": _policy(row["policy"])})


def _refund(row: Record) -> Refund:
    fields = {name: row[name] for name in Refund.__struct_fields__}
    fields |= {"ticket_ids": tuple(row["ticket_ids"]), "seat_ids": tuple(row["seat_ids"])}
    return Refund(**fields)


def _job(row: Record) -> RefundJob:
    return RefundJob(**{name: row[name] for name in RefundJob.__slots__})
