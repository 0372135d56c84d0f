"""The sweeper, and the race between the end of a hold and its payment."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from uuid import UUID

import asyncpg
import pytest
import structlog

from boxoffice.platform.postgres.database import Database, Record
from boxoffice.reservations import sweeper
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings
from faults.guards.markers import ROOT
from tests.conftest import Servers
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.waiting import until, waiting_at


@pytest.fixture
def settings(database_url: str, servers: Servers) -> Settings:
    """A database of each test's own: the sweeper looks at all of it."""
    return Settings.of(
        database_url=database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        sweep_interval_ms=20,
        sweep_batch_max=2,
    )


async def test_the_sweeper_closes_what_has_lapsed_in_bounded_batches(db: Database) -> None:
    hall, elsewhere = await open_hall(db), await open_hall(db)
    lapsed = [await hall.held(hall.people[0], seat) for seat in hall.seat_ids[:5]]
    lapsed_elsewhere = await elsewhere.held(elsewhere.people[0], "S001")
    alive = await hall.held(hall.people[1], "S006")
    await hall.lapse(*lapsed)
    await elsewhere.lapse(lapsed_elsewhere)
    closed = [await sweeper.sweep_once(ReservationStore(db), 2) for _ in range(4)]
    assert sum(closed) == 6
    assert max(closed) <= 4, "two at the most, of each of two schedules"
    assert await hall.status(alive) == "HELD"
    assert await elsewhere.status(lapsed_elsewhere) == "EXPIRED"
    assert [(await hall.seat(seat))["state"] for seat in hall.seat_ids[:7]] == [
        *["AVAILABLE"] * 5,
        "HELD",
        "AVAILABLE",
    ]
    assert not await broken(db, hall.schedule_id)


async def test_two_sweepers_share_the_work_and_write_each_event_once(db: Database) -> None:
    hall = await open_hall(db, seats=200, ticket_limit=1000)
    lapsed = [
        one.held.reservation_id
        for one in await hall.hold_batch(
            *(hall.hold_command(hall.people[0], seat) for seat in hall.seat_ids)
        )
        if one.held is not None
    ]
    await hall.lapse(*lapsed)

    async def sweep() -> int:
        return sum([await sweeper.sweep_once(ReservationStore(db), 7) for _ in range(40)])

    shares = await asyncio.gather(sweep(), sweep())
    assert sum(shares) == 200
    assert all(shares), "each had something to do"
    query = (
        "SELECT count(*), count(DISTINCT id) FROM outbox, unnest(subject_ids) id WHERE topic = $1"
    )
    [event] = await db.fetch(query, "reservation.expired")
    assert tuple(event) == (200, 200)
    assert not await broken(db, hall.schedule_id)


async def test_a_sweeper_passes_over_what_another_transaction_has_in_hand(
    db: Database, other: "asyncpg.Connection[Record]"
) -> None:
    hall = await open_hall(db)
    busy, idle = [await hall.held(hall.people[0], seat) for seat in hall.seat_ids[:2]]
    await hall.lapse(busy, idle)
    async with other.transaction():
        await other.execute("SELECT 1 FROM reservations WHERE reservation_id = $1 FOR UPDATE", busy)
        assert await hall.expire() == 1
    assert await hall.expire() == 1


async def test_the_role_sweeps_until_it_is_stopped(db: Database, settings: Settings) -> None:
    hall = await open_hall(db)
    lapsed = [await hall.held(hall.people[0], seat) for seat in hall.seat_ids[:5]]
    stop = asyncio.Event()
    role = asyncio.create_task(sweeper.run(settings, stop))
    await hall.lapse(*lapsed)

    async def all_closed() -> bool:
        return {await hall.status(one) for one in lapsed} == {"EXPIRED"}

    await until(all_closed)
    stop.set()
    await asyncio.wait_for(role, 5)


# A schedule whose holds cannot be closed, as after damage that a constraint refuses to write again.
_POISON = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'this schedule cannot be swept';
    END $$;
    CREATE TRIGGER poison BEFORE UPDATE ON reservations
        FOR EACH ROW WHEN (OLD.schedule_id = '{schedule_id}') EXECUTE FUNCTION refuse();
"""


async def test_a_schedule_that_cannot_be_swept_does_not_keep_the_others_waiting(
    db: Database, settings: Settings
) -> None:
    bad, good = await open_hall(db), await open_hall(db)
    stuck = [await bad.held(bad.people[0], seat) for seat in bad.seat_ids[:4]]
    lapsed = [await good.held(good.people[0], seat) for seat in good.seat_ids[:4]]
    await bad.lapse(*stuck)
    await bad.lapse(*stuck)  # the longest waiting, and more than one batch
    await good.lapse(*lapsed)
    async with db.connection() as connection:
        await connection.execute(_POISON.format(schedule_id=bad.schedule_id))
    stop = asyncio.Event()
    role = asyncio.create_task(sweeper.run(settings, stop))

    async def all_closed() -> bool:
        return {await good.status(one) for one in lapsed} == {"EXPIRED"}

    await until(all_closed)
    await db.fetch("DROP TRIGGER poison ON reservations")

    async def recovered() -> bool:
        return {await bad.status(one) for one in stuck} == {"EXPIRED"}

    await until(recovered)
    stop.set()
    await asyncio.wait_for(role, 5)


async def test_the_role_survives_what_it_did_not_expect(db: Database, settings: Settings) -> None:
    hall = await open_hall(db)
    lapsed = await hall.held(hall.people[0], "S001")
    await hall.lapse(lapsed)
    await db.fetch("ALTER TABLE lapsing_holds RENAME TO elsewhere")
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        role = asyncio.create_task(sweeper.run(settings, stop))

        async def failed_twice() -> bool:
            return [log.get("failures") for log in logs if log["event"] == "sweep_failed"][:2] == [
                1,
                2,
            ]

        await until(failed_twice)
        await db.fetch("ALTER TABLE elsewhere RENAME TO lapsing_holds")

        async def closed() -> bool:
            return await hall.status(lapsed) == "EXPIRED"

        await until(closed)
    stop.set()
    await asyncio.wait_for(role, 5)


async def test_the_longest_lapsed_are_closed_first(db: Database) -> None:
    hall = await open_hall(db)
    held = [await hall.held(hall.people[0], seat) for seat in hall.seat_ids[:4]]
    random.shuffle(held)
    for at in range(len(held)):
        await hall.lapse(*held[at:])  # the later in the list, the more days have passed
    assert await hall.expire(2) == 2
    assert [await hall.status(one) for one in held] == ["HELD", "HELD", "EXPIRED", "EXPIRED"]


async def _pay_at_the_last_moment(hall: Hall, buyer: UUID, reservation: UUID, at: float) -> str:
    await asyncio.sleep(max(0.0, at - time.monotonic()))
    return (await hall.pay(buyer, reservation)).name


async def _run_after(hall: Hall, buyer: UUID, seat: str, at: float) -> str:
    """Take the seat over as soon as it is lapsed."""
    await asyncio.sleep(max(0.0, at - time.monotonic()))
    while True:
        name = (await hall.hold(buyer, seat)).name
        if name.endswith("_busy"):
            continue  # no outcome: blocked by a concurrent transaction, which the group commit retries
        if name == "held" or (await hall.seat(seat))["state"] == "SOLD":
            return name


async def test_a_seat_at_the_end_of_its_hold_is_paid_or_taken_over_and_never_both(
    db: Database,
) -> None:
    """Payments start around the end of the hold, by a spread that is drawn from the seed."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pairs = 12
    hall = await open_hall(
        db, seats=pairs, people=2 * pairs, hold_ttl_s=1, balance_minor=10_000, ticket_limit=1
    )
    owners, rivals = hall.people[:pairs], hall.people[pairs:]
    began = time.monotonic()
    outcomes = await hall.hold_batch(*map(hall.hold_command, owners, hall.seat_ids))
    reservations = [one.held.reservation_id for one in outcomes if one.held is not None]
    ends = (began + time.monotonic()) / 2 + 1.0
    stop = asyncio.Event()

    async def sweep() -> None:
        while not stop.is_set():
            await hall.expire()

    sweeping = asyncio.create_task(sweep())
    payments = asyncio.gather(
        *(
            _pay_at_the_last_moment(hall, owner, reservation, ends + rng.uniform(-0.06, 0.04))
            for owner, reservation in zip(owners, reservations, strict=True)
        )
    )
    takeovers = asyncio.gather(
        *(
            _run_after(hall, rival, seat, ends - 0.05)
            for rival, seat in zip(rivals, hall.seat_ids, strict=True)
        )
    )
    results = list(zip(await payments, await takeovers, strict=True))
    stop.set()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping
    print(Counter(results))
    assert set(results) <= {("paid", "seat_taken"), ("hold_expired", "held")}
    assert not await broken(db, hall.schedule_id)


_FUNCTIONS = ROOT / "src/boxoffice/reservations/functions.sql"
_PAUSES = 20_611
# Between its first look at the clock and its look at the seats a hold waits for the test.
_LOOK = "    SELECT array_agg(l.place), array_agg(l.version_after), "
_PAUSED_LOOK = (
    f"    SET LOCAL lock_timeout = 0;\n    PERFORM pg_advisory_xact_lock({_PAUSES});\n{_LOOK}"
)
_END = """
    WITH ended AS (
        UPDATE reservations SET expires_at = clock_timestamp()
         WHERE reservation_id = $1 RETURNING schedule_id, seat_ids, expires_at
    ), due AS (
        UPDATE lapsing_holds l SET expires_at = e.expires_at FROM ended e
         WHERE l.schedule_id = e.schedule_id AND l.first_reservation_id = $1
    )
    UPDATE seats s SET expires_at = e.expires_at FROM ended e
     WHERE s.schedule_id = e.schedule_id AND s.seat_id = ANY (e.seat_ids)
"""


@pytest.mark.parametrize("swept", [True, False], ids=["swept", "not_swept"])
async def test_a_hold_that_waited_begins_no_earlier_than_the_end_of_the_one_before(
    db: Database, settings: Settings, *, swept: bool
) -> None:
    """A process that does not run for a while has looked at the clock before the other hold ended."""
    text = _FUNCTIONS.read_text("utf-8")
    assert text.count(_LOOK) == 1, "the function has changed"
    hall = await open_hall(db)
    owner, rival = hall.people[:2]
    earlier = await hall.held(owner, "S001")
    gate = await asyncpg.connect(settings.database.database_url)
    try:
        await gate.execute(text.replace(_LOOK, _PAUSED_LOOK))
        await gate.execute("SELECT pg_advisory_lock($1)", _PAUSES)
        later = asyncio.create_task(hall.hold(rival, "S001"))

        async def has_looked() -> bool:
            return await waiting_at(gate, _PAUSES) == 1

        await until(has_looked)
        await gate.execute(_END, earlier)
        if swept:
            assert await hall.expire() == 1
    finally:
        await gate.close()
    outcome = await later
    assert outcome.name == ("held" if swept else "seat_busy"), "which is tried again"
    assert not await broken(db, hall.schedule_id)


async def test_a_payment_after_the_end_comes_too_late_swept_or_not(db: Database) -> None:
    hall = await open_hall(db, balance_minor=10_000)
    buyer = hall.people[0]
    lapsed, swept = [await hall.held(buyer, seat) for seat in hall.seat_ids[:2]]
    await hall.lapse(swept)
    await hall.expire()
    await hall.lapse(lapsed)
    assert (await hall.pay(buyer, lapsed)).name == "hold_expired"
    assert (await hall.pay(buyer, swept)).name == "hold_expired"
    assert await hall.balance(buyer) == 10_000


_END_SOON = """
    UPDATE {table} SET expires_at = clock_timestamp() + interval '200 ms' WHERE reservation_id = $1
"""


async def test_a_payment_that_waited_past_the_end_comes_too_late(
    db: Database, other: "asyncpg.Connection[Record]"
) -> None:
    """The time is taken after the last wait, not when the payment arrived."""
    hall = await open_hall(db, balance_minor=10_000)
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    # Soon enough for the payment to wait that long, which the lock timeout bounds.
    for table in ("reservations", "seats"):
        await other.execute(_END_SOON.format(table=table), reservation)
    async with other.transaction():
        await other.execute("SELECT 1 FROM wallets WHERE user_id = $1 FOR UPDATE", buyer)
        payment = asyncio.create_task(hall.pay(buyer, reservation))
        lapsed = (
            "SELECT expires_at <= clock_timestamp() FROM reservations WHERE reservation_id = $1"
        )
        await until(lambda: other.fetchval(lapsed, reservation))
    assert (await payment).name == "hold_expired"
    assert await hall.balance(buyer) == 10_000


async def test_holds_that_were_paid_in_time_do_not_keep_the_lapsed_waiting(db: Database) -> None:
    """Rows of the sweeper's list whose holds have all ended cost it no turn of their own."""
    hall = await open_hall(db, people=8, balance_minor=1_000)
    held = [
        await hall.held(one, seat) for one, seat in zip(hall.people, hall.seat_ids, strict=False)
    ]
    for one, reservation in list(zip(hall.people, held, strict=True))[:7]:
        assert (await hall.pay(one, reservation)).name == "paid"
    await hall.lapse(held[7])
    await db.fetch(
        "UPDATE lapsing_holds SET expires_at = expires_at - interval '2 days'"
        " WHERE schedule_id = $1 AND NOT $2 = ANY (reservation_ids)",
        hall.schedule_id,
        held[7],
    )
    assert await sweeper.sweep_once(ReservationStore(db), 2) == 1
    assert await hall.status(held[7]) == "EXPIRED"
    query = "SELECT FROM lapsing_holds WHERE schedule_id = $1"
    assert not await db.fetch(query, hall.schedule_id)


async def test_what_a_sweep_cannot_close_now_stays_on_its_list(
    db: Database, other: "asyncpg.Connection[Record]"
) -> None:
    hall = await open_hall(db)
    outcomes = await hall.hold_batch(
        *(hall.hold_command(hall.people[0], seat) for seat in hall.seat_ids[:3])
    )
    held = [one.held.reservation_id for one in outcomes if one.held is not None]
    await db.fetch(
        "UPDATE lapsing_holds SET expires_at = clock_timestamp() WHERE schedule_id = $1",
        hall.schedule_id,
    )
    # On the list too early: its own time has not come.
    assert await hall.expire() == 0
    await hall.lapse(*held)
    async with other.transaction():
        lock = "SELECT 1 FROM reservations WHERE reservation_id = $1 FOR NO KEY UPDATE"
        await other.execute(lock, held[1])
        assert await hall.expire() == 2
        assert await hall.expire() == 0
    assert await hall.expire() == 1
    assert {await hall.status(one) for one in held} == {"EXPIRED"}
    assert not await broken(db, hall.schedule_id)
