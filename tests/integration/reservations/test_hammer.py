"""Three pods at once after fifty seats; and the same without the guards, which has to be noticed."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from boxoffice.audit.service import audit
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from faults.guards.markers import texts_without
from tests.conftest import Servers
from tests.support.hall import Hall, open_hall
from tests.support.hammer import Hammer
from tests.support.invariants import broken
from tests.support.waiting import until, waiting_at


@pytest.fixture
def settings(database_url: str, servers: Servers) -> Settings:
    """A database of each test's own: one of them breaks it."""
    return Settings.of(
        database_url=database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        lock_timeout_ms=5_000,
    )


@pytest.fixture
async def pods(settings: Settings) -> AsyncIterator[list[Database]]:
    """Three pods, each with a pool of its own."""
    async with AsyncExitStack() as stack:
        pods = [Database(settings) for _ in range(3)]
        for pod in pods:
            await pod.open()
            stack.push_async_callback(pod.close)
        yield pods


async def _hammer(pods: list[Database], **hall: int) -> tuple[Hammer, Hall]:
    opened = await open_hall(pods[0], people=20, ticket_limit=12, **hall)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return Hammer(opened, pods, seed), opened


async def _wrong(pods: list[Database], hammer: Hammer, hall: Hall) -> dict[str, int]:
    """Return what the checks see of everything that the hammer did."""
    wrong = await broken(pods[0], hall.schedule_id)
    print(f"{dict(hammer.outcomes)}; broken: {wrong}")
    query = "SELECT reservation_id FROM reservations WHERE schedule_id = $1"
    kept = {row["reservation_id"] for row in await pods[0].fetch(query, hall.schedule_id)}
    assert kept == hammer.promised, "what was promised is kept, and nothing else"
    return wrong


async def test_nothing_is_sold_twice_lost_or_locked_for_good(
    pods: list[Database], settings: Settings
) -> None:
    hammer, hall = await _hammer(pods, seats=50, hold_ttl_s=1, balance_minor=1_000)
    seen = {
        "held",
        "seat_taken",
        "seat_busy",
        "paid",
        "released",
        "charged",
        "insufficient_balance",
    }
    await hammer.run(3.0)
    for _ in range(10):
        if not seen <= set(hammer.outcomes):  # a busy machine strikes less often
            await hammer.run(1.0)
    assert seen <= set(hammer.outcomes), "it struck everywhere"
    assert not await _wrong(pods, hammer, hall)
    report = await audit(settings)
    assert report.ok, report.broken
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert (await pods[0].fetch(deadlocks))[0]["deadlocks"] == 0


# The control takes these guards away. Its holds write one after the other, and each has looked before
# the first one writes: between look and write they wait for a lock, which the control has until all of
# them do. Its payments take whatever is not on sale.
_HOLD_GUARDS = (
    "hold_seats_are_locked",
    "hold_place_is_that_of_what_was_locked",
    "hold_version_that_was_seen",
    "hold_state_that_was_seen",
)
_PAY_GUARDS = (
    "pay_seat_that_was_taken_over_is_not_sold",
    "pay_only_held_seats_are_sold",
    "pay_seat_is_still_reservations",
    "pay_seat_is_still_persons",
    "pay_version_that_was_seen",
    "pay_seats_that_were_changed_are_counted",
)
_GATE = 20_110
_WAITS_AT_THE_GATE = {
    "    IF (p_apart AND": (
        "    SET LOCAL lock_timeout = 0;\n"
        f"    PERFORM pg_advisory_xact_lock({_GATE});\n    IF (p_apart AND"
    )
}
_WHATEVER_IS_NOT_ON_SALE = {
    "       AND s.state = 'HELD';\n    -- no guard: Read by": (
        "       AND s.state <> 'AVAILABLE';\n    -- no guard: Read by"
    )
}


def _unguarded(guards: tuple[str, ...], changes: dict[str, str]) -> str:
    [text] = texts_without(guards).values()
    for old, new in changes.items():
        assert text.count(old) == 1, f"the functions have changed: {old}"
        text = text.replace(old, new)
    return text


async def _meet(pods: list[Database], settings: Settings) -> dict[str, int]:
    """Let three pods hold in a hall of four seats behind the gate, pay everything, and check."""
    hammer, hall = await _hammer(pods, seats=4, hold_ttl_s=60, balance_minor=1_000_000)
    gate = await asyncpg.connect(settings.database.database_url)
    try:
        await gate.execute("SELECT pg_advisory_lock($1)", _GATE)
        holds = asyncio.create_task(hammer.hold_once())

        async def all_have_looked() -> bool:
            return await waiting_at(gate, _GATE) == len(pods)

        await until(all_have_looked)
    finally:
        await gate.close()
    await holds
    await hammer.pay_all()
    return await _wrong(pods, hammer, hall)


async def test_without_the_guards_the_same_checks_see_seats_sold_twice(
    pods: list[Database], settings: Settings
) -> None:
    """The negative control: seats are looked at without a lock, and written without a condition.

    That the pods meet is certain; that they choose a seat in common is all but certain.
    """
    holds = _unguarded(_HOLD_GUARDS, _WAITS_AT_THE_GATE)
    pays = _unguarded(_PAY_GUARDS, _WHATEVER_IS_NOT_ON_SALE)
    async with pods[0].connection() as connection:
        await connection.execute(holds)
        await connection.execute(pays)
        await connection.execute("DROP INDEX tickets_one_live_per_seat")
    wanted = {"seat_was_promised_twice", "seat_has_two_live_tickets"}
    for _ in range(12):
        if wanted <= set(await _meet(pods, settings)):
            break
    else:
        pytest.fail("nothing was oversold without the guards")
    assert not (await audit(settings)).ok
