"""A statement that was received but not begun when its connection was cut, and the look-up after it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import pytest

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.errors import Unavailable
from boxoffice.payments.handlers import PayHandler
from boxoffice.payments.store import PaymentStore, PayOutcome
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from faults.cluster.proxy import Moment, Proxy, Trap
from tests.integration.batching.conftest import Sale
from tests.integration.batching.test_on_postgres import hold_command, names, window
from tests.support.hall import Hall, open_hall
from tests.support.waiting import until

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

PRICE_MINOR = 1_000
SEATS = ["S1", "S2", "S3", "S4"]
POOLERS = ["none", "transaction", "transaction_prepared"]


@asynccontextmanager
async def hasty(settings: Settings) -> AsyncIterator[Database]:
    """Lend a pool with one connection to begin with, which does not wait long for anything."""
    db = Database(
        settings.replace(
            db_pool_max=2,
            batches_in_flight=1,
            statement_timeout_ms=100,
            lock_timeout_ms=100,
            db_acquire_timeout_ms=300,
        )
    )
    await db.open()
    try:
        yield db
    finally:
        await db.close()


async def backend_of(db: Database) -> int:
    """Return the server process of the connection that a batch would get now."""
    [row] = await db.fetch("SELECT pg_backend_pid() AS pid")
    return int(row["pid"])


@contextlib.contextmanager
def frozen(pid: int, line: Proxy, text: bytes) -> Iterator[None]:
    """Stop a process when a statement is on its way to it, until the block is left."""
    try:
        os.kill(pid, 0)
    except (PermissionError, ProcessLookupError):
        pytest.skip("the processes of this PostgreSQL are not ours to stop")
    line.set_trap(Trap(text, Moment.SEEN, partial(os.kill, pid, signal.SIGSTOP)))
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def is_gone(db: Database, pid: int) -> bool:
    """Say whether a server process has ended."""
    return not await db.fetch("SELECT FROM pg_stat_activity WHERE pid = $1", pid)


async def payments_of(hall: Hall) -> int:
    """Return how many payments there are."""
    return len(await hall.db.fetch("SELECT FROM payments WHERE schedule_id = $1", hall.schedule_id))


@pytest.mark.parametrize("pooler", POOLERS)
async def test_a_payment_that_was_refused_is_not_made_afterwards(
    db: Database, settings: Settings, pooler: str
) -> None:
    hall = await open_hall(db, price_minor=PRICE_MINOR)
    [buyer, *_] = hall.people
    bill = hall.bill(buyer, await hall.held(buyer, "S001"))
    async with (
        Proxy.of_postgres(settings.database.database_url).listening() as line,
        hasty(settings.replace(database_url=line.url, db_pooler=pooler)) as pod,
    ):
        handler = PayHandler(PaymentStore(pod))
        await handler.look_up(hall.schedule_id, [bill])
        await PaymentStore(pod).pay(hall.schedule_id, [hall.bill(buyer, hall.schedule_id)])
        group = GroupCommit(GroupCommitLimits(unknown_outcome_timeout_s=20.0))
        pid = await backend_of(pod)
        with frozen(pid, line, b"payments_pay"):
            asking = asyncio.create_task(group.submit(handler, hall.schedule_id, bill))
            # Long enough to give up the frozen session, and to be refused on another one.
            await asyncio.wait([asking], timeout=2.5)
            await hall.top_up(buyer, PRICE_MINOR)
        outcome: PayOutcome = await asking
        # It has the statement, runs or refuses it, and ends because its client is gone.
        await until(lambda: is_gone(db, pid))
    made = await payments_of(hall)
    assert (outcome.name, made) in {("paid", 1), ("replayed", 1), ("insufficient_balance", 0)}


@pytest.mark.parametrize("pooler", POOLERS)
async def test_a_session_that_is_lost_at_any_step_holds_once(
    sale: Sale, valkey: Valkey, settings: Settings, pooler: str
) -> None:
    lost = [Moment.ASKED, Moment.HALF_ASKED, Moment.DELIVERED, Moment.ANSWERED]
    async with Proxy.of_postgres(settings.database.database_url).listening() as line:
        db = Database(settings.replace(database_url=line.url, db_pooler=pooler))
        await db.open()
        try:
            async with window(db, valkey, sale.schedule_id) as (pod, watched):
                for at, moment in enumerate(lost):
                    trap = line.set_trap(Trap(b"reservations_hold", moment))
                    [outcome] = await pod.hold(hold_command(SEATS[at]))
                    assert names([outcome])[0] in ("held", "replayed"), moment
                    assert trap.sprung.is_set()
                    assert watched.look_ups == at + 1
        finally:
            await db.close()
    given_up = await sale.db.fetch("SELECT FROM given_up_statements")
    assert len(given_up) == (0 if pooler == "none" else len(lost))
    assert await sale.seats_of_reservations() == SEATS
    assert await sale.events() == len(lost)


class Interrupted(Database):
    """A pool that says once that no connection is to be had, when its time has come."""

    lends_before = -1

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[PoolConnectionProxy[asyncpg.Record]]":
        """Lend a connection, or none."""
        self.lends_before -= 1
        if self.lends_before == -1:
            raise Unavailable
        async with super().connection() as lent:
            yield lent


async def test_what_a_batch_did_is_not_denied_because_a_repetition_cannot_be_looked_up(
    sale: Sale, valkey: Valkey, settings: Settings
) -> None:
    db = Interrupted(settings)
    await db.open()
    try:
        async with window(db, valkey, sale.schedule_id) as (pod, watched):
            first = hold_command("S1")
            assert names(await pod.hold(first)) == ["held"]
            db.lends_before = 1
            outcomes = await pod.hold(first, hold_command("S2"))
    finally:
        await db.close()
    assert watched.look_ups == 1
    assert names(outcomes) == ["replayed", "replayed"]
    assert await sale.seats_of_reservations() == ["S1", "S2"]
