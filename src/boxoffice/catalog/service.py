"""The use cases of organizers and operators."""

import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from boxoffice.activity_log import Action, record
from boxoffice.brands.service import Brands
from boxoffice.catalog import rules, seat_map_preview, store
from boxoffice.catalog.creations import store as creations
from boxoffice.catalog.creations.store import Creation
from boxoffice.catalog.lookups import CatalogLookups
from boxoffice.catalog.rules import CheckedSeatMap, NewConcert, NewSchedule, NewSeat, Place
from boxoffice.catalog.shared.lookups import SharedLookups
from boxoffice.catalog.store import CatalogStore, ConcertOwner, ScheduleRow
from boxoffice.catalog.views import (
    Concert,
    OwnConcert,
    OwnConcertInFull,
    OwnSchedule,
    Schedule,
    ScheduleState,
    SeatMapError,
    SeatMapPreview,
    SeatsAdded,
)
from boxoffice.errors import (
    AlreadyPublished,
    ConcertNotFound,
    ConcertTakenDown,
    Invalid,
    NotOnSale,
    NotPublishable,
    Problem,
    ScheduleLimit,
    ScheduleNotFound,
    ScheduleNotOpenable,
    SeatExists,
    SeatMapInvalid,
    SeatMapLocked,
)
from boxoffice.listings.service import Listings
from boxoffice.permissions import Actor, OrganizationIds, chosen
from boxoffice.platform.ids import fingerprint_of, new_id
from boxoffice.settings import Settings
from boxoffice.venues.errors import VenueNotFound

# Seats that one statement inserts: few enough for the statement's deadline on a slow disk.
_INSERT_MAX = 5_000
# Seat ids that a refusal names.
_NAMED_MAX = 20


class _ActionContext(NamedTuple):
    """The actor, organization and concert of an action, for its entry in the activity log."""

    actor_id: UUID
    organization_id: UUID
    request_id: str
    concert_id: UUID
    schedule_id: UUID | None = None

    async def record(self, connection: store.Connection, action: str, **details: object) -> None:
        """Write an entry of the activity log in the transaction of the action."""
        entry = Action(
            organization_id=self.organization_id,
            actor_id=self.actor_id,
            action=action,
            request_id=self.request_id,
            concert_id=self.concert_id,
            schedule_id=self.schedule_id,
            details=details,
        )
        await record(connection, entry)


class OnSale(NamedTuple):
    """A concert and a schedule that were put on sale."""

    concert_id: UUID
    schedule_id: UUID


class SeatCache(Protocol):
    """The seats that this process has in memory."""

    def evict(self, schedule_id: UUID, /) -> None:
        """Drop a schedule whose seats or status were changed."""

    def evict_absent(self) -> None:
        """Drop the knowledge that schedules do not exist."""


class Catalog:
    """What organizers and operators see of their concerts, and their commands.

    `lookups` are the public look-ups of this process; commands invalidate them.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: CatalogStore,
        seat_cache: SeatCache,
        clock: Callable[[], float] = time.monotonic,
        listings: Listings | None = None,
        brands: Brands | None = None,
        shared: SharedLookups | None = None,
    ) -> None:
        self._settings = settings
        self._time_zone = settings.payments.venue_time_zone
        self._store = catalog
        self.lookups = CatalogLookups(settings, catalog, clock, listings, brands, shared)
        self._seat_cache = seat_cache

    async def own_concerts(
        self, organization_ids: OrganizationIds, limit: int, before: Place | None
    ) -> list[OwnConcert]:
        """Return up to `limit` concerts of some organizations, newest first, from `before` on.

        None as the organizations, here and below, means all: for operators.
        """
        return await self._store.own_concerts(organization_ids, before, limit)

    async def own_concert(
        self, organization_ids: OrganizationIds, concert_id: UUID
    ) -> OwnConcertInFull:
        """Return a concert of these organizations with its schedules; raise `ConcertNotFound`."""
        concert = await self._store.own_concert(organization_ids, concert_id)
        if concert is None:
            raise ConcertNotFound
        schedules = await self._store.schedules(concert_id)
        return OwnConcertInFull(**msgspec.structs.asdict(concert), schedules=schedules)

    async def own_schedule(
        self, organization_ids: OrganizationIds, schedule_id: UUID
    ) -> OwnSchedule:
        """Return a schedule of these organizations with its concert; raise `ScheduleNotFound`."""
        own = await self._own(organization_ids, schedule_id)
        concert = await self._store.own_concert(organization_ids, own.concert_id)
        schedules = await self._store.schedules(own.concert_id, schedule_id)
        if concert is None or not schedules:
            raise ScheduleNotFound
        return OwnSchedule(**msgspec.structs.asdict(schedules[0]), concert=concert)

    async def create_concert(
        self,
        actor: Actor,
        concert: NewConcert,
        *,
        organization_id: UUID | None = None,
        key: str = "",
        request_id: str = "",
    ) -> Concert:
        """Add a draft, hidden from the public, of the named organization or the only one of the actor.

        With a `key`, a repetition returns the first concert. Raises `OrganizationNotFound`,
        `IdempotencyKeyReused`, and `Invalid` where one of several organizations must be named.
        """
        owner = ConcertOwner(new_id(), chosen(actor, organization_id))
        wanted = Creation(owner.organization_id, "concert", key, fingerprint_of(repr(concert)))
        async with self._store.transaction() as connection:
            if first := await creations.claim(connection, wanted, owner.concert_id):
                return await creations.concert(connection, first)
            made = await store.insert_concert(connection, owner, actor.user_id, concert)
            context = _ActionContext(
                actor.user_id, owner.organization_id, request_id, made.concert_id
            )
            await context.record(connection, "concert.created", title=made.title)
        return made

    async def create_schedule(
        self,
        actor: Actor,
        concert_id: UUID,
        schedule: NewSchedule,
        *,
        key: str = "",
        request_id: str = "",
    ) -> Schedule:
        """Add a performance without seats; with a `key`, a repetition returns the first one.

        Raises `Invalid`, `ConcertNotFound`, `VenueNotFound`, `ScheduleLimit`, `IdempotencyKeyReused`.
        """
        zone = await self._zone_of(actor.organization_ids, concert_id, schedule.venue_id)
        schedule = rules.validated(schedule, zone)
        if schedule.currency != self._settings.payments.currency:
            # Wallets are in the shop's currency, so no other can be paid.
            raise Invalid(f"This shop sells in {self._settings.payments.currency}.")
        schedules_max = self._settings.catalog.schedules_per_concert_max
        async with self._store.transaction() as connection:
            owner = await store.lock_concert(connection, concert_id, actor.organization_ids)
            if owner is None:
                raise ConcertNotFound
            schedule_id = new_id()
            fingerprint = fingerprint_of(str(concert_id), repr(schedule))
            wanted = Creation(owner, "schedule", key, fingerprint)
            if first := await creations.claim(connection, wanted, schedule_id):
                return await creations.schedule(connection, first, self._time_zone)
            if await store.count_schedules(connection, concert_id) >= schedules_max:
                raise ScheduleLimit(f"A concert may have {schedules_max} schedules.")
            made = await store.insert_schedule(
                connection, schedule_id, concert_id, schedule, self._time_zone
            )
            context = _ActionContext(actor.user_id, owner, request_id, concert_id, made.schedule_id)
            await context.record(connection, "schedule.created", **_terms(made))
        self.lookups.invalidate(concert_id)
        return made

    async def add_seats(
        self,
        actor: Actor,
        schedule_id: UUID,
        seats: list[NewSeat],
        *,
        request_id: str = "",
    ) -> SeatsAdded:
        """Add all of `seats` or none.

        Raises `ScheduleNotFound`, `SeatMapLocked` once it has been opened, `SeatExists` with the
        `seat_ids`, and `SeatMapInvalid` where there would be too many, or where they spell a section,
        row or grade differently from existing seats.
        """
        async with self._store.transaction() as connection:
            schedule = await store.lock_schedule(connection, schedule_id, actor.organization_ids)
            if schedule is None:
                raise ScheduleNotFound
            if schedule.status != "DRAFT":
                raise SeatMapLocked
            before = await store.count_seats(connection, schedule_id)
            self._check_seat_limit(before + len(seats))
            if before:
                await _refuse_conflicts(connection, schedule_id, seats)
                known_labels = await store.labels(connection, schedule_id)
                for _, complaint in rules.spelled_differently(seats, known_labels):
                    raise SeatMapInvalid(complaint, reason="spelling")
            for at in range(0, len(seats), _INSERT_MAX):
                part = seats[at : at + _INSERT_MAX]
                await store.insert_seats(connection, schedule_id, before + at, part)
            await store.analyze_seats(connection)
            context = _ActionContext(
                actor.user_id,
                schedule.organization_id,
                request_id,
                schedule.concert_id,
                schedule_id,
            )
            await context.record(
                connection,
                "seats.imported",
                seats_added=len(seats),
                seats_total=before + len(seats),
            )
        self._invalidate_schedule(schedule.concert_id, schedule_id)
        return SeatsAdded(
            schedule_id=schedule_id, seats_added=len(seats), seats_total=before + len(seats)
        )

    async def preview_seats(
        self, organization_ids: OrganizationIds, schedule_id: UUID, checked: CheckedSeatMap
    ) -> SeatMapPreview:
        """Return the result of adding the seats of `checked`; nothing is written.

        Raises `ScheduleNotFound`, and `SeatMapLocked` once it has been opened.
        """
        own = await self._own(organization_ids, schedule_id)
        if own.status != "DRAFT":
            raise SeatMapLocked
        (schedule,) = await self._store.schedules(own.concert_id, schedule_id)
        errors = [seat_map_preview.error_of(error) for error in checked.errors]
        if schedule.seats_total:
            errors += await self._conflicts(schedule_id, checked)
            errors += await self._spelling_errors(schedule_id, checked)
        seats_total = schedule.seats_total + len(checked.seats)
        # A map without seats has no line that could exceed a limit that was lowered.
        if checked.seats and seats_total > self._settings.catalog.seats_per_schedule_max:
            message = f"A schedule may have {self._settings.catalog.seats_per_schedule_max} seats."
            errors.append(SeatMapError(line=checked.lines[-1], reason="too_many", message=message))
        return seat_map_preview.preview(
            schedule, checked, sorted(errors, key=lambda error: error.line)
        )

    async def _conflicts(self, schedule_id: UUID, checked: CheckedSeatMap) -> list[SeatMapError]:
        known = await self._store.conflicting_seats(schedule_id, checked.seats, _NAMED_MAX)
        lines = dict(zip((seat.seat_id for seat in checked.seats), checked.lines, strict=True))
        return [
            SeatMapError(
                line=lines[seat_id],
                reason="exists",
                message=f"The schedule has the seat '{seat_id}' already.",
            )
            for seat_id in known
        ]

    async def _spelling_errors(
        self, schedule_id: UUID, checked: CheckedSeatMap
    ) -> list[SeatMapError]:
        found = rules.spelled_differently(checked.seats, await self._store.labels(schedule_id))
        return [
            SeatMapError(line=checked.lines[at], reason="spelling", message=complaint)
            for at, complaint in islice(found, _NAMED_MAX)
        ]

    async def publish(self, actor: Actor, concert_id: UUID, *, request_id: str = "") -> Concert:
        """Publish a draft.

        Raises `ConcertNotFound`, `ConcertTakenDown`, `AlreadyPublished`, and `NotPublishable` where no
        schedule has seats.
        """
        async with self._store.transaction() as connection:
            published = await store.publish(connection, concert_id, actor.organization_ids)
            if published is not None:
                concert, owner = published
                context = _ActionContext(actor.user_id, owner, request_id, concert_id)
                await context.record(connection, "concert.published", title=concert.title)
        if published is None:
            raise await self._why_unpublished(actor.organization_ids, concert_id)
        self.lookups.invalidate(concert_id)
        self._seat_cache.evict_absent()
        return published.concert

    async def _why_unpublished(
        self, organization_ids: OrganizationIds, concert_id: UUID
    ) -> Problem:
        state = await self._store.concert_status(concert_id, organization_ids)
        if state is None:
            return ConcertNotFound()
        if state.is_taken_down:
            return ConcertTakenDown()
        return AlreadyPublished() if state.status == "PUBLISHED" else NotPublishable()

    async def open(self, actor: Actor, schedule_id: UUID, *, request_id: str = "") -> ScheduleState:
        """Put a schedule on sale. Repeating it is no error.

        Raises `ScheduleNotFound`, `ConcertTakenDown`, and `ScheduleNotOpenable` without seats or in a
        draft concert.
        """
        async with self._store.transaction() as connection:
            changed = await store.open_sale(connection, schedule_id, actor.organization_ids)
            if changed is not None:
                context = _ActionContext(
                    actor.user_id,
                    changed.organization_id,
                    request_id,
                    changed.concert_id,
                    schedule_id,
                )
                await context.record(connection, "schedule.opened")
        if changed is not None:
            concert_id = changed.concert_id
        else:
            schedule = await self._own(actor.organization_ids, schedule_id)
            if schedule.status != "OPEN":
                state = await self._store.concert_status(
                    schedule.concert_id, actor.organization_ids
                )
                raise ConcertTakenDown if state and state.is_taken_down else ScheduleNotOpenable
            concert_id = schedule.concert_id
        self._invalidate_schedule(concert_id, schedule_id)
        return ScheduleState(schedule_id=schedule_id, status="OPEN")

    async def close(
        self, actor: Actor, schedule_id: UUID, *, request_id: str = ""
    ) -> ScheduleState:
        """Take a schedule off sale; existing holds can still be paid. Repeating it is no error.

        Raises `ScheduleNotFound`, and `NotOnSale` for one that was never opened.
        """
        async with self._store.transaction() as connection:
            changed = await store.close_sale(connection, schedule_id, actor.organization_ids)
            if changed is not None:
                context = _ActionContext(
                    actor.user_id,
                    changed.organization_id,
                    request_id,
                    changed.concert_id,
                    schedule_id,
                )
                await context.record(connection, "schedule.closed")
        if changed is not None:
            concert_id = changed.concert_id
        else:
            schedule = await self._own(actor.organization_ids, schedule_id)
            if schedule.status != "CLOSED":
                raise NotOnSale("The schedule was never opened.")
            concert_id = schedule.concert_id
        self._invalidate_schedule(concert_id, schedule_id)
        return ScheduleState(schedule_id=schedule_id, status="CLOSED")

    async def take_down(
        self, operator_id: UUID, concert_id: UUID, reason: str, *, request_id: str = ""
    ) -> OwnConcertInFull:
        """Hide a concert and end its sales. Repeating it changes nothing.

        Existing holds can still be paid, and tickets stay valid. Raises `ConcertNotFound`.
        """
        async with self._store.transaction() as connection:
            taken = await store.take_down(connection, concert_id, reason)
            if taken is not None:
                closed = await store.close_sales(connection, concert_id)
                context = _ActionContext(operator_id, taken.organization_id, request_id, concert_id)
                details = {"reason": reason, "sales_closed": len(closed)}
                await context.record(connection, "concert.taken_down", **details)
        return await self._changed_for_all(concert_id)

    async def restore(
        self, operator_id: UUID, concert_id: UUID, *, request_id: str = ""
    ) -> OwnConcertInFull:
        """Show a concert again that was taken down; its organizer reopens the sales.

        Raises `ConcertNotFound`.
        """
        async with self._store.transaction() as connection:
            restored = await store.restore(connection, concert_id)
            if restored is not None:
                context = _ActionContext(
                    operator_id, restored.organization_id, request_id, concert_id
                )
                await context.record(connection, "concert.restored")
        return await self._changed_for_all(concert_id)

    async def _changed_for_all(self, concert_id: UUID) -> OwnConcertInFull:
        """Invalidate the caches of a concert; other processes follow within a second."""
        concert = await self.own_concert(None, concert_id)
        for schedule in concert.schedules:
            self._invalidate_schedule(concert_id, schedule.schedule_id)
        self.lookups.invalidate(concert_id)
        self._seat_cache.evict_absent()
        return concert

    async def put_on_sale(
        self, actor: Actor, concert: NewConcert, schedule: NewSchedule, seats: list[NewSeat]
    ) -> OnSale:
        """Create a published concert with one open schedule, command by command."""
        concert_id = (await self.create_concert(actor, concert)).concert_id
        made = await self.create_schedule(actor, concert_id, schedule)
        await self.add_seats(actor, made.schedule_id, seats)
        await self.publish(actor, concert_id)
        await self.open(actor, made.schedule_id)
        return OnSale(concert_id, made.schedule_id)

    async def _own(self, organization_ids: OrganizationIds, schedule_id: UUID) -> ScheduleRow:
        schedule = await self._store.own_schedule(schedule_id, organization_ids)
        if schedule is None:
            raise ScheduleNotFound
        return schedule

    async def _zone_of(
        self, organization_ids: OrganizationIds, concert_id: UUID, venue_id: UUID | None
    ) -> ZoneInfo:
        """Return the time zone of a venue of the concert's organization, or that without a venue."""
        if venue_id is None:
            return ZoneInfo(self._time_zone)
        name = await self._store.venue_time_zone(venue_id, organization_ids, concert_id)
        if name is None:
            raise VenueNotFound
        return ZoneInfo(name)

    def _check_seat_limit(self, seats: int) -> None:
        seats_max = self._settings.catalog.seats_per_schedule_max
        if seats > seats_max:
            raise SeatMapInvalid(f"A schedule may have {seats_max} seats.", seats_max=seats_max)

    def invalidate(self, concert_id: UUID, schedule_id: UUID) -> None:
        """Drop what this process has in memory of a schedule that was changed elsewhere."""
        self._invalidate_schedule(concert_id, schedule_id)

    def _invalidate_schedule(self, concert_id: UUID, schedule_id: UUID) -> None:
        self.lookups.invalidate(concert_id)
        self._seat_cache.evict(schedule_id)


def _terms(schedule: Schedule) -> dict[str, object]:
    names = (
        "starts_at",
        "sale_opens_at",
        "sale_closes_at",
        "hold_ttl_s",
        "ticket_limit",
        "seats_return_delay_max_s",
        "doors_at",
        "time_zone",
    )
    return {name: getattr(schedule, name) for name in names}


async def _refuse_conflicts(
    connection: store.Connection, schedule_id: UUID, seats: list[NewSeat]
) -> None:
    known = await store.conflicting_seats_of(connection, schedule_id, seats, _NAMED_MAX)
    if known:
        raise SeatExists(seat_ids=known)
