"""Locks of decisions, their order, and that a decision reads only after its waits.

Each test holds a lock, runs a decision into it, and then checks the locks or the outcome.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from boxoffice.payments.store import PaymentStore, TopUpCommand
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.reservations.store import ReleaseCommand, ReservationStore, Swept
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.hall import BALANCE_MAX_MINOR, Hall, open_hall
from tests.support.waiting import until

_WAITS = """
    SELECT 1 FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'boxoffice'
"""
_RESERVATION = "SELECT 1 FROM reservations WHERE reservation_id = $1 FOR UPDATE"
_SEAT = "SELECT 1 FROM seats WHERE seat_id = $1 FOR UPDATE"
_WALLET = "SELECT 1 FROM wallets WHERE user_id = $1 FOR UPDATE"
_PERSON = "SELECT pg_advisory_xact_lock($1)"
_LOCK_OF_PERSON = "SELECT uuid_hash_extended($1, uuid_hash_extended($2, 0)) AS lock"


@pytest.fixture
def settings(database_url: str, servers: Servers) -> Settings:
    """Long timeouts, because a busy machine is slow."""
    return Settings.of(
        database_url=database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        lock_timeout_ms=10_000,
        batch_isolation_timeout_ms=12_000,
        statement_timeout_ms=20_000,
        request_timeout_ms=60_000,
    )


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall of the test's own."""
    return await open_hall(db, balance_minor=5_000)


@pytest.fixture
async def other(database_url: str) -> "AsyncIterator[asyncpg.Connection[Record]]":
    """A connection that holds what the decision needs."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def third(database_url: str) -> "AsyncIterator[asyncpg.Connection[Record]]":
    """A connection that checks whether something is locked."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def _is_free(third: "asyncpg.Connection[Record]", query: str, what: object) -> bool:
    try:
        async with third.transaction():
            if query == _PERSON:
                return bool(await third.fetchval("SELECT pg_try_advisory_xact_lock($1)", what))
            await third.execute(query + " NOWAIT", what)
    except asyncpg.LockNotAvailableError:
        return False
    return True


@asynccontextmanager
async def _waiting(
    other: "asyncpg.Connection[Record]",
    query: str,
    what: object,
    db: Database,
    decision: Callable[[], Awaitable[object]],
) -> AsyncIterator["asyncio.Task[object]"]:
    """Let a decision wait for a lock inside the block; it continues afterwards."""
    async with other.transaction():
        await other.execute(query, what)
        task: asyncio.Task[object] = asyncio.ensure_future(decision())
        await until(lambda: db.fetch(_WAITS))
        yield task
    await task


def _releases(hall: Hall, person: UUID, *reservations: UUID) -> Callable[[], Awaitable[object]]:
    commands = [ReleaseCommand(person, one, new_id()) for one in reservations]
    return lambda: ReservationStore(hall.db).release(hall.schedule_id, commands)


async def test_releases_lock_reservations_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    low, high = sorted([await hall.held(buyer, "S001"), await hall.held(buyer, "S002")])
    release = _releases(hall, buyer, high, low)
    async with _waiting(other, _RESERVATION, low, hall.db, release):
        assert await _is_free(third, _RESERVATION, high)


async def test_releases_lock_seats_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S002", "S001", "S003")
    async with _waiting(other, _SEAT, "S001", hall.db, _releases(hall, buyer, reservation)):
        assert await _is_free(third, _SEAT, "S002")
        assert await _is_free(third, _SEAT, "S003")


async def test_payments_lock_people_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    locks: dict[int, UUID] = {}
    for person in hall.people:
        [row] = await hall.db.fetch(_LOCK_OF_PERSON, person, hall.schedule_id)
        locks[row["lock"]] = person
    low, *higher = sorted(locks)
    bills = []
    for lock, seat in zip([*reversed(higher), low], hall.seat_ids, strict=False):
        bills.append(hall.bill(locks[lock], await hall.held(locks[lock], seat)))
    async with _waiting(other, _PERSON, low, hall.db, lambda: hall.settle(*bills)):
        assert all([await _is_free(third, _PERSON, lock) for lock in higher])


async def test_payments_lock_reservations_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    low, high = sorted([await hall.held(buyer, "S001"), await hall.held(buyer, "S002")])
    bills = [hall.bill(buyer, high), hall.bill(buyer, low)]
    async with _waiting(other, _RESERVATION, low, hall.db, lambda: hall.settle(*bills)):
        assert await _is_free(third, _RESERVATION, high)


async def test_payments_lock_seats_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S002", "S001", "S003")
    async with _waiting(other, _SEAT, "S001", hall.db, lambda: hall.pay(buyer, reservation)):
        assert await _is_free(third, _SEAT, "S002")
        assert await _is_free(third, _SEAT, "S003")


async def test_payments_lock_wallets_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    low, high, *_ = hall.people
    bills = [
        hall.bill(high, await hall.held(high, "S001")),
        hall.bill(low, await hall.held(low, "S002")),
    ]
    async with _waiting(other, _WALLET, low, hall.db, lambda: hall.settle(*bills)):
        assert await _is_free(third, _WALLET, high)


async def test_top_ups_lock_wallets_in_order(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    low, high, *_ = hall.people
    commands = [TopUpCommand(one, f"k{one}", b"f", new_id(), 100) for one in (high, low)]
    store = PaymentStore(hall.db)
    async with _waiting(
        other, _WALLET, low, hall.db, lambda: store.top_up(commands, BALANCE_MAX_MINOR)
    ):
        assert await _is_free(third, _WALLET, high)


async def _after(
    hall: Hall, other: "asyncpg.Connection[Record]", change: str, decision: Awaitable[object]
) -> object:
    """Let a decision wait for an uncommitted change, commit it, and return the outcome."""
    async with other.transaction():
        await other.execute(change)
        task = asyncio.ensure_future(decision)
        await until(lambda: hall.db.fetch(_WAITS))
    return await task


async def test_a_payment_sees_what_became_of_its_reservation_while_it_waited(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    change = "UPDATE reservations SET status = 'CANCELLED', closed_at = clock_timestamp()"
    paid = await _after(hall, other, change, hall.pay(buyer, reservation))
    assert getattr(paid, "name", "") == "not_held"


async def test_a_payment_sees_what_became_of_its_seat_while_it_waited(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    change = "UPDATE seats SET reservation_id = gen_random_uuid() WHERE seat_id = 'S001'"
    paid = await _after(hall, other, change, hall.pay(buyer, reservation))
    assert getattr(paid, "name", "") == "hold_expired"


async def test_a_payment_sees_what_is_left_in_the_wallet_after_it_waited(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    paid = await _after(
        hall, other, "UPDATE wallets SET balance_minor = 999", hall.pay(buyer, reservation)
    )
    assert getattr(paid, "name", "") == "insufficient_balance"


async def test_a_top_up_reads_the_balance_after_its_wait(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    change = f"UPDATE wallets SET balance_minor = {BALANCE_MAX_MINOR}"  # noqa: S608 — a number
    topped_up = await _after(hall, other, change, hall.top_up(hall.people[0], 1))
    assert getattr(topped_up, "name", "") == "wallet_limit"


async def test_a_release_that_waited_past_the_end_comes_too_late(
    db: Database, other: "asyncpg.Connection[Record]"
) -> None:
    hall = await open_hall(db, hold_ttl_s=1)
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    lapsed = "SELECT expires_at <= clock_timestamp() FROM reservations"
    async with other.transaction():
        await other.execute(_RESERVATION, reservation)
        release = asyncio.create_task(hall.release(buyer, reservation))
        await until(lambda: other.fetchval(lapsed))
    assert (await release).name == "not_held"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("status = 'EXPIRED', closed_at = clock_timestamp()", "hold_expired"),
        ("status = 'CANCELLED', closed_at = clock_timestamp()", "not_held"),
        ("status = 'CONFIRMED', closed_at = clock_timestamp()", "already_paid"),
        ("expires_at = clock_timestamp()", "hold_expired"),
    ],
    ids=["expired", "cancelled", "confirmed", "lapsed"],
)
async def test_what_the_reservation_says_is_enough_to_refuse_a_payment(
    hall: Hall, change: str, name: str
) -> None:
    """Whatever the seats say: they are still held for it."""
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    await hall.db.fetch(f"UPDATE reservations SET {change}")  # noqa: S608 — our own words
    assert (await hall.pay(buyer, reservation)).name == name
    assert (await hall.seat("S001"))["state"] == "HELD"


async def test_what_the_seat_says_is_enough_to_refuse_a_payment(hall: Hall) -> None:
    """Whatever the reservation says: it is held and has not lapsed."""
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001", "S002")
    await hall.db.fetch(
        "UPDATE seats SET reservation_id = gen_random_uuid() WHERE seat_id = 'S001'"
    )
    assert (await hall.pay(buyer, reservation)).name == "hold_expired"
    assert await hall.status(reservation) == "HELD"


async def test_a_lapsed_seat_in_a_concurrent_take_over_is_neither_taken_nor_free(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    first, second, *_ = hall.people
    await hall.lapse(await hall.held(first, "S001"))
    async with other.transaction():
        await other.execute(_SEAT, "S001")
        outcome = await hall.hold(second, "S001")
    assert (outcome.name, outcome.seat_ids) == ("seat_busy", ("S001",))
    assert (await hall.hold(second, "S001")).name == "held"


async def test_a_release_reports_no_version_of_a_seat_taken_over(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001", "S002")
    await hall.db.fetch(
        "UPDATE seats SET reservation_id = gen_random_uuid() WHERE seat_id = 'S001'"
    )
    await open_hall(hall.db)  # with free seats of the same names
    released = await hall.release(buyer, reservation)
    assert (released.name, released.seat_versions) == ("released", (0, 3))
    assert (await hall.seat("S001"))["state"] == "HELD"


async def test_a_sweeper_leaves_what_is_not_due_on_its_list_as_it_is(hall: Hall) -> None:
    listed = "SELECT ctid::text, xmin::text FROM lapsing_holds"
    await hall.held(hall.people[0], "S001")
    before = await hall.db.fetch(listed)
    assert await hall.expire() == 0
    assert await hall.db.fetch(listed) == before


async def test_a_sweeper_skips_rows_locked_by_another(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    in_hand, due = await hall.held(buyer, "S001"), await hall.held(buyer, "S002")
    await hall.lapse(in_hand)
    await hall.lapse(due)
    async with other.transaction():
        await other.execute(
            "SELECT 1 FROM lapsing_holds WHERE first_reservation_id = $1 FOR UPDATE", in_hand
        )
        assert await hall.expire() == 1
        assert (await hall.status(in_hand), await hall.status(due)) == ("HELD", "EXPIRED")
    assert await hall.expire() == 1


_AGE = """
    WITH listed AS (UPDATE lapsing_holds SET expires_at = expires_at - interval '1 day'),
         seated AS (UPDATE seats SET expires_at = expires_at - interval '1 day' WHERE state = 'HELD')
    UPDATE reservations
       SET expires_at = expires_at - interval '1 day', created_at = created_at - interval '1 day'
"""


async def test_a_sweeper_takes_no_more_rows_than_its_limit(hall: Hall) -> None:
    buyer = hall.people[0]
    for first, second in (("S001", "S002"), ("S003", "S004")):
        await hall.hold_batch(hall.hold_command(buyer, first), hall.hold_command(buyer, second))
    await hall.db.fetch(_AGE)
    listed = "SELECT ctid::text, xmin::text FROM lapsing_holds ORDER BY expires_at"
    _, later = await hall.db.fetch(listed)
    assert await hall.expire(2) == 2
    assert await hall.db.fetch(listed) == [later]


async def test_a_sweeper_works_off_the_list_of_its_own_schedule(hall: Hall) -> None:
    elsewhere = await open_hall(hall.db)
    there = await elsewhere.held(elsewhere.people[0], "S001")
    here = await hall.held(hall.people[0], "S001")
    await elsewhere.lapse(there)
    await hall.lapse(here)
    assert await hall.expire(1) == 1
    assert (await elsewhere.status(there), await hall.status(here)) == ("HELD", "EXPIRED")


async def test_a_sweeper_closes_no_more_than_its_limit_and_reports_whether_more_is_due(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer, store = hall.people[0], ReservationStore(hall.db)
    # One batch, and so one row of the list.
    await hall.hold_batch(*(hall.hold_command(buyer, seat) for seat in hall.seat_ids[:3]))
    await hall.db.fetch(_AGE)
    assert await store.expire(hall.schedule_id, 2) == Swept(2, more=True)
    async with other.transaction():
        await other.execute("SELECT 1 FROM reservations FOR NO KEY UPDATE")
        stuck = await store.expire(hall.schedule_id, 1)
        assert stuck == Swept(0, more=False), "what is locked is not waited for in a circle"
    assert await store.expire(hall.schedule_id, 2) == Swept(1, more=False)


async def test_a_release_waits_for_its_persons_hold(
    hall: Hall, other: "asyncpg.Connection[Record]", third: "asyncpg.Connection[Record]"
) -> None:
    """Both touch the person's row; a hold that waited for it would wait for a seat's owner."""
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    [row] = await hall.db.fetch(_LOCK_OF_PERSON, buyer, hall.schedule_id)
    async with _waiting(other, _PERSON, row["lock"], hall.db, _releases(hall, buyer, reservation)):
        assert await _is_free(third, _RESERVATION, reservation)


async def test_a_sweeper_skips_persons_in_a_batch(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    busy, idle = [
        await hall.held(person, f"S00{at}") for at, person in enumerate(hall.people[:2], 1)
    ]
    await hall.lapse(busy, idle)
    [row] = await hall.db.fetch(_LOCK_OF_PERSON, hall.people[0], hall.schedule_id)
    async with other.transaction():
        await other.execute(_PERSON, row["lock"])
        assert await hall.expire() == 1
        assert await hall.status(busy) == "HELD"
    assert await hall.expire() == 1
