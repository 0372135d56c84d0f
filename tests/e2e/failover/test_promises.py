"""What is promised was acknowledged: no answer counts on a commit that may not be on the standby."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from boxoffice.accounts.store import AccountStore, NewPerson
from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.errors import OutcomeUnknown, Unavailable
from boxoffice.payments.handlers import PayHandler, TopUpHandler
from boxoffice.payments.store import PaymentStore, TopUpCommand
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.postgres.outcomes import Failure, classify
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.handlers import HoldHandler, ReleaseHandler
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.store import ReleaseCommand, ReservationStore
from boxoffice.settings import Settings
from tests.e2e.failover.conftest import Primary
from tests.support.hall import BALANCE_MAX_MINOR, Hall, open_hall
from tests.support.waiting import until

_SOON_S = 20.0


class Pod:
    """What of a pod decides in batches."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.valkey = Valkey(settings.valkey)
        self.background = Background()
        unknown_outcome_timeout_s = settings.batching.unknown_outcome_timeout_ms / 1000
        self.group = GroupCommit(
            GroupCommitLimits(unknown_outcome_timeout_s=unknown_outcome_timeout_s, retry_for_s=0.2)
        )
        holds, payments = ReservationStore(db), PaymentStore(db)
        lock = SeatLock(self.valkey, 9_000)
        self.holds = HoldHandler(holds, lock, self.background)
        self.releases = ReleaseHandler(holds, lock)
        self.payments = PayHandler(payments)
        self.top_ups = TopUpHandler(payments, BALANCE_MAX_MINOR)

    async def ask(self, handler: Any, key: UUID | None, command: Any) -> str:
        """Return the outcome's name, or the error's."""
        try:
            async with asyncio.timeout(_SOON_S):
                outcome = await self.group.submit(handler, key, command)
        except (OutcomeUnknown, Unavailable) as error:
            return type(error).__name__
        return str(outcome.name)


@asynccontextmanager
async def pod(db: Database, settings: Settings) -> AsyncIterator[Pod]:
    """Open the windows of one pod."""
    one = Pod(db, settings)
    yield one
    await one.group.close()
    await one.background.finish()
    await one.valkey.close()


async def waiting(db: Database) -> Sequence[int]:
    """Return the server's processes whose commit waits for a standby."""
    rows = await db.fetch(
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
    )
    return [row["pid"] for row in rows]


async def interrupted(db: Database, function: str) -> None:
    """End the wait of the one commit that waits, as an operator does."""
    await until(lambda: _is_one(db))
    [pid] = await waiting(db)
    await db.fetch(f"SELECT {function}($1)", pid)


async def _is_one(db: Database) -> bool:
    return len(await waiting(db)) == 1


INTERRUPTIONS = ("pg_cancel_backend", "pg_terminate_backend")


async def test_a_hold_whose_commit_was_cancelled_by_our_own_deadline_is_unknown(
    db: Database, patient: Database, settings: Settings, primary: Primary
) -> None:
    hall = await open_hall(patient)
    async with pod(db, settings) as one, primary.without_standby():
        command = hall.hold_command(hall.people[0], "S001")
        assert await one.ask(one.holds, hall.schedule_id, command) == "OutcomeUnknown"
        # Every reader sees it, and the same key gets the same outcome.
        assert (await hall.seat("S001"))["state"] == "HELD"
        assert await one.ask(one.holds, hall.schedule_id, command) == "OutcomeUnknown"
    async with pod(patient, settings) as one:
        assert await one.ask(one.holds, hall.schedule_id, command) == "replayed"


@pytest.mark.parametrize("function", INTERRUPTIONS)
async def test_a_hold_whose_commit_was_interrupted_is_unknown(
    patient: Database, settings: Settings, primary: Primary, function: str
) -> None:
    hall = await open_hall(patient)
    async with pod(patient, settings) as one, primary.without_standby():
        command = hall.hold_command(hall.people[0], "S001")
        asking = asyncio.create_task(one.ask(one.holds, hall.schedule_id, command))
        await interrupted(patient, function)
        assert await asking == "OutcomeUnknown"
        assert (await hall.seat("S001"))["state"] == "HELD"


async def test_a_statement_whose_commit_was_cancelled_does_not_pass_for_acknowledged(
    patient: Database, primary: Primary
) -> None:
    async with primary.without_standby():
        asking = asyncio.create_task(
            patient.fetch("SELECT pg_logical_emit_message(true, 'a', 'b')")
        )
        await interrupted(patient, "pg_cancel_backend")
        with pytest.raises(OutcomeUnknown) as raised:
            await asking
    assert classify(raised.value) is Failure.UNKNOWN


async def test_also_where_the_role_is_spared_warnings(
    settings: Settings, patient: Database, primary: Primary
) -> None:
    quiet = Database(settings.replace(statement_timeout_ms=20_000))
    await primary.run("ALTER ROLE boxoffice SET client_min_messages = error")
    try:
        await quiet.open()
        async with primary.without_standby():
            asking = asyncio.create_task(
                quiet.fetch("SELECT pg_logical_emit_message(true, 'a', '')")
            )
            await interrupted(patient, "pg_cancel_backend")
            with pytest.raises(OutcomeUnknown):
                await asking
    finally:
        await primary.run("ALTER ROLE boxoffice RESET client_min_messages")
        await quiet.close()


async def test_a_warning_that_says_nothing_of_the_commit_raises_nothing(patient: Database) -> None:
    await patient.fetch("SET client_min_messages = notice")
    async with patient.transaction() as connection:
        await connection.execute("DO $$ BEGIN RAISE WARNING 'nothing'; RAISE NOTICE 'less'; END $$")


async def test_payments_and_top_ups_and_releases_are_unknown_as_well(
    db: Database, patient: Database, settings: Settings, primary: Primary
) -> None:
    hall = await open_hall(patient, balance_minor=10_000)
    buyer, other, third, fourth = hall.people
    bought, given_back = await hall.held(buyer, "S001"), await hall.held(other, "S002")
    bill = hall.bill(buyer, bought)
    release = ReleaseCommand(other, given_back, new_id())
    top_up = TopUpCommand(third, "top_up", b"", new_id(), 500)
    async with pod(db, settings) as one, primary.without_standby():
        asked: list[tuple[Any, UUID | None, Any]] = [
            (one.payments, hall.schedule_id, bill),
            (one.releases, hall.schedule_id, release),
            (one.top_ups, None, top_up),
        ]
        first = await asyncio.gather(*(one.ask(*question) for question in asked))
        again = await asyncio.gather(*(one.ask(*question) for question in asked))
        # Another key for what is paid already: to hear that it is paid is a promise, too.
        paid = await one.ask(one.payments, hall.schedule_id, hall.bill(buyer, bought))
    # Who is refused is promised nothing.
    async with pod(patient, settings) as one, primary.without_standby():
        taken = await one.ask(one.holds, hall.schedule_id, hall.hold_command(fourth, "S001"))
    assert [*first, *again, paid] == ["OutcomeUnknown"] * 7
    assert taken == "seat_taken"


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_what_is_replayed_waits_for_the_standby(
    patient: Database, settings: Settings, primary: Primary, is_pooled: bool
) -> None:
    pooler = "transaction" if is_pooled else "none"
    db = Database(settings.replace(db_pooler=pooler))
    await db.open()
    try:
        hall = await open_hall(patient, balance_minor=10_000)
        buyer, *_ = hall.people
        command = hall.hold_command(buyer, "S001")
        [held] = await hall.hold_batch(command)
        assert held.held is not None
        bill = hall.bill(buyer, held.held.reservation_id)
        await hall.settle(bill)
        top_up = TopUpCommand(buyer, "top_up", b"", new_id(), 500)
        async with pod(db, settings) as one:
            asked: list[tuple[Any, UUID | None, Any]] = [
                (one.holds, hall.schedule_id, command),
                (one.payments, hall.schedule_id, bill),
                (one.top_ups, None, top_up),
            ]
            await PaymentStore(patient).top_up([top_up], BALANCE_MAX_MINOR)
            async with primary.without_standby():
                away = [await one.ask(*question) for question in asked]
            await until(lambda: _are_replayed(one, asked))
    finally:
        await db.close()
    assert away == ["OutcomeUnknown"] * 3


async def _are_replayed(one: Pod, asked: Sequence[tuple[Any, UUID | None, Any]]) -> bool:
    return [await one.ask(*question) for question in asked] == ["replayed"] * 3


async def test_a_batch_that_writes_needs_no_word_of_its_own_for_what_it_replays(
    patient: Database, settings: Settings
) -> None:
    hall = await open_hall(patient)
    first, second, *_ = hall.people
    earlier = hall.hold_command(first, "S001")
    await hall.hold_batch(earlier)
    asked: list[str] = []

    class Listening(Database):
        async def look_up(
            self, query: str, *args: object, is_durable: bool = False
        ) -> list[asyncpg.Record]:
            asked.append("promised" if is_durable else "to be promised")
            return await super().look_up(query, *args, is_durable=is_durable)

    listening = Listening(settings.replace(statement_timeout_ms=20_000))
    await listening.open()
    try:
        store = ReservationStore(listening)
        again = hall.hold_command(first, "S001", key=earlier.key)
        both = await store.hold(hall.schedule_id, [again, hall.hold_command(second, "S002")])
        alone = await store.hold(hall.schedule_id, [again])
    finally:
        await listening.close()
    assert [one.name for one in (*both, *alone)] == ["replayed", "held", "replayed"]
    assert asked == ["promised", "to be promised"]


Writes = Callable[[Database, Hall], Awaitable[object]]


async def _sign_up(db: Database, _hall: Hall) -> None:
    person = NewPerson(new_id(), f"{new_id()}@example.org", "Somebody", "-", "buyer")
    await AccountStore(db).add_user(person, "KRW")


async def _finds_it_done(db: Database, hall: Hall) -> None:
    async with db.writing() as connection:
        await connection.execute(
            "UPDATE schedules SET status = 'OPEN' WHERE schedule_id = $1 AND status <> 'OPEN'",
            hall.schedule_id,
        )


@pytest.mark.parametrize("write", [_sign_up, _finds_it_done])
@pytest.mark.parametrize("function", [*INTERRUPTIONS, None])
async def test_what_organizers_and_new_people_are_told_was_acknowledged(
    db: Database, patient: Database, primary: Primary, write: Writes, function: str | None
) -> None:
    hall = await open_hall(patient)
    async with primary.without_standby():
        asking = asyncio.create_task(_outcome(write, db if function is None else patient, hall))
        if function is not None:
            await interrupted(patient, function)
        assert await asking == "OutcomeUnknown"


async def _outcome(write: Writes, db: Database, hall: Hall) -> str:
    try:
        await write(db, hall)
    except OutcomeUnknown as error:
        return type(error).__name__
    return "done"


async def test_a_process_starts_while_the_standby_is_away(
    patient: Database, primary: Primary
) -> None:
    store = AccountStore(patient)
    await store.add_first_key("first", b"s" * 32)
    async with primary.without_standby():
        await store.add_first_key("second", b"s" * 32)
    assert "second" not in {key.kid for key in await store.keys()}


async def test_a_step_of_a_migration_that_did_not_wait_is_no_step(
    patient: Database, settings: Settings, primary: Primary
) -> None:
    async def forget() -> None:
        await patient.fetch("DELETE FROM schema_functions WHERE room = 'boxoffice.platform.lease'")

    await forget()
    async with primary.without_standby():
        migrating = asyncio.create_task(migrate(settings.replace(statement_timeout_ms=20_000)))
        await interrupted(patient, "pg_cancel_backend")
        with pytest.raises(OutcomeUnknown):
            await migrating
