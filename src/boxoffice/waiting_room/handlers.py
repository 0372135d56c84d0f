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
    Answers,
    Claim,
    Entry,
    Insider,
    Line,
    LineLost,
    Places,
)
from boxoffice.waiting_room.join_writer import JoinJournal
from boxoffice.waiting_room.registry import Rooms
from boxoffice.waiting_room.rules import Room
from boxoffice.waiting_room.store import QueueStore, Recorded

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


class Joined(NamedTuple):
    """A number, and the epoch in which the line was asked."""

    epoch: int
    number: int


class Entered(NamedTuple):
    """What became of a claim: `inside`, `waits`, `is_next`, `spent`, or `other` with the `number` to
    have instead. Times in seconds since the epoch.
    """

    word: str
    number: int = 0
    pass_ends_at: float = 0.0
    ends_at: float = 0.0


WAITS, IS_NEXT, SPENT = Entered("waits"), Entered("is_next"), Entered("spent")
_WORDS = {"W": WAITS, "L": IS_NEXT, "S": SPENT}


class JoinHandler:
    """Gives numbers to people of one schedule; without Valkey nobody gets one."""

    kind = "queue_join"

    def __init__(self, line: Line, journal: JoinJournal) -> None:
        self._line = line
        self._journal = journal

    async def handle(
        self, key: UUID, batch: Sequence[Pending[JoinCommand, Joined]]
    ) -> Sequence[Outcome[Joined]]:
        """Return a number per command, in order."""
        accounts = b"".join([one.command.user_id.bytes for one in batch])
        try:
            epoch, numbers = await self._line.join(key, accounts)
        except LineLost:
            # The leader makes the line anew, which takes a moment.
            return [Retry("line_lost", Unavailable)] * len(batch)
        except ValkeyAway as error:
            raise Unavailable("The waiting room takes nobody at the moment; try again.") from error
        given = _given(numbers, accounts)
        # guard: join_what_was_given_is_noted {
        if given.numbers:
            self._journal.note(key, given)
        # guard: }
        return [
            # guard: join_without_number_nobody_joins => Joined(epoch, abs(number))
            Joined(epoch, abs(number)) if number else Retry("no_numbers", Unavailable)
            for number in numbers
        ]

    async def look_up(self, key: UUID, commands: Sequence[JoinCommand]) -> Sequence[Joined | None]:
        """Ask again: it does no harm."""
        return [None] * len(commands)


def _given(numbers: list[int], accounts: bytes) -> Places:
    """Return those of a batch who had no number before: mostly all of it."""
    if min(numbers) > 0:
        return Places(numbers, accounts)
    # guard: join_only_new_number_is_noted => new = list(range(len(numbers)))
    new = [at for at, number in enumerate(numbers) if number > 0]
    kept = b"".join([accounts[16 * at : 16 * at + 16] for at in new])
    return Places([numbers[at] for at in new], kept)


class EnterHandler:
    """Lets people of one schedule in, and puts them on record before they hear of it."""

    kind = "queue_enter"

    def __init__(
        self, line: Line, store: QueueStore, rooms: Rooms, now: Callable[[], float]
    ) -> None:
        self._line = line
        self._store = store
        self._rooms = rooms
        self._now = now
        # Who is on record already, so that a sign of life asks only Valkey.
        self._recorded: OrderedDict[tuple[UUID, UUID, int], None] = OrderedDict()

    async def handle(
        self, key: UUID, batch: Sequence[Pending[EnterCommand, Entered]]
    ) -> Sequence[Outcome[Entered]]:
        """Return what becomes of each command, in order."""
        room = self._rooms.get(key)
        if room is None:
            return [WAITS] * len(batch)
        now_ms = int(self._now() * 1000)
        claims = [_claim(room, one.command) for one in batch]
        try:
            said = await self._line.enter(room, now_ms, claims)
            self._rooms.note_called(key, said.called)
            refused = await self._record(room, claims, said)
        except (ValkeyAway, LineLost):
            return await self._by_record(room, claims)
        return [refused.get(at) or _entered(entry) for at, entry in enumerate(said.entries)]

    async def look_up(
        self, key: UUID, commands: Sequence[EnterCommand]
    ) -> Sequence[Entered | None]:
        """Ask again: it does no harm."""
        return [None] * len(commands)

    async def _by_record(self, room: Room, claims: Sequence[Claim]) -> list[Entered]:
        """Without Valkey nobody new is let in; whoever is on record as inside stays."""
        found = await self._store.admissions(room.schedule_id, [one.number for one in claims])
        now = self._now()
        return [_stays(room, one, found.get((one.number, one.user_id)), now) for one in claims]

    async def _record(
        self, room: Room, claims: Sequence[Claim], said: Answers
    ) -> dict[int, Entered]:
        """Put those on record who are inside and perhaps not yet; return what becomes of the refused.

        A number is let in once: who was out again before the line was lost is taken out once more.
        Raises `LineLost` where another line was begun since this one was asked, or the sale has ended.
        """
        new = {
            at: entry.insider
            for at, entry in enumerate(said.entries)
            if entry.insider and not self._is_known(room.schedule_id, entry)
        }
        if not new:
            return {}
        found = await self._store.admit(
            room.schedule_id, said.epoch, said.called, said.now_ms, list(new.values())
        )
        # guard: enter_not_by_an_old_epoch { => found = found or [Recorded(True, False, 0.0)] * len(new)
        if found is None:
            raise LineLost("another epoch has begun, or the sale has ended")
        # guard: }
        refused: dict[int, Entered] = {}
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
            await self._take_out(room, said.now_ms, [claims[at] for at in refused])
        # guard: }
        return refused

    def _is_known(self, schedule_id: UUID, entry: Entry) -> bool:
        """Say whether this is a sign of life of somebody who is on record; who comes in never is."""
        # guard: enter_who_comes_in_is_put_on_record: word == "A" or entry. =>
        if entry.word == "A" or entry.insider is None:
            return False
        return (schedule_id, entry.insider.user_id, entry.insider.number) in self._recorded

    def _remember(self, schedule_id: UUID, one: Insider) -> None:
        self._recorded[schedule_id, one.user_id, one.number] = None
        if len(self._recorded) > _RECORDED_MAX:
            self._recorded.popitem(last=False)

    async def _take_out(self, room: Room, now_ms: int, claims: Sequence[Claim]) -> None:
        try:
            await self._line.leave(room.schedule_id, now_ms, "left", claims)
        except (ValkeyAway, LineLost) as error:
            log.warning("waiting_room_spent_number_not_removed", error=str(error))


def _claim(room: Room, command: EnterCommand) -> Claim:
    place = room.place_of(command.number)
    return Claim(command.user_id, command.number, place, command.epoch)


def _entered(entry: Entry) -> Entered:
    if entry.insider is not None:
        inside = entry.insider
        return Entered("inside", inside.number, entry.due_ms / 1000, inside.ends_ms / 1000)
    if entry.word == "P":
        return Entered("other", entry.number)
    return _WORDS[entry.word]


def _stays(room: Room, claim: Claim, found: Recorded | None, now: float) -> Entered:
    if found is None:
        # guard: enter_none_without_valkey => return Entered("inside", claim.number, now + 1, now + 1)
        return WAITS
    # guard: enter_by_record_who_is_out_is_out: is_out or found. =>
    # guard: enter_by_record_who_is_out_of_time_is_out => if found.is_out:
    if found.is_out or found.leaves_at <= now:
        return SPENT
    # guard: enter_no_pass_past_end_of_time => pass_ends_at = now + room.grace_s
    pass_ends_at = min(now + room.grace_s, found.leaves_at)
    return Entered("inside", claim.number, pass_ends_at, found.leaves_at)
