"""A random history of sales in a hall, and what the ledger says about it.

The time of the history is stretched afterwards, so that its seconds become days.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from boxoffice.activity_log import ReadLog
from boxoffice.errors import Problem
from boxoffice.inventory.issues.service import Issues
from boxoffice.inventory.issues.store import Issue, IssueCommand, IssueStore
from boxoffice.inventory.rules import SeatCommand, Selection
from boxoffice.inventory.service import Inventory, InventoryLimits
from boxoffice.inventory.store import InventoryStore
from boxoffice.payments.disputes.service import Disputes
from boxoffice.payments.disputes.store import DisputeStore
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.providers.port import DisputeStatus, Movement, ProviderDispute
from boxoffice.payments.store import Payment
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from tests.support.checkout import Checkout, reservation_of
from tests.support.fake_provider import FakeProvider, Fault
from tests.support.hall import Hall
from tests.support.members import member
from tests.support.offers import OfferDesk
from tests.support.refunds import asked, refunds, sold

_STRETCHED = (
    "payments created_at", "transfers created_at", "refunds created_at", "reservations created_at",
    "seat_price_changes changed_at", "ticket_issues issued_at", "ticket_issues voided_at",
)  # fmt: skip


class Unheard:
    """A publisher without listeners."""

    def replace_layout(self, _schedule_id: UUID) -> None:
        """Do nothing."""

    async def publish_and_wait(self, _schedule_id: UUID, _changes: Any) -> None:
        """Do nothing."""


class History:
    """What happens in one hall; what is refused changes nothing."""

    def __init__(self, hall: Hall, chance: random.Random, desk: OfferDesk | None = None) -> None:
        self.hall = hall
        self.chance = chance
        self.desk = desk
        self.provider = FakeProvider("toss")
        self.payments: list[tuple[UUID, Payment]] = []
        self.provided: list[Payment] = []
        self.issues: list[Issue] = []
        self.actor = member(hall.schedule_id)
        self.desk_of_issues = Issues(IssueStore(hall.db), ReadLog(hall.db), Unheard(), 9)  # type: ignore[arg-type]

    async def goes_on(self, steps: int) -> None:
        """Do some things, of which some are refused."""
        ways: list[Callable[[], Awaitable[object]]] = [
            self.sale, self.sale, self.sale_outside, self.sale_outside, self.box_office, self.gift,
            self.void, self.refund, self.refund, self.dispute, self.reprice, self.late_money,
        ]  # fmt: skip
        for _ in range(steps):
            try:
                await self.chance.choice(ways)()
            except Problem:
                continue

    async def free(self, most: int) -> list[str]:
        """Return a few free seats."""
        query = (
            "SELECT seat_id FROM seats WHERE schedule_id = $1 AND state = 'AVAILABLE' ORDER BY 1"
        )
        found = [row["seat_id"] for row in await self.hall.db.fetch(query, self.hall.schedule_id)]
        return self.chance.sample(found, min(len(found), self.chance.randint(1, most)))

    async def sale(self) -> None:
        """Sell from a wallet, with a price type where there are offers."""
        seats, person = await self.free(4), self.chance.choice(self.hall.people)
        if not seats:
            return
        if self.desk is None:
            self.payments.append((person, await sold(self.hall, person, *seats)))
            return
        types = [self.chance.choice(("", "youth", "free")) for _ in seats]
        outcome = await self.desk.hold(person, *seats, types=types)
        if outcome.held is not None:
            paid = await self.hall.pay(person, outcome.held.reservation_id)
            if paid.payment is not None:
                self.payments.append((person, paid.payment))

    async def sale_outside(self) -> None:
        """Sell through a provider."""
        seats, person = await self.free(3), self.chance.choice(self.hall.people)
        if seats and self.desk is None:
            payment = await sold(self.hall, person, *seats, provider="toss")
            self.payments.append((person, payment))
            self.provided.append(payment)

    async def late_money(self) -> None:
        """Capture money for seats that another has by then: it goes back."""
        seats = await self.free(1)
        if not seats or self.desk is not None:
            return
        late, quick = self.chance.sample(list(self.hall.people), 2)
        checkout = Checkout(self.hall, self.provider)
        intent = await checkout.opened(late, *seats)
        self.provider.faults = [Fault.LOST_AFTER]
        await checkout.confirm(intent, f"late-{intent.intent_id}")
        await self.hall.lapse(reservation_of(intent))
        self.payments.append((quick, await sold(self.hall, quick, *seats)))
        order = order_id(intent.user_id, intent.intent_id)
        captured = await self.provider.look_up(order, None)
        if captured is None:
            raise AssertionError(intent)
        await checkout.intents.settle(order, captured)
        await checkout.close()

    async def box_office(self) -> None:
        """Sell for cash or by card at the door."""
        seats = await self.free(3)
        if not seats:
            return
        rows = [await self.hall.seat(one) for one in seats]
        command = IssueCommand(
            tuple(seats),
            "",
            method=self.chance.choice(("cash", "card_terminal")),
            expected_minor=sum(row["price_minor"] for row in rows),
            reference="r",
        )
        self.issues.append(await self._issued(command))

    async def gift(self) -> None:
        """Issue complimentary tickets."""
        seats = await self.free(2)
        if not seats:
            return
        self.issues.append(await self._issued(IssueCommand(tuple(seats), "Guest", reason="press")))

    async def _issued(self, command: IssueCommand) -> Issue:
        schedule_id = self.hall.schedule_id
        return await self.desk_of_issues.issue(self.actor, schedule_id, command, str(uuid4()))

    async def sold(self, *seat_ids: str) -> Payment:
        """Sell these seats from the wallet of the first person."""
        return await sold(self.hall, self.hall.people[0], *seat_ids)

    async def outside(self, *seat_ids: str) -> Payment:
        """Sell these seats through a provider."""
        return await sold(self.hall, self.hall.people[0], *seat_ids, provider="toss")

    async def at_the_door(self, *seat_ids: str) -> Issue:
        """Sell these seats, which cost 1,000, for cash."""
        command = IssueCommand(
            seat_ids, "", method="cash", expected_minor=1_000 * len(seat_ids), reference="r"
        )
        return await self._issued(command)

    async def given(self, *seat_ids: str) -> Issue:
        """Issue complimentary tickets for these seats."""
        return await self._issued(
            IssueCommand(
                seat_ids, "=Guest", email="guest@example.org", language="ko", reason="press"
            )
        )

    async def void(self) -> None:
        """Take tickets of an issue back."""
        if self.issues:
            one = self.issues.pop(self.chance.randrange(len(self.issues)))
            place = ScopedId(self.hall.schedule_id, one.reservation_id)
            await self.desk_of_issues.void(self.actor, place)

    async def refund(self) -> None:
        """Return some tickets of a payment, as a buyer or as the organizer without a fee."""
        if not self.payments:
            return
        person, payment = self.chance.choice(self.payments)
        chosen = self.chance.sample(
            list(payment.ticket_ids), self.chance.randint(1, len(payment.ticket_ids))
        )
        await self.returned(payment, *chosen, person=person)

    async def returned(
        self, payment: Payment, *ticket_ids: UUID, person: UUID | None = None
    ) -> None:
        """Return tickets of a payment, of the first person unless another is named."""
        owner = person or self.hall.people[0]
        quote = await refunds(self.hall).quote(
            owner, ScopedId(self.hall.schedule_id, payment.payment_id), ticket_ids
        )
        if quote.quote is None:
            return
        request = asked(
            self.hall, payment, quote.quote.refund_minor, *ticket_ids,
            destination=self.chance.choice(("original", "wallet")),
        )  # fmt: skip
        await refunds(self.hall).refund(owner, request)

    async def dispute(self) -> None:
        """Open a dispute about a payment, which stays open, is won or is lost."""
        if not self.provided:
            return
        payment = self.provided.pop(self.chance.randrange(len(self.provided)))
        end: DisputeStatus = self.chance.choice(("OPEN", "WON", "LOST"))
        await self.court(payment, end, self.chance.randint(1, payment.amount_minor))

    async def court(
        self, payment: Payment, end: DisputeStatus, amount_minor: int, name: str = "1"
    ) -> None:
        """Open a dispute about a part of a payment and end it."""
        key, now = f"dp-{payment.payment_id}-{name}", datetime.now(UTC)
        taken = Movement(f"t-{key}", "dispute", amount_minor, "KRW", now)
        back = Movement(f"b-{key}", "dispute_won", amount_minor, "KRW", now)
        moves = (taken, back) if end == "WON" else (taken,)
        shown = ProviderDispute(
            key, f"pk-{payment.reservation_id}", end, payment.amount_minor, "KRW", "fraud", moves
        )
        await Disputes(DisputeStore(self.hall.db)).settle("toss", shown)

    async def reprice(self) -> None:
        """Change price and grade of seats that are not sold."""
        seats = await self.free(5)
        if not seats:
            return
        await self.reprice_to(seats, self.chance.randrange(0, 3_000), self.chance.choice("RSV"))

    async def reprice_to(self, seat_ids: list[str], price_minor: int, grade: str) -> None:
        """Give seats a price and a grade."""
        limits = InventoryLimits(50, 50)
        desk = Inventory(InventoryStore(self.hall.db), Unheard(), lambda _id: None, limits)  # type: ignore[arg-type]
        selection = Selection(tuple(seat_ids))
        command = SeatCommand("reprice", selection, price_minor=price_minor, grade=grade)
        await desk.change(self.actor, self.hall.schedule_id, command)


async def stretch(db: Database, since: datetime, factor: float) -> None:
    """Make the time since a moment longer, in all records alike."""
    async with db.transaction() as connection:
        for one in _STRETCHED:
            table, column = one.split()
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            await connection.execute(
                f"UPDATE {table} SET {column} = $1 + ({column} - $1) * $2::float8"  # noqa: S608
                f" WHERE {column} > $1",
                since,
                factor,
            )
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def booked(hall: Hall, *accounts: str) -> dict[tuple[str, str], int]:
    """Return the sums of the ledger's entries of a hall by day in Seoul and account."""
    rows = await hall.db.fetch(
        "SELECT (t.created_at AT TIME ZONE 'Asia/Seoul')::date::text AS day, e.account,"
        " sum(e.amount_minor)::bigint AS minor"
        " FROM ledger_entries e JOIN transfers t USING (user_id, transfer_id)"
        " WHERE e.schedule_id = $1 AND e.account = ANY ($2::text[]) GROUP BY 1, 2",
        hall.schedule_id,
        list(accounts),
    )
    return {(row["day"], row["account"]): row["minor"] for row in rows}
