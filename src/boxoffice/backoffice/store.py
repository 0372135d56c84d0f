"""The statements of the backoffice: named SQL in, frozen types out."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.backoffice.rules import PaymentRow, ReservationRow, TicketRow, TransferRow
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

_SQL = sql_files.load("boxoffice.backoffice")


class BackofficeSchedule(NamedTuple):
    """A schedule and whose it is."""

    schedule_id: UUID
    concert_id: UUID
    organization_id: UUID


class BackofficeStore:
    """Reads reservations with their payments, transfers and tickets."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def own_schedule(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> BackofficeSchedule | None:
        """Return a schedule of these organizations; for None, of any."""
        row = await self._db.read_one(_SQL["own_schedule"], schedule_id, organization_ids)
        return None if row is None else BackofficeSchedule(*row)

    async def of_schedule(
        self, schedule_id: UUID, before: UUID | None, seat_ids: Sequence[str] | None, limit: int
    ) -> list[ReservationRow]:
        """Return up to `limit` reservations that list one of `seat_ids`, newest first."""
        rows = await self._db.read(_SQL["of_schedule"], schedule_id, before, seat_ids, limit)
        return [_found(row) for row in rows]

    async def of_user(
        self,
        schedule_id: UUID,
        before: UUID | None,
        email: str,
        seat_ids: Sequence[str] | None,
        limit: int,
    ) -> list[ReservationRow]:
        """Return up to `limit` reservations of the user with this address, newest first."""
        rows = await self._db.read(_SQL["of_user"], schedule_id, before, email, seat_ids, limit)
        return [_found(row) for row in rows]

    async def reservation(self, schedule_id: UUID, reservation_id: UUID) -> ReservationRow | None:
        """Return one reservation of a schedule."""
        row = await self._db.read_one(_SQL["reservation"], schedule_id, reservation_id)
        return None if row is None else _found(row)

    async def by_number(self, order_number: str) -> ScopedId | None:
        """Return the reservation with this number, of any schedule."""
        row = await self._db.read_one(_SQL["by_number"], order_number)
        return None if row is None else ScopedId(*row)

    async def payments(self, schedule_id: UUID, reservation_id: UUID) -> list[PaymentRow]:
        """Return the payments for a reservation."""
        rows = await self._db.read(_SQL["payments"], schedule_id, reservation_id)
        return [PaymentRow(**row) for row in rows]

    async def transfers(self, user_id: UUID, payment_ids: Sequence[UUID]) -> list[TransferRow]:
        """Return a user's ledger transfers for some payments."""
        rows = await self._db.read(_SQL["transfers"], user_id, payment_ids)
        return [TransferRow(**row) for row in rows]

    async def tickets(self, schedule_id: UUID, reservation_id: UUID) -> list[TicketRow]:
        """Return the tickets of a reservation in the order of its seats."""
        rows = await self._db.read(_SQL["tickets"], schedule_id, reservation_id)
        return [TicketRow(**row) for row in rows]


def _found(row: Record) -> ReservationRow:
    return ReservationRow(**{**dict(row), "seat_ids": tuple(row["seat_ids"])})
