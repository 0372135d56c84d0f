"""The use cases of the desk: find reservations, and tell the history of one."""

from uuid import UUID

import msgspec

from boxoffice.accounts.rules import normal_email
from boxoffice.backoffice.rules import Event, Found, history
from boxoffice.backoffice.store import DeskStore
from boxoffice.errors import ReservationNotFound, ScheduleNotFound
from boxoffice.platform.ids import ScopedId, parse_scoped


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a reservation is to be found by; what is empty does not matter.

    `seat_ids` are the spellings of one, any of which will do.
    """

    reservation_id: str = ""
    email: str = ""
    seat_ids: tuple[str, ...] = ()


class Desk:
    """Organizers find what was reserved in their own schedules; None as one finds it in everybody's."""

    def __init__(self, store: DeskStore) -> None:
        self._store = store

    async def find(
        self,
        organizer_id: UUID | None,
        schedule_id: UUID,
        wish: Wish,
        before: UUID | None,
        limit: int,
    ) -> list[Found]:
        """Return up to `limit` reservations that have all that is wished for, newest first.

        Raises `ScheduleNotFound`, and `Invalid` for what is no e-mail address.
        """
        if not await self._store.is_own(schedule_id, organizer_id):
            raise ScheduleNotFound
        if wish.reservation_id:
            return await self._by_id(schedule_id, wish)
        seat_ids = wish.seat_ids or None
        if wish.email:
            email = normal_email(wish.email)
            return await self._store.of_person(schedule_id, before, email, seat_ids, limit)
        return await self._store.of_schedule(schedule_id, before, seat_ids, limit)

    async def _by_id(self, schedule_id: UUID, wish: Wish) -> list[Found]:
        scoped = parse_scoped(wish.reservation_id)
        if scoped is None or scoped.schedule_id != schedule_id:
            return []
        found = await self._store.reservation(schedule_id, scoped.own_id)
        if found is None or (wish.seat_ids and not set(wish.seat_ids) & set(found.seat_ids)):
            return []
        return [] if wish.email and normal_email(wish.email) != found.email else [found]

    async def history(
        self, organizer_id: UUID | None, reservation_id: ScopedId
    ) -> tuple[Found, list[Event]]:
        """Return a reservation and what became of it; raise `ReservationNotFound`."""
        schedule_id, own_id = reservation_id
        if not await self._store.is_own(schedule_id, organizer_id):
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
