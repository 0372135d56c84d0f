"""Seats after the opening over HTTP: parse, call, present."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.catalog import rules as catalog_rules
from boxoffice.catalog.paths import SCHEDULE
from boxoffice.errors import (
    CursorInvalid,
    OutcomeUnknown,
    SeatExists,
    SeatMapInvalid,
    SeatNotFound,
)
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.inventory.rules import BlockReason, Command, SeatCommand, Selection
from boxoffice.inventory.service import CommandResult, Inventory
from boxoffice.inventory.store import BlockedSeat
from boxoffice.permissions import Permission
from boxoffice.platform.values import Label, Line, ShortLine
from boxoffice.seats.views import SeatStatus

Price = Annotated[int, Meta(ge=0, le=catalog_rules.PRICE_MAX_MINOR)]
_SEATS_MAX = 10_000


class SelectionBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Either `seat_ids`, or all seats of a `section`, of a `row` of it, or of a `grade`."""

    seat_ids: Annotated[list[Label], Meta(max_length=_SEATS_MAX)] = []
    section: ShortLine | None = None
    row: ShortLine | None = None
    grade: ShortLine | None = None
    note: Line | None = None


class BlockBody(SelectionBody, forbid_unknown_fields=True, kw_only=True):
    """Seats that are taken off sale, and why."""

    reason: BlockReason


class UnblockBody(SelectionBody, forbid_unknown_fields=True, kw_only=True):
    """Blocked seats that go back on sale."""


class RepriceBody(SelectionBody, forbid_unknown_fields=True, kw_only=True):
    """The new price in minor units, the new grade, or both."""

    price: Price | None = None
    new_grade: ShortLine | None = None


class AddedSeatBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new seat; the default `seat_id` is made of section, row and number."""

    section: ShortLine
    row: ShortLine
    number: Annotated[int, Meta(ge=1, le=catalog_rules.NUMBER_MAX)]
    grade: ShortLine
    price: Price
    seat_id: Label | None = None


class AdditionBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Seats that are added to the end of the seat map, on sale or blocked."""

    seats: Annotated[list[AddedSeatBody], Meta(min_length=1, max_length=_SEATS_MAX)]
    blocked: bool = False


class UnchangedSeatOut(msgspec.Struct):
    """A seat that a command left as it was, with its status."""

    seat_id: str
    status: SeatStatus


class SeatsChangedOut(msgspec.Struct, kw_only=True):
    """The seats that changed, and those that stayed as they were: held, sold, or done already."""

    schedule_id: UUID
    changed: list[str]
    unchanged: list[UnchangedSeatOut]


class SeatsTotalOut(msgspec.Struct, kw_only=True):
    """How many seats were added, and how many there are now."""

    schedule_id: UUID
    seats_added: int
    seats_total: int


class BlockedSeatOut(msgspec.Struct):
    """Why a seat is blocked."""

    seat_id: str
    reason: BlockReason
    note: str
    blocked_at: datetime
    blocked_by: UUID


class _SeatResource:
    def __init__(self, inventory: Inventory, dependencies: RouteDependencies) -> None:
        self._inventory = inventory
        self.dependencies = dependencies

    async def _change(self, call: Call[Any, Any], command: SeatCommand) -> Reply:
        done = await self._inventory.change(
            call.caller, call.ids["schedule_id"], command, request_id=call.request_id
        )
        return Reply(present_change(done))


class _Blocks(_SeatResource):
    @operation(
        "List the blocked seats of a schedule",
        permission=Permission.EVENTS_READ,
        path=SCHEDULE,
        query=PageQuery,
        returns=Page[BlockedSeatOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, PageQuery]) -> Reply:
        """In the order of their ids, with the reason; empty for another organization's schedule."""
        after, limit = decode_cursor(call.query.cursor, str), call.query.limit
        found = await self._inventory.blocks(
            call.caller.organization_ids, call.ids["schedule_id"], after, limit + 1
        )
        return Reply(page(found, limit, _present_block, lambda one: one.seat_id))

    @operation(
        "Block seats",
        permission=Permission.SEATS_WRITE,
        path=SCHEDULE,
        body=BlockBody,
        has_large_body=True,
        returns=SeatsChangedOut,
        problems=(SeatNotFound, OutcomeUnknown),
    )
    async def on_post(self, call: Call[BlockBody, Any]) -> Reply:
        """Takes free seats off sale. Seats that are held or sold stay so; repeating is no error."""
        command = _command("block", call.body)
        return await self._change(call, command._replace(reason=call.body.reason))


class _Releases(_SeatResource):
    @operation(
        "Put blocked seats back on sale",
        permission=Permission.SEATS_WRITE,
        path=SCHEDULE,
        body=UnblockBody,
        has_large_body=True,
        returns=SeatsChangedOut,
        problems=(SeatNotFound, OutcomeUnknown),
    )
    async def on_post(self, call: Call[UnblockBody, Any]) -> Reply:
        """Seats that are not blocked stay as they are; repeating is no error."""
        return await self._change(call, _command("release", call.body))


class _Prices(_SeatResource):
    @operation(
        "Change the price or grade of unsold seats",
        permission=Permission.SEATS_WRITE,
        path=SCHEDULE,
        body=RepriceBody,
        has_large_body=True,
        returns=SeatsChangedOut,
        problems=(SeatNotFound, OutcomeUnknown),
    )
    async def on_post(self, call: Call[RepriceBody, Any]) -> Reply:
        """A hold keeps its price. Open maps show the new one within a second."""
        given = call.body
        command = _command("reprice", given)
        return await self._change(
            call, command._replace(price_minor=given.price, grade=given.new_grade)
        )


class _Additions(_SeatResource):
    @operation(
        "Add seats after the opening",
        201,
        permission=Permission.SEATS_WRITE,
        path=SCHEDULE,
        body=AdditionBody,
        has_large_body=True,
        returns=SeatsTotalOut,
        problems=(SeatMapInvalid, SeatExists, OutcomeUnknown),
    )
    async def on_post(self, call: Call[AdditionBody, Any]) -> Reply:
        """All or none, at the end of the seat map; open maps show them within a second."""
        schedule_id: UUID = call.ids["schedule_id"]
        seats = catalog_rules.seats_of(call.body.seats, _SEATS_MAX)
        total = await self._inventory.add(
            call.caller,
            schedule_id,
            seats,
            blocked=call.body.blocked,
            request_id=call.request_id,
        )
        return Reply(
            SeatsTotalOut(schedule_id=schedule_id, seats_added=len(seats), seats_total=total)
        )


def _command(name: Command, given: SelectionBody) -> SeatCommand:
    selection = Selection(given.seat_ids, given.section, given.row, given.grade)
    return SeatCommand(name, selection, note=given.note or "")


def present_change(done: CommandResult) -> SeatsChangedOut:
    """Return what a command did."""
    return SeatsChangedOut(
        schedule_id=done.schedule_id,
        changed=list(done.changed),
        unchanged=_present_unchanged(done.unchanged),
    )


def _present_unchanged(unchanged: Sequence[tuple[str, str]]) -> list[UnchangedSeatOut]:
    return [
        UnchangedSeatOut(seat_id, msgspec.convert(state, SeatStatus))
        for seat_id, state in unchanged
    ]


def _present_block(one: BlockedSeat) -> BlockedSeatOut:
    return msgspec.convert(one._asdict(), BlockedSeatOut)


def routes(inventory: Inventory, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    seats = "/v1/admin/schedules/{schedule_id}/seats"
    return [
        (f"{seats}/block", _Blocks(inventory, dependencies)),
        (f"{seats}/release", _Releases(inventory, dependencies)),
        (f"{seats}/reprice", _Prices(inventory, dependencies)),
        (f"{seats}/add", _Additions(inventory, dependencies)),
    ]
