"""Concerts, schedules and seat-map uploads as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from boxoffice.brands.views import Brand
from boxoffice.catalog.seat_map_csv import Delimiter, Encoding
from boxoffice.listings.markdown import RichNode
from boxoffice.listings.views import ConcertSale, ListedVenue, PriceOfGrade
from boxoffice.platform.values import Money
from boxoffice.posters.views import Poster
from boxoffice.venues.views import VenuePlace

ConcertStatus = Literal["DRAFT", "PUBLISHED"]
ScheduleStatus = Literal["DRAFT", "OPEN", "CLOSED", "CANCELLED"]
Genre = Literal[
    "concert",
    "pop",
    "rock",
    "hiphop",
    "jazz",
    "classical",
    "musical",
    "theatre",
    "festival",
    "fan_meeting",
    "trot",
    "other",
]
# From which age on a concert may be attended, by the Korean ratings.
AgeRating = Literal["all", "7", "12", "15", "19"]
# The mode of the waiting room before holds; "off" without one.
WaitingRoom = Literal["off", "fifo", "lobby"]


class ConcertItem(msgspec.Struct, frozen=True, kw_only=True):
    """A concert in a list; the times are those of its first and last upcoming performance.

    They are shown in `time_zone`. `_en` and `_ko` replace a text for readers of that language.
    `venues` are those of its performances; without any, `venue` says where. `is_featured` is the one
    that an operator has put at the top of the list.
    """

    concert_id: UUID
    title: str
    title_en: str | None
    title_ko: str | None
    artist: str
    artist_en: str | None
    artist_ko: str | None
    venue: str
    genre: Genre | None
    age_rating: AgeRating | None
    published_at: datetime
    first_starts_at: datetime | None
    last_starts_at: datetime | None
    time_zone: str
    poster: Poster | None = None
    cities: list[str] = []
    venues: list[ListedVenue] = []
    sale: ConcertSale | None = None
    is_featured: bool = False


class Concert(msgspec.Struct, frozen=True, kw_only=True):
    """A concert; `_en` and `_ko` replace a text for readers of that language.

    Longer texts are Markdown. With `requires_verified_email` only people whose address is verified may
    hold seats. `version` is the ETag for changes.
    """

    concert_id: UUID
    title: str
    title_en: str | None
    title_ko: str | None
    artist: str
    artist_en: str | None
    artist_ko: str | None
    venue: str
    description: str
    description_en: str | None
    description_ko: str | None
    genre: Genre | None
    running_time_min: int | None
    intermission_min: int | None
    age_rating: AgeRating | None
    faq: str | None
    faq_en: str | None
    faq_ko: str | None
    notices: str | None
    notices_en: str | None
    notices_ko: str | None
    refund_notes: str | None
    refund_notes_en: str | None
    refund_notes_ko: str | None
    organizer_contact: str | None
    requires_verified_email: bool = False
    status: ConcertStatus
    published_at: datetime | None
    version: int


class ConcertPage(Concert, frozen=True, kw_only=True):
    """A concert with all that its page shows.

    `brand` is the organization's. `rich` has the texts in Markdown by their member, as `faq_ko`, parsed
    to elements.
    """

    brand: Brand | None = None
    poster: Poster | None = None
    prices: list[PriceOfGrade] = []
    rich: dict[str, Sequence[RichNode]] = {}


class OwnConcert(Concert, frozen=True, kw_only=True):
    """A concert as its organizer sees it, with counts of its schedules.

    An open schedule is on sale between the opening and the end of its sale, and not once the
    performance has begun. `organizer_name` is the organization's. `taken_down_at` and its reason are
    set where an operator has taken it down.
    """

    created_at: datetime
    organization_id: UUID
    organizer_name: str
    taken_down_at: datetime | None
    taken_down_reason: str | None
    schedules_total: int
    schedules_open: int
    schedules_on_sale: int


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A performance and the terms of its sale; `hold_ttl_s` is the duration of a hold in seconds.

    Released, lapsed and refunded seats become available within `seats_return_delay_max_s` (0: at
    once). Times are shown in `time_zone`, that of `venue`; without a venue the concert's text says
    where. Sales before `changed_at` may be returned without a fee until `refundable_until`. `version`
    is the ETag.
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
    doors_at: datetime | None
    venue: VenuePlace | None
    time_zone: str
    changed_at: datetime | None
    refundable_until: datetime | None
    postponed_from: datetime | None
    cancelled_at: datetime | None
    version: int


class ScheduleOnOffer(Schedule, frozen=True, kw_only=True):
    """A performance with seat counts; `on_sale` is by the database's clock."""

    on_sale: bool
    seats_total: int
    seats_available: int
    price_min: Money | None
    price_max: Money | None


class OwnConcertInFull(OwnConcert, frozen=True, kw_only=True):
    """A concert as its organizer sees it, with its schedules, earliest first."""

    schedules: list[ScheduleOnOffer]


class OwnSchedule(ScheduleOnOffer, frozen=True, kw_only=True):
    """A schedule as its organizer sees it, with its concert."""

    concert: OwnConcert


class ConcertOfSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """The concert of a schedule, in short."""

    concert_id: UUID
    title: str
    title_en: str | None
    title_ko: str | None
    artist: str
    artist_en: str | None
    artist_ko: str | None
    venue: str


class OneSchedule(Schedule, frozen=True, kw_only=True):
    """A performance and its concert; `on_sale` is by the database's clock. Seats are in the seat map.

    A person may have `ticket_limit` seats, and hold up to `seats_per_hold_max` at once.
    """

    on_sale: bool
    waiting_room: WaitingRoom
    concert: ConcertOfSchedule
    brand: Brand | None = None
    seats_per_hold_max: int = 0


class SeatsAdded(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an upload."""

    schedule_id: UUID
    seats_added: int
    seats_total: int


class SeatMapError(msgspec.Struct, frozen=True, kw_only=True):
    """An error in one line of a CSV seat map: a stable `reason`, and a `message` for people.

    `column` where the error is in one; `first_line` where it repeats an earlier line.
    """

    line: int
    reason: str
    message: str
    column: str | None = None
    first_line: int | None = None


class SectionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a previewed seat map."""

    section: str
    rows: int
    seats: int


class GradePreview(msgspec.Struct, frozen=True, kw_only=True):
    """A grade of a previewed seat map."""

    grade: str
    seats: int
    price_min: Money
    price_max: Money


class SeatMapAssumed(msgspec.Struct, frozen=True, kw_only=True):
    """The detected format of a CSV.

    `ignored_rows` are rows of nothing but separators, `ignored_columns` empty columns at the right.
    """

    encoding: Encoding
    delimiter: Delimiter
    ignored_rows: int
    ignored_columns: int


class SeatMapPreview(msgspec.Struct, frozen=True, kw_only=True):
    """The result that an upload of this seat map would have; nothing was written.

    It is `acceptable` without `errors`. `ended_early` says that the rest of the file was not checked.
    `sections` and `grades` are those of valid lines, the first ones where there are many.
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
