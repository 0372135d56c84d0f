"""Named SQL in, frozen types out; the outcomes of the batch functions are passed on unchanged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record, column

_QUERIES = sql_files.load("boxoffice.payments")
WALLET = "wallet"


class PayCommand(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Pay a reservation from the wallet."""

    user_id: UUID
    key: str
    fingerprint: bytes
    reservation_id: UUID
    payment_id: UUID
    transfer_id: UUID

    @property
    def identity(self) -> tuple[UUID, str]:
        """The same for a request and its repetitions."""
        return self.user_id, self.key


@dataclass(frozen=True, slots=True)
class TopUpCommand:
    """Top up a wallet."""

    user_id: UUID
    key: str
    fingerprint: bytes
    transfer_id: UUID
    amount_minor: int

    @property
    def identity(self) -> tuple[UUID, str]:
        """The same for a request and its repetitions."""
        return self.user_id, self.key


class Payment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A payment and the tickets that it issued, in the order of the reservation's seats.

    `void_ticket_ids` are those that were refunded since; an outcome shows the payment as it was made.
    `order_number` is that of the reservation.
    """

    payment_id: UUID
    reservation_id: UUID
    amount_minor: int
    currency: str
    method: str
    created_at: datetime
    ticket_ids: tuple[UUID, ...]
    seat_ids: tuple[str, ...]
    void_ticket_ids: frozenset[UUID] = frozenset()
    order_number: str | None = None


class PayOutcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the database decided about a payment.

    For a new payment, `seat_versions` are the new versions of its seats.
    """

    name: str
    payment: Payment | None = None
    seat_versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TopUp:
    """A top-up and the balance right after it."""

    transfer_id: UUID
    amount_minor: int
    balance_minor: int
    currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TopUpOutcome:
    """What the database decided about a top-up."""

    name: str
    top_up: TopUp | None = None


@dataclass(frozen=True, slots=True)
class Wallet:
    """A person's prepaid balance."""

    balance_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of a wallet."""

    transfer_id: UUID
    leg: int
    amount_minor: int
    currency: str
    kind: str
    payment_id: UUID | None
    schedule_id: UUID | None
    created_at: datetime


class PaymentStore:
    """Payments, wallets and the ledger."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def pay(
        self, schedule_id: UUID, commands: Sequence[PayCommand], numbers: Sequence[int] = ()
    ) -> list[PayOutcome]:
        """Decide `commands` in one transaction; no (person, key) may appear twice.

        `numbers` as in `Database.decide`.
        """
        args = (schedule_id, *_columns(commands))
        (row,) = await self._db.decide(_QUERIES["pay"], *args, numbers=numbers)
        outcomes = _pay_outcomes(commands, row)
        await self._look_up_replayed(schedule_id, commands, outcomes)
        return outcomes

    async def _look_up_replayed(
        self, schedule_id: UUID, commands: Sequence[PayCommand], outcomes: list[PayOutcome]
    ) -> None:
        """Complete the outcomes of commands that repeat an earlier payment."""
        places = [at for at, outcome in enumerate(outcomes) if outcome.name == "replayed"]
        if places:
            # The commit of a batch that wrote comes after the commits of all that it replays.
            wrote = any(outcome.name == "paid" for outcome in outcomes)
            earlier = [commands[at] for at in places]
            found = await self.find_payments(schedule_id, earlier, is_durable=wrote)
            for at, outcome in zip(places, found, strict=True):
                outcomes[at] = outcome or outcomes[at]

    async def find_payments(
        self, schedule_id: UUID, commands: Sequence[PayCommand], *, is_durable: bool = False
    ) -> list[PayOutcome | None]:
        """Return what earlier requests with these keys did, None where they did nothing.

        `is_durable` as in `Database.look_up`.
        """
        rows = await self._db.look_up(
            _QUERIES["find_payments_by_key"],
            schedule_id,
            [command.user_id for command in commands],
            [command.key for command in commands],
            [command.fingerprint for command in commands],
            is_durable=is_durable,
        )
        found = dict(zip(column(rows, "ord"), map(_pay_outcome, rows), strict=True))
        return [found.get(at) for at in range(1, len(commands) + 1)]

    async def get(self, schedule_id: UUID, payment_id: UUID, user_id: UUID) -> Payment | None:
        """Return a payment of this person, None where there is none."""
        row = await self._db.read_one(_QUERIES["get"], schedule_id, payment_id, user_id)
        return None if row is None else _payment(row, row["void_ticket_ids"] or ())

    async def top_up(
        self, commands: Sequence[TopUpCommand], balance_max_minor: int
    ) -> list[TopUpOutcome]:
        """Decide `commands` in one transaction; no (person, key) may appear twice."""
        rows = await self._db.decide(
            _QUERIES["top_up"],
            [command.transfer_id for command in commands],
            [command.user_id for command in commands],
            [command.amount_minor for command in commands],
            [command.key for command in commands],
            [command.fingerprint for command in commands],
            balance_max_minor,
        )
        return [_top_up_outcome(row) for row in rows]

    async def find_top_ups(self, commands: Sequence[TopUpCommand]) -> list[TopUpOutcome | None]:
        """Return what earlier requests with these keys did, None where they did nothing."""
        rows = await self._db.look_up(
            _QUERIES["find_top_ups_by_key"],
            [command.user_id for command in commands],
            [command.key for command in commands],
            [command.fingerprint for command in commands],
        )
        found = dict(zip(column(rows, "ord"), map(_top_up_outcome, rows), strict=True))
        return [found.get(at) for at in range(1, len(commands) + 1)]

    async def wallet(self, user_id: UUID) -> Wallet | None:
        """Return a person's wallet."""
        row = await self._db.read_one(_QUERIES["wallet"], user_id)
        return None if row is None else Wallet(**dict(row))

    async def entries(self, user_id: UUID, before: UUID | None, count: int) -> list[Entry]:
        """Return at most `count` movements of a wallet, the newest first."""
        rows = await self._db.read(_QUERIES["entries"], user_id, before, count)
        return [Entry(**dict(row)) for row in rows]

    async def seed_top_ups(self, user_ids: Sequence[UUID], amount_minor: int) -> None:
        """Top up the wallets of seeded people, once however often it is called, without events."""
        transfer_ids = [new_id() for _ in user_ids]
        async with self._db.writing() as connection:
            await connection.execute(_QUERIES["seed_top_ups"], user_ids, transfer_ids, amount_minor)


def _columns(commands: Sequence[PayCommand]) -> tuple[Any, ...]:
    """Return the arguments of the pay function in `functions.sql`."""
    people = [command.user_id for command in commands]
    reservations = [command.reservation_id for command in commands]
    return (
        [command.payment_id for command in commands],
        [command.transfer_id for command in commands],
        people,
        reservations,
        [WALLET] * len(commands),
        # Neither payments at a provider nor intents.
        None,
        None,
        [command.key for command in commands],
        [command.fingerprint for command in commands],
        len(set(people)) == len(set(reservations)) == len(commands),
    )


def _pay_outcomes(commands: Sequence[PayCommand], row: Record) -> list[PayOutcome]:
    names, created_at, amounts, currencies, seats_to, seats, versions, tickets, numbers = row
    outcomes = []
    paid = start = 0
    for at, command in enumerate(commands):
        if names is not None and names[at] != "paid":
            outcomes.append(PayOutcome(names[at]))
            continue
        end = seats_to[paid]
        payment = Payment(
            command.payment_id,
            command.reservation_id,
            amounts[paid],
            currencies[paid],
            WALLET,
            created_at,
            tuple(tickets[start:end]),
            tuple(seats[start:end]),
            order_number=numbers[at],
        )
        outcomes.append(PayOutcome("paid", payment, tuple(versions[start:end])))
        paid, start = paid + 1, end
    return outcomes


def _pay_outcome(row: Record) -> PayOutcome:
    return PayOutcome(row["outcome"], _payment(row))


def _payment(row: Record, void_ticket_ids: Iterable[UUID] = ()) -> Payment:
    return Payment(
        row["payment_id"],
        row["reservation_id"],
        row["amount_minor"],
        row["currency"],
        row["method"],
        row["created_at"],
        tuple(row["ticket_ids"]),
        tuple(row["seat_ids"]),
        frozenset(void_ticket_ids),
        row["order_number"],
    )


def _top_up_outcome(row: Record) -> TopUpOutcome:
    if row["transfer_id"] is None:
        return TopUpOutcome(row["outcome"])
    topped_up = TopUp(
        row["transfer_id"],
        row["amount_minor"],
        row["balance_minor"],
        row["currency"],
        row["created_at"],
    )
    return TopUpOutcome(row["outcome"], topped_up)
