"""The use cases of the backoffice: find reservations, show the history of one."""

from uuid import UUID

import msgspec

from boxoffice.accounts.rules import normal_email
from boxoffice.activity_log import ReadLog, Shown
from boxoffice.backoffice.rules import HistoryEvent, ReservationRow, history
from boxoffice.backoffice.store import BackofficeSchedule, BackofficeStore
from boxoffice.errors import ReservationNotFound, ScheduleNotFound
from boxoffice.order_numbers import rules as order_number
from boxoffice.permissions import Actor
from boxoffice.platform.ids import ScopedId, parse_scoped


class ReservationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Search criteria; an empty one is ignored. `seat_ids` are alternative spellings of one seat."""

    reservation_id: str = ""
    order_number: str = ""
    email: str = ""
    seat_ids: tuple[str, ...] = ()


class Backoffice:
    """Reads reservations of schedules of the actor's organizations; each read is logged."""

    def __init__(self, store: BackofficeStore, reads: ReadLog) -> None:
        self._store = store
        self._reads = reads

    async def find(
        self,
        actor: Actor,
        schedule_id: UUID,
        filters: ReservationFilter,
        before: UUID | None,
        limit: int,
        *,
        request_id: str = "",
    ) -> list[ReservationRow]:
        """Return up to `limit` reservations that match all filters, newest first, and one that follows.

        A search without a result is logged too. Raises `ScheduleNotFound`, `Invalid` for a malformed
        e-mail address, and `Unavailable`.
        """
        schedule = await self._store.own_schedule(schedule_id, actor.organization_ids)
        if schedule is None:
            raise ScheduleNotFound
        found = await self._matching(schedule_id, filters, before, limit + 1)
        await self._reads.record(
            actor,
            "reservations.read",
            [_shown(schedule, len(found[:limit]))],
            filters=_kinds(filters),
            request_id=request_id,
        )
        return found

    async def _matching(
        self, schedule_id: UUID, filters: ReservationFilter, before: UUID | None, limit: int
    ) -> list[ReservationRow]:
        if filters.reservation_id or filters.order_number:
            return await self._by_id(schedule_id, filters)
        seat_ids = filters.seat_ids or None
        if filters.email:
            email = normal_email(filters.email)
            return await self._store.of_user(schedule_id, before, email, seat_ids, limit)
        return await self._store.of_schedule(schedule_id, before, seat_ids, limit)

    async def _by_id(self, schedule_id: UUID, filters: ReservationFilter) -> list[ReservationRow]:
        scoped = await self._named(filters)
        if scoped is None or scoped.schedule_id != schedule_id:
            return []
        found = await self._store.reservation(schedule_id, scoped.own_id)
        if found is None or (filters.seat_ids and not set(filters.seat_ids) & set(found.seat_ids)):
            return []
        return [] if filters.email and normal_email(filters.email) != found.email else [found]

    async def _named(self, filters: ReservationFilter) -> ScopedId | None:
        """Return the reservation that id and number name, None where they name two or none."""
        by_id = parse_scoped(filters.reservation_id) if filters.reservation_id else None
        if not filters.order_number:
            return by_id
        number = order_number.read(filters.order_number)
        by_number = await self._store.by_number(number) if number else None
        # guard: id_and_number_have_to_agree => return by_number
        return by_number if not filters.reservation_id or by_id == by_number else None

    async def history(
        self, actor: Actor, reservation_id: ScopedId, *, request_id: str = ""
    ) -> tuple[ReservationRow, list[HistoryEvent]]:
        """Return a reservation and its events; raise `ReservationNotFound` or `Unavailable`."""
        schedule_id, own_id = reservation_id
        schedule = await self._store.own_schedule(schedule_id, actor.organization_ids)
        if schedule is None:
            raise ReservationNotFound
        found = await self._store.reservation(schedule_id, own_id)
        if found is None:
            raise ReservationNotFound
        payments = await self._store.payments(schedule_id, own_id)
        transfers = await self._store.transfers(
            found.user_id, [payment.payment_id for payment in payments]
        )
        tickets = await self._store.tickets(schedule_id, own_id)
        await self._reads.record(
            actor, "reservation.read", [_shown(schedule, 1)], request_id=request_id
        )
        return found, history(found, payments, transfers, tickets)


def _shown(schedule: BackofficeSchedule, rows: int) -> Shown:
    return Shown(schedule.organization_id, rows, schedule.concert_id, schedule.schedule_id)


def _kinds(filters: ReservationFilter) -> list[str]:
    given = {
        "reservation_id": filters.reservation_id,
        "order_number": filters.order_number,
        "email": filters.email,
        "seat_id": filters.seat_ids,
    }
    return [kind for kind, value in given.items() if value]
