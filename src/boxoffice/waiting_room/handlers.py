"""Batch handlers of the waiting room: `join` issues numbers, `enter` admits. One script call each.

Both are idempotent: an account keeps its number, and an admitted user stays inside.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from boxoffice.batching import Outcome, Pending, Retry
from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.valkey import ValkeyUnavailable
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
    """Requests a number; the script issues one per account."""

    user_id: UUID
    identity: None = None
    fingerprint: bytes = b""


@dataclass(frozen=True, slots=True)
class EnterCommand:
    """A queue ticket that was called, is inside, or is of an earlier epoch."""

    user_id: UUID
    number: int
    epoch: int
    fingerprint: bytes = b""

    @property
    def identity(self) -> tuple[UUID, int, int]:
        """Equal for repeated commands of one ticket."""
        return self.user_id, self.number, self.epoch


class JoinResult(NamedTuple):
    """A number and the epoch of the queue that issued it."""

    epoch: int
    number: int


class EnterResult(NamedTuple):
    """`status` is `inside`, `waiting`, `next`, `spent`, `other`: the account has another `number`, or
    `unknown`: it waits, and the queue could not be asked.

    Times in seconds since the epoch.
    """

    status: str
    number: int = 0
    pass_ends_at: float = 0.0
    ends_at: float = 0.0


WAITING, NEXT, SPENT = EnterResult("waiting"), EnterResult("next"), EnterResult("spent")
UNKNOWN = EnterResult("unknown")
_RESULTS = {"W": WAITING, "L": NEXT, "S": SPENT}


class JoinHandler:
    """Issues numbers of one schedule; none while Valkey is unavailable."""

    kind = "queue_join"

    def __init__(self, queue_state: QueueState, join_writer: JoinWriter) -> None:
        self._queue_state = queue_state
        self._join_writer = join_writer

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[JoinCommand, JoinResult]]
    ) -> Sequence[Outcome[JoinResult]]:
        """Issue numbers in one script call; commands without a number are retried."""
        accounts = b"".join([one.command.user_id.bytes for one in batch])
        try:
            epoch, numbers = await self._issue(lane_key, accounts)
        except QueueStateLost:
            # The leader is rebuilding it.
            return [Retry("queue_lost", Unavailable)] * len(batch)
        except ValkeyUnavailable as error:
            raise Unavailable(
                "The waiting room accepts no joins at the moment; try again."
            ) from error
        issued = _newly_issued(numbers, accounts)
        # guard: join_what_was_given_is_noted {
        if issued.numbers:
            self._join_writer.add(lane_key, issued)
        # guard: }
        return [
            # guard: join_needs_a_number => JoinResult(epoch, abs(number))
            JoinResult(epoch, abs(number)) if number else Retry("no_numbers", Unavailable)
            for number in numbers
        ]

    async def _issue(self, schedule_id: UUID, accounts: bytes) -> tuple[int, list[int]]:
        """Issue numbers; call once more where no answer came in time.

        A turn of the event loop with a thousand new requests outlasts the deadline of the call that
        the turn before it has sent. That call may have issued numbers, so all count as new.
        """
        try:
            return await self._queue_state.join(schedule_id, accounts)
        except ValkeyUnavailable:
            epoch, numbers = await self._queue_state.join(schedule_id, accounts)
            return epoch, [abs(number) for number in numbers]

    async def look_up(
        self, lane_key: UUID, commands: Sequence[JoinCommand]
    ) -> Sequence[JoinResult | None]:
        """Return nothing: the commands are idempotent and simply run again."""
        return [None] * len(commands)


def _newly_issued(numbers: list[int], accounts: bytes) -> IssuedNumbers:
    """Return the positive numbers; a negative one was issued by an earlier join."""
    if min(numbers) > 0:
        return IssuedNumbers(numbers, accounts)
    # guard: join_only_new_number_is_noted => new = list(range(len(numbers)))
    new = [at for at, number in enumerate(numbers) if number > 0]
    kept = b"".join([accounts[16 * at : 16 * at + 16] for at in new])
    return IssuedNumbers([numbers[at] for at in new], kept)


class EnterHandler:
    """Admits users of one schedule and records admissions in PostgreSQL before answering."""

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
        # Recorded admissions (schedule, user, number): their heartbeats need no PostgreSQL.
        self._recorded: OrderedDict[tuple[UUID, UUID, int], None] = OrderedDict()

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[EnterCommand, EnterResult]]
    ) -> Sequence[Outcome[EnterResult]]:
        """Admit called tickets in one script call; without Valkey, decide by recorded admissions."""
        room = self._rooms.by_schedule.get(lane_key)
        if room is None:
            return [UNKNOWN] * len(batch)
        holders = [_holder(room, one.command) for one in batch]
        try:
            return await self._enter(room, holders)
        except (ValkeyUnavailable, QueueStateLost):
            return await self._results_by_record(room, holders)

    async def look_up(
        self, lane_key: UUID, commands: Sequence[EnterCommand]
    ) -> Sequence[EnterResult | None]:
        """Return nothing: the commands are idempotent and simply run again."""
        return [None] * len(commands)

    async def _enter(
        self, room: WaitingRoomState, holders: Sequence[TicketHolder]
    ) -> list[EnterResult]:
        batch = await self._queue_state.enter(room, int(self._now() * 1000), holders)
        self._rooms.update_called(room.schedule_id, batch.called)
        refused = await self._record(room, batch)
        # guard: enter_refused_is_removed {
        if refused:
            await self._remove(room, batch.now_ms, [holders[at] for at in refused])
        # guard: }
        return [
            SPENT if at in refused else _result(reply) for at, reply in enumerate(batch.replies)
        ]

    async def _record(self, room: WaitingRoomState, batch: EnterReplies) -> set[int]:
        """Record the admissions of a batch; return the indexes of the refused ones.

        A number is admitted once: one that had left before the queue was lost is refused.
        Raises `QueueStateLost` when a later epoch has begun or the sale has ended.
        """
        new = self._unrecorded(room.schedule_id, batch)
        if not new:
            return set()
        records = await self._store.admit(
            room.schedule_id, batch.epoch, batch.called, batch.now_ms, list(new.values())
        )
        # guard: enter_old_epoch { => records = records or [AdmissionRecord(True, False, 0)] * len(new)
        if records is None:
            raise QueueStateLost("another epoch has begun, or the sale has ended")
        # guard: }
        refused = {
            at
            for at, record in zip(new, records, strict=True)
            # guard: enter_number_belongs_to_account => if record.is_out
            # guard: enter_recorded_exit_refuses => if not record.is_theirs
            if record.is_out or not record.is_theirs
        }
        admitted = {at: one for at, one in new.items() if at not in refused}
        for admission in admitted.values():
            self._remember(room.schedule_id, admission)
        metrics.WAITING_ROOM_ADMISSIONS.inc(sum(batch.replies[at].code == "A" for at in admitted))
        return refused

    def _unrecorded(self, schedule_id: UUID, batch: EnterReplies) -> dict[int, Admission]:
        """Return the admissions that this process has not recorded, by index."""
        return {
            at: reply.admission
            for at, reply in enumerate(batch.replies)
            if reply.admission and not self._is_recorded(schedule_id, reply)
        }

    def _is_recorded(self, schedule_id: UUID, reply: EnterReply) -> bool:
        """Whether this is a heartbeat of a recorded admission; a new admission never is."""
        # guard: enter_admission_is_recorded: code == "A" or reply. =>
        if reply.code == "A" or reply.admission is None:
            return False
        return (schedule_id, reply.admission.user_id, reply.admission.number) in self._recorded

    def _remember(self, schedule_id: UUID, admission: Admission) -> None:
        self._recorded[schedule_id, admission.user_id, admission.number] = None
        if len(self._recorded) > _RECORDED_MAX:
            self._recorded.popitem(last=False)

    async def _remove(
        self, room: WaitingRoomState, now_ms: int, holders: Sequence[TicketHolder]
    ) -> None:
        try:
            await self._queue_state.leave(room.schedule_id, now_ms, "left", holders)
        except (ValkeyUnavailable, QueueStateLost) as error:
            log.warning("waiting_room_spent_number_not_removed", error=str(error))

    async def _results_by_record(
        self, room: WaitingRoomState, holders: Sequence[TicketHolder]
    ) -> list[EnterResult]:
        """Decide by PostgreSQL without Valkey: recorded users stay inside, no user is admitted."""
        records = await self._store.admission_records(
            room.schedule_id, [one.number for one in holders]
        )
        now = self._now()
        return [
            _result_by_record(room, one, records.get((one.number, one.user_id)), now)
            for one in holders
        ]


def _holder(room: WaitingRoomState, command: EnterCommand) -> TicketHolder:
    place = room.place_of(command.number)
    return TicketHolder(command.user_id, command.number, place, command.epoch)


def _result(reply: EnterReply) -> EnterResult:
    if reply.admission is not None:
        inside = reply.admission
        return EnterResult("inside", inside.number, reply.due_ms / 1000, inside.ends_ms / 1000)
    if reply.code == "P":
        return EnterResult("other", reply.number)
    return _RESULTS[reply.code]


def _result_by_record(
    room: WaitingRoomState, holder: TicketHolder, record: AdmissionRecord | None, now: float
) -> EnterResult:
    if record is None:
        # guard: enter_needs_valkey => return EnterResult("inside", holder.number, now + 1, now + 1)
        return UNKNOWN
    # guard: enter_record_exit_is_out: is_out or record. =>
    # guard: enter_record_expired_is_out => if record.is_out:
    if record.is_out or record.leaves_at <= now:
        return SPENT
    # guard: enter_no_pass_past_end_of_time => pass_ends_at = now + room.grace_s
    pass_ends_at = min(now + room.grace_s, record.leaves_at)
    return EnterResult("inside", holder.number, pass_ends_at, record.leaves_at)
