"""Three pods at once after fifty seats; and the same without the guards, which has to be noticed."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from boxoffice.audit.service import audit
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from faults.guards.markers import texts_without
from tests.conftest import Servers
from tests.support.hall import open_hall
from tests.support.hammer import Hammer
from tests.support.invariants import broken


@pytest.fixture
def settings(database_url: str, servers: Servers) -> Settings:
    """A database of each test's own: one of them breaks it."""
    return Settings.of(database_url=database_url, valkey_url=servers.valkey_url, log_level="error")


@pytest.fixture
async def pods(settings: Settings) -> AsyncIterator[list[Database]]:
    """Three pods, each with a pool of its own."""
    async with AsyncExitStack() as stack:
        pods = [Database(settings) for _ in range(3)]
        for pod in pods:
            await pod.open()
            stack.push_async_callback(pod.close)
        yield pods


async def _hammered(
    pods: list[Database], seconds: float, balance_minor: int, *, lenient: bool = False
) -> tuple[Hammer, dict[str, int]]:
    seed = random.randrange(2**32)
    hall = await open_hall(
        pods[0],
        seats=50,
        people=20,
        hold_ttl_s=1,
        ticket_limit=12,
        balance_minor=balance_minor,
    )
    hammer = Hammer(hall, pods, seed, lenient=lenient)
    await hammer.run(seconds)
    wrong = await broken(pods[0], hall.schedule_id)
    print(f"seed {seed}: {dict(hammer.outcomes)}; broken: {wrong}")
    query = "SELECT reservation_id FROM reservations WHERE schedule_id = $1"
    kept = {row["reservation_id"] for row in await pods[0].fetch(query, hall.schedule_id)}
    assert kept == hammer.promised, "what was promised is kept, and nothing else"
    return hammer, wrong


async def test_nothing_is_sold_twice_lost_or_locked_for_good(
    pods: list[Database], settings: Settings
) -> None:
    hammer, wrong = await _hammered(pods, 3.0, balance_minor=1_000)
    assert not wrong
    report = await audit(settings)
    assert report.ok, report.broken
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert (await pods[0].fetch(deadlocks))[0]["deadlocks"] == 0
    seen = {
        "held",
        "seat_taken",
        "seat_busy",
        "paid",
        "released",
        "charged",
        "insufficient_balance",
    }
    assert seen <= set(hammer.outcomes), "it struck everywhere"


# The control takes these guards away. Its holds pause between the look and the write, and its payments
# take whatever is not on sale.
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
_PAUSE = {"    IF (p_apart AND": "    PERFORM pg_sleep(0.003);\n    IF (p_apart AND"}
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


async def test_without_the_guards_the_same_checks_see_seats_sold_twice(
    pods: list[Database], settings: Settings
) -> None:
    """The negative control: seats are looked at without a lock, and written without a condition.

    Such holds also wait for each other in circles, which is why it is lenient.
    """
    holds = _unguarded(_HOLD_GUARDS, _PAUSE)
    pays = _unguarded(_PAY_GUARDS, _WHATEVER_IS_NOT_ON_SALE)
    async with pods[0].connection() as connection:
        await connection.execute(holds)
        await connection.execute(pays)
        await connection.execute("DROP INDEX tickets_one_live_per_seat")
    seen: set[str] = set()
    for _ in range(12):
        _, wrong = await _hammered(pods, 0.6, balance_minor=1_000_000, lenient=True)
        seen |= set(wrong)
        if {"seat_was_promised_twice", "seat_has_two_live_tickets"} <= seen:
            break
    else:
        pytest.fail(f"nothing was oversold without the guards: {seen}")
    assert not (await audit(settings)).ok
