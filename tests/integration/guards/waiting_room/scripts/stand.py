"""One queue in Valkey, its users, and the time."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec

from boxoffice.platform.valkey import Valkey
from boxoffice.waiting_room.engine.queue_state import (
    Admission,
    EnterReply,
    NumberBucket,
    QueueState,
    TickCommand,
    TicketHolder,
    TickResult,
    keys_of,
)
from boxoffice.waiting_room.rules import WaitingRoomState

START_MS = 1_800_000_000_000
TOKEN = 5
QUEUE_TTL_S = 600
TICK_MAX = 100
INSIDE_S, GRACE_S = 600, 60


@dataclass(eq=False)
class Stand:
    """One queue, its users, and the time."""

    valkey: Valkey
    queue_state: QueueState
    room: WaitingRoomState
    now_ms: int = START_MS
    people: list[UUID] = field(default_factory=list)

    async def make(
        self,
        admissions: Sequence[Admission] = (),
        vacant: Sequence[int] = (),
        restore: Callable[[], Awaitable[None]] | None = None,
        token: int = TOKEN,
    ) -> None:
        """Rebuild the queue."""
        await self.queue_state.rebuild(self.room, token, self.now_ms, admissions, vacant, restore)

    def set(self, **changes: object) -> None:
        """Change the room."""
        self.room = msgspec.structs.replace(self.room, **changes)

    async def join(self, count: int) -> None:
        """Let new users join."""
        new = [uuid4() for _ in range(count)]
        self.people += new
        await self.queue_state.join(self.room.schedule_id, b"".join(one.bytes for one in new))

    async def numbers(self, *people: UUID) -> list[int]:
        """Let users join, also a second time."""
        return (await self.queue_state.join(self.room.schedule_id, accounts(*people)))[1]

    async def tick(self, allowed: int = TICK_MAX, **command: Any) -> TickResult:
        """Run one tick."""
        usual = TickCommand(
            token=TOKEN, now_ms=self.now_ms, is_open=True, allowed=allowed,
            numbers_to=self.room.numbers_to, recorded=0, rate_per_s=None, is_sold_out=False,
        )  # fmt: skip
        return await self.queue_state.tick(self.room, usual._replace(**command))

    async def call(self, count: int, cap: int) -> None:
        """Let `count` users join a new queue, and call as many as the cap allows."""
        self.set(inside_max=cap)
        await self.make()
        await self.join(count)
        await self.tick()

    def holder(self, place: int) -> TicketHolder:
        """The ticket of the user with number `place`."""
        return TicketHolder(self.people[place - 1], place, place, self.room.epoch)

    async def enter(self, *holders: TicketHolder | int) -> list[EnterReply]:
        """Return the replies to tickets, or to users by number."""
        made = [self.holder(one) if isinstance(one, int) else one for one in holders]
        return (await self.queue_state.enter(self.room, self.now_ms, made)).replies

    async def words(self, *holders: TicketHolder | int) -> str:
        """Return the codes of the replies."""
        return "".join([one.code for one in await self.enter(*holders)])

    async def leave(self, holder: TicketHolder | int, reason: str = "left") -> int:
        """Remove a user."""
        made = self.holder(holder) if isinstance(holder, int) else holder
        return await self.queue_state.leave(self.room.schedule_id, self.now_ms, reason, [made])

    async def pending(self) -> int:
        """The called users not admitted yet, before the next tick."""
        key = keys_of(self.room.schedule_id)[0]
        return int(await self.valkey.command("HGET", key, "pending"))


def accounts(*people: UUID) -> bytes:
    """The accounts as a script takes them."""
    return b"".join(one.bytes for one in people)


def bucket(*issued: tuple[UUID, int]) -> NumberBucket:
    """Numbers of accounts with the same last two bytes, as Valkey has them."""
    entries = [user_id.bytes[:14] + number.to_bytes(5, "big") for user_id, number in issued]
    return NumberBucket(issued[0][0].bytes[14:], b"".join(entries))


def old_ticket(number: int) -> TicketHolder:
    """A ticket of an earlier epoch, before the loss."""
    return TicketHolder(uuid4(), number, number, 1)
