"""The use cases of the backoffice: find reservations, show the history of one."""

from uuid import UUID

import msgspec

from boxoffice.accounts.rules import normal_email
from boxoffice.backoffice.rules import HistoryEvent, ReservationRow, history
from boxoffice.backoffice.store import BackofficeStore
from boxoffice.errors import ReservationNotFound, ScheduleNotFound
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import ScopedId, parse_scoped


class ReservationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Search criteria; an empty one is ignored. `seat_ids` are alternative spellings of one seat."""

    reservation_id: str = ""
    email: str = ""
    seat_ids: tuple[str, ...] = ()


class Backoffice:
    """Reads reservations of schedules of some organizations; None as these means all."""

    def __init__(self, store: BackofficeStore) -> None:
        self._store = store

    async def find(
        self,
        organization_ids: OrganizationIds,
        schedule_id: UUID,
        filters: ReservationFilter,
        before: UUID | None,
        limit: int,
    ) -> list[ReservationRow]:
        """Return up to `limit` reservations that match all filters, newest first.

        Raises `ScheduleNotFound`, and `Invalid` for a malformed e-mail address.
        """
        if not await self._store.is_own(schedule_id, organization_ids):
            raise ScheduleNotFound
        if filters.reservation_id:
            return await self._by_id(schedule_id, filters)
        seat_ids = filters.seat_ids or None
        if filters.email:
            email = normal_email(filters.email)
            return await self._store.of_user(schedule_id, before, email, seat_ids, limit)
        return await self._store.of_schedule(schedule_id, before, seat_ids, limit)

    async def _by_id(self, schedule_id: UUID, filters: ReservationFilter) -> list[ReservationRow]:
        scoped = parse_scoped(filters.reservation_id)
        if scoped is None or scoped.schedule_id != schedule_id:
            return []
        found = await self._store.reservation(schedule_id, scoped.own_id)
        if found is None or (filters.seat_ids and not set(filters.seat_ids) & set(found.seat_ids)):
            return []
        return [] if filters.email and normal_email(filters.email) != found.email else [found]

    async def history(
        self, organization_ids: OrganizationIds, reservation_id: ScopedId
    ) -> tuple[ReservationRow, list[HistoryEvent]]:
        """Return a reservation and its events; raise `ReservationNotFound`."""
        schedule_id, own_id = reservation_id
        if not await self._store.is_own(schedule_id, organization_ids):
            raise ReservationNotFound
        found = await self._store.reservation(schedule_id, own_id)
        if found is None:
            raise ReservationNotFound
        payments = await self._store.payments(schedule_id, own_id)
        transfers = await self._store.transfers(
            found.user_id, [payment.payment_id for payment in payments]
        )
        tickets = await self._store.tickets(schedule_id, own_id)
        return found, history(found, payments, transfers, tickets)
