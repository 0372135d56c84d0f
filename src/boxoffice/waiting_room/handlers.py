"""How a batch of people who join, or whose turn it is, is decided: one script each.

Both may be repeated at will: who has a number keeps it, and who is inside stays there.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from boxoffice.batching import Outcome, Pending, Retry
from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.valkey import ValkeyAway
from boxoffice.waiting_room import metrics
from boxoffice.waiting_room.engine.queue_state import (
    Admission,
    EnterReplies,
    EnterReply,
    IssuedNumbers,
    QueueState,
    QueueStateLost,
    TicketHolder,
)
from boxoffice.waiting_room.join_writer import JoinWriter
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import WaitingRoomState
from boxoffice.waiting_room.store import AdmissionRecord, QueueStore

_RECORDED_MAX = 100_000


class JoinCommand(NamedTuple):
    """A wish to have a number; the script gives one account one, however often it asks."""

    user_id: UUID
    identity: None = None
    fingerprint: bytes = b""


@dataclass(frozen=True, slots=True)
class EnterCommand:
    """A ticket whose turn it is, that is inside already, or that the line has lost."""

    user_id: UUID
    number: int
    epoch: int
    fingerprint: bytes = b""

    @property
    def identity(self) -> tuple[UUID, int, int]:
        """One ticket is one claim."""
        return self.user_id, self.number, self.epoch


class JoinResult(NamedTuple):
    """A number, and the epoch in which the line was asked."""

    epoch: int
    number: int


class EnterResult(NamedTuple):
    """What became of a claim: `inside`, `waits`, `is_next`, `spent`, or `other` with the `number` to
    have instead. Times in seconds since the epoch.
    """

    word: str
    number: int = 0
    pass_ends_at: float = 0.0
    ends_at: float = 0.0


WAITS, IS_NEXT, SPENT = EnterResult("waits"), EnterResult("is_next"), EnterResult("spent")
_WORDS = {"W": WAITS, "L": IS_NEXT, "S": SPENT}


class JoinHandler:
    """Gives numbers to people of one schedule; without Valkey nobody gets one."""

    kind = "queue_join"

    def __init__(self, queue_state: QueueState, join_writer: JoinWriter) -> None:
        self._queue_state = queue_state
        self._join_writer = join_writer

    async def handle(
        self, key: UUID, batch: Sequence[Pending[JoinCommand, JoinResult]]
    ) -> Sequence[Outcome[JoinResult]]:
        """Return a number per command, in order."""
        accounts = b"".join([one.command.user_id.bytes for one in batch])
        try:
            epoch, numbers = await self._queue_state.join(key, accounts)
        except QueueStateLost:
            # The leader makes the line anew, which takes a moment.
            return [Retry("queue_lost", Unavailable)] * len(batch)
        except ValkeyAway as error:
            raise Unavailable("The waiting room takes nobody at the moment; try again.") from error
        given = _given(numbers, accounts)
        # guard: join_what_was_given_is_noted {
        if given.numbers:
            self._join_writer.note(key, given)
        # guard: }
        return [
            # guard: join_without_number_nobody_joins => JoinResult(epoch, abs(number))
            JoinResult(epoch, abs(number)) if number else Retry("no_numbers", Unavailable)
            for number in numbers
        ]

    async def look_up(
        self, key: UUID, commands: Sequence[JoinCommand]
    ) -> Sequence[JoinResult | None]:
        """Ask again: it does no harm."""
        return [None] * len(commands)


def _given(numbers: list[int], accounts: bytes) -> IssuedNumbers:
    """Return those of a batch who had no number before: mostly all of it."""
    if min(numbers) > 0:
        return IssuedNumbers(numbers, accounts)
    # guard: join_only_new_number_is_noted => new = list(range(len(numbers)))
    new = [at for at, number in enumerate(numbers) if number > 0]
    kept = b"".join([accounts[16 * at : 16 * at + 16] for at in new])
    return IssuedNumbers([numbers[at] for at in new], kept)


class EnterHandler:
    """Lets people of one schedule in, and puts them on record before they hear of it."""

    kind = "queue_enter"

    def __init__(
        self,
        queue_state: QueueState,
        store: QueueStore,
        rooms: WaitingRoomRegistry,
        now: Callable[[], float],
    ) -> None:
        self._queue_state = queue_state
        self._store = store
        self._rooms = rooms
        self._now = now
        # Who is on record already, so that a sign of life asks only Valkey.
        self._recorded: OrderedDict[tuple[UUID, UUID, int], None] = OrderedDict()

    async def handle(
        self, key: UUID, batch: Sequence[Pending[EnterCommand, EnterResult]]
    ) -> Sequence[Outcome[EnterResult]]:
        """Return what becomes of each command, in order."""
        room = self._rooms.get(key)
        if room is None:
            return [WAITS] * len(batch)
        now_ms = int(self._now() * 1000)
        holders = [_holder(room, one.command) for one in batch]
        try:
            said = await self._queue_state.enter(room, now_ms, holders)
            self._rooms.update_called(key, said.called)
            refused = await self._record(room, holders, said)
        except (ValkeyAway, QueueStateLost):
            return await self._by_record(room, holders)
        return [refused.get(at) or _entered(entry) for at, entry in enumerate(said.entries)]

    async def look_up(
        self, key: UUID, commands: Sequence[EnterCommand]
    ) -> Sequence[EnterResult | None]:
        """Ask again: it does no harm."""
        return [None] * len(commands)

    async def _by_record(
        self, room: WaitingRoomState, holders: Sequence[TicketHolder]
    ) -> list[EnterResult]:
        """Without Valkey nobody new is let in; whoever is on record as inside stays."""
        found = await self._store.admission_records(
            room.schedule_id, [one.number for one in holders]
        )
        now = self._now()
        return [_stays(room, one, found.get((one.number, one.user_id)), now) for one in holders]

    async def _record(
        self, room: WaitingRoomState, holders: Sequence[TicketHolder], said: EnterReplies
    ) -> dict[int, EnterResult]:
        """Put those on record who are inside and perhaps not yet; return what becomes of the refused.

        A number is let in once: who was out again before the line was lost is taken out once more.
        Raises `LineLost` where another line was begun since this one was asked, or the sale has ended.
        """
        new = {
            at: entry.admission
            for at, entry in enumerate(said.entries)
            if entry.admission and not self._is_known(room.schedule_id, entry)
        }
        if not new:
            return {}
        found = await self._store.admit(
            room.schedule_id, said.epoch, said.called, said.now_ms, list(new.values())
        )
        # guard: enter_old_epoch { => found = found or [AdmissionRecord(True, False, 0.0)] * len(new)
        if found is None:
            raise QueueStateLost("another epoch has begun, or the sale has ended")
        # guard: }
        refused: dict[int, EnterResult] = {}
        for (at, one), recorded in zip(new.items(), found, strict=True):
            # guard: enter_number_of_somebody_else_lets_nobody_in => if not recorded.is_out:
            # guard: enter_who_is_out_by_record_is_out => if recorded.is_theirs:
            if recorded.is_theirs and not recorded.is_out:
                self._remember(room.schedule_id, one)
            else:
                refused[at] = SPENT
        let_in = [at for at in new if at not in refused and said.entries[at].word == "A"]
        metrics.WAITING_ROOM_ADMISSIONS.inc(len(let_in))
        # guard: enter_who_is_refused_is_taken_out {
        if refused:
            await self._take_out(room, said.now_ms, [holders[at] for at in refused])
        # guard: }
        return refused

    def _is_known(self, schedule_id: UUID, entry: EnterReply) -> bool:
        """Say whether this is a sign of life of somebody who is on record; who comes in never is."""
        # guard: enter_who_comes_in_is_put_on_record: word == "A" or entry. =>
        if entry.word == "A" or entry.admission is None:
            return False
        return (schedule_id, entry.admission.user_id, entry.admission.number) in self._recorded

    def _remember(self, schedule_id: UUID, one: Admission) -> None:
        self._recorded[schedule_id, one.user_id, one.number] = None
        if len(self._recorded) > _RECORDED_MAX:
            self._recorded.popitem(last=False)

    async def _take_out(
        self, room: WaitingRoomState, now_ms: int, holders: Sequence[TicketHolder]
    ) -> None:
        try:
            await self._queue_state.leave(room.schedule_id, now_ms, "left", holders)
        except (ValkeyAway, QueueStateLost) as error:
            log.warning("waiting_room_spent_number_not_removed", error=str(error))


def _holder(room: WaitingRoomState, command: EnterCommand) -> TicketHolder:
    place = room.place_of(command.number)
    return TicketHolder(command.user_id, command.number, place, command.epoch)


def _entered(entry: EnterReply) -> EnterResult:
    if entry.admission is not None:
        inside = entry.admission
        return EnterResult("inside", inside.number, entry.due_ms / 1000, inside.ends_ms / 1000)
    if entry.word == "P":
        return EnterResult("other", entry.number)
    return _WORDS[entry.word]


def _stays(
    room: WaitingRoomState, holder: TicketHolder, found: AdmissionRecord | None, now: float
) -> EnterResult:
    if found is None:
        # guard: enter_needs_valkey => return EnterResult("inside", holder.number, now + 1, now + 1)
        return WAITS
    # guard: enter_by_record_who_is_out_is_out: is_out or found. =>
    # guard: enter_by_record_who_is_out_of_time_is_out => if found.is_out:
    if found.is_out or found.leaves_at <= now:
        return SPENT
    # guard: enter_no_pass_past_end_of_time => pass_ends_at = now + room.grace_s
    pass_ends_at = min(now + room.grace_s, found.leaves_at)
    return EnterResult("inside", holder.number, pass_ends_at, found.leaves_at)
