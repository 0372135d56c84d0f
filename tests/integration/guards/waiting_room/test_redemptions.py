"""What each condition of the redemptions decides in SQL, with two rooms."""

from uuid import UUID, uuid4

import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.waiting_room import store as store_module
from boxoffice.waiting_room.store import QueueStore, Redemption

REDEEMED = Redemption(is_redeemed=True, is_theirs=True, had_turn=False)
ADMISSION = (
    "INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at,"
    " leaves_at, inside, inside_max) VALUES ($1, $2, $3, 1, 1, now(), now(), 1, 1)"
)


@pytest.fixture
def store(db: Database) -> QueueStore:
    """The record."""
    return QueueStore(db)


async def redeem(store: QueueStore, room: UUID, number: int, account: UUID) -> Redemption:
    """Give a number to an account."""
    async with store.transaction() as connection:
        return await store_module.redeem(connection, room, number, account)


async def test_a_number_is_redeemed_once(store: QueueStore) -> None:
    mine, other, account, rival = (uuid4() for _ in range(4))
    assert await redeem(store, mine, 1, account) == REDEEMED
    assert await redeem(store, mine, 1, account) == REDEEMED
    assert await redeem(store, mine, 1, rival) == Redemption(True, False, False)
    assert await redeem(store, other, 1, rival) == REDEEMED
    assert await redeem(store, mine, 2, rival) == REDEEMED


async def test_an_account_redeems_one_number(store: QueueStore) -> None:
    room, account = uuid4(), uuid4()
    assert await redeem(store, room, 1, account) == REDEEMED
    assert await redeem(store, room, 2, account) == Redemption(False, False, False)
    assert await redeem(store, uuid4(), 2, account) == REDEEMED


async def test_an_account_that_had_its_turn_redeems_nothing(
    store: QueueStore, db: Database
) -> None:
    room, account = uuid4(), uuid4()
    await db.fetch(ADMISSION, room, 7, account)
    assert await redeem(store, room, 1, account) == Redemption(False, False, True)
    assert await redeem(store, room, 1, uuid4()) == REDEEMED
    assert await redeem(store, uuid4(), 1, account) == REDEEMED


async def test_a_turn_by_the_redeemed_number_is_no_other(store: QueueStore, db: Database) -> None:
    room, account = uuid4(), uuid4()
    await redeem(store, room, 1, account)
    await db.fetch(ADMISSION, room, 1, account)
    assert await redeem(store, room, 1, account) == REDEEMED
    await db.fetch(ADMISSION, room, 7, account)
    assert await redeem(store, room, 1, account) == Redemption(True, True, True)


async def test_redemptions_of_one_room_are_dropped(store: QueueStore, db: Database) -> None:
    rooms = [uuid4(), uuid4()]
    for room in rooms:
        await redeem(store, room, 1, uuid4())
    await db.fetch("SELECT queue_drop_packs_v1($1)", rooms[0])
    left = await db.fetch("SELECT schedule_id FROM queue_redemptions")
    assert [row["schedule_id"] for row in left] == rooms[1:]
