"""The attendee list of a performance: names and addresses of buyers, so each read is logged."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple
from uuid import UUID

from boxoffice.activity_log import ReadLog, Shown
from boxoffice.errors import ScheduleNotFound
from boxoffice.order_numbers.rules import shown
from boxoffice.permissions import Actor
from boxoffice.platform.spreadsheets.files import Row
from boxoffice.reports.attendee_store import Attendee, AttendeePlace, AttendeeStore, ListedSchedule

COLUMNS = (
    "order_number", "name", "email", "seat", "section", "row", "number", "grade", "price_type",
    "way_of_sale", "ticket_state", "issued_at",
)  # fmt: skip


class AttendeeList(NamedTuple):
    """Which tickets of a performance are listed."""

    schedule_id: UUID
    with_void: bool = False


class Attendees:
    """Lists tickets with the names of their holders."""

    def __init__(self, store: AttendeeStore, reads: ReadLog, batch_rows: int) -> None:
        self._store = store
        self._reads = reads
        self._batch_rows = batch_rows

    async def page(
        self,
        actor: Actor,
        wanted: AttendeeList,
        after: AttendeePlace | None,
        limit: int,
        *,
        request_id: str = "",
    ) -> list[Attendee]:
        """Return up to `limit` tickets in the order of the seats, and one that follows.

        Raises `ScheduleNotFound` and `Unavailable`.
        """
        place = await self._place(actor, wanted)
        found = await self._store.page(wanted.schedule_id, wanted.with_void, after, limit + 1)
        entry = Shown(
            place.organization_id, len(found[:limit]), place.concert_id, place.schedule_id
        )
        await self._reads.record(actor, "attendees.read", [entry], request_id=request_id)
        return found

    async def begin_export(
        self, actor: Actor, wanted: AttendeeList, *, request_id: str = ""
    ) -> None:
        """Log the export of all tickets; raises what `page` raises."""
        place = await self._place(actor, wanted)
        rows = await self._store.count(wanted.schedule_id, wanted.with_void)
        entry = Shown(place.organization_id, rows, place.concert_id, place.schedule_id)
        await self._reads.record(actor, "attendees.exported", [entry], request_id=request_id)

    async def rows(self, wanted: AttendeeList) -> AsyncGenerator[Sequence[Row]]:
        """Yield the rows of an export in parts, from one snapshot."""
        all_of_them = self._store.all(wanted.schedule_id, wanted.with_void, self._batch_rows)
        async with aclosing(all_of_them) as parts:
            async for part in parts:
                yield [_row(one) for one in part]

    async def _place(self, actor: Actor, wanted: AttendeeList) -> ListedSchedule:
        place = await self._store.place(wanted.schedule_id, actor.organization_ids)
        if place is None:
            raise ScheduleNotFound
        return place


def _row(one: Attendee) -> Row:
    return (
        shown(one.order_number), one.name, one.email, one.seat_id, one.section, one.row_label,
        one.number, one.grade, one.price_type, one.source, one.status,
        one.issued_at.isoformat(timespec="seconds"),
    )  # fmt: skip
