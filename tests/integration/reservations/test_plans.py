"""The plans of the hot path need no statistics: a sale starts before any table is analysed."""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Coroutine
from uuid import UUID

import asyncpg
import pytest

from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record, connection_options
from boxoffice.reservations.store import ReleaseCommand, ReservationStore
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.hall import Hall, open_hall
from tests.support.waiting import until

_BATCH = 64
_ROUNDS = 3
# A plan that reads the schedule for each command of the batch is slower by hundreds of times.
_FACTOR_MAX = 10
_TABLES = ("seats", "reservations", "payments", "tickets", "transfers", "ledger_entries", "wallets")

# What other people did in a schedule, long ago.
_RESERVATIONS = """
    INSERT INTO reservations (schedule_id, reservation_id, user_id, created_at, expires_at,
                              amount_minor, currency, seat_ids, idempotency_key, fingerprint, status,
                              closed_at)
    SELECT $1, gen_random_uuid(), gen_random_uuid(), now() - interval '1 hour', now(), 0, 'KRW', '{X}',
           gen_random_uuid(), '', 'CANCELLED', now()
      FROM generate_series(1, $2)
"""
_PAYMENTS = """
    INSERT INTO payments (schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at,
                          method, currency, idempotency_key, fingerprint, ticket_ids)
    SELECT $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 0, now(), 'wallet', 'KRW',
           gen_random_uuid(), '', '{}'
      FROM generate_series(1, $2)
"""

# A look at a seat under an old snapshot: its row may have moved by the time that it is locked.
_LOCK_AFTER_A_WAIT = """
    SELECT l.place, l.version
      FROM (SELECT pg_advisory_xact_lock(1) OFFSET 0) w
     CROSS JOIN LATERAL (
           SELECT s.ctid AS place, s.version FROM seats s
            WHERE s.schedule_id = $1 AND s.seat_id = $2 AND s.state = 'AVAILABLE'
              FOR UPDATE OF s SKIP LOCKED) l
"""


@pytest.fixture
def settings(database_url: str, servers: Servers) -> Settings:
    """A database of each test's own, in which nothing is analysed behind its back."""
    return Settings.of(
        database_url=database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        statement_timeout_ms=20_000,
        lock_timeout_ms=20_000,
    )


async def _never_analyse(db: Database) -> None:
    for table in _TABLES:
        await db.fetch(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")


async def _timed(work: Callable[[], Coroutine[None, None, None]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


class _Rounds:
    """Full batches of two seats each; half are paid, a quarter is given back, the rest lapses."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._seats = iter(hall.seat_ids)
        self._held: list[UUID] = []

    async def hold(self) -> None:
        requests = [
            self._hall.hold_command(person, next(self._seats), next(self._seats))
            for person in self._hall.people[:_BATCH]
        ]
        outcomes = await self._hall.hold_batch(*requests)
        self._held = [one.held.reservation_id for one in outcomes if one.held is not None]
        assert len(self._held) == _BATCH

    async def pay(self) -> None:
        owned = zip(self._hall.people, self._held[: _BATCH // 2], strict=False)
        paid = await self._hall.settle(*(self._hall.bill(*one) for one in owned))
        assert {one.name for one in paid} == {"paid"}

    async def release(self) -> None:
        owned = list(zip(self._hall.people, self._held, strict=False))[_BATCH // 2 : -_BATCH // 4]
        commands = [ReleaseCommand(person, held, new_id()) for person, held in owned]
        given = await ReservationStore(self._hall.db).release(self._hall.schedule_id, commands)
        assert {one.name for one in given} == {"released"}

    async def expire(self) -> None:
        assert await self._hall.expire() == _BATCH // 4

    async def run(self) -> dict[str, float]:
        """Return the shortest time of each step, in seconds: noise only ever adds."""
        times: dict[str, list[float]] = {}
        for _ in range(_ROUNDS):
            for step in (self.hold, self.pay, self.release):
                times.setdefault(step.__name__, []).append(await _timed(step))
            await self._hall.lapse(*self._held[-_BATCH // 4 :])
            times.setdefault("expire", []).append(await _timed(self.expire))
        return {step: min(seconds) for step, seconds in times.items()}


async def _is_as_fast(hall: Hall, usual: dict[str, float]) -> bool:
    """Say whether one of three tries is: a busy machine slows some, and a wrong plan all."""
    rounds = _Rounds(hall)
    for _ in range(3):
        later = await rounds.run()
        print(f"at first {usual}; later {later}")
        if max(later[step] / usual[step] for step in usual) < _FACTOR_MAX:
            return True
    return False


async def test_a_hall_without_statistics_is_sold_as_fast(db: Database) -> None:
    await _never_analyse(db)
    people, price = _BATCH, 1_000
    enough = {"people": people, "price_minor": price, "balance_minor": price * 1_000}
    small = await open_hall(db, seats=1_000, ticket_limit=1_000, **enough)
    await db.fetch("ANALYZE")
    usual = await _Rounds(small).run()
    await db.fetch("DELETE FROM pg_statistic")
    await db.fetch(
        "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relname = ANY ($1)", _TABLES
    )
    large = await open_hall(db, seats=60_000, ticket_limit=1_000, **enough)
    # What this session planned for the small hall is of no use to a pod that starts now.
    await db.fetch("DISCARD PLANS")
    assert await _is_as_fast(large, usual)


async def test_a_plan_from_when_the_tables_were_empty_still_serves(db: Database) -> None:
    await _never_analyse(db)
    first = await open_hall(
        db, seats=1_000, people=_BATCH, balance_minor=100_000, ticket_limit=1_000
    )
    usual = await _Rounds(first).run()
    large = await open_hall(
        db, seats=60_000, people=_BATCH, balance_minor=100_000, ticket_limit=1_000
    )
    await db.fetch(_RESERVATIONS, large.schedule_id, 30_000)
    assert await _is_as_fast(large, usual)


async def test_a_plan_from_when_the_tables_had_a_page_still_serves(
    db: Database, settings: Settings
) -> None:
    await _never_analyse(db)
    halls = [
        await open_hall(db, seats=seats, people=_BATCH, balance_minor=100_000, ticket_limit=1_000)
        for seats in (1_000, 60_000)
    ]
    # The primary keys fit into one page, and the keys of the people do not any more.
    for table in (_RESERVATIONS, _PAYMENTS):
        await db.fetch(table, new_id(), 150)
    late = Database(settings)
    await late.open()
    try:
        first, large = (dataclasses.replace(hall, db=late) for hall in halls)
        usual = await _Rounds(first).run()
        for table in (_RESERVATIONS, _PAYMENTS):
            await db.fetch(table, large.schedule_id, 30_000)
        assert await _is_as_fast(large, usual)
    finally:
        await late.close()


async def test_the_place_of_a_seat_is_the_place_of_what_was_locked(
    db: Database,
    settings: Settings,
) -> None:
    hall = await open_hall(db)
    seat = hall.seat_ids[0]
    other: asyncpg.Connection[Record] = await asyncpg.connect(
        settings.database.database_url, **connection_options(settings)
    )
    reader: asyncpg.Connection[Record] = await asyncpg.connect(
        settings.database.database_url, **connection_options(settings)
    )
    try:
        async with other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock(1)")
            locking = asyncio.create_task(reader.fetch(_LOCK_AFTER_A_WAIT, hall.schedule_id, seat))
            await until(lambda: _waits_for_the_advisory_lock(db))
            await other.execute(
                "UPDATE seats SET version = version + 2 WHERE schedule_id = $1 AND seat_id = $2",
                hall.schedule_id,
                seat,
            )
        [locked] = await locking
        query = "SELECT ctid AS place, version FROM seats WHERE schedule_id = $1 AND seat_id = $2"
        assert [tuple(row) for row in await db.fetch(query, hall.schedule_id, seat)] == [
            tuple(locked)
        ]
        assert locked["version"] == 3
    finally:
        await other.close()
        await reader.close()


async def _waits_for_the_advisory_lock(db: Database) -> bool:
    query = (
        "SELECT count(*) AS waiting FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return bool((await db.fetch(query))[0]["waiting"])
