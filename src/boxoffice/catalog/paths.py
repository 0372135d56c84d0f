"""Path ids of concerts and schedules, and cursors of their lists."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from msgspec import Meta

from boxoffice.catalog.rules import Place
from boxoffice.errors import ConcertNotFound, ScheduleNotFound
from boxoffice.http.api.operation import PathId
from boxoffice.http.api.paging import decode_cursor
from boxoffice.platform.ids import parse_uuid

CONCERT_ID = PathId(parse_uuid, ConcertNotFound, "The id of a concert.")
SCHEDULE_ID = PathId(parse_uuid, ScheduleNotFound, "The id of a schedule.", counted_apart=True)
# No handler reads it. An edge may send all writes of a schedule to one pod, for larger batches.
SCHEDULE_HEADER = {
    "Schedule-Id": "The `schedule_id` of the reservation. Optional: an edge may route by it."
}

CONCERT = {"concert_id": CONCERT_ID}
SCHEDULE = {"schedule_id": SCHEDULE_ID}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Cursor(NamedTuple):
    """The place of a concert in a list; its time in microseconds since 1970, up to the year 2200."""

    at_us: Annotated[int, Meta(ge=0, le=7_258_118_400_000_000)]
    concert_id: UUID


def cursor_at(at: datetime, concert_id: UUID) -> Cursor:
    """Return the place of a concert in a list that is ordered by a time."""
    return Cursor((at - _EPOCH) // _MICROSECOND, concert_id)


def place_of(cursor: str) -> Place | None:
    """Decode a cursor; return None for the first page. Raises `CursorInvalid`."""
    place = decode_cursor(cursor, Cursor)
    if place is None:
        return None
    return _EPOCH + place.at_us * _MICROSECOND, place.concert_id
