"""Commands about seats, decided by PostgreSQL: what changes, what stays, and who waits for whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from boxoffice.catalog.rules import NewSeat
from boxoffice.errors import Invalid, ScheduleNotFound, SeatExists, SeatMapInvalid, SeatNotFound
from boxoffice.inventory.rules import Command, SeatCommand, Selection
from boxoffice.inventory.service import CommandResult, Inventory, InventoryLimits
from boxoffice.inventory.store import InventoryStore
from boxoffice.platform.postgres.database import Database, Record
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.members import member
from tests.support.waiting import until


class Unheard:
    """A publisher without listeners; it keeps what it was given."""

    def __init__(self) -> None:
        self.layouts: list[UUID] = []
        self.changes: list[Any] = []

    def replace_layout(self, schedule_id: UUID) -> None:
        self.layouts.append(schedule_id)

    async def publish_and_wait(self, _schedule_id: UUID, changes: Any) -> None:
        self.changes += changes


def inventory(db: Database, *, command_max: int = 20, schedule_max: int = 14) -> Inventory:
    return Inventory(
        InventoryStore(db),
        Unheard(),  # type: ignore[arg-type]
        lambda _concert_id: None,
        InventoryLimits(command_max, schedule_max),
    )


def command(name: Command, *seat_ids: str, **fields: Any) -> SeatCommand:
    return SeatCommand(name, Selection(seat_ids), **fields)


async def change(hall: Hall, name: Command, *seat_ids: str, **fields: Any) -> CommandResult:
    # The organizer of a hall has the id of its schedule.
    return await inventory(hall.db).change(
        member(hall.schedule_id), hall.schedule_id, command(name, *seat_ids, **fields)
    )


async def states(hall: Hall, *seat_ids: str) -> list[tuple[str, int]]:
    rows = [await hall.seat(seat_id) for seat_id in seat_ids]
    return [(row["state"], row["version"]) for row in rows]


async def blocked(hall: Hall) -> list[tuple[str, str, str]]:
    found = await InventoryStore(hall.db).blocks(hall.schedule_id, [hall.schedule_id], None, 100)
    return [(one.seat_id, one.reason, one.note) for one in found]


async def test_only_free_seats_are_blocked(hall: Hall) -> None:
    buyer, other, *_ = hall.people
    lapsed = await hall.held(buyer, "S001")
    await hall.lapse(lapsed)
    await hall.held(buyer, "S002")
    await hall.pay(other, await hall.held(other, "S003"))
    seats = ("S001", "S002", "S003", "S004", "S005")
    before = [version for _, version in await states(hall, *seats)]
    done = await change(hall, "block", *seats, reason="camera", note="crane")
    assert done.changed == ["S001", "S004", "S005"]
    assert done.unchanged == [("S002", "HELD"), ("S003", "SOLD")]
    after = await states(hall, *seats)
    assert [state for state, _ in after] == ["BLOCKED", "HELD", "SOLD", "BLOCKED", "BLOCKED"]
    # The end of a lapsed hold was visible and counts for one version.
    grown = [version - old for (_, version), old in zip(after, before, strict=True)]
    assert grown == [2, 0, 0, 1, 1]
    assert await blocked(hall) == [(seat, "camera", "crane") for seat in done.changed]
    again = await change(hall, "block", "S004")
    assert (again.changed, again.unchanged) == ([], [("S004", "BLOCKED")])
    for seat in ("S001", "S004"):
        assert (await hall.hold(other, seat)).name == "seat_taken"
    assert not await broken(hall.db, hall.schedule_id)
    await hall.expire()
    assert (await states(hall, "S001"))[0][0] == "BLOCKED"


async def test_only_blocked_seats_are_released(hall: Hall, db: Database) -> None:
    neighbour = await open_hall(db)
    await change(neighbour, "block", "S001")
    await change(hall, "block", "S001", "S002", "S003")
    done = await change(hall, "release", "S001", "S002", "S004")
    assert (done.changed, done.unchanged) == (["S001", "S002"], [("S004", "AVAILABLE")])
    assert [seat for seat, *_ in await blocked(hall)] == ["S003"]
    assert [seat for seat, *_ in await blocked(neighbour)] == ["S001"]
    await hall.held(hall.people[0], "S001", "S002")


async def test_a_hold_keeps_its_price_and_the_next_one_has_the_new(hall: Hall) -> None:
    buyer, other, *_ = hall.people
    await change(hall, "block", "S003")
    held = await hall.hold(buyer, "S001")
    done = await change(hall, "reprice", "S001", "S002", "S003", "S004", price_minor=700, grade="B")
    assert (done.changed, done.unchanged) == (["S002", "S003", "S004"], [("S001", "HELD")])
    assert held.held is not None
    payment = (await hall.pay(buyer, held.held.reservation_id)).payment
    assert payment is not None
    assert payment.amount_minor == 1_000
    cheap = await hall.hold(other, "S002")
    assert cheap.held is not None
    assert cheap.held.amount_minor == 700
    seats = [await hall.seat(seat) for seat in ("S001", "S002", "S003")]
    assert [(seat["price_minor"], seat["grade"]) for seat in seats] == [
        (1_000, "R"), (700, "B"), (700, "B"),
    ]  # fmt: skip
    assert seats[2]["state"] == "BLOCKED"
    same = await change(hall, "reprice", "S004", price_minor=700)
    assert same.unchanged == [("S004", "AVAILABLE")]
    [row] = await hall.db.fetch(
        "SELECT layout_version FROM schedules WHERE schedule_id = $1", hall.schedule_id
    )
    assert row["layout_version"] == 2
    kept = await hall.db.fetch(
        "SELECT seat_id, price_minor, grade, version FROM seat_price_changes"
        " WHERE schedule_id = $1 ORDER BY seat_id",
        hall.schedule_id,
    )
    assert [tuple(one) for one in kept] == [
        (seat, 1_000, "R", version) for seat, version in (("S002", 2), ("S003", 3), ("S004", 2))
    ]


async def test_a_lapsed_hold_is_repriced_and_its_payment_comes_too_late(hall: Hall) -> None:
    buyer, *_ = hall.people
    reservation = await hall.held(buyer, "S001")
    await hall.lapse(reservation)
    done = await change(hall, "reprice", "S001", price_minor=5)
    assert done.changed == ["S001"]
    assert await states(hall, "S001") == [("AVAILABLE", 4)]
    assert (await hall.pay(buyer, reservation)).name == "hold_expired"


async def test_a_selection_is_of_one_hall_and_all_or_nothing(hall: Hall, db: Database) -> None:
    neighbour = await open_hall(db)
    seats = inventory(db)
    by_row = SeatCommand("block", Selection(section="S", row="1"))
    done = await seats.change(member(hall.schedule_id), hall.schedule_id, by_row)
    assert len(done.changed) == 12
    assert (await neighbour.seat("S001"))["state"] == "AVAILABLE"
    for selection in (
        Selection(section="T"),
        Selection(section="S", row="2"),
        Selection(grade="Z"),
    ):
        with pytest.raises(SeatNotFound):
            await seats.change(
                member(hall.schedule_id), hall.schedule_id, SeatCommand("release", selection)
            )
    with pytest.raises(SeatNotFound) as refused:
        await change(hall, "release", "S001", "X")
    assert refused.value.extra == {"seat_ids": ["X"]}
    assert (await hall.seat("S001"))["state"] == "BLOCKED"
    with pytest.raises(Invalid):
        await inventory(db, command_max=11).change(
            member(hall.schedule_id), hall.schedule_id, by_row
        )
    for selection in (Selection(), Selection(("S001",), "S"), Selection(row="1")):
        with pytest.raises(Invalid):
            await seats.change(
                member(hall.schedule_id), hall.schedule_id, SeatCommand("block", selection)
            )
    with pytest.raises(Invalid):
        await change(hall, "release", "S001", "S001")
    with pytest.raises(Invalid):
        await change(hall, "reprice", "S001")
    with pytest.raises(ScheduleNotFound):
        await seats.change(member(neighbour.schedule_id), hall.schedule_id, by_row)
    with pytest.raises(ScheduleNotFound):
        await seats.add(member(neighbour.schedule_id), hall.schedule_id, [new(13)], blocked=False)
    assert await InventoryStore(db).blocks(hall.schedule_id, [neighbour.schedule_id], None, 9) == []


def new(number: int, *, seat_id: str = "", row: str = "1", section: str = "S") -> NewSeat:
    return NewSeat(seat_id or f"N{number}", section, row, number, "R", 900)


async def test_added_seats_come_last(hall: Hall, db: Database) -> None:
    neighbour = await open_hall(db, seats=30)
    seats = inventory(db)
    added = [new(13), new(14)]
    assert await seats.add(member(hall.schedule_id), hall.schedule_id, added, blocked=True) == 14
    rows = await db.fetch(
        "SELECT seat_id, ordinal, state FROM seats WHERE schedule_id = $1 ORDER BY ordinal",
        hall.schedule_id,
    )
    assert [row["seat_id"] for row in rows] == [*hall.seat_ids, "N13", "N14"]
    assert [(row["ordinal"], row["state"]) for row in rows[-2:]] == [
        (13, "BLOCKED"), (14, "BLOCKED"),
    ]  # fmt: skip
    for seat in (new(13, seat_id="Y"), new(99, seat_id="S001")):
        with pytest.raises(SeatExists):
            await seats.add(member(hall.schedule_id), hall.schedule_id, [seat], blocked=False)
    with pytest.raises(SeatMapInvalid):
        await seats.add(
            member(hall.schedule_id), hall.schedule_id, [new(15, section="s")], blocked=False
        )
    with pytest.raises(SeatMapInvalid):
        await seats.add(member(hall.schedule_id), hall.schedule_id, [new(15)], blocked=False)
    [row] = await db.fetch(
        "SELECT layout_version FROM schedules WHERE schedule_id = $1", neighbour.schedule_id
    )
    assert row["layout_version"] == 1


async def test_commands_are_in_the_activity_log(hall: Hall, db: Database) -> None:
    await change(hall, "block", "S001", reason="broken", note="left arm")
    await change(hall, "block", "S001")
    await change(hall, "release", "S001")
    await change(hall, "reprice", "S001", "S002", price_minor=5, grade="C")
    await inventory(db).add(member(hall.schedule_id), hall.schedule_id, [new(13)], blocked=False)
    rows = await db.fetch(
        "SELECT action, details::text FROM logbook WHERE organizer_id = $1 ORDER BY entry_id",
        hall.schedule_id,
    )
    found = [(row["action"], msgspec.json.decode(row["details"])) for row in rows]
    one = {"seats": 1, "seat_ids": ["S001"], "unchanged": 0}
    two = {"seats": 2, "seat_ids": ["S001", "S002"], "unchanged": 0}
    assert found == [
        ("seats.blocked", one | {"reason": "broken", "note": "left arm"}),
        ("seats.released", one),
        ("seats.repriced", two | {"price": 5, "grade": "C"}),
        ("seats.added", {"seats_added": 1, "seats_total": 13, "blocked": False}),
    ]


@asynccontextmanager
async def waiting(
    other: "asyncpg.Connection[Record]", query: str, *args: object
) -> AsyncIterator[None]:
    """A transaction of another pod that has done something, and commits at the end."""
    transaction = other.transaction()
    await transaction.start()
    await other.fetch(query, *args)
    yield
    await transaction.commit()


async def is_waited_for(db: Database) -> bool:
    rows = await db.fetch("SELECT 1 FROM pg_locks WHERE NOT granted")
    return bool(rows)


_HELD = """
    UPDATE seats SET state = 'HELD', version = version + 1, reservation_id = $1, user_id = $1,
                     expires_at = clock_timestamp() + interval '1 hour'
     WHERE schedule_id = $1 AND seat_id = 'S002'
"""


async def test_a_block_waits_for_a_hold_and_leaves_its_seat(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    async with waiting(other, _HELD, hall.schedule_id):
        blocking = asyncio.create_task(change(hall, "block", "S001", "S002"))
        await until(lambda: is_waited_for(hall.db))
    done = await blocking
    assert (done.changed, done.unchanged) == (["S001"], [("S002", "HELD")])
    assert (await hall.seat("S002"))["version"] == 2


async def test_a_hold_does_not_wait_for_a_block(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    query = (
        "SELECT states FROM inventory_change_v1("
        "$1, ARRAY['S001'], 'block', NULL, NULL, 'house', '', $1)"
    )
    async with waiting(other, query, hall.schedule_id):
        busy = await hall.hold(hall.people[0], "S001")
        free = await hall.hold(hall.people[1], "S002")
    assert (busy.name, free.name) == ("seat_busy", "held")
    assert (await hall.hold(hall.people[0], "S001")).name == "seat_taken"


async def test_commands_about_one_schedule_take_turns(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    query = "SELECT inventory_next_layout_v1($1)"
    async with waiting(other, query, hall.schedule_id):
        repricing = asyncio.create_task(change(hall, "reprice", "S001", price_minor=1))
        await until(lambda: is_waited_for(hall.db))
        # Buyers do not wait for it.
        await hall.held(hall.people[0], "S001")
    assert (await repricing).unchanged == [("S001", "HELD")]


@pytest.mark.parametrize("order", [("S001", "S002"), ("S002", "S001")])
async def test_blocks_lock_seats_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", order: tuple[str, str]
) -> None:
    """Two commands on connections of their own, which name the seats in different orders."""
    lock = "SELECT FROM seats WHERE schedule_id = $1 AND seat_id = $2 FOR UPDATE"
    async with waiting(other, lock, hall.schedule_id, "S001"):
        blocking = asyncio.create_task(change(hall, "block", *order))
        await until(lambda: is_waited_for(hall.db))
        # It waits for the first seat, and does not have the second one yet.
        await other.fetch(f"{lock} NOWAIT", hall.schedule_id, "S002")
    assert len((await blocking).changed) == 2
