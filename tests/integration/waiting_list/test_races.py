"""Two workers, people who reload, seats that return: no entry is overtaken, and nothing leaks."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest

from boxoffice.audit.service import audit
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.waiting_list.store import WaitingListStore
from tests.support.hall import Hall
from tests.support.invariants import broken
from tests.support.waiting_line import WaitingLine, open_line

ENTRIES = 14
SEATS = 10


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Database]:
    db = Database(settings)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


async def _work(line: WaitingLine, db: Database, stop: asyncio.Event) -> None:
    """Serve the line as a worker of its own does."""
    own = replace(line, store=WaitingListStore(db))
    while not stop.is_set():
        await own.turn_once_settled()
        await asyncio.sleep(0)


async def _reload(hall: Hall, people: list[UUID], stop: asyncio.Event) -> list[str]:
    """Try to hold every seat, again and again; return what was got."""
    got: list[str] = []
    while not stop.is_set():
        for person in people:
            seat_id = random.choice(hall.seat_ids)
            outcome = await hall.hold(person, seat_id)
            if outcome.name == "held":
                got.append(seat_id)
        await asyncio.sleep(0)
    return got


async def _give_back(hall: Hall, held: list[tuple[UUID, UUID]], line: WaitingLine) -> None:
    """Let seats return in a random order: half of them released, half of them lapsed."""
    random.shuffle(held)
    for at, (person, reservation) in enumerate(held):
        if at % 2:
            await hall.release(person, reservation)
        else:
            await line.end(reservation)
        await hall.expire()


async def _served(line: WaitingLine, count: int) -> None:
    async with asyncio.timeout(20):
        while sum(row["status"] == "OFFERED" for row in await line.entries()) < count:  # noqa: ASYNC110 — the workers end it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("has_turn", [True, False], ids=["in_turn", "control"])
async def test_returned_seats_reach_the_line_in_order(
    db: Database, settings: Settings, has_turn: bool
) -> None:
    line = await open_line(db, seats=SEATS, people=ENTRIES + SEATS + 3, ticket_limit=1)
    hall = line.hall
    holders, waiting, others = (
        list(hall.people[:SEATS]),
        list(hall.people[SEATS : SEATS + ENTRIES]),
        list(hall.people[-3:]),
    )
    if not has_turn:
        # The control: seats do not wait for the line, so those who reload get them.
        await hall.change_schedule("waiting_list_turn_s = 0")
    held = [
        (person, await hall.held(person, seat))
        for person, seat in zip(holders, hall.seat_ids, strict=True)
    ]
    random.shuffle(waiting)
    for person in waiting:
        await line.join(person)
    stop = asyncio.Event()
    async with (
        _connected(settings) as first,
        _connected(settings) as second,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_work(line, first, stop))
        group.create_task(_work(line, second, stop))
        reloading = group.create_task(_reload(hall, others, stop))
        await _give_back(hall, held, line)
        if has_turn:
            await _served(line, SEATS)
        stop.set()
    got = reloading.result()
    rows = await line.entries()
    if not has_turn:
        assert got, "without a turn seats leak"
        return
    assert got == []
    assert [row["user_id"] for row in rows] == waiting
    assert [row["status"] for row in rows] == ["OFFERED"] * SEATS + ["WAITING"] * (ENTRIES - SEATS)
    assert sorted(row["seat_ids"][0] for row in rows[:SEATS]) == list(hall.seat_ids)
    offered_at = [row["offered_at"] for row in rows[:SEATS]]
    assert offered_at == sorted(offered_at)
    assert not await broken(db, line.schedule_id)
    checks = (await audit(settings)).checks
    assert [one for c in checks for one in c.samples if str(line.schedule_id) in str(one)] == []


async def test_a_person_who_holds_seats_at_this_moment_keeps_the_place(
    db: Database, settings: Settings
) -> None:
    line = await open_line(db)
    hall = line.hall
    buyer, first, second = hall.people[:3]
    await line.join(first)
    await line.join(second)
    await line.end(await hall.held(buyer, "S001"))
    lock = "SELECT pg_advisory_xact_lock(uuid_hash_extended($1, uuid_hash_extended($2, 0)))"
    async with _connected(settings) as other, other.transaction() as connection:
        await connection.fetch(lock, first, line.schedule_id)
        turn = asyncio.create_task(line.turn())
        done, _ = await asyncio.wait([turn], timeout=0.3)
        assert not done
        # Another worker skips the line meanwhile.
        own = replace(line, store=WaitingListStore(other))
        assert await own.turn() == 0
    assert await turn == 1
    assert await line.statuses() == ["OFFERED", "WAITING"]


async def test_a_join_waits_for_the_turn_and_gets_the_next_place(
    db: Database, settings: Settings
) -> None:
    line = await open_line(db)
    people = line.hall.people
    async with _connected(settings) as other:
        beside = replace(line, store=WaitingListStore(other))
        outcomes = await asyncio.gather(
            *(one.outcome(person) for person in people for one in (line, beside))
        )
    assert sorted(outcomes) == ["already_waiting"] * len(people) + ["joined"] * len(people)
    assert [row["place"] for row in await line.entries()] == list(range(1, len(people) + 1))


async def test_a_killed_turn_leaves_nothing_behind(line: WaitingLine, db: Database) -> None:
    hall = line.hall
    buyer, first = hall.people[:2]
    await line.join(first)
    await line.end(await hall.held(buyer, "S001"))
    before = [dict(await hall.seat("S001")), *map(dict, await line.entries())]
    # The offer and its hold are one transaction: the last statement fails, and all of it with it.
    await db.fetch(
        "CREATE FUNCTION killed() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$"
    )
    await db.fetch("CREATE TRIGGER killed AFTER INSERT ON mails EXECUTE FUNCTION killed()")
    try:
        with pytest.raises(Exception, match=r".+"):
            await line.turn()
    finally:
        await db.fetch("DROP FUNCTION killed() CASCADE")
    assert [dict(await hall.seat("S001")), *map(dict, await line.entries())] == before
    assert await line.turn() == 1
