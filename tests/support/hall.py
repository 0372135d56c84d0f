"""A schedule on sale and people with wallets, made straight in the database: no HTTP, no catalog.

The commands go through the stores, so a test speaks of people and seats and not of columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from boxoffice.payments.store import (
    PayCommand,
    PaymentStore,
    PayOutcome,
    TopUpCommand,
    TopUpOutcome,
)
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.reservations.store import (
    HoldCommand,
    HoldOutcome,
    ReleaseCommand,
    ReleaseOutcome,
    ReservationStore,
)

BALANCE_MAX_MINOR = 1_000_000_000

# Its organization has the id of the person, and exists once the statement has ended.
_ORGANIZER = """
    INSERT INTO users (user_id, email, name, password_hash, role)
    VALUES ($1, $1::uuid || '@example.org', 'Organizer', '-', 'organizer')
"""
_SCHEDULE = """
    WITH concert AS (
        INSERT INTO concerts (concert_id, organizer_id, title, artist, venue, status, published_at)
        VALUES ($1, $1, 'Title', 'Artist', 'Venue', 'PUBLISHED', clock_timestamp())
    )
    INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency,
                           hold_ttl_s, ticket_limit)
    VALUES ($1, $1, clock_timestamp() + interval '30 days', clock_timestamp() - interval '1 day',
            'OPEN', 'KRW', $2, $3)
"""
_WALLET = "INSERT INTO wallets (user_id, currency) VALUES ($1, 'KRW')"
_SEATS = """
    INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
    SELECT $1, $2, at, at, id, 'S', '1', 'R' FROM unnest($3::text[]) WITH ORDINALITY s (id, at)
"""
_PEOPLE = """
    WITH people AS (
        INSERT INTO users (user_id, email, name, password_hash)
        SELECT id, id || '@example.org', 'Buyer', '-' FROM unnest($1::uuid[]) id
    )
    INSERT INTO wallets (user_id, currency) SELECT id, 'KRW' FROM unnest($1::uuid[]) id
"""
_LAPSE = """
    WITH before AS (
        DELETE FROM lapsing_holds WHERE schedule_id = $1 AND reservation_ids <@ $2
    ), aged AS (
        UPDATE reservations
           SET created_at = created_at - interval '1 day', expires_at = expires_at - interval '1 day'
         WHERE schedule_id = $1 AND reservation_id = ANY ($2)
        RETURNING schedule_id, expires_at, reservation_id
    ), due AS (
        INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
        SELECT schedule_id, expires_at, reservation_id, ARRAY[reservation_id] FROM aged
    )
    UPDATE seats SET expires_at = expires_at - interval '1 day'
     WHERE schedule_id = $1 AND reservation_id = ANY ($2)
"""

_PAY_OUTSIDE = """
    SELECT outcomes FROM payments_pay_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, false)
"""


@dataclass(frozen=True)
class Hall:
    """A schedule with seats in one row, and people; `people` and `seat_ids` in ascending order."""

    db: Database
    schedule_id: UUID
    seat_ids: Sequence[str]
    people: Sequence[UUID]

    def hold_command(
        self, person: UUID, *seat_ids: str, key: str = "", fingerprint: bytes = b"f"
    ) -> HoldCommand:
        """Return a command to hold seats, under a key of its own where none is given."""
        return HoldCommand(person, key or str(uuid4()), fingerprint, new_id(), seat_ids)

    async def hold_batch(self, *commands: HoldCommand) -> list[HoldOutcome]:
        """Decide a batch of holds."""
        return await ReservationStore(self.db).hold(self.schedule_id, commands)

    async def hold(self, person: UUID, *seat_ids: str, key: str = "") -> HoldOutcome:
        """Hold seats for one person."""
        [outcome] = await self.hold_batch(self.hold_command(person, *seat_ids, key=key))
        return outcome

    async def held(self, person: UUID, *seat_ids: str) -> UUID:
        """Hold seats that must be free, and return the reservation."""
        outcome = await self.hold(person, *seat_ids)
        if outcome.name != "held" or outcome.held is None:
            raise AssertionError(outcome)
        return outcome.held.reservation_id

    async def release(self, person: UUID, reservation_id: UUID) -> ReleaseOutcome:
        """Give a hold back."""
        command = ReleaseCommand(person, reservation_id, new_id())
        [outcome] = await ReservationStore(self.db).release(self.schedule_id, [command])
        return outcome

    async def expire(self, count: int = 1_000) -> int:
        """Close lapsed holds of this schedule."""
        return (await ReservationStore(self.db).expire(self.schedule_id, count)).closed

    def bill(
        self, person: UUID, reservation_id: UUID, *, key: str = "", fingerprint: bytes = b"f"
    ) -> PayCommand:
        """Return a command to pay a hold from the wallet."""
        return PayCommand(
            person, key or str(uuid4()), fingerprint, reservation_id, new_id(), new_id()
        )

    async def settle(self, *bills: PayCommand) -> list[PayOutcome]:
        """Decide a batch of payments."""
        return await PaymentStore(self.db).pay(self.schedule_id, bills)

    async def set_intent(self, reservation_id: UUID, intent_id: UUID) -> None:
        """Have a hold be paid by an intent, which need not exist."""
        query = """
            UPDATE reservations SET intent_id = $3 WHERE schedule_id = $1 AND reservation_id = $2
        """
        await self.db.fetch(query, self.schedule_id, reservation_id, intent_id)

    async def pay_outside(
        self, *bills: tuple[UUID, UUID, UUID | None], wallet: PayCommand | None = None
    ) -> list[str]:
        """Decide a batch of payments with a provider's money, and one from the wallet if it is given.

        A bill is a person, a reservation and the intent. The money is taken out of suspense, into which
        nothing was put.
        """
        paid: list[tuple[UUID, UUID, UUID | None, str, str | None]] = [
            (*bill, "card", f"outside {bill[1]}") for bill in bills
        ]
        if wallet is not None:
            paid.append((wallet.user_id, wallet.reservation_id, None, "wallet", None))
        people, reservations, intents, methods, references = map(list, zip(*paid, strict=True))
        keys = [f"{method} {one}" for method, one in zip(methods, reservations, strict=True)]
        [row] = await self.db.fetch(
            _PAY_OUTSIDE,
            self.schedule_id,
            [new_id() for _ in paid],
            [new_id() for _ in paid],
            people,
            reservations,
            methods,
            references,
            intents,
            keys,
            [b"f" for _ in paid],
        )
        return list(row["outcomes"] or ["paid"] * len(paid))

    async def pay(self, person: UUID, reservation_id: UUID, *, key: str = "") -> PayOutcome:
        """Pay a hold from the wallet."""
        [outcome] = await self.settle(self.bill(person, reservation_id, key=key))
        return outcome

    async def top_up(
        self, person: UUID, amount_minor: int, *, key: str = "", fingerprint: bytes = b"f"
    ) -> TopUpOutcome:
        """Put money into a wallet."""
        command = TopUpCommand(person, key or str(uuid4()), fingerprint, new_id(), amount_minor)
        [outcome] = await PaymentStore(self.db).top_up([command], BALANCE_MAX_MINOR)
        return outcome

    async def lapse(self, *reservation_ids: UUID) -> None:
        """Let a day pass for these holds alone."""
        await self.db.fetch(_LAPSE, self.schedule_id, reservation_ids)

    async def seat(self, seat_id: str) -> Record:
        """Return the row of a seat."""
        query = "SELECT * FROM seats WHERE schedule_id = $1 AND seat_id = $2"
        [row] = await self.db.fetch(query, self.schedule_id, seat_id)
        return row

    async def status(self, reservation_id: UUID) -> str:
        """Return what the database calls a reservation."""
        query = "SELECT status FROM reservations WHERE schedule_id = $1 AND reservation_id = $2"
        [row] = await self.db.fetch(query, self.schedule_id, reservation_id)
        return str(row["status"])

    async def topics(self, subject_id: UUID) -> list[str]:
        """Return the events about a reservation or payment, oldest first."""
        query = "SELECT topic FROM outbox WHERE $1 = ANY (subject_ids) ORDER BY batch_id"
        return [row["topic"] for row in await self.db.fetch(query, subject_id)]

    async def balance(self, person: UUID) -> int:
        """Return what is in a wallet."""
        query = "SELECT balance_minor FROM wallets WHERE user_id = $1"
        [row] = await self.db.fetch(query, person)
        return int(row["balance_minor"])

    async def change_schedule(self, assignment: str) -> None:
        """Change the schedule as its organizer would: `assignment` is what follows SET."""
        query = f"UPDATE schedules SET {assignment} WHERE schedule_id = $1"  # noqa: S608 — a test's own text
        await self.db.fetch(query, self.schedule_id)


async def open_hall(
    db: Database,
    *,
    seats: int = 12,
    people: int = 4,
    price_minor: int = 1_000,
    hold_ttl_s: int = 300,
    ticket_limit: int = 10,
    balance_minor: int = 0,
) -> Hall:
    """Make a hall of its own: tests that share a database do not meet."""
    hall = Hall(
        db,
        new_id(),
        [f"S{at:03}" for at in range(1, seats + 1)],
        sorted(new_id() for _ in range(people)),
    )
    await db.fetch(_ORGANIZER, hall.schedule_id)
    await db.fetch(_SCHEDULE, hall.schedule_id, hold_ttl_s, ticket_limit)
    await db.fetch(_WALLET, hall.schedule_id)  # the organizer has the schedule's id
    await db.fetch(_SEATS, hall.schedule_id, price_minor, hall.seat_ids)
    await db.fetch(_PEOPLE, hall.people)
    if balance_minor:
        gifts = [TopUpCommand(one, "gift", b"", new_id(), balance_minor) for one in hall.people]
        await PaymentStore(db).top_up(gifts, BALANCE_MAX_MINOR)
    return hall
