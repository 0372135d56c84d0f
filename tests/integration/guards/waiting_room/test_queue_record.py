"""What each condition of the waiting room's SQL decides, with two rooms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from boxoffice.platform.postgres.database import Database, Record
from boxoffice.waiting_room.engine.queue_state import Admission, Exit, IssuedNumbers
from boxoffice.waiting_room.rules import Gap, Mode, WaitingRoomState
from boxoffice.waiting_room.store import (
    AdmissionRecord,
    QueueStore,
    RoomDefaults,
    lock_room,
    rooms_open,
    set_room,
)
from tests.support.hall import open_hall

NOW_S = 1_800_000_000
NOW_MS = 1000 * NOW_S
TOKEN = 5
AHEAD = 10
# Enough for an unlocked statement on a loaded machine; bounds every wait.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '300ms'"


@pytest.fixture
def store(db: Database) -> QueueStore:
    """The record."""
    return QueueStore(db)


async def _open_room(store: QueueStore, db: Database, mode: Mode = Mode.FIFO) -> UUID:
    hall = await open_hall(db, seats=1, people=1)
    async with store.transaction() as connection:
        room = await lock_room(connection, hall.schedule_id, _defaults())
        await set_room(connection, msgspec.structs.replace(room, mode=mode))
    assert await store.begin_epoch(hall.schedule_id, TOKEN, AHEAD)
    return hall.schedule_id


def _defaults() -> RoomDefaults:
    return RoomDefaults(10.0, 5, 600, 60, NOW_S, b"s" * 32)


@pytest.fixture
async def other(store: QueueStore, db: Database) -> UUID:
    """An older room, which no test changes."""
    return await _open_room(store, db)


@pytest.fixture
async def mine(store: QueueStore, db: Database, other: UUID) -> UUID:
    """The room under test, in its first epoch, with ten reserved numbers."""
    assert other
    return await _open_room(store, db)


async def _room(store: QueueStore, schedule_id: UUID) -> WaitingRoomState:
    room = await store.room(schedule_id)
    assert room is not None
    return room


def _admission(number: int, ends_ms: int = NOW_MS + 600_000) -> Admission:
    return Admission(uuid4(), number, number, 1, 5, ends_ms, NOW_MS)


async def _admit(
    store: QueueStore, schedule_id: UUID, *people: Admission, epoch: int = 1, called: int = 5
) -> list[AdmissionRecord] | None:
    return await store.admit(schedule_id, epoch, called, NOW_MS, people)


async def _numbers(store: QueueStore, schedule_id: UUID) -> list[int]:
    return [one.number for one in await store.admissions(schedule_id, NOW_MS)]


# Admissions ----------------------------------------------------------------------------------------


async def test_an_earlier_epoch_admits_no_user(store: QueueStore, mine: UUID, other: UUID) -> None:
    assert await store.begin_epoch(mine, TOKEN, AHEAD)
    assert await _admit(store, mine, _admission(1), epoch=1) is None
    assert await _numbers(store, mine) == []
    assert await _admit(store, other, _admission(1), epoch=1) is not None
    assert await _admit(store, mine, _admission(1), epoch=2) is not None


async def test_an_admission_stays_as_it_was(store: QueueStore, mine: UUID, other: UUID) -> None:
    one, two = _admission(1), _admission(2)
    await _admit(store, other, _admission(1), _admission(2))
    in_time = AdmissionRecord(is_theirs=True, is_out=False, leaves_at=one.ends_ms / 1000)
    assert await _admit(store, mine, one, two) == [in_time, in_time]
    assert await _admit(store, mine, one) == [in_time]

    thief = one._replace(user_id=uuid4())
    assert await _admit(store, mine, thief) == [in_time._replace(is_theirs=False)]
    again = one._replace(ends_ms=one.ends_ms + 1_000)
    assert await _admit(store, mine, again) == [in_time._replace(is_out=True)]
    assert await _admit(store, mine, one, two) == [in_time, in_time]
    await store.record_exits(mine, [Exit(1, NOW_MS, "left")])
    assert await _admit(store, mine, one, two) == [in_time._replace(is_out=True), in_time]


async def test_an_admission_recorded_after_its_end_is_out(store: QueueStore, mine: UUID) -> None:
    found = await _admit(store, mine, _admission(1, NOW_MS), _admission(2, NOW_MS + 1))
    assert found is not None
    assert [one.is_out for one in found] == [True, False]


async def test_an_exit_is_recorded_once_and_for_one_user(
    store: QueueStore, mine: UUID, other: UUID
) -> None:
    await _admit(store, other, _admission(1), _admission(2))
    one, two = _admission(1), _admission(2)
    await _admit(store, mine, one, two)
    await store.record_exits(mine, [Exit(1, NOW_MS, "paid")])
    await store.record_exits(mine, [Exit(1, NOW_MS + 1_000, "left")])
    assert (await _numbers(store, mine), await _numbers(store, other)) == ([2], [1, 2])
    rows = await store._db.fetch(
        "SELECT ended_at, ended_by FROM queue_admissions ORDER BY ended_at"
    )
    assert tuple(rows[0]) == (datetime.fromtimestamp(NOW_S, UTC), "paid")
    # One departure is published, for this number only.
    told = (await store.departures(0, 9)).departures
    assert [(one.schedule_id, one.numbers) for one in told] == [(mine, [1])]


async def test_departures_are_read_once_and_purged(
    store: QueueStore, db: Database, mine: UUID
) -> None:
    await _admit(store, mine, *[_admission(number) for number in range(1, 5)])
    for number in (1, 2, 3):
        await store.record_exits(mine, [Exit(number, NOW_MS, "left")])
    page = await store.departures(0, 2)
    assert [one.numbers for one in page.departures] == [[1], [2]]
    page = await store.departures(page.departures[-1].written_by, 9)
    assert [one.numbers for one in page.departures] == [[2], [3]]
    assert (await store.departures(page.seen_to, 9)).departures == []
    await store.record_exits(mine, [Exit(4, NOW_MS, "left")])
    assert [one.numbers for one in (await store.departures(page.seen_to, 9)).departures] == [[4]]

    await store.purge_departures()
    assert len((await store.departures(0, 9)).departures) == 4
    age = "UPDATE queue_leavers SET until_at = now() - $1::interval WHERE numbers = $2"
    await db.fetch(age, timedelta(minutes=2), [1])
    await db.fetch(age, timedelta(minutes=11), [2])
    assert [one.numbers for one in (await store.departures(0, 9)).departures] == [[3], [4]]
    await store.purge_departures()
    rows = await db.fetch("SELECT numbers FROM queue_leavers ORDER BY entry_id")
    assert [row["numbers"] for row in rows] == [[1], [3], [4]]


async def test_active_admissions_have_not_ended(store: QueueStore, mine: UUID, other: UUID) -> None:
    await _admit(store, other, _admission(1))
    one, two, three = _admission(1), _admission(2, NOW_MS + 2_000), _admission(3)
    await _admit(store, mine, one, two, three)
    await store.record_exits(mine, [Exit(3, NOW_MS, "left")])
    assert await store.admissions(mine, NOW_MS + 1_999) == [one, two]
    assert await store.admissions(mine, NOW_MS + 2_000) == [one]


async def test_admission_records_are_of_one_room(
    store: QueueStore, mine: UUID, other: UUID
) -> None:
    one, two, three = (_admission(number) for number in (1, 2, 3))
    await _admit(store, other, _admission(1))
    await _admit(store, mine, one, two, three)
    await store.record_exits(mine, [Exit(2, NOW_MS, "left")])
    found = await store.admission_records(mine, [1, 2, 7])
    assert {key: record.is_out for key, record in found.items()} == {
        (1, one.user_id): False,
        (2, two.user_id): True,
    }


@asynccontextmanager
async def _stranger(database_url: str) -> AsyncIterator["asyncpg.Connection[Record]"]:
    """A concurrent transaction with a short lock timeout."""
    connection: asyncpg.Connection[Record] = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            yield connection
    finally:
        await connection.close()


async def test_an_epoch_waits_for_an_admission_in_flight(
    store: QueueStore, mine: UUID, database_url: str
) -> None:
    """Reading the epoch locks it until the admissions are recorded."""
    one = _admission(1)
    look = "SELECT 1 FROM queue_admit_v1($1, 1, $2, $3, $2, 5, $4, $4, $5, $5, $6)"
    moment = datetime.fromtimestamp(NOW_S, UTC)
    args = (mine, [one.number], [one.user_id], [1], [moment], moment)
    begin = "SELECT queue_begin_epoch_v1($1, $2, $3)"
    async with _stranger(database_url) as letting_in, _stranger(database_url) as beginning:
        await letting_in.fetch(look, *args)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await beginning.fetch(begin, mine, TOKEN, AHEAD)
    assert await store.begin_epoch(mine, TOKEN, AHEAD)


# Epochs --------------------------------------------------------------------------------------------


async def test_an_epoch_begins_in_one_room_and_only_for_its_leader(
    store: QueueStore, mine: UUID, other: UUID
) -> None:
    before = await _room(store, other)
    assert await store.checkpoint(mine, TOKEN, 3, 2, 15) == 15
    assert not await store.begin_epoch(mine, TOKEN - 1, AHEAD)
    assert (await _room(store, mine)).epoch == 1
    assert await store.begin_epoch(mine, TOKEN + 1, AHEAD)
    room = await _room(store, mine)
    assert (room.epoch, room.joined, room.numbers_to, room.called) == (2, 15, 25, 2)
    assert room.gaps == (Gap(3, 15),)
    assert await _room(store, other) == before
    assert not await store.begin_epoch(mine, TOKEN, AHEAD)


async def test_each_room_has_its_own_numbers(store: QueueStore, mine: UUID, other: UUID) -> None:
    for schedule_id, joined in ((mine, 3), (other, 7)):
        await store.checkpoint(schedule_id, TOKEN, joined, 0, 12)
        await store.begin_epoch(schedule_id, TOKEN, AHEAD)
    for schedule_id, joined in ((mine, 3), (other, 7)):
        assert (await _room(store, schedule_id)).gaps == (Gap(joined, 12),)
    assert {one.schedule_id: one.gaps for one in await store.rooms(9)} == {
        mine: (Gap(3, 12),),
        other: (Gap(7, 12),),
    }


async def test_no_gap_when_every_reserved_number_was_issued(store: QueueStore, mine: UUID) -> None:
    await store.checkpoint(mine, TOKEN, 10, 0, 10)
    await store.begin_epoch(mine, TOKEN, AHEAD)
    assert (await _room(store, mine)).gaps == ()


async def test_every_admitted_user_counts_as_called(
    store: QueueStore, mine: UUID, other: UUID
) -> None:
    await store.checkpoint(mine, TOKEN, 9, 2, 10)
    await _admit(store, other, _admission(1), called=9)
    await _admit(store, mine, _admission(1), called=4)
    await store.begin_epoch(mine, TOKEN, AHEAD)
    assert (await _room(store, mine)).called == 4
    await store.checkpoint(mine, TOKEN, 9, 6, 20)
    await store.begin_epoch(mine, TOKEN, AHEAD)
    assert (await _room(store, mine)).called == 6


# Checkpoints and the draw --------------------------------------------------------------------------


async def test_a_checkpoint_is_of_one_room_goes_only_forward_and_is_its_leaders(
    store: QueueStore, mine: UUID, other: UUID
) -> None:
    before = await _room(store, other)
    assert await store.checkpoint(mine, TOKEN + 1, 5, 4, 20) == 20
    assert await store.checkpoint(mine, TOKEN + 1, 1, 1, 1) == 20
    room = await _room(store, mine)
    assert (room.joined, room.called, room.numbers_to) == (5, 4, 20)
    assert await store.checkpoint(mine, TOKEN, 6, 5, 30) is None
    assert await _room(store, mine) == room
    assert await _room(store, other) == before
    assert await store.checkpoint(mine, TOKEN + 1, 6, 5, 30) == 30


async def test_a_lobby_is_drawn_once_and_by_its_leader(
    store: QueueStore, db: Database, mine: UUID
) -> None:
    lobby, second = [await _open_room(store, db, Mode.LOBBY) for _ in range(2)]
    await store.draw(lobby, TOKEN - 1, 3)
    assert (await _room(store, lobby)).lobby_size is None
    await store.draw(lobby, TOKEN + 1, 4)
    await store.draw(lobby, TOKEN + 1, 2)
    room = await _room(store, lobby)
    assert (room.lobby_size, room.joined) == (4, 4)
    assert (await _room(store, second)).lobby_size is None
    assert await store.checkpoint(lobby, TOKEN, 5, 5, 30) is None
    await store.draw(mine, TOKEN, 4)
    assert (await _room(store, mine)).lobby_size is None


# Issued numbers ------------------------------------------------------------------------------------


async def test_issued_numbers_in_gaps_are_of_one_room(
    store: QueueStore, mine: UUID, other: UUID
) -> None:
    await store.record_joins(other, IssuedNumbers([5], b"a" * 16))
    await store.record_joins(mine, IssuedNumbers([3, 4, 6, 7, 8, 9], b"a" * 96))
    assert await store.issued_in_gaps(mine, [Gap(3, 6), Gap(7, 8)]) == {4, 6, 8}


# Rooms ---------------------------------------------------------------------------------------------


async def _aged(db: Database, schedule_id: UUID) -> None:
    await db.fetch(
        "UPDATE schedules SET starts_at = clock_timestamp() - interval '2 days',"
        " sale_opens_at = clock_timestamp() - interval '3 days',"
        " sale_closes_at = NULL WHERE schedule_id = $1",
        schedule_id,
    )


async def _set(store: QueueStore, schedule_id: UUID, **changes: object) -> None:
    async with store.transaction() as connection:
        room = await lock_room(connection, schedule_id, _defaults())
        await set_room(connection, msgspec.structs.replace(room, **changes))


async def _beside(store: QueueStore, schedule_id: UUID, organizer_id: UUID) -> tuple[int, int]:
    async with store.transaction() as connection:
        return await rooms_open(connection, schedule_id, organizer_id)


async def test_open_rooms_are_on_and_their_performance_is_not_over(
    store: QueueStore, db: Database, mine: UUID, other: UUID
) -> None:
    off, past = [await _open_room(store, db) for _ in range(2)]
    await _set(store, off, mode=Mode.OFF)
    await _aged(db, past)
    assert [one.schedule_id for one in await store.rooms(9)] == sorted([mine, other])
    assert len(await store.rooms(1)) == 1
    beside = [await _beside(store, one, mine) for one in (mine, off, past)]
    assert beside == [(1, 0), (2, 1), (2, 1)]


@pytest.mark.parametrize(
    ("table", "change", "told"),
    [
        ("schedules", "status = 'OPEN'", (True, False)),
        ("schedules", "status = 'DRAFT'", (False, False)),
        ("schedules", "status = 'CLOSED'", (True, True)),
        ("concerts", "status = 'DRAFT', published_at = NULL", (False, False)),
        ("concerts", "taken_down_at = now(), taken_down_reason = 'r'", (False, False)),
    ],
)
async def test_a_room_shows_its_sale(
    store: QueueStore,
    db: Database,
    mine: UUID,
    other: UUID,
    table: str,
    change: str,
    told: tuple[bool, bool],
) -> None:
    await db.fetch(f"UPDATE {table} SET {change} WHERE concert_id = $1", mine)  # noqa: S608
    rooms = {one.schedule_id: one for one in await store.rooms(9)}
    assert len(await store.rooms(9)) == 2
    for schedule_id, expected in ((mine, told), (other, (True, False))):
        for room in (rooms[schedule_id], await _room(store, schedule_id)):
            assert (room.is_public, room.is_sale_closed) == expected


@pytest.mark.parametrize("column", ["sale_closes_at", "starts_at"])
async def test_the_end_of_the_sale_is_the_first_of_both(
    store: QueueStore, db: Database, mine: UUID, column: str
) -> None:
    await db.fetch(
        "UPDATE schedules SET starts_at = to_timestamp($2), sale_closes_at = to_timestamp($3)"
        " WHERE schedule_id = $1",
        mine,
        NOW_S + 9.0 * (column == "sale_closes_at"),
        NOW_S + 9.0 * (column == "starts_at"),
    )
    [listed] = [one for one in await store.rooms(9) if one.schedule_id == mine]
    assert (listed.sale_ends_at, (await _room(store, mine)).sale_ends_at) == (NOW_S, NOW_S)


async def test_settings_change_one_room_only(store: QueueStore, mine: UUID, other: UUID) -> None:
    before = await _room(store, other)
    await _set(store, mine, rate_per_s=99.0)
    room = await _room(store, mine)
    assert (room.mode, room.rate_per_s) == (Mode.FIFO, 99.0)
    assert await _room(store, other) == before
    assert await store.room(uuid4()) is None


async def test_only_its_organizer_sees_a_sale(store: QueueStore, mine: UUID, other: UUID) -> None:
    """The organizer of a hall has its id, and so has the concert."""
    sale = await store.sale(mine, [mine])
    assert sale is not None
    assert (sale.concert_id, sale.organization_id) == (mine, mine)
    assert await store.sale(mine, [other]) is None
    assert await store.sale(uuid4(), [mine]) is None


async def test_a_room_is_changed_by_one_at_a_time(
    store: QueueStore, mine: UUID, other: UUID, database_url: str
) -> None:
    change = "UPDATE queue_rooms SET mode = mode WHERE schedule_id = '{}'"
    async with store.transaction() as connection, _stranger(database_url) as stranger:
        await lock_room(connection, mine, _defaults())
        await stranger.fetch(change.format(other))
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stranger.fetch(change.format(mine))


async def test_rooms_are_opened_by_one_at_a_time(
    store: QueueStore, mine: UUID, database_url: str
) -> None:
    alone = "SELECT pg_advisory_xact_lock(hashtextextended('boxoffice queue rooms', 0))"
    async with store.transaction() as connection, _stranger(database_url) as stranger:
        await rooms_open(connection, mine, mine)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stranger.fetch(alone)
