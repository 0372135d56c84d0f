"""The queue state in Valkey: counters, one number per account, and the admitted users.

Each method is one script call. It raises `ValkeyUnavailable` when Valkey does not answer, and
`QueueStateLost` when the server has restarted, was promoted, flushed or replaced since the state was
built.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from boxoffice.errors import BoxofficeError
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.valkey import Script, Valkey
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.rules import QueueCounters, WaitingRoomState

_SHARED = sql_files.read("boxoffice.waiting_room", "lua/shared.lua")
_JOIN, _ENTER, _LEAVE, _TICK, _REBUILD, _RESTORE, _FORGET, _REDEEM = (
    Script(name, _SHARED + sql_files.read("boxoffice.waiting_room", f"lua/{name}.lua"))
    for name in ("join", "enter", "leave", "tick", "rebuild", "restore", "forget", "redeem")
)
# 14 million numbers take 21 MB in each shard.
_NUMBER_SHARDS = 16
_KEYS = (
    "state",
    *(f"numbers:{shard}" for shard in range(_NUMBER_SHARDS)),
    "inside",
    "admissions",
    "calls",
    "unclaimed",
    "late",
    "vacant",
    "exits",
    # Of the previous release, which a rebuild removes.
    "numbers",
)
# Joins and restored numbers touch the state and the shards alone.
_NUMBER_KEYS = slice(1 + _NUMBER_SHARDS)
_ROOMS_CACHED_MAX = 1_024
_LOST, _FENCED = -1, -2
# Matches no lobby size, so the script admits no user.
_NOT_ADMITTING = -1
# Keeps a part of a rebuild well within the deadline of a call.
PART_MAX = 2_000
_PART_PLACES_MAX = 20_000


class QueueStateLost(BoxofficeError):
    """Valkey does not have the queue state."""


class LeaderFenced(BoxofficeError):
    """A later leader has written; the caller's lease is over."""


class IssuedNumbers(NamedTuple):
    """Numbers and their accounts, 16 bytes each, in the same order."""

    numbers: list[int]
    accounts: bytes


class SpentNumber(NamedTuple):
    """A number that was admitted, and its account."""

    number: int
    user_id: UUID


class NumberBucket(NamedTuple):
    """Numbers of the accounts that end in `field`; see shared.lua."""

    field: bytes
    entries: bytes


class TicketHolder(NamedTuple):
    """The content of a queue ticket, with the number's place in the order."""

    user_id: UUID
    number: int
    place: int
    epoch: int


class Admission(NamedTuple):
    """An admitted user, with the count of users inside and the cap at the admission.

    Times in milliseconds since the epoch.
    """

    user_id: UUID
    number: int
    place: int
    inside: int
    inside_max: int
    ends_ms: int
    admitted_ms: int


class EnterReply(NamedTuple):
    """A one-letter `code`, see enter.lua.

    An admission ends at `due_ms` without another heartbeat; for P the account has `number` instead.
    """

    code: str
    due_ms: int = 0
    admission: Admission | None = None
    number: int = 0


class EnterReplies(NamedTuple):
    """The replies to a batch, and the epoch, time and last called place of the queue."""

    called: int
    now_ms: int
    epoch: int
    replies: list[EnterReply]


class Exit(NamedTuple):
    """An admitted user that has left."""

    number: int
    at_ms: int
    reason: str


class TickResult(NamedTuple):
    """The result of a leader's tick; see tick.lua."""

    joined: int
    called: int
    inside: int
    pending: int
    late: int
    called_now: int
    released: int
    exits: list[Exit]


class TickCommand(NamedTuple):
    """The arguments of a leader's tick; see tick.lua."""

    token: int
    now_ms: int
    is_open: bool
    allowed: int
    numbers_to: int
    recorded: int
    rate_per_s: float | None
    is_sold_out: bool
    vacant: Sequence[int] = ()
    # How many of the recorded exits every process knows; None for all.
    propagated: int | None = None


class QueueState:
    """Runs the scripts of any waiting room; holds no state itself."""

    def __init__(self, valkey: Valkey, state_ttl_s: int, tick_max: int) -> None:
        self._valkey = valkey
        self._ttl_ms = state_ttl_s * 1000
        self._tick_max = tick_max

    async def join(self, schedule_id: UUID, accounts: bytes) -> tuple[int, list[int]]:
        """Return the epoch and a number for each 16-byte account.

        It is negative when the account already had it, and 0 when no number is reserved.
        """
        keys = keys_of(schedule_id)[_NUMBER_KEYS]
        reply: bytes = await self._valkey.run(_JOIN, keys, [accounts])
        if reply == b"lost":
            raise QueueStateLost("Valkey does not have the queue state")
        epoch, *numbers = map(int, reply.split(b","))
        return epoch, numbers

    async def enter(
        self, room: WaitingRoomState, now_ms: int, holders: Sequence[TicketHolder]
    ) -> EnterReplies:
        """Admit, keep or refuse each holder; admits no user after the end of the sale."""
        drawn = _NOT_ADMITTING if room.has_sale_ended(now_ms / 1000) else room.drawn
        args: list[str | bytes | int] = [now_ms, drawn]
        for holder in holders:
            args += (holder.user_id.bytes, holder.number, holder.place, holder.epoch)
        called, at_ms, epoch, *answers = await self._run(_ENTER, keys_of(room.schedule_id), args)
        replies = [
            _enter_reply(holder.user_id, *one) for holder, one in zip(holders, answers, strict=True)
        ]
        return EnterReplies(called, at_ms, epoch, replies)

    async def redeem(
        self,
        schedule_id: UUID,
        holders: Sequence[tuple[UUID, TicketHolder]],
        *,
        keeps_earlier: bool,
    ) -> list[int]:
        """Give the numbers of people without account to accounts; return the number of each account.

        It is 0 for a number that was given up. With `keeps_earlier` an account keeps the lower of two
        numbers, and its own once that is called; else its own. An identity that is given its own
        number has it restored from its ticket after a loss.
        """
        args: list[str | bytes | int] = [int(keeps_earlier)]
        for user_id, holder in holders:
            args += (user_id.bytes, holder.user_id.bytes, *holder[1:])
        return await self._run(_REDEEM, keys_of(schedule_id), args)

    async def leave(
        self, schedule_id: UUID, now_ms: int, reason: str, holders: Sequence[TicketHolder]
    ) -> int:
        """Remove users; return how many were inside."""
        args: list[str | bytes | int] = [now_ms, reason]
        for holder in holders:
            args += (holder.user_id.bytes, holder.number, holder.place)
        return int((await self._run(_LEAVE, keys_of(schedule_id), args))[0])

    async def tick(self, room: WaitingRoomState, command: TickCommand) -> TickResult:
        """Remove expired admissions and call numbers; raise `LeaderFenced` after a later leader."""
        rate = "" if command.rate_per_s is None else f"{command.rate_per_s:.4f}"
        args: list[str | bytes | int] = [
            command.token,
            command.now_ms,
            int(command.is_open),
            command.allowed,
            room.inside_max,
            room.inside_s * 1000,
            room.grace_s * 1000,
            command.numbers_to,
            room.drawn,
            command.recorded if command.propagated is None else command.propagated,
            self._ttl_ms,
            self._tick_max,
            f"{int(command.is_sold_out)}:{rate}",
            room.epoch,
            command.recorded,
            *command.vacant,
        ]
        *counts, exits = await self._run(_TICK, keys_of(room.schedule_id), args)
        joined, called, inside, pending, late, called_now, released = counts
        parsed = [_exit(one) for one in exits]
        return TickResult(joined, called, inside, pending, late, called_now, released, parsed)

    async def counters(self, schedule_id: UUID) -> QueueCounters | None:
        """Return the counters, None before the state is built."""
        fields = ("epoch", "joined", "called", "inside", "summary", "run")
        found = await self._valkey.command("HMGET", keys_of(schedule_id)[0], *fields)
        if found[5] is None:
            return None
        epoch, joined, called, inside = (int(value) for value in found[:4])
        sold_out, _, rate = found[4].decode().partition(":")
        return QueueCounters(
            epoch, joined, called, inside, float(rate) if rate else None, sold_out == "1"
        )

    async def rebuild(
        self,
        room: WaitingRoomState,
        token: int,
        now_ms: int,
        admissions: Sequence[Admission],
        vacant: Sequence[int],
        restore_numbers: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Build the state anew; it takes no join or enter before the last part is written.

        `restore_numbers` calls `restore` and `forget`. Admitted users get their number after it.
        """
        await self._part("first", room, token, now_ms, (), ())
        if restore_numbers is not None:
            await restore_numbers()
        for at in range(0, len(admissions), PART_MAX):
            await self._part("next", room, token, now_ms, admissions[at : at + PART_MAX], ())
        ranges = rules.ranges(vacant, PART_MAX)
        # About as many places in each part, whether the ranges are long or short.
        at_once = max(1, min(PART_MAX, _PART_PLACES_MAX * len(ranges) // max(1, len(vacant))))
        for at in range(0, len(ranges), at_once):
            await self._part("next", room, token, now_ms, (), ranges[at : at + at_once])
        await self._part("last", room, token, now_ms, (), ())

    async def restore(self, room: WaitingRoomState, buckets: Sequence[NumberBucket]) -> None:
        """Write recorded numbers into state that is being rebuilt; the caller bounds their count."""
        args: list[str | bytes | int] = [room.epoch]
        for bucket in buckets:
            args += bucket
        await self._run(_RESTORE, keys_of(room.schedule_id)[_NUMBER_KEYS], args)

    async def forget(self, room: WaitingRoomState, spent: Sequence[SpentNumber]) -> None:
        """Remove spent numbers from state that is being rebuilt; the caller bounds their count."""
        args: list[str | bytes | int] = [room.epoch]
        for number, user_id in spent:
            args += (user_id.bytes, number)
        await self._run(_FORGET, keys_of(room.schedule_id)[_NUMBER_KEYS], args)

    async def _part(
        self,
        part: str,
        room: WaitingRoomState,
        token: int,
        now_ms: int,
        admissions: Sequence[Admission],
        vacant: Sequence[str],
    ) -> None:
        args: list[str | bytes | int] = [
            token,
            room.epoch,
            part,
            room.joined,
            room.numbers_to,
            room.called,
            room.drawn,
            now_ms,
            room.grace_s * 1000,
            self._ttl_ms,
            len(admissions),
        ]
        for one in admissions:
            args += (one.user_id.bytes, one.number, _packed(one))
        await self._run(_REBUILD, keys_of(room.schedule_id), [*args, *vacant])

    async def _run(
        self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]
    ) -> list[Any]:
        reply = await self._valkey.run(script, keys, args)
        answer: list[Any] = reply if isinstance(reply, list) else [reply]
        if answer[0] == _LOST:
            raise QueueStateLost("Valkey does not have the queue state")
        if answer[0] == _FENCED:
            raise LeaderFenced("another leader has taken over")
        return answer


@lru_cache(_ROOMS_CACHED_MAX)
def keys_of(schedule_id: UUID) -> tuple[str, ...]:
    """Return the keys of a waiting room, in one hash slot of a cluster."""
    return tuple([key_of(schedule_id, name) for name in _KEYS])


def key_of(schedule_id: UUID, name: str) -> str:
    """Return the key of a part of the state."""
    return f"boxoffice:queue:{{{schedule_id}}}:{name}"


def _enter_reply(user_id: UUID, code: bytes, value: int = 0, packed: bytes = b"") -> EnterReply:
    letter = code.decode()
    if letter == "P":
        return EnterReply(letter, number=value)
    if not packed:
        return EnterReply(letter)
    ends_ms, number, place, inside, inside_max, admitted_ms = map(int, packed.split(b":"))
    admission = Admission(user_id, number, place, inside, inside_max, ends_ms, admitted_ms)
    return EnterReply(letter, value, admission)


def _packed(one: Admission) -> str:
    fields = (one.ends_ms, one.number, one.place, one.inside, one.inside_max, one.admitted_ms)
    return ":".join(map(str, fields))


def _exit(packed: bytes) -> Exit:
    number, at_ms, reason = packed.decode().split(":")
    return Exit(int(number), int(at_ms), reason)
