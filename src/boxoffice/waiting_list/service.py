"""The use cases of waiting lists: join and leave a line, switch it, and look at it."""

from collections.abc import Mapping
from typing import Never, Protocol
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import (
    IdempotencyKeyReused,
    IntegrityError,
    Invalid,
    NotOnSale,
    Problem,
    ScheduleNotFound,
    TicketLimit,
)
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.platform.cache import Cache
from boxoffice.platform.ids import ScopedId, fingerprint_of
from boxoffice.reservations.service import AddressCheck
from boxoffice.waiting_list import store
from boxoffice.waiting_list.errors import (
    AlreadyWaiting,
    EntryNotFound,
    OfferMade,
    SeatsAvailable,
    WaitingListOff,
)
from boxoffice.waiting_list.store import (
    ListSummary,
    NewEntry,
    ShownList,
    WaitingListEntry,
    WaitingListStore,
)

_REFUSALS: Mapping[str, Problem] = {
    "schedule_not_found": ScheduleNotFound(),
    "waiting_list_off": WaitingListOff(),
    "not_on_sale": NotOnSale(),
    "ticket_limit": TicketLimit(),
    "already_waiting": AlreadyWaiting(),
    "key_reused": IdempotencyKeyReused(),
}
_SHOWN_S = 1.0
_SHOWN_MAX = 1_000


class AdjacentSeats(Protocol):
    """What reservations know about free seats."""

    async def has_adjacent(self, schedule_id: UUID, quantity: int, grade: str | None) -> bool:
        """Return whether such seats are on sale; raise `Invalid` for an unknown grade."""
        ...


class WaitingLists:
    """Waiting lists, for buyers and for organizers."""

    def __init__(
        self,
        lists: WaitingListStore,
        seats: AdjacentSeats,
        addresses: AddressCheck,
        turn_s: int,
        seats_max: int,
    ) -> None:
        self._store = lists
        self._seats = seats
        self._addresses = addresses
        self._turn_s = turn_s
        self._seats_max = seats_max
        self._shown: Cache[UUID, ShownList] = Cache(
            self._load, ttl_s=lambda _: _SHOWN_S, weight_max=_SHOWN_MAX
        )

    async def shown(self, schedule_id: UUID) -> ShownList:
        """Return whether a list is on, a moment old; raise `ScheduleNotFound`."""
        found = await self._shown.get(schedule_id)
        return found._replace(ticket_limit=min(found.ticket_limit, self._seats_max))

    async def _load(self, schedule_id: UUID) -> ShownList:
        found = await self._store.shown(schedule_id)
        if found is None:
            raise ScheduleNotFound
        return found

    async def join(
        self, user_id: UUID, schedule_id: UUID, key: str, quantity: int, grade: str | None
    ) -> WaitingListEntry:
        """Join a line; the same key, quantity and grade return the same entry.

        Raises the refusals of `docs/api.md`; `SeatsAvailable` where such seats are on sale.
        """
        # guard: waiting_for_what_one_hold_may_have => if False:
        if quantity > self._seats_max:
            raise Invalid(f"At most {self._seats_max} seats.", seats_max=self._seats_max)
        # guard: fingerprint_seats_and_grade_of_entry => digest = fingerprint_of("wait")
        digest = fingerprint_of("wait", str(quantity), grade or "")
        wanted = NewEntry(user_id, quantity, grade, key, digest)
        # A repetition is answered also where seats are on sale by now.
        if not await self._store.has_joined(schedule_id, user_id, key):
            # An offer is a hold, which asks for a verified address where the organizer does.
            # guard: waiting_list_asks_for_verified_address
            await self._addresses.require(schedule_id, user_id)
            await self._check_sold_out(schedule_id, quantity, grade)
        outcome, entry_id = await self._store.join(schedule_id, wanted)
        if entry_id is None or outcome not in ("joined", "replayed"):
            _refuse(outcome)
        return await self._own(user_id, schedule_id, entry_id)

    async def _check_sold_out(self, schedule_id: UUID, quantity: int, grade: str | None) -> None:
        # guard: waiting_list_is_for_what_is_sold_out => if False:
        if await self._seats.has_adjacent(schedule_id, quantity, grade):
            raise SeatsAvailable

    async def _own(self, user_id: UUID, schedule_id: UUID, entry_id: UUID) -> WaitingListEntry:
        found = await self._store.of_person(user_id, None, 100, schedule_id)
        entry = next((one for one in found if one.entry_id == entry_id), None)
        if entry is None:
            raise EntryNotFound
        return entry

    async def leave(self, user_id: UUID, entry: ScopedId) -> None:
        """Leave a line; repeating it is no error. Raises `EntryNotFound` and `OfferMade`."""
        status = await self._store.leave(entry.schedule_id, entry.own_id, user_id)
        if status is None:
            raise EntryNotFound
        if status == "OFFERED":
            raise OfferMade

    async def of_person(
        self, user_id: UUID, before: UUID | None, count: int, schedule_id: UUID | None
    ) -> list[WaitingListEntry]:
        """Return at most `count` entries of a person, the newest first."""
        return await self._store.of_person(user_id, before, count, schedule_id)

    async def summary(self, organization_ids: OrganizationIds, schedule_id: UUID) -> ListSummary:
        """Return the numbers of a list; raise `ScheduleNotFound` for another organization's."""
        found = await self._store.summary(schedule_id, organization_ids)
        if found is None:
            raise ScheduleNotFound
        return found

    async def switch(
        self, actor: Actor, schedule_id: UUID, *, is_on: bool, request_id: str = ""
    ) -> ListSummary:
        """Switch a list on or off; off ends the entries that wait, and no offer."""
        async with self._store.transaction() as connection:
            owned = await store.lock_schedule(connection, schedule_id, actor.organization_ids)
            # guard: waiting_list_of_own_schedule => if False:
            if owned is None:
                raise ScheduleNotFound
            if await store.switch(connection, schedule_id, is_on=is_on, turn_s=self._turn_s):
                action = Action(
                    organization_id=owned.organization_id,
                    actor_id=actor.user_id,
                    action=f"schedule.waiting_list_{'on' if is_on else 'off'}",
                    request_id=request_id,
                    concert_id=owned.concert_id,
                    schedule_id=schedule_id,
                )
                await record(connection, action)
        self._shown.invalidate(schedule_id)
        return await self.summary(actor.organization_ids, schedule_id)


def _refuse(outcome: str) -> Never:
    problem = _REFUSALS.get(outcome)
    if problem is None:
        raise IntegrityError(f"the database answered {outcome!r}")
    raise problem
