"""Every way to a confirmed reservation assigns one number, in the transaction that confirms it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import asyncpg
import pytest

from boxoffice.order_numbers import rules
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import migrations
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.database import copied_database
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.waiting import until

_WITHOUT = """
    DROP TRIGGER reservations_order_number ON reservations;
    DROP TRIGGER ticket_issues_order_number ON ticket_issues;
    DROP TABLE order_numbers;
    DROP FUNCTION order_numbers_give_each;
    DROP FUNCTION order_numbers_of_confirmed;
    DROP FUNCTION order_numbers_give;
    DROP FUNCTION order_numbers_random;
"""
# The first draw is a number that is taken.
_UNLUCKY = """
    CREATE SEQUENCE draws;
    ALTER FUNCTION order_numbers_random RENAME TO order_numbers_other;
    CREATE FUNCTION order_numbers_random() RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN nextval('draws') = 1 THEN (SELECT min(order_number) FROM order_numbers)
                ELSE order_numbers_other() END;
    $$;
"""


async def numbers(hall: Hall) -> dict[UUID, str]:
    rows = await hall.db.fetch(
        "SELECT reservation_id, order_number FROM order_numbers WHERE schedule_id = $1",
        hall.schedule_id,
    )
    return {row["reservation_id"]: row["order_number"] for row in rows}


async def test_a_payment_answers_the_number_and_a_hold_has_none(hall: Hall) -> None:
    buyer = hall.people[0]
    first, second, held = [await hall.held(buyer, seat) for seat in hall.seat_ids[:3]]
    bills = [hall.bill(buyer, second), hall.bill(buyer, first)]
    outcomes = await hall.settle(*bills)
    assigned = await numbers(hall)
    payments = [one.payment for one in outcomes if one.payment]
    assert [one.order_number for one in payments] == [assigned[second], assigned[first]]
    assert held not in assigned
    assert all(rules.is_whole(number) for number in assigned.values())
    # A replay shows the same, also in a batch with another payment.
    again = await hall.settle(hall.bill(buyer, held), bills[1])
    assert again[1].payment == payments[1]
    assert not await broken(hall.db, hall.schedule_id)


async def test_every_number_has_its_check_character(hall: Hall) -> None:
    rows = await hall.db.fetch(
        "SELECT order_numbers_random() AS number FROM generate_series(1, 500)"
    )
    drawn = [row["number"] for row in rows]
    assert len(set(drawn)) == 500
    assert all(rules.is_whole(number) for number in drawn)
    # Each place has each character: 500 draws leave one out with a probability of 3e-5.
    for place in range(8):
        assert {number[place] for number in drawn} == set(rules.SIGNS)


async def test_pods_of_the_previous_release_and_providers_assign_numbers(hall: Hall) -> None:
    buyer = hall.people[0]
    first, second = await hall.held(buyer, "S001"), await hall.held(buyer, "S002")
    before = """
        SELECT outcomes FROM payments_pay_v2(
            $1, ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[$2::uuid],
            ARRAY[$3::uuid], ARRAY['wallet'], ARRAY[NULL], ARRAY[NULL::bigint], ARRAY['p'],
            ARRAY['f'::bytea], true)
    """
    await hall.db.fetch(before, hall.schedule_id, buyer, first)
    intent = new_id()
    await hall.set_intent(second, intent)
    assert await hall.pay_outside((buyer, second, intent)) == ["paid"]
    assert (await numbers(hall)).keys() == {first, second}


async def test_a_number_belongs_to_its_schedule(hall: Hall) -> None:
    """The same reservation id elsewhere is another reservation."""
    paid = await hall.pay(hall.people[0], await hall.held(hall.people[0], "S001"))
    assert paid.payment is not None
    ids = [paid.payment.reservation_id, new_id()]
    query = "SELECT order_numbers_of_v1($1, $2) AS numbers"
    [row] = await hall.db.fetch(query, hall.schedule_id, ids)
    assert row["numbers"] == [paid.payment.order_number, None]
    [row] = await hall.db.fetch(query, new_id(), ids)
    assert row["numbers"] == [None, None]


async def test_a_payment_that_is_rolled_back_leaves_no_number(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    reservation = await hall.held(hall.people[0], "S001")
    transaction = other.transaction()
    await transaction.start()
    await other.execute(
        "UPDATE reservations SET status = 'CONFIRMED', closed_at = now() WHERE reservation_id = $1",
        reservation,
    )
    assert await other.fetchval(
        "SELECT order_number FROM order_numbers WHERE reservation_id = $1", reservation
    )
    await transaction.rollback()
    assert await numbers(hall) == {}


@pytest.fixture
def own_url(servers: Servers, template: str) -> Iterator[str]:
    """The address of a database of one test."""
    with copied_database(servers.database_url, template) as url:
        yield url


@pytest.fixture
async def own(own_url: str, settings: Settings) -> AsyncIterator[Hall]:
    """A hall in a database whose schema the test changes."""
    db = Database(settings.replace(database_url=own_url))
    await db.open()
    yield await open_hall(db, balance_minor=5_000)
    await db.close()


async def test_a_number_that_is_taken_is_drawn_again(own: Hall) -> None:
    first = await own.pay(own.people[0], await own.held(own.people[0], "S001"))
    async with own.db.connection() as connection:
        await connection.execute(_UNLUCKY)
    bills = [
        own.bill(buyer, await own.held(buyer, seat))
        for buyer, seat in zip(own.people[1:], ("S002", "S003"), strict=False)
    ]
    payments = [first.payment, *(one.payment for one in await own.settle(*bills))]
    drawn = [one.order_number for one in payments if one is not None]
    assert len({*drawn} - {None}) == 3
    # The one that was taken was drawn anew, and the other one stayed.
    [row] = await own.db.fetch("SELECT last_value FROM draws")
    assert row["last_value"] == 3


async def test_what_was_numbered_keeps_its_number(hall: Hall) -> None:
    """The trigger sees each update of a confirmed reservation."""
    await hall.pay(hall.people[0], await hall.held(hall.people[0], "S001"))
    before = await numbers(hall)
    await hall.db.fetch(
        "UPDATE reservations SET closed_at = closed_at WHERE schedule_id = $1", hall.schedule_id
    )
    assert await numbers(hall) == before
    assert before


async def _migrate(own: Hall, version: str) -> None:
    [migration] = [one for one in migrations.numbered() if one.version == version]
    async with own.db.connection() as connection, connection.transaction():
        await connection.execute(migration.statements)


async def test_the_migration_numbers_what_was_confirmed_before_and_meanwhile(own: Hall) -> None:
    buyer = own.people[0]
    before, meanwhile, held = [await own.held(buyer, seat) for seat in own.seat_ids[:3]]
    await own.pay(buyer, before)
    async with own.db.connection() as connection:
        await connection.execute(_WITHOUT)

    # A payment of the previous release, which commits while the migration waits for it.
    async with own.db.connection() as payer:
        async with payer.transaction():
            await payer.execute(
                "UPDATE reservations SET status = 'CONFIRMED', closed_at = now()"
                " WHERE reservation_id = $1",
                meanwhile,
            )
            migrating = asyncio.create_task(_migrate(own, "0022"))
            waits = (
                "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'reservations'::regclass"
            )
            await until(lambda: own.db.fetch(waits))
        await migrating
    assert (await numbers(own)).keys() == {before, meanwhile}
    await own.pay(buyer, held)
    assert held in await numbers(own)


async def test_the_trigger_of_a_row_becomes_one_of_a_statement_beside_an_audit(own: Hall) -> None:
    """The audit reads for minutes; a lock that waited for it would stop the sale."""
    before, after = [await own.held(own.people[0], seat) for seat in own.seat_ids[:2]]
    async with own.db.connection() as connection:
        await connection.execute(_WITHOUT)
    await _migrate(own, "0022")
    await own.pay(own.people[0], before)
    async with own.db.snapshot() as audit:
        assert await audit.fetch("SELECT FROM reservations")
        await _migrate(own, "0031")
    await own.pay(own.people[0], after)
    assert (await numbers(own)).keys() == {before, after}
    # The audit of the release before 0031 looks for this function.
    [row] = await own.db.fetch(
        "SELECT tgfoid::regproc::text AS function, tgtype & 1 AS each_row FROM pg_trigger"
        " WHERE tgname = 'reservations_order_number'"
    )
    assert tuple(row) == ("order_numbers_of_confirmed", 0)
