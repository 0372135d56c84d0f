"""Pods that crash at the worst moment: a free seat is refused for no longer than a claim lives."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.errors import Overloaded
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations import rules
from boxoffice.reservations.handlers import HoldHandler, ReleaseHandler
from boxoffice.reservations.seat_lock import Claim, ClaimResult, SeatLock, Settlement
from boxoffice.reservations.store import (
    HoldCommand,
    HoldOutcome,
    ReleaseCommand,
    ReleaseOutcome,
    ReservationStore,
)
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.refusals import SeatRefusals
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from tests.support.hall import Hall
from tests.support.invariants import broken
from tests.support.waiting import until

CLAIM_TTL_MS = 1_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A deadline that a busy machine does not miss: what is asked here is who is sent on."""
    return settings.replace(valkey_timeout_ms=5_000)


class Pod:
    """The parts of one process that decide holds and releases, and who has been there before."""

    def __init__(
        self, db: Database, valkey: Valkey, limits: GroupCommitLimits | None = None
    ) -> None:
        self.seat_lock = SeatLock(valkey, CLAIM_TTL_MS)
        self.background = Background()
        self._group_commit = GroupCommit(limits or GroupCommitLimits())
        entries = ScheduleEntries(Settings().seats, SeatStore(db))
        self.seats = SeatReadModel(entries)
        applier = SeatChangeApplier(entries)
        publisher = SeatChangePublisher(applier, self.seats, SeatChangeBus(valkey, applier))
        self.holds = HoldHandler(
            ReservationStore(db), self.seat_lock, self.background, publisher, SeatRefusals(entries)
        )
        self._releases = ReleaseHandler(ReservationStore(db), self.seat_lock, publisher)

    async def hold(self, hall: Hall, person: int, *seat_ids: str, key: str = "") -> HoldOutcome:
        return await self.submit(hall, hall.hold_command(hall.people[person], *seat_ids, key=key))

    async def submit(self, hall: Hall, command: HoldCommand) -> HoldOutcome:
        await self.seats.states(hall.schedule_id, max_age_s=0)
        return await self.decide(hall, command)

    async def decide(self, hall: Hall, command: HoldCommand) -> HoldOutcome:
        """Submit a command in its place in the order, without a look at the seats first."""
        return await self._group_commit.submit(self.holds, hall.schedule_id, command)

    async def release(self, hall: Hall, person: int, outcome: HoldOutcome) -> ReleaseOutcome:
        assert outcome.held is not None
        command = ReleaseCommand(hall.people[person], outcome.held.reservation_id, new_id())
        return await self._group_commit.submit(self._releases, hall.schedule_id, command)

    async def close(self) -> None:
        await self._group_commit.close()
        await self.background.finish()


@pytest.fixture
async def pod(db: Database, valkey: Valkey) -> AsyncIterator[Pod]:
    """A pod on the shared servers."""
    pod = Pod(db, valkey)
    yield pod
    await pod.close()


async def test_a_refusal_by_the_lock_names_the_seats_and_a_release_lifts_it(
    hall: Hall, pod: Pod
) -> None:
    first = await pod.hold(hall, 0, "S001", "S002", key="k")
    assert first.name == "held"
    await pod.background.finish()
    refused = await pod.hold(hall, 1, "S002", "S003")
    assert (refused.name, refused.seat_ids) == ("seat_taken", ("S002",))
    again = await pod.hold(hall, 0, "S001", "S002", key="k")
    assert (again.name, again.held) == ("replayed", first.held)
    assert (await pod.release(hall, 0, first)).name == "released"
    assert (await pod.hold(hall, 1, "S002", "S003")).name == "held"


async def test_a_claim_whose_owner_died_before_the_commit_blocks_no_seat(
    hall: Hall, pod: Pod, valkey: Valkey
) -> None:
    dead = SeatLock(valkey, 60_000)
    await dead.claim(hall.schedule_id, [Claim("dead", ["S001"])])
    assert (await pod.hold(hall, 0, "S001")).name == "held"
    [still] = await dead.claim(hall.schedule_id, [Claim("new", ["S001"])])
    assert still.answer is ClaimResult.BUSY, "PostgreSQL was asked before the end of the claim"


async def test_a_seat_that_was_released_by_a_dying_pod_is_refused_until_the_mark_lapses(
    hall: Hall, pod: Pod
) -> None:
    first = await pod.hold(hall, 0, "S001")
    await pod.background.finish()
    marked = time.monotonic()
    assert first.held is not None
    assert (await hall.release(hall.people[0], first.held.reservation_id)).name == "released"
    refused = await pod.hold(hall, 1, "S001")
    assert refused.name == "seat_taken" or time.monotonic() - marked > CLAIM_TTL_MS / 1000

    async def on_sale() -> bool:
        return (await pod.hold(hall, 1, "S001")).name == "held"

    # A busy machine is late; the mark of a living pod would last for minutes.
    await until(on_sale, within_s=CLAIM_TTL_MS / 1000 + 5)


async def test_a_seat_of_an_open_transaction_is_asked_for_until_it_is_decided(
    hall: Hall, pod: Pod, other: "asyncpg.Connection[Record]"
) -> None:
    lock = "SELECT 1 FROM seats WHERE schedule_id = $1 AND seat_id = 'S001' FOR UPDATE"
    async with other.transaction():
        await other.execute(lock, hall.schedule_id)
        asking = asyncio.create_task(pod.hold(hall, 0, "S001"))
        assert (await pod.hold(hall, 1, "S002")).name == "held"
        assert not asking.done()
    assert (await asking).name == "held"


async def test_a_request_blocked_by_one_that_fails_is_not_refused(hall: Hall, pod: Pod) -> None:
    """The first one's claim was in the way, but it wanted more than a person may have."""
    await pod.seats.states(hall.schedule_id)
    commands = [
        hall.hold_command(hall.people[0], *hall.seat_ids[:11]),
        hall.hold_command(hall.people[1], "S001"),
    ]
    outcomes = await asyncio.gather(*(pod.decide(hall, command) for command in commands))
    assert [one.name for one in outcomes] == ["ticket_limit", "held"]


async def test_a_repetition_elsewhere_after_the_end_leaves_no_mark(hall: Hall, pod: Pod) -> None:
    first = await pod.hold(hall, 0, "S001", key="k")
    await pod.release(hall, 0, first)
    assert (await pod.hold(hall, 0, "S001", key="k")).held == first.held
    await pod.background.finish()
    assert (await pod.hold(hall, 1, "S001")).name == "held"


@pytest.mark.parametrize("end", ["released", "lapsed"])
async def test_a_repetition_is_answered_although_the_seat_is_another_persons(
    hall: Hall, pod: Pod, end: str
) -> None:
    first = await pod.hold(hall, 0, "S001", key="k")
    assert first.held is not None
    if end == "released":
        await pod.release(hall, 0, first)
    else:
        await hall.lapse(first.held.reservation_id)
        await pod.background.finish()
        owner = rules.lock_owner(hall.people[0], "k")
        await pod.seat_lock.settle(hall.schedule_id, [Settlement(owner, ["S001"])])
    assert (await pod.hold(hall, 1, "S001")).name == "held"
    await pod.background.finish()
    assert (await pod.hold(hall, 2, "S001")).name == "seat_taken"
    again = await pod.hold(hall, 0, "S001", key="k")
    assert again.held is not None
    assert again.held.reservation_id == first.held.reservation_id
    assert (await pod.hold(hall, 0, "S001", "S002", key="k")).name == "replayed", "by fingerprint"
    reused = hall.hold_command(hall.people[0], "S001", key="k", fingerprint=b"other")
    assert (await pod.submit(hall, reused)).name == "key_reused"


async def test_a_person_found_after_a_lost_answer_may_repeat(hall: Hall, pod: Pod) -> None:
    command = hall.hold_command(hall.people[0], "S001", key="k")
    await hall.hold_batch(command)
    [found] = await pod.holds.look_up(hall.schedule_id, [command])
    await pod.background.finish()
    assert found is not None
    assert found.held is not None
    await hall.release(hall.people[0], found.held.reservation_id)
    assert (await pod.hold(hall, 1, "S001")).name == "held"
    await pod.background.finish()
    assert (await pod.hold(hall, 0, "S001", key="k")).held == found.held


async def test_a_person_with_another_open_request_is_asked_to_retry(
    hall: Hall, db: Database, valkey: Valkey, other: "asyncpg.Connection[Record]"
) -> None:
    """It was another key, so `idempotency_in_flight` would be a lie."""
    hasty = Pod(db, valkey, GroupCommitLimits(retry_for_s=0.05))
    lock = "SELECT pg_advisory_xact_lock(uuid_hash_extended($1, uuid_hash_extended($2, 0)))"
    async with other.transaction():
        await other.execute(lock, hall.people[0], hall.schedule_id)
        with pytest.raises(Overloaded):
            await hasty.hold(hall, 0, "S001", key="mine")
    assert (await hasty.hold(hall, 0, "S001", key="mine")).name == "held"
    await hasty.close()


async def test_a_failed_batch_gives_its_claims_up(hall: Hall, pod: Pod) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await pod.hold(hall, 0, "S001", "S001")
    await pod.background.finish()
    [claimed] = await pod.seat_lock.claim(hall.schedule_id, [Claim("next", ["S001"])])
    assert claimed.answer is ClaimResult.CLEAR


async def test_selling_goes_on_without_valkey_and_with_an_empty_one(
    hall: Hall, db: Database, settings: Settings, pod: Pod
) -> None:
    away = Valkey(settings.replace(valkey_url="redis://127.0.0.1:1/0").valkey)
    lonely = Pod(db, away)
    first = await lonely.hold(hall, 0, "S001")
    assert first.name == "held"
    assert (await lonely.hold(hall, 1, "S001")).name == "seat_taken"
    assert (await pod.hold(hall, 1, "S001")).name == "seat_taken", "this Valkey knows of nothing"
    assert (await lonely.release(hall, 0, first)).name == "released"
    assert (await pod.hold(hall, 1, "S001")).name == "held"
    await lonely.close()
    await away.close()
    assert not await broken(db, hall.schedule_id)


async def test_a_lock_that_is_wrong_about_everything_changes_no_owner(
    hall: Hall, pod: Pod, valkey: Valkey
) -> None:
    """Marks without an owner refuse until they expire; missing ones sell nothing twice."""
    held = await pod.hold(hall, 0, "S001", key="k")
    assert held.name == "held"
    await pod.background.finish()
    owner = rules.lock_owner(hall.people[0], "k")
    await pod.seat_lock.settle(hall.schedule_id, [Settlement(owner, ["S001"])])
    assert (await pod.hold(hall, 1, "S001")).name == "seat_taken", "PostgreSQL says so"
    key = f"{{{hall.schedule_id}}}:seat:S002"
    await valkey.command("SET", key, f"C:{uuid4().hex}", "PX", 10_000)
    assert (await pod.hold(hall, 1, "S002")).name == "seat_taken"
    await valkey.command("DEL", key)
    assert (await pod.hold(hall, 1, "S002")).name == "held"
