"""Named SQL in, frozen types out."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from boxoffice.payments.store import Payment
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

_QUERIES = sql_files.load("boxoffice.payments.listing")


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """A payment with its payer and its performance.

    `intent_id` is read for sellers only.
    """

    payment: Payment
    organization_id: UUID
    concert_id: UUID
    schedule_id: UUID
    user_id: UUID
    email: str
    name: str
    title: str
    starts_at: datetime
    time_zone: str
    intent_id: UUID | None


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Which payments a seller wants; None for no condition, in `organization_ids` for all."""

    organization_ids: OrganizationIds
    schedule_id: UUID | None = None
    payment_id: UUID | None = None
    reservation_id: UUID | None = None
    method: str | None = None
    status: str | None = None


class PaymentListStore:
    """Payments in lists; `time_zone` is that of performances without a venue."""

    def __init__(self, db: Database, time_zone: str) -> None:
        self._db = db
        self._time_zone = time_zone

    async def of_user(self, user_id: UUID, before: UUID | None, count: int) -> list[ListedPayment]:
        """Return at most `count` payments of this person, the newest first."""
        rows = await self._db.read(_QUERIES["of_user"], user_id, before, count)
        return [_listed(row, self._time_zone) for row in rows]

    async def of_seller(
        self, wanted: PaymentFilter, before: UUID | None, count: int
    ) -> list[ListedPayment]:
        """Return at most `count` payments of some organizations' concerts, the newest first."""
        rows = await self._db.read(
            _QUERIES["of_seller"],
            wanted.organization_ids,
            before,
            wanted.schedule_id,
            wanted.payment_id,
            wanted.reservation_id,
            wanted.method,
            wanted.status,
            count,
        )
        return [_listed(row, self._time_zone) for row in rows]

    async def reservation_of_order(self, order: ScopedId) -> ScopedId | None:
        """Return the reservation that an intent pays, None for a top-up or an unknown intent."""
        row = await self._db.read_one(_QUERIES["reservation_of_order"], *order)
        return None if row is None else ScopedId(*row)

    async def reservation_of_number(self, order_number: str) -> ScopedId | None:
        """Return the reservation with this number, None for an unknown one."""
        row = await self._db.read_one(_QUERIES["reservation_of_number"], order_number)
        return None if row is None else ScopedId(*row)


def _listed(row: Record, time_zone: str) -> ListedPayment:
    payment = Payment(
        row["payment_id"],
        row["reservation_id"],
        row["amount_minor"],
        row["currency"],
        row["method"],
        row["created_at"],
        tuple(row["ticket_ids"]),
        tuple(row["seat_ids"]),
        frozenset(row["void_ticket_ids"] or ()),
        row["order_number"],
    )
    ids = ("organization_id", "concert_id", "schedule_id", "user_id", "intent_id")
    more = (*ids, "email", "name", "title", "starts_at")
    zone = row["time_zone"] or time_zone
    return ListedPayment(payment, time_zone=zone, **{name: row[name] for name in more})
