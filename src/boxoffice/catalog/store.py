"""Statements about concerts and schedules: named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.catalog.rules import NewConcert, NewSchedule, NewSeat, same_instant
from boxoffice.catalog.views import (
    Concert,
    ConcertItem,
    ConcertOfSchedule,
    OneSchedule,
    OwnConcert,
    Schedule,
    ScheduleOnOffer,
)
from boxoffice.errors import SeatExists
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record, column
from boxoffice.platform.values import Money
from boxoffice.venues.errors import VenueNotFound
from boxoffice.venues.views import VenuePlace

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.catalog")
_NAMES_OF_CONCERT = ("title", "title_en", "title_ko", "artist", "artist_en", "artist_ko")
_ONE_PER_INSTANT = "schedules_one_per_instant"
_AT_VENUE = "schedules_at_venue"
_SEAT_CONSTRAINTS = frozenset({"seats_pkey", "seats_place_unique"})


class ConcertState(NamedTuple):
    """Whether the public sees a concert."""

    status: str
    is_taken_down: bool


class TakenDown(NamedTuple):
    """The organization and title of a concert that was taken down or restored."""

    organization_id: UUID
    title: str


class LabelsRow(NamedTuple):
    """The labels of a row of seats."""

    section: str
    row: str
    grade: str


class ScheduleRow(NamedTuple):
    """The fields of a schedule that commands need."""

    concert_id: UUID
    status: str
    organization_id: UUID


class ConcertOwner(NamedTuple):
    """A concert and its organization."""

    concert_id: UUID
    organization_id: UUID


class PublishedConcert(NamedTuple):
    """A concert that was published, and its organization."""

    concert: Concert
    organization_id: UUID


class CatalogStore:
    """Reads and writes of concerts, schedules and seat maps."""

    def __init__(self, db: Database, time_zone: str = "Asia/Seoul") -> None:
        self._db = db
        # Of performances without a venue.
        self._time_zone = time_zone

    async def published_concerts(
        self, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[ConcertItem]:
        """Return up to `limit` concerts that were published before the place `after`."""
        rows = await self._db.read(_SQL["published_concerts"], *(after or (None, None)), limit)
        return [_item(dict(row), self._time_zone) for row in rows]

    async def published_concert(self, concert_id: UUID) -> Concert | None:
        """Return a published concert."""
        row = await self._db.read_one(_SQL["published_concert"], concert_id)
        return Concert(**row) if row else None

    async def schedules(
        self, concert_id: UUID, schedule_id: UUID | None = None, *, for_buyers: bool = False
    ) -> list[ScheduleOnOffer]:
        """Return every schedule of a concert, or one of them, with seat counts.

        `for_buyers` leaves out drafts and performances that have begun.
        """
        rows = await self._db.read(
            _SQL["schedules_of_concert"], concert_id, schedule_id, for_buyers
        )
        return [_on_offer(dict(row), self._time_zone) for row in rows]

    async def published_schedule(self, schedule_id: UUID) -> OneSchedule | None:
        """Return a schedule that is no draft, of a published concert, with its concert."""
        row = await self._db.read_one(_SQL["published_schedule"], schedule_id)
        return _with_concert(dict(row), self._time_zone) if row else None

    async def concert_status(
        self, concert_id: UUID, organization_ids: OrganizationIds
    ) -> ConcertState | None:
        """Return the status of a concert of these organizations."""
        row = await self._db.read_one(_SQL["concert_of_organizer"], concert_id, organization_ids)
        return ConcertState(*row) if row else None

    async def own_schedule(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> ScheduleRow | None:
        """Return a schedule of these organizations; None, here and below, means any."""
        row = await self._db.read_one(_SQL["schedule_of_organizer"], schedule_id, organization_ids)
        return ScheduleRow(*row) if row else None

    async def own_concerts(
        self,
        organization_ids: OrganizationIds,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[OwnConcert]:
        """Return up to `limit` concerts of these organizations, made before the place `before`."""
        asked = (*(before or (None, None)), limit)
        if organization_ids is None:
            rows = await self._db.read(_SQL["concerts_of_shop"], *asked)
        else:
            rows = await self._db.read(_SQL["concerts_of_organizer"], organization_ids, *asked)
        return [OwnConcert(**row) for row in rows]

    async def own_concert(
        self, organization_ids: OrganizationIds, concert_id: UUID
    ) -> OwnConcert | None:
        """Return a concert of these organizations, draft or not."""
        row = await self._db.read_one(_SQL["own_concert"], organization_ids, concert_id)
        return OwnConcert(**row) if row else None

    async def venue_time_zone(
        self, venue_id: UUID, organization_ids: OrganizationIds, concert_id: UUID
    ) -> str | None:
        """Return the time zone of a venue of a concert's organization, if that is one of these."""
        row = await self._db.read_one(
            _SQL["venue_time_zone"], venue_id, organization_ids, concert_id
        )
        return row["time_zone"] if row else None

    async def conflicting_seats(
        self, schedule_id: UUID, seats: Sequence[NewSeat], limit: int
    ) -> list[str]:
        """Return the ids of up to `limit` of `seats` whose id or place the schedule has already."""
        rows = await self._db.read(
            _SQL["conflicting_seats"], schedule_id, *_ids_and_places(seats), limit
        )
        return column(rows, "seat_id")

    async def labels(self, schedule_id: UUID) -> list[LabelsRow]:
        """Return the spellings of sections, rows and grades in a schedule."""
        return [
            LabelsRow(*row) for row in await self._db.read(_SQL["labels_of_schedule"], schedule_id)
        ]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, for the functions of this module.

        Raises `SeatExists`, `Invalid` for a second schedule at one instant, `VenueNotFound` for a venue
        that is gone, `Unavailable`, and `OutcomeUnknown` where the commit was not answered.
        """
        try:
            async with self._db.writing() as connection:
                yield connection
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name in _SEAT_CONSTRAINTS:
                raise SeatExists from error
            if error.constraint_name == _ONE_PER_INSTANT:
                raise same_instant() from error
            raise
        except asyncpg.ForeignKeyViolationError as error:
            if error.constraint_name == _AT_VENUE:
                raise VenueNotFound from error
            raise


async def insert_concert(
    connection: Connection, owner: ConcertOwner, creator_id: UUID, concert: NewConcert
) -> Concert:
    """Add a draft."""
    (row,) = await connection.fetch(
        _SQL["insert_concert"],
        owner.concert_id,
        creator_id,
        owner.organization_id,
        concert.title,
        concert.artist,
        concert.venue,
        concert.description,
    )
    return Concert(**row)


async def publish(
    connection: Connection, concert_id: UUID, organization_ids: OrganizationIds
) -> PublishedConcert | None:
    """Publish a draft with seats; None where nothing changed."""
    row = await connection.fetchrow(_SQL["publish_concert"], concert_id, organization_ids)
    if row is None:
        return None
    fields = dict(row)
    organization_id = fields.pop("organization_id")
    return PublishedConcert(Concert(**fields), organization_id)


async def open_sale(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> ConcertOwner | None:
    """Put a schedule on sale; return its concert, or None where nothing changed."""
    row = await connection.fetchrow(_SQL["open_schedule"], schedule_id, organization_ids)
    return ConcertOwner(*row) if row else None


async def close_sale(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> ConcertOwner | None:
    """Take a schedule off sale; return its concert, or None where nothing changed."""
    row = await connection.fetchrow(_SQL["close_schedule"], schedule_id, organization_ids)
    return ConcertOwner(*row) if row else None


async def take_down(connection: Connection, concert_id: UUID, reason: str) -> TakenDown | None:
    """Hide a concert from the public; None where nothing changed."""
    row = await connection.fetchrow(_SQL["take_down"], concert_id, reason)
    return TakenDown(*row) if row else None


async def close_sales(connection: Connection, concert_id: UUID) -> list[UUID]:
    """End every sale of a concert; return the schedules that were open."""
    return column(await connection.fetch(_SQL["close_sales"], concert_id), "schedule_id")


async def restore(connection: Connection, concert_id: UUID) -> TakenDown | None:
    """Show a concert again; None where nothing changed."""
    row = await connection.fetchrow(_SQL["restore"], concert_id)
    return TakenDown(*row) if row else None


async def lock_concert(
    connection: Connection, concert_id: UUID, organization_ids: OrganizationIds
) -> UUID | None:
    """Lock a concert's list of schedules; return its organization, None where it is of no such one."""
    organization_id: UUID | None = await connection.fetchval(
        _SQL["lock_concert_of_organizer"], concert_id, organization_ids
    )
    return organization_id


async def count_schedules(connection: Connection, concert_id: UUID) -> int:
    """Return how many schedules a concert has."""
    schedules: int = await connection.fetchval(_SQL["count_schedules"], concert_id)
    return schedules


async def insert_schedule(
    connection: Connection,
    schedule_id: UUID,
    concert_id: UUID,
    schedule: NewSchedule,
    time_zone: str,
) -> Schedule:
    """Add a draft without seats; `time_zone` is that of performances without a venue."""
    (row,) = await connection.fetch(
        _SQL["insert_schedule"],
        schedule_id,
        concert_id,
        schedule.starts_at,
        schedule.sale_opens_at,
        schedule.sale_closes_at,
        schedule.currency,
        schedule.hold_ttl_s,
        schedule.ticket_limit,
        schedule.seats_return_delay_max_s,
        schedule.venue_id,
        schedule.doors_at,
    )
    return Schedule(**placed(dict(row), time_zone))


async def lock_schedule(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> ScheduleRow | None:
    """Lock a schedule of these organizations against being opened until the transaction ends."""
    row = await connection.fetchrow(
        _SQL["lock_schedule_of_organizer"], schedule_id, organization_ids
    )
    return ScheduleRow(*row) if row else None


async def count_seats(connection: Connection, schedule_id: UUID) -> int:
    """Return how many seats a schedule has."""
    seats: int = await connection.fetchval(_SQL["count_seats"], schedule_id)
    return seats


async def conflicting_seats_of(
    connection: Connection, schedule_id: UUID, seats: Sequence[NewSeat], limit: int
) -> list[str]:
    """Return the ids of up to `limit` of `seats` whose id or place the schedule has already."""
    rows = await connection.fetch(
        _SQL["conflicting_seats"], schedule_id, *_ids_and_places(seats), limit
    )
    return column(rows, "seat_id")


async def labels(connection: Connection, schedule_id: UUID) -> list[LabelsRow]:
    """Return the spellings of sections, rows and grades in a schedule."""
    rows = await connection.fetch(_SQL["labels_of_schedule"], schedule_id)
    return [LabelsRow(*row) for row in rows]


def _ids_and_places(seats: Sequence[NewSeat]) -> tuple[list[Any], ...]:
    return (
        [seat.seat_id for seat in seats],
        [seat.section for seat in seats],
        [seat.row for seat in seats],
        [seat.number for seat in seats],
    )


async def insert_seats(
    connection: Connection, schedule_id: UUID, ordinal: int, seats: Sequence[NewSeat]
) -> None:
    """Add `seats`, the first one with `ordinal`."""
    await connection.execute(
        _SQL["insert_seats"],
        schedule_id,
        ordinal,
        [seat.seat_id for seat in seats],
        [seat.section for seat in seats],
        [seat.row for seat in seats],
        [seat.number for seat in seats],
        [seat.grade for seat in seats],
        [seat.price_minor for seat in seats],
    )


async def analyze_seats(connection: Connection) -> None:
    """Update the planner statistics of the seats; about 0.2 s for 65,000 seats."""
    await connection.execute(_SQL["analyze_seats"])


def _item(row: dict[str, Any], time_zone: str) -> ConcertItem:
    return ConcertItem(**{**row, "time_zone": row["time_zone"] or time_zone})


def placed(row: dict[str, Any], time_zone: str) -> dict[str, Any]:
    """Return the members of a schedule with its venue and time zone."""
    text = row["venue"]
    venue = None if text is None else msgspec.json.decode(text, type=VenuePlace)
    return {**row, "venue": venue, "time_zone": venue.time_zone if venue else time_zone}


def _with_concert(row: dict[str, Any], time_zone: str) -> OneSchedule:
    row = placed(row, time_zone)
    concert = ConcertOfSchedule(
        concert_id=row["concert_id"],
        venue=row.pop("concert_venue"),
        **{name: row.pop(name) for name in _NAMES_OF_CONCERT},
    )
    return OneSchedule(**row, concert=concert)


def _on_offer(row: dict[str, Any], time_zone: str) -> ScheduleOnOffer:
    row = placed(row, time_zone)
    low, high = row.pop("price_min_minor"), row.pop("price_max_minor")
    currency = row["currency"]
    return ScheduleOnOffer(
        **row,
        price_min=None if low is None else Money(low, currency),
        price_max=None if high is None else Money(high, currency),
    )
