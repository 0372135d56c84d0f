"""Transactions of two pods that overlap at the end of a hold: one right answer each."""

import asyncio

import asyncpg

from boxoffice.platform.postgres.database import Database, Record
from boxoffice.seats.cache.entries import ScheduleEntries
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.waiting import until

_PAY = """
    SELECT coalesce(outcomes[1], 'paid') FROM payments_pay_v3(
        $1, ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[$2::uuid], ARRAY[$3::uuid],
        ARRAY['wallet'], ARRAY[NULL], NULL, ARRAY['p'], ARRAY['f'::bytea],
        true)
"""
# So long that the payment is in time on a busy machine.
_TTL_S = 2
_LAPSED = "SELECT expires_at <= clock_timestamp() FROM reservations WHERE reservation_id = $1"
_TAKE_OVER = """
    UPDATE seats SET reservation_id = $2, expires_at = expires_at + interval '2 days'
     WHERE schedule_id = $1 AND seat_id IN ('S001', 'S002')
    RETURNING seat_id
"""
_LOCK = "SELECT 1 FROM seats WHERE schedule_id = $1 AND seat_id = $2 FOR NO KEY UPDATE"
_WAITING = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def test_a_payment_that_is_open_past_the_hold_counts_against_the_ticket_limit(
    db: Database, other: "asyncpg.Connection[Record]"
) -> None:
    hall = await open_hall(db, hold_ttl_s=_TTL_S, ticket_limit=2, balance_minor=10_000)
    buyer = hall.people[0]
    first = await hall.held(buyer, "S001", "S002")
    async with other.transaction():
        assert await other.fetchval(_PAY, hall.schedule_id, buyer, first) == "paid"
        await until(lambda: other.fetchval(_LAPSED, first))
        assert (await hall.hold(buyer, "S003", "S004")).name == "person_busy"
    assert (await hall.hold(buyer, "S003", "S004")).name == "ticket_limit"


async def test_the_version_of_a_map_grows_when_a_payment_ends_after_the_hold(
    db: Database, settings: Settings, other: "asyncpg.Connection[Record]"
) -> None:
    hall = await open_hall(db, hold_ttl_s=_TTL_S, balance_minor=10_000)
    first = await hall.held(hall.people[0], "S001")
    seats = SeatReadModel(ScheduleEntries(settings.seats, SeatStore(db)))
    async with other.transaction():
        assert await other.fetchval(_PAY, hall.schedule_id, hall.people[0], first) == "paid"
        await until(lambda: other.fetchval(_LAPSED, first))
        lapsed = await seats.states(hall.schedule_id, max_age_s=0)
    sold = await seats.states(hall.schedule_id, max_age_s=0)
    assert (lapsed.status[0], sold.status[0]) == (0, 2)
    assert sold.version > lapsed.version


async def test_a_late_sweep_and_the_payment_of_the_new_owner_do_not_wait_in_a_circle(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    """The sweep meets seats that were taken over while it waited, and keeps them locked."""
    # The plan of a large hall: from the reservations, in the order of their ids, to the seats.
    await third.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; ANALYZE")
    await hall.lapse(*[await hall.held(hall.people[0], seat) for seat in ("S002", "S001")])
    async with other.transaction():
        taken_over = await other.fetch(_TAKE_OVER, hall.schedule_id, hall.people[1])
        assert len(taken_over) == 2
        sweep = asyncio.create_task(
            third.fetchval("SELECT closed FROM reservations_expire_v2($1, 10)", hall.schedule_id)
        )
        await until(lambda: _waiters(other, 1))
        payment = asyncio.create_task(_lock_in_order(hall, "S001", "S002"))
        await until(lambda: _waiters(other, 2))
    await payment
    assert await sweep == 2


async def _lock_in_order(hall: Hall, *seat_ids: str) -> None:
    async with hall.db.transaction() as connection:
        for seat_id in seat_ids:
            await connection.execute(_LOCK, hall.schedule_id, seat_id)


async def _waiters(connection: "asyncpg.Connection[Record]", count: int) -> bool:
    return bool(await connection.fetchval(_WAITING) >= count)
