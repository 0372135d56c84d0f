"""A schedule with a waiting room, several pods on real servers, and a clock set by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from boxoffice.accounts.credentials.store import CredentialStore
from boxoffice.accounts.credentials.verified import VerifiedPeople
from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.batching import GroupCommit
from boxoffice.batching.limits import batch_limits
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.signing import KeyRing, SigningKey
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from boxoffice.waiting_room.anonymous.service import AnonymousPlaces, TicketBearer
from boxoffice.waiting_room.engine.leader import ROLE, Leader
from boxoffice.waiting_room.engine.queue_state import QueueState
from boxoffice.waiting_room.join_writer import JoinWriter
from boxoffice.waiting_room.queue_tickets import QueueTicketSigner
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import (
    Mode,
    QueuePosition,
    WaitingRoomChange,
    WaitingRoomState,
    WaitingRoomView,
)
from boxoffice.waiting_room.service import WaitingRoom, WaitingRoomDependencies
from boxoffice.waiting_room.store import QueueStore
from tests.support.hall import Hall, open_hall
from tests.support.members import member

SECRET = b"s" * 32
START_S = 1_800_000_000.0


class Clock:
    """A clock in seconds since the epoch that the test advances."""

    def __init__(self) -> None:
        self.seconds = START_S

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        """Advance the clock."""
        self.seconds += seconds


@dataclass(eq=False)
class Pod:
    """The waiting room of one process."""

    db: Database
    valkey: Valkey
    store: QueueStore
    queue_state: QueueState
    rooms: WaitingRoomRegistry
    tickets: QueueTicketSigner
    leader: Leader
    lease: Lease
    room: WaitingRoom
    join_writer: JoinWriter
    clock: Callable[[], float]
    keys: KeyRing
    seats: dict[UUID, int | None]
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def refresh(self, schedule_id: UUID) -> None:
        """Refresh the caches."""
        await self.rooms.refresh()
        await self.rooms.refresh_counters(schedule_id)

    async def tick(self, schedule_id: UUID, times: int = 1) -> None:
        """Run leader ticks, then refresh the caches."""
        for _ in range(times):
            await self.leader.tick()
        await self.refresh(schedule_id)


def no_wait(_work: Coroutine[Any, Any, None]) -> None:
    """Do nothing in the background."""
    _work.close()


async def build_pod(
    settings: Settings, clock: Callable[[], float], seats: dict[UUID, int | None]
) -> Pod:
    """Return a pod with its own connections; `seats` gives the seats left."""
    db, valkey = Database(settings), Valkey(settings.valkey)
    of_rooms = settings.waiting_room
    await db.open()
    tokens = TokenAuthority(settings.accounts, _keys, clock)
    await tokens.refresh()
    store = QueueStore(db)
    queue_state = QueueState(valkey, of_rooms.queue_state_ttl_s, of_rooms.queue_tick_max)
    rooms = WaitingRoomRegistry(of_rooms, store, queue_state, clock)
    tickets = QueueTicketSigner(
        tokens.keys, clock, ticket_ttl_s=of_rooms.queue_ticket_ttl_s, cached_max=1_000
    )
    join_writer = JoinWriter(store)
    group_commit = GroupCommit(batch_limits(settings.batching))
    verified = VerifiedPeople(CredentialStore(db), 0.0, 100, 100)
    anonymous = AnonymousPlaces(
        of_rooms, store, queue_state, rooms, join_writer, group_commit, verified.require
    )
    dependencies = WaitingRoomDependencies(
        store, queue_state, rooms, tickets, join_writer, group_commit, clock, anonymous
    )
    tasks: list[asyncio.Task[None]] = []

    def start(work: Coroutine[Any, Any, None]) -> None:
        tasks.append(asyncio.create_task(work))

    async def exists(_schedule_id: UUID) -> None:
        return None

    async def seats_left(schedule_id: UUID) -> int | None:
        return seats.get(schedule_id)

    room = WaitingRoom(of_rooms, dependencies, exists, start)
    lease = Lease(LeaseStore(db, ROLE, new_id()), of_rooms.queue_lease_ms)
    leader = Leader(of_rooms, lease, store, queue_state, rooms, clock, seats_left, clock)
    return Pod(
        db,
        valkey,
        store,
        queue_state,
        rooms,
        tickets,
        leader,
        lease,
        room,
        join_writer,
        clock,
        tokens.keys,
        seats,
        tasks,
    )


async def _keys() -> list[SigningKey]:
    return [SigningKey(kid="k1", secret=SECRET, created_at=0.0, verifies_until=None)]


async def close_pod(pod: Pod) -> None:
    """Close the connections."""
    await asyncio.gather(*pod.tasks, return_exceptions=True)
    await pod.valkey.close()
    await pod.db.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Timeouts for a loaded machine."""
    return settings.replace(
        valkey_timeout_ms=5_000, breaker_open_ms=50, lock_timeout_ms=5_000, queue_lease_ms=3_000
    )


@pytest.fixture
def clock() -> Clock:
    """The clock of all pods."""
    return Clock()


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A schedule on sale."""
    made = await open_hall(db, seats=4, people=2)
    # The clock of the test is ahead of the database's.
    await made.change_schedule("starts_at = '2040-01-01Z'")
    return made


MakePod = Callable[[], Awaitable[Pod]]


@pytest.fixture
async def make_pod(settings: Settings, clock: Clock) -> AsyncIterator[MakePod]:
    """Builds pods on the same servers and clock."""
    made: list[Pod] = []
    seats: dict[UUID, int | None] = {}

    async def make() -> Pod:
        made.append(await build_pod(settings, clock, seats))
        return made[-1]

    yield make
    for pod in made:
        await close_pod(pod)


@pytest.fixture
async def pod(make_pod: MakePod) -> Pod:
    """One pod."""
    return await make_pod()


@dataclass(eq=False)
class Queue:
    """A waiting room and its users, through any pod."""

    pod: Pod
    schedule_id: UUID
    organizer_id: UUID
    clock: Clock
    tickets: dict[UUID, str] = field(default_factory=dict)

    async def set(self, **change: Any) -> WaitingRoomView:
        """Change the settings as the organizer."""
        return await self.pod.room.configure(
            member(self.organizer_id), self.schedule_id, WaitingRoomChange(**change)
        )

    async def join(self, user_id: UUID | None = None, pod: Pod | None = None) -> UUID:
        """Let a user join, a new one by default."""
        person = user_id or uuid4()
        at = pod or self.pod
        self.tickets[person] = (
            await at.room.join(self.schedule_id, person, "10.0.0.1")
        ).queue_ticket or ""
        return person

    async def ask(self, person: UUID, pod: Pod | None = None) -> QueuePosition:
        """Poll a user's position, and keep a reissued ticket."""
        at = pod or self.pod
        said = await at.room.position(
            self.schedule_id, self.tickets[person], TicketBearer(person), "10.0.0.1"
        )
        if said.queue_ticket:
            self.tickets[person] = said.queue_ticket
        return said

    async def leave(self, person: UUID) -> None:
        """Let a user leave."""
        ticket = self.tickets[person]
        await self.pod.room.leave(self.schedule_id, ticket, TicketBearer(person), "10.0.0.1")

    async def tick(self, times: int = 1, seconds: float = 0.0) -> None:
        """Run ticks, advancing the clock before each."""
        for _ in range(times):
            self.clock.pass_(seconds)
            await self.pod.tick(self.schedule_id)

    @property
    def known(self) -> WaitingRoomState:
        """The room in the cache of the pod."""
        room = self.pod.rooms.by_schedule.get(self.schedule_id)
        assert room is not None
        return room


@pytest.fixture
async def queue(pod: Pod, hall: Hall, clock: Clock) -> Queue:
    """An open room with a cap of ten, after its first rebuild."""
    made = Queue(pod, hall.schedule_id, hall.schedule_id, clock)
    await made.set(
        mode=Mode.FIFO,
        rate_per_s=1_000.0,
        inside_max=10,
        inside_s=600,
        grace_s=60,
        opens_at=START_S,
    )
    await made.tick(2)
    return made
