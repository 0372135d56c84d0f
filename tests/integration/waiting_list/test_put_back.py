"""What an organizer puts back on sale is offered to the line before another person sees it."""

from typing import Any
from uuid import UUID

import pytest

from boxoffice.activity_log import ReadLog
from boxoffice.audit.service import audit
from boxoffice.catalog.rules import NewSeat
from boxoffice.inventory.issues.service import Issues
from boxoffice.inventory.issues.store import IssueCommand, IssueStore
from boxoffice.inventory.rules import SeatCommand, Selection
from boxoffice.inventory.service import Inventory, InventoryLimits
from boxoffice.inventory.store import InventoryStore
from boxoffice.platform.ids import ScopedId
from boxoffice.settings import Settings
from boxoffice.waiting_list.composition import PutBackSeats
from tests.support.members import member
from tests.support.waiting_line import LIMITS, WaitingLine, open_line


class Heard:
    """A publisher that keeps which seats it was told to be free."""

    def __init__(self) -> None:
        self.free: list[str] = []
        self.layouts: list[UUID] = []

    def replace_layout(self, schedule_id: UUID) -> None:
        self.layouts.append(schedule_id)

    async def publish_and_wait(self, _schedule_id: UUID, changes: Any) -> None:
        for one in changes:
            pairs = zip(one.seat_ids, one.versions, strict=True)
            self.free += [seat_id for seat_id, version in pairs if version]


def _inventory(line: WaitingLine, heard: Heard) -> Inventory:
    return Inventory(
        InventoryStore(line.hall.db),
        heard,  # type: ignore[arg-type]
        lambda _concert_id: None,
        InventoryLimits(20, 50),
        PutBackSeats(LIMITS),
    )


async def _release(line: WaitingLine, heard: Heard) -> None:
    inventory = _inventory(line, heard)
    seats = Selection(("S001", "S002", "S003", "S004"))
    actor = member(line.schedule_id)
    for name in ("block", "release"):
        command = SeatCommand(name, seats, reason="house")
        done = await inventory.change(actor, line.schedule_id, command)
        assert len(done.changed) == 4
        if name == "block":
            heard.free.clear()


async def _void(line: WaitingLine, heard: Heard) -> None:
    issues = Issues(
        IssueStore(line.hall.db),
        ReadLog(line.hall.db),
        heard,  # type: ignore[arg-type]
        9,
        PutBackSeats(LIMITS),
    )
    actor = member(line.schedule_id)
    command = IssueCommand(("S001", "S002", "S003", "S004"), "Guest", reason="press")
    issue = await issues.issue(actor, line.schedule_id, command, "k")
    heard.free.clear()
    await issues.void(actor, ScopedId(line.schedule_id, issue.reservation_id))


@pytest.mark.parametrize("put_back", [_release, _void])
async def test_the_line_gets_what_it_wants_and_the_rest_is_on_sale(
    line: WaitingLine, settings: Settings, put_back: Any
) -> None:
    beside = await open_line(line.hall.db)
    await beside.join(beside.hall.people[0])
    hall = line.hall
    first, second, many, other = hall.people[:4]
    await line.join(first, 2)
    await line.join(many, 5)
    await line.join(second, 1)
    heard = Heard()
    await put_back(line, heard)
    assert await line.statuses() == ["OFFERED", "WAITING", "OFFERED"]
    rows = await line.entries()
    assert (rows[0]["seat_ids"], rows[2]["seat_ids"]) == (["S001", "S002"], ["S003"])
    assert heard.free == ["S004"]
    assert (await hall.seat("S004"))["state"] == "AVAILABLE"
    assert (await hall.hold(other, "S003")).name == "seat_taken"
    assert (await hall.hold(other, "S004")).name == "held"
    assert await beside.statuses() == ["WAITING"]
    checks = (await audit(settings)).checks
    assert [one for c in checks for one in c.samples if str(line.schedule_id) in str(one)] == []


async def test_the_line_gets_new_seats_before_the_public(line: WaitingLine) -> None:
    hall = line.hall
    first, second, other = hall.people[:3]
    await line.join(first, 2)
    await line.join(second, 4)
    heard = Heard()
    new = [NewSeat(f"N{n}", "New", "1", n, "R", 1_000) for n in (1, 2, 3)]
    blocked = [NewSeat("N9", "New", "1", 9, "R", 1_000)]
    inventory = _inventory(line, heard)
    actor = member(line.schedule_id)
    await inventory.add(actor, line.schedule_id, blocked, blocked=True)
    assert await line.statuses() == ["WAITING", "WAITING"]
    await inventory.add(actor, line.schedule_id, new, blocked=False)
    assert await line.statuses() == ["OFFERED", "WAITING"]
    assert (await line.entries())[0]["seat_ids"] == ["N1", "N2"]
    states = [(await hall.seat(name))["state"] for name in ("N1", "N2", "N3", "N9")]
    assert states == ["HELD", "HELD", "AVAILABLE", "BLOCKED"]
    assert heard.layouts == [line.schedule_id] * 2
    assert (await hall.hold(other, "N2")).name == "seat_taken"
    assert (await hall.hold(other, "N3")).name == "held"


async def test_what_is_put_back_while_nothing_is_sold_is_offered_to_no_entry(
    line: WaitingLine,
) -> None:
    await line.join(line.hall.people[0])
    await line.hall.change_schedule("status = 'CLOSED'")
    heard = Heard()
    await _release(line, heard)
    assert await line.statuses() == ["WAITING"]
    assert len(heard.free) == 4
    await line.hall.change_schedule("status = 'OPEN'")
    await line.switch(is_on=False)
    await _release(line, Heard())
    assert await line.statuses() == ["CLOSED"]
