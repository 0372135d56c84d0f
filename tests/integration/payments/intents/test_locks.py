"""Intents, people, reservations and seats are locked in one order, and the time is read afterwards.

Each test holds a lock, runs a decision into it, and then checks the locks or the outcome.
"""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from boxoffice.payments.intents.store import BeginCommand, Intent, IntentOutcome
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.checkout import BOUNDS, Checkout, reservation_of
from tests.support.hall import Hall, open_hall
from tests.support.waiting import until

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Record]

_WAITS = """
    SELECT 1 FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'boxoffice'
"""
_LOCKS = {
    "intent": "SELECT 1 FROM payment_intents WHERE intent_id = $1 FOR UPDATE",
    "reservation": "SELECT 1 FROM reservations WHERE reservation_id = $1 FOR UPDATE",
    "seat": "SELECT 1 FROM seats WHERE reservation_id = $1 FOR UPDATE",
}
_PERSON = "SELECT pg_advisory_xact_lock(uuid_hash_extended($1, uuid_hash_extended($2, 0)))"


@pytest.fixture
def settings(shared_database_url: str, servers: Servers) -> Settings:
    """Long timeouts, because a busy machine is slow."""
    return Settings.of(
        database_url=shared_database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        lock_timeout_ms=10_000,
        batch_isolation_timeout_ms=12_000,
        statement_timeout_ms=20_000,
        request_timeout_ms=60_000,
    )


def _begin(checkout: Checkout, *intents: Intent) -> "asyncio.Task[list[IntentOutcome]]":
    commands = [BeginCommand(one.user_id, one.intent_id, "p") for one in intents]
    return asyncio.create_task(checkout.store.begin(checkout.hall.schedule_id, commands))


async def _waits(third: "Connection") -> bool:
    return bool(await third.fetch(_WAITS))


def _what(kind: str, intent: Intent) -> UUID:
    return intent.intent_id if kind == "intent" else reservation_of(intent)


async def _is_free(third: "Connection", query: str, what: UUID) -> bool:
    try:
        async with third.transaction():
            await third.execute(query + " NOWAIT", what)
    except asyncpg.LockNotAvailableError:
        return False
    return True


@pytest.mark.parametrize("kind", list(_LOCKS))
async def test_a_batch_locks_in_order(
    checkout: Checkout, hall: Hall, other: "Connection", third: "Connection", kind: str
) -> None:
    made = [
        await checkout.opened(hall.people[0], "S001"),
        await checkout.opened(hall.people[1], "S002"),
    ]
    # Seats are ordered by their id, and the first hold has the lower one.
    low, high = made if kind == "seat" else sorted(made, key=lambda one: _what(kind, one))
    async with other.transaction():
        await other.execute(_LOCKS[kind], _what(kind, high))
        beginning = _begin(checkout, high, low)
        await until(lambda: _waits(third))
        assert not await _is_free(third, _LOCKS[kind], _what(kind, low))
    assert [outcome.name for outcome in await beginning] == ["begun", "begun"]


async def test_a_fence_waits_for_its_persons_hold(
    checkout: Checkout, hall: Hall, other: "Connection", third: "Connection"
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    async with other.transaction():
        await other.execute(_PERSON, intent.user_id, hall.schedule_id)
        beginning = _begin(checkout, intent)
        await until(lambda: _waits(third))
    assert [outcome.name for outcome in await beginning] == ["begun"]


async def test_a_confirmation_that_waited_past_the_end_of_its_hold_is_not_begun(
    db: Database, other: "Connection", third: "Connection"
) -> None:
    hall = await open_hall(db, hold_ttl_s=2)
    checkout = Checkout(hall, bounds=replace(BOUNDS, extension_s=0))
    intent = await checkout.opened(hall.people[0], "S001")
    over = "SELECT expires_at <= clock_timestamp() FROM reservations WHERE reservation_id = $1"
    async with other.transaction():
        await other.execute(_LOCKS["seat"], reservation_of(intent))
        beginning = _begin(checkout, intent)
        await until(lambda: _waits(third))
        await until(lambda: third.fetchval(over, reservation_of(intent)))
    assert [outcome.name for outcome in await beginning] == ["hold_expired"]
    await checkout.close()


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ("UPDATE payment_intents SET status = 'CANCELLED', closed_at = now() WHERE intent_id = $1",
         "not_open"),
        ("UPDATE reservations SET expires_at = now() WHERE intent_id = $1", "hold_expired"),
        ("UPDATE seats SET reservation_id = $2 WHERE reservation_id = $1", "hold_expired"),
    ],
    ids=["intent", "reservation", "seat"],
)  # fmt: skip
async def test_a_confirmation_sees_what_changed_while_it_waited(
    checkout: Checkout, hall: Hall, other: "Connection", third: "Connection", change: str,
    outcome: str,
) -> None:  # fmt: skip
    intent = await checkout.opened(hall.people[0], "S001")
    what: list[Any] = [intent.intent_id]
    if "seats" in change:
        what = [reservation_of(intent), uuid4()]
    async with other.transaction():
        await other.execute(change, *what)
        beginning = _begin(checkout, intent)
        await until(lambda: _waits(third))
    assert [one.name for one in await beginning] == [outcome]


async def test_a_batch_of_another_schedule_or_person_finds_nothing(
    checkout: Checkout, hall: Hall
) -> None:
    one, two = hall.people[:2]
    first, second = await checkout.opened(one, "S001"), await checkout.opened(two, "S002")
    elsewhere = await open_hall(hall.db)
    command = BeginCommand(one, first.intent_id, "p")
    [outcome] = await checkout.store.begin(elsewhere.schedule_id, [command])
    assert outcome.name == "intent_not_found"
    [outcome] = await checkout.store.begin(
        hall.schedule_id, [BeginCommand(one, second.intent_id, "p")]
    )
    assert outcome.name == "intent_not_found"
    outcomes = await _begin(checkout, second, first)
    assert [outcome.seat_ids for outcome in outcomes] == [(), ()], "the holds are long enough"
    assert [(await hall.seat(seat))["user_id"] for seat in ("S001", "S002")] == [one, two]
