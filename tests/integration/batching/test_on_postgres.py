"""Batches of real holds on a real PostgreSQL, with poison, killed connections and rivals."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from boxoffice.batching import GroupCommit, GroupCommitLimits, Outcome, Pending
from boxoffice.errors import Overloaded
from boxoffice.payments.handlers import TopUpHandler
from boxoffice.payments.store import PaymentStore, TopUpCommand
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations import store
from boxoffice.reservations.handlers import HoldHandler
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.store import HoldCommand, HoldOutcome
from boxoffice.settings import Settings
from faults.cluster.proxy import Moment, Proxy, Trap
from tests.integration.batching.conftest import Sale

TIMEOUT_S = 10.0


class Watched(HoldHandler):
    """The real handler, and a record of what it was asked."""

    def __init__(self, db: Database, seat_lock: SeatLock, background: Background) -> None:
        super().__init__(store.ReservationStore(db), seat_lock, background)
        self.batches: list[list[HoldCommand]] = []
        self.look_ups = 0

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[HoldCommand, HoldOutcome]]
    ) -> Sequence[Outcome[HoldOutcome]]:
        self.batches.append([pending.command for pending in batch])
        return await super().handle(lane_key, batch)

    async def look_up(
        self, lane_key: UUID, commands: Sequence[HoldCommand]
    ) -> Sequence[HoldOutcome | None]:
        self.look_ups += 1
        return await super().look_up(lane_key, commands)


class Window:
    """The ticket window of one pod."""

    def __init__(self, handler: HoldHandler, schedule_id: UUID) -> None:
        self.handler = handler
        self.group = GroupCommit(GroupCommitLimits(retry_for_s=TIMEOUT_S))
        self._schedule_id = schedule_id

    async def hold(self, *requests: HoldCommand) -> list[HoldOutcome | BaseException]:
        """Ask for all of `requests` in one moment and return what each of them heard."""
        async with asyncio.timeout(TIMEOUT_S):
            return await asyncio.gather(
                *(
                    self.group.submit(self.handler, self._schedule_id, request)
                    for request in requests
                ),
                return_exceptions=True,
            )


@asynccontextmanager
async def window(
    db: Database, valkey: Valkey, schedule_id: UUID
) -> AsyncIterator[tuple[Window, Watched]]:
    """Open a ticket window with the real seat lock, and close it in order."""
    background = Background()
    watched = Watched(db, SeatLock(valkey, 9_000), background)
    opened = Window(watched, schedule_id)
    yield opened, watched
    await opened.group.close()
    await background.finish()


def hold_command(*seat_ids: str, user_id: UUID | None = None, key: str = "key") -> HoldCommand:
    """Return a request for these seats."""
    return HoldCommand(user_id or uuid7(), key, b"body", uuid7(), seat_ids)


def names(outcomes: Sequence[HoldOutcome | BaseException]) -> list[str]:
    """Return the database's words, or the names of the errors."""
    return [
        outcome.name if isinstance(outcome, HoldOutcome) else type(outcome).__name__
        for outcome in outcomes
    ]


async def wait_for_blocked_batch(db: Database) -> int:
    """Return the server process of a batch that waits for a lock."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            rows = await db.fetch(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND query LIKE '%reservations_hold%'"
            )
            if rows:
                return int(rows[0]["pid"])
            await asyncio.sleep(0.005)


@pytest.fixture
async def outsider(settings: Settings) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection outside the application."""
    connection = await asyncpg.connect(settings.database.database_url)
    yield connection
    await connection.close()


async def test_a_poison_command_fails_alone(sale: Sale, valkey: Valkey) -> None:
    requests = [hold_command(f"S{number}") for number in range(1, 9)]
    requests[4] = hold_command("S5", key="NUL is no text: \0")
    async with window(sale.db, valkey, sale.schedule_id) as (pod, watched):
        outcomes = await pod.hold(*requests)
    assert watched.batches[0] == requests
    assert names(outcomes) == ["held"] * 4 + ["CharacterNotInRepertoireError"] + ["held"] * 3
    expected = {f"S{at}": w.user_id for at, w in enumerate(requests, start=1) if at != 5}
    assert await sale.holders() == expected
    assert await sale.events() == 7


async def test_a_connection_killed_before_the_commit_is_decided_once(
    sale: Sale, valkey: Valkey, outsider: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    requests = [hold_command("S1"), hold_command("S2", "S3"), hold_command("S3")]
    async with window(sale.db, valkey, sale.schedule_id) as (pod, watched):
        async with outsider.transaction():
            await outsider.execute("LOCK TABLE outbox IN SHARE MODE")
            asking = asyncio.create_task(pod.hold(*requests))
            pid = await wait_for_blocked_batch(sale.db)
            await sale.db.fetch("SELECT pg_terminate_backend($1)", pid)
        outcomes = await asking
    assert names(outcomes) == ["held", "held", "seat_taken"]
    assert watched.look_ups >= 1
    first, second, _ = (w.user_id for w in requests)
    assert await sale.holders() == {"S1": first, "S2": second, "S3": second}
    assert await sale.seats_of_reservations() == ["S1", "S2", "S3"]
    assert await sale.events() == 2


async def test_a_connection_cut_after_the_commit_is_settled_by_looking_up(
    sale: Sale, valkey: Valkey, settings: Settings
) -> None:
    async with Proxy.of_postgres(settings.database.database_url).listening() as proxy:
        db = Database(settings.replace(database_url=proxy.url))
        await db.open()
        try:
            async with window(db, valkey, sale.schedule_id) as (pod, watched):
                await pod.hold(
                    hold_command("S40")
                )  # prepares the statement, which is a round trip too
                cut = proxy.cut_the_next_answer()
                requests = [hold_command(f"S{number}", f"S{number + 1}") for number in (1, 3, 5)]
                outcomes = await pod.hold(*requests)
        finally:
            await db.close()
    assert (cut.sprung.is_set(), watched.look_ups, len(watched.batches)) == (True, 1, 2)
    assert names(outcomes) == ["replayed"] * 3
    for outcome, asked in zip(outcomes, requests, strict=True):
        assert isinstance(outcome, HoldOutcome)
        assert outcome.held is not None
        assert outcome.held.reservation_id == asked.reservation_id
        assert outcome.held.seat_ids == asked.seat_ids
    assert await sale.seats_of_reservations() == sorted(["S40", *(f"S{n}" for n in range(1, 7))])
    assert await sale.events() == 4


@pytest.mark.parametrize("moment", [Moment.ASKED, Moment.HALF_ASKED, Moment.DELIVERED])
async def test_a_connection_cut_before_the_answer_is_decided_once(
    sale: Sale, valkey: Valkey, settings: Settings, moment: Moment
) -> None:
    async with Proxy.of_postgres(settings.database.database_url).listening() as proxy:
        db = Database(settings.replace(database_url=proxy.url))
        await db.open()
        try:
            async with window(db, valkey, sale.schedule_id) as (pod, watched):
                trap = proxy.set_trap(Trap(b"reservations_hold_v", moment))
                requests = [hold_command("S1"), hold_command("S2", "S3"), hold_command("S3")]
                outcomes = await pod.hold(*requests)
        finally:
            await db.close()
    assert trap.sprung.is_set()
    assert watched.look_ups >= 1
    words = names(outcomes)
    assert words[:2] in (["held", "held"], ["replayed", "replayed"])
    assert words[2] == "seat_taken"
    assert await sale.seats_of_reservations() == ["S1", "S2", "S3"]
    assert await sale.events() == 2


async def test_inside_a_batch_the_first_to_come_is_the_first_served(
    sale: Sale, valkey: Valkey
) -> None:
    requests = [
        hold_command("S2", "S1"),
        hold_command("S1"),
        hold_command("S3", "S2"),
        hold_command("S3"),
        hold_command("S3", "S4"),
        hold_command("S4"),
    ]
    async with window(sale.db, valkey, sale.schedule_id) as (pod, watched):
        outcomes = await pod.hold(*requests)
    assert watched.batches[0] == requests
    assert names(outcomes) == ["held", "seat_taken", "seat_taken", "held", "seat_taken", "held"]
    holders = await sale.holders()
    assert holders == {
        "S1": requests[0].user_id,
        "S2": requests[0].user_id,
        "S3": requests[3].user_id,
        "S4": requests[5].user_id,
    }


async def test_in_one_batch_a_loser_gets_the_seat_that_the_winner_may_not_have(
    sale: Sale, valkey: Valkey
) -> None:
    greedy = uuid7()
    requests = [
        hold_command("S1", "S2", "S3", "S4", user_id=greedy, key="four"),
        hold_command("S5", user_id=greedy, key="one too many"),
        hold_command("S5"),
    ]
    async with window(sale.db, valkey, sale.schedule_id) as (pod, _):
        outcomes = await pod.hold(*requests)
    assert names(outcomes) == ["held", "ticket_limit", "held"]
    assert (await sale.holders())["S5"] == requests[2].user_id


class Undecided(Watched):
    """A handler whose transaction stays open until the test ends it, and is rolled back then."""

    def __init__(self, db: Database, seat_lock: SeatLock, background: Background) -> None:
        super().__init__(db, seat_lock, background)
        self._db = db
        self.has_seats = asyncio.Event()
        self.roll_back = asyncio.Event()

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[HoldCommand, HoldOutcome]]
    ) -> Sequence[Outcome[HoldOutcome]]:
        commands = [pending.command for pending in batch]
        async with self._db.transaction() as connection:
            args = (lane_key, *store._columns(commands), *store.NO_COOLDOWN)
            await connection.fetch(store._QUERIES["hold"], *args)
            self.has_seats.set()
            await self.roll_back.wait()
            raise asyncpg.CheckViolationError("the winner fails for a reason of its own")


async def test_on_two_pods_a_loser_is_tried_again_until_the_winner_has_failed(
    sale: Sale, valkey: Valkey, settings: Settings
) -> None:
    other_db = Database(settings)
    await other_db.open()
    try:
        undecided = Undecided(other_db, SeatLock(valkey, 9_000), Background())
        first_pod = Window(undecided, sale.schedule_id)
        async with window(sale.db, valkey, sale.schedule_id) as (second_pod, watched):
            winning = asyncio.create_task(first_pod.hold(hold_command("S1", "S2")))
            await undecided.has_seats.wait()
            loser = hold_command("S2", "S3")
            losing = asyncio.create_task(second_pod.hold(loser))
            async with asyncio.timeout(TIMEOUT_S):
                while len(watched.batches) < 3:  # noqa: ASYNC110 — a state, not an event
                    await asyncio.sleep(0.001)
            assert not losing.done()
            undecided.roll_back.set()
            assert names(await winning) == ["CheckViolationError"]
            assert names(await losing) == ["held"]
    finally:
        await other_db.close()
    assert await sale.holders() == {"S2": loser.user_id, "S3": loser.user_id}
    assert await sale.events() == 1


async def test_a_locked_wallet_is_refused_alone(
    db: Database, settings: Settings, outsider: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    people = [uuid7() for _ in range(64)]
    await db.fetch(
        "INSERT INTO users (user_id, email, name, password_hash, role)"
        " SELECT id, id || '@example.org', 'Buyer', 'x', 'buyer' FROM unnest($1::uuid[]) id",
        people,
    )
    await db.fetch(
        "INSERT INTO wallets (user_id, balance_minor, currency)"
        " SELECT id, 0, 'KRW' FROM unnest($1::uuid[]) id",
        people,
    )
    hasty = Database(settings.replace(lock_timeout_ms=500))
    await hasty.open()
    try:
        # The proportions of the defaults: three waits for a lock, and the time for retries is over.
        group = GroupCommit(GroupCommitLimits(retry_for_s=1.5))
        handler = TopUpHandler(PaymentStore(hasty), 1_000_000)
        commands = [TopUpCommand(who, "key", b"f", uuid7(), 100) for who in people]
        async with outsider.transaction(), asyncio.timeout(TIMEOUT_S):
            lock = "SELECT FROM wallets WHERE user_id = $1 FOR UPDATE"
            await outsider.execute(lock, people[40])
            outcomes = await asyncio.gather(
                *(group.submit(handler, None, command) for command in commands),
                return_exceptions=True,
            )
    finally:
        await hasty.close()
    refused = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)]
    assert refused == [40]
    assert isinstance(outcomes[40], Overloaded)
    rows = await db.fetch("SELECT user_id FROM wallets WHERE balance_minor = 100")
    assert {row["user_id"] for row in rows} == set(people) - {people[40]}
