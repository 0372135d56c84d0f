"""What callers see of the catalog."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from boxoffice.catalog.sheets import Delimiter, Encoding
from boxoffice.platform.values import Money

ConcertStatus = Literal["DRAFT", "PUBLISHED"]
ScheduleStatus = Literal["DRAFT", "OPEN", "CLOSED"]
# How people wait before they may hold seats; "off" where they need not.
WaitingRoom = Literal["off", "fifo", "lobby"]


class ConcertItem(msgspec.Struct, frozen=True, kw_only=True):
    """A concert in a list; the times are those of its first and last performance yet to begin."""

    concert_id: UUID
    title: str
    artist: str
    venue: str
    published_at: datetime
    first_starts_at: datetime | None
    last_starts_at: datetime | None


class Concert(msgspec.Struct, frozen=True, kw_only=True):
    """A concert."""

    concert_id: UUID
    title: str
    artist: str
    venue: str
    description: str
    status: ConcertStatus
    published_at: datetime | None


class OwnConcert(Concert, frozen=True, kw_only=True):
    """A concert as its organizer sees it, with its schedules counted.

    An open schedule is on sale between the opening and the end of its sale, and not once the
    performance has begun. Where an operator has taken it down, it says when and why.
    """

    created_at: datetime
    organizer_name: str
    taken_down_at: datetime | None
    taken_down_reason: str | None
    schedules_total: int
    schedules_open: int
    schedules_on_sale: int


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A performance and the terms of its sale; `hold_ttl_s` is the time of a hold in seconds.

    Seats that are released or lapse come back within `seats_return_delay_max_s`, 0 for at once.
    """

    schedule_id: UUID
    concert_id: UUID
    starts_at: datetime
    sale_opens_at: datetime
    sale_closes_at: datetime | None
    status: ScheduleStatus
    currency: str
    hold_ttl_s: int
    ticket_limit: int
    seats_return_delay_max_s: int


class ScheduleOnOffer(Schedule, frozen=True, kw_only=True):
    """A performance with its seats counted; `on_sale` goes by the database's clock."""

    on_sale: bool
    seats_total: int
    seats_available: int
    price_min: Money | None
    price_max: Money | None


class OwnConcertInFull(OwnConcert, frozen=True, kw_only=True):
    """A concert as its organizer sees it, with its schedules, the earliest first."""

    schedules: list[ScheduleOnOffer]


class OwnSchedule(ScheduleOnOffer, frozen=True, kw_only=True):
    """A schedule as its organizer sees it, with its concert."""

    concert: OwnConcert


class ConcertOfSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """What is performed, in short."""

    concert_id: UUID
    title: str
    artist: str
    venue: str


class OneSchedule(Schedule, frozen=True, kw_only=True):
    """A performance and its concert; `on_sale` goes by the database's clock. Its seats have a map.

    One person may have `ticket_limit` seats, and ask for up to `seats_per_hold_max` at once.
    """

    on_sale: bool
    waiting_room: WaitingRoom
    concert: ConcertOfSchedule
    seats_per_hold_max: int = 0


class SeatsAdded(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload brought."""

    schedule_id: UUID
    seats_added: int
    seats_total: int


class SeatMapError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one line of a CSV seat map, in a stable word and in words for people.

    `column` where it is about one, `first_line` where an earlier line says the same.
    """

    line: int
    reason: str
    message: str
    column: str | None = None
    first_line: int | None = None


class SectionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a seat map to be."""

    section: str
    rows: int
    seats: int


class GradePreview(msgspec.Struct, frozen=True, kw_only=True):
    """A grade of a seat map to be."""

    grade: str
    seats: int
    price_min: Money
    price_max: Money


class SeatMapAssumed(msgspec.Struct, frozen=True, kw_only=True):
    """How a CSV was read, which it does not say itself.

    `ignored_rows` are rows of nothing but separators, `ignored_columns` empty columns at the right.
    """

    encoding: Encoding
    delimiter: Delimiter
    ignored_rows: int
    ignored_columns: int


class SeatMapPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload of this seat map would bring; nothing was written.

    It is `acceptable` where there are no `errors`. `ended_early` says that the rest of the file was not
    looked at. `sections` and `grades` are of the good lines, the first ones where there are many.
    """

    schedule_id: UUID
    acceptable: bool
    seats_read: int
    seats_total: int
    errors: list[SeatMapError]
    ended_early: bool
    sections: list[SectionPreview]
    sections_total: int
    grades: list[GradePreview]
    grades_total: int
    assumed: SeatMapAssumed


class ScheduleState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a schedule is on sale."""

    schedule_id: UUID
    status: ScheduleStatus
