"""Bodies of changes, and what is answered."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.catalog.views import AgeRating, Genre
from boxoffice.platform.values import Line, Paragraph
from boxoffice.venues.rules import VenueTime

Minutes = Annotated[int, Meta(ge=1, le=1440)]
Intermission = Annotated[int, Meta(ge=0, le=240)]
HoldTtl = Annotated[int, Meta(ge=1, le=86_400, description="Duration of new holds in seconds.")]
TicketLimit = Annotated[int, Meta(ge=1, le=1000, description="Tickets per person, for new holds.")]
ReturnDelay = Annotated[int, Meta(ge=0, le=600)]


class ConcertEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The changed members of a concert; absent ones stay, null clears."""

    title: Line | UnsetType = UNSET
    title_en: Line | UnsetType | None = UNSET
    title_ko: Line | UnsetType | None = UNSET
    artist: Line | UnsetType = UNSET
    artist_en: Line | UnsetType | None = UNSET
    artist_ko: Line | UnsetType | None = UNSET
    venue: Line | UnsetType = UNSET
    description: Paragraph | UnsetType = UNSET
    description_en: Paragraph | UnsetType | None = UNSET
    description_ko: Paragraph | UnsetType | None = UNSET
    genre: Genre | UnsetType | None = UNSET
    running_time_min: Minutes | UnsetType | None = UNSET
    intermission_min: Intermission | UnsetType | None = UNSET
    age_rating: AgeRating | UnsetType | None = UNSET
    faq: Paragraph | UnsetType | None = UNSET
    faq_en: Paragraph | UnsetType | None = UNSET
    faq_ko: Paragraph | UnsetType | None = UNSET
    notices: Paragraph | UnsetType | None = UNSET
    notices_en: Paragraph | UnsetType | None = UNSET
    notices_ko: Paragraph | UnsetType | None = UNSET
    refund_notes: Paragraph | UnsetType | None = UNSET
    refund_notes_en: Paragraph | UnsetType | None = UNSET
    refund_notes_ko: Paragraph | UnsetType | None = UNSET
    organizer_contact: Line | UnsetType | None = UNSET
    requires_verified_email: bool | UnsetType = UNSET


class ScheduleEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The changed members of a schedule; absent ones stay, null clears.

    Local times are those of the venue after the change. Of a new venue buyers are told, with the
    `reason`; those who bought before may return their tickets without a fee until `refundable_until`.
    """

    starts_at: VenueTime | UnsetType = UNSET
    sale_opens_at: VenueTime | UnsetType = UNSET
    sale_closes_at: VenueTime | UnsetType | None = UNSET
    doors_at: VenueTime | UnsetType | None = UNSET
    venue_id: UUID | UnsetType | None = UNSET
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)] | UnsetType = UNSET
    hold_ttl_s: HoldTtl | UnsetType = UNSET
    ticket_limit: TicketLimit | UnsetType = UNSET
    seats_return_delay_max_s: ReturnDelay | UnsetType = UNSET
    refundable_until: VenueTime | None = None
    reason: Line | None = None


class PostponeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new date; tickets stay valid, and may be returned without a fee until `refundable_until`.

    The sale is closed. Its end is cleared where it is not given, and the doors open as long before the
    start as they did.
    """

    starts_at: VenueTime
    doors_at: VenueTime | None = None
    sale_closes_at: VenueTime | None = None
    venue_id: UUID | None = None
    refundable_until: VenueTime | None = None
    reason: Line | None = None


class ScheduleChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change that buyers are told of, and how far its job has come.

    `mails` were queued, `released` holds were ended. `refund_job_id` is that of a cancellation.
    """

    change_id: UUID
    schedule_id: UUID
    kind: Literal["CHANGED", "POSTPONED", "CANCELLED"]
    reason: str
    starts_before: datetime
    starts_after: datetime
    venue_before: str
    venue_after: str
    refundable_until: datetime | None
    refund_job_id: UUID | None
    mails: int
    released: int
    created_at: datetime
    notified_at: datetime | None
    finished_at: datetime | None
