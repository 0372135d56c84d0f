"""What each condition of the packs of numbers decides, with two rooms."""

import asyncio
from uuid import UUID, uuid4

import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.waiting_room import store as store_module
from boxoffice.waiting_room.engine import number_packs
from boxoffice.waiting_room.engine.queue_state import Admission, IssuedNumbers, NumberBucket
from boxoffice.waiting_room.store import QueueStore, RoomDefaults, lock_room
from tests.support.hall import open_hall
from tests.support.waiting import until

NOW_MS = 1_800_000_000_000
ALL = range(number_packs.PARTS)


@pytest.fixture
def store(db: Database) -> QueueStore:
    """The record."""
    return QueueStore(db)


async def _open_room(store: QueueStore, db: Database) -> UUID:
    hall = await open_hall(db, seats=1, people=1)
    async with store.transaction() as connection:
        defaults = RoomDefaults(10.0, 5, 600, 60, NOW_MS / 1000, b"s" * 32)
        await lock_room(connection, hall.schedule_id, defaults)
    assert await store.begin_epoch(hall.schedule_id, 1, 10)
    return hall.schedule_id


@pytest.fixture
async def other(store: QueueStore, db: Database) -> UUID:
    """A room that no test changes."""
    return await _open_room(store, db)


@pytest.fixture
async def mine(store: QueueStore, db: Database) -> UUID:
    """The room under test."""
    return await _open_room(store, db)


async def _admit(store: QueueStore, schedule_id: UUID, *numbers: int) -> None:
    people = [Admission(uuid4(), one, one, 1, 5, NOW_MS + 600_000, NOW_MS) for one in numbers]
    assert await store.admit(schedule_id, 1, 5, NOW_MS, people) is not None


async def _packed(store: QueueStore, schedule_id: UUID, parts: range = ALL) -> dict[bytes, int]:
    """The packed numbers by account."""
    packs = await store.number_packs(schedule_id, parts)
    found = {}
    for field, entries in number_packs.buckets_of(packs):
        for at in range(0, len(entries), 19):
            account = entries[at : at + 14] + field
            assert account not in found
            found[account] = int.from_bytes(entries[at + 14 : at + 19], "big")
    return found


def _account(number: int) -> bytes:
    """An account in a part of its own, or in that of another one."""
    return bytes([number]) * 14 + bytes([number % 4, number % 3])


async def _record(store: QueueStore, schedule_id: UUID, *numbers: int) -> None:
    accounts = b"".join([_account(number) for number in numbers])
    await store.record_joins(schedule_id, IssuedNumbers(list(numbers), accounts))


async def test_recorded_numbers_are_packed_once(store: QueueStore, mine: UUID, other: UUID) -> None:
    await _record(store, other, 99)
    for first in range(1, 40, 3):
        await _record(store, mine, first, first + 1, first + 2)
    # The oldest rows up to a limit, which the last of them may exceed.
    assert await store.pack_joins(mine, 7) == 3
    assert await _packed(store, mine) == {_account(number): number for number in range(1, 10)}
    assert await store.pack_joins(mine, 1_000, 31) == 0
    assert await store.pack_joins(mine, 1_000, 30) == 10
    assert await store.pack_joins(mine, 1_000) == 0
    assert await _packed(store, mine) == {_account(number): number for number in range(1, 40)}
    assert await _packed(store, other) == {}
    assert await store.pack_joins(other, 1_000) == 1
    assert await _packed(store, other) == {_account(99): 99}
    halves = [await _packed(store, mine, parts) for parts in (range(2), range(2, 256))]
    assert halves[0].keys().isdisjoint(halves[1])
    assert all(half for half in halves)
    assert halves[0] | halves[1] == await _packed(store, mine)


async def test_large_numbers_and_values_are_packed(store: QueueStore, mine: UUID) -> None:
    numbers = [2**40 - 1 - at for at in range(3_000)]
    accounts = {uuid4().bytes: number for number in numbers}
    await store.record_joins(mine, IssuedNumbers(numbers, b"".join(accounts)))
    assert await store.pack_joins(mine, 1) == 1
    assert await _packed(store, mine) == accounts


async def test_rows_that_another_packs_are_not_packed_again(
    store: QueueStore, mine: UUID, db: Database
) -> None:
    await _record(store, mine, 1)
    async with db.transaction() as another:
        packed = await another.fetchval("SELECT queue_pack_joins_v1($1, 1, 1)", mine)
        await _record(store, mine, 2)
        waiting = asyncio.create_task(store.pack_joins(mine, 1))
        await until(lambda: _is_blocked(db))
    assert packed == 1
    # It packs none itself; 0 would say that nothing is left, and a rebuild would lose the rest.
    assert await waiting == 1
    assert await _packed(store, mine) == {_account(1): 1}
    assert [await store.pack_joins(mine, 1) for _ in range(2)] == [1, 0]
    assert await _packed(store, mine) == {_account(1): 1, _account(2): 2}


async def _is_blocked(db: Database) -> bool:
    return bool(
        await db.fetch("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    )


async def test_packs_of_one_room_are_dropped(
    store: QueueStore, mine: UUID, other: UUID, db: Database
) -> None:
    for schedule_id in (mine, other):
        await _record(store, schedule_id, 1)
        await store.pack_joins(schedule_id, 10)
    await db.fetch("SELECT queue_drop_packs_v1($1)", mine)
    assert await _packed(store, mine) == {}
    assert await _packed(store, other) == {_account(1): 1}


async def test_spent_numbers_are_read_page_by_page(
    store: QueueStore, mine: UUID, other: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_SPENT_AT_ONCE", 2)
    await _admit(store, other, 4)
    await _admit(store, mine, 1, 2, 3)
    pages = []
    async for page in store.spent_numbers(mine):
        pages.append([one.number for one in page])
        if len(pages) > 2:
            break
    assert pages == [[1, 2], [3]]


def test_a_call_has_few_buckets_where_they_are_small() -> None:
    """With one user in each, a call of 400 kB would have 21,000, and miss its deadline."""
    small = [NumberBucket(at.to_bytes(2, "big"), bytes(19)) for at in range(10_000)]
    calls = list(number_packs.in_calls(small, 400_000))
    assert max(map(len, calls)) < 2_000
    assert [one for call in calls for one in call] == small
    large = [NumberBucket(b"ab", bytes(19 * 214))] * 1_000
    assert len(next(number_packs.in_calls(large, 400_000))) > 90
