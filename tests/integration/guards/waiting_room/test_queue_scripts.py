"""What each condition of the waiting room's scripts decides, on a real Valkey.

No PostgreSQL, registry or clock: the test passes the time and the leader's command.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.queue_state import (
    Admission,
    EnterReply,
    IssuedNumbers,
    LeaderFenced,
    QueueState,
    QueueStateLost,
    TickCommand,
    TicketHolder,
    TickResult,
    keys_of,
)
from boxoffice.waiting_room.rules import Mode, WaitingRoomState
from tests.conftest import Servers

_START_MS = 1_800_000_000_000
_TOKEN = 5
_LINE_TTL_S = 600
_TICK_MAX = 100
_INSIDE_S, _GRACE_S = 600, 60


@dataclass(eq=False)
class Stand:
    """One queue, its users, and the time."""

    valkey: Valkey
    queue_state: QueueState
    room: WaitingRoomState
    now_ms: int = _START_MS
    people: list[UUID] = field(default_factory=list)

    async def make(
        self,
        admissions: Sequence[Admission] = (),
        vacant: Sequence[int] = (),
        places: AsyncIterator[IssuedNumbers] | None = None,
        token: int = _TOKEN,
    ) -> None:
        """Rebuild the queue."""
        await self.queue_state.rebuild(self.room, token, self.now_ms, admissions, vacant, places)

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
        return (await self.queue_state.join(self.room.schedule_id, _accounts(*people)))[1]

    async def tick(self, allowed: int = _TICK_MAX, **command: Any) -> TickResult:
        """Run one tick."""
        usual = TickCommand(
            token=_TOKEN, now_ms=self.now_ms, is_open=True, allowed=allowed,
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


@pytest.fixture
def settings(servers: Servers) -> Settings:
    """The scripts need no database."""
    return Settings.of(valkey_url=servers.valkey_url, valkey_timeout_ms=5_000, log_level="error")


@pytest.fixture
def stand(valkey: Valkey) -> Stand:
    """A room before its first rebuild."""
    room = WaitingRoomState(
        schedule_id=uuid4(), mode=Mode.FIFO, is_paused=False, is_closed=False, rate_per_s=10.0,
        inside_max=10, inside_s=_INSIDE_S, grace_s=_GRACE_S, opens_at=0.0, seed=b"s" * 32,
        lobby_size=None, epoch=2, numbers_to=1_000, joined=0, called=0,
    )  # fmt: skip
    return Stand(valkey, QueueState(valkey, _LINE_TTL_S, _TICK_MAX), room)


def _accounts(*people: UUID) -> bytes:
    return b"".join(one.bytes for one in people)


def _old(number: int) -> TicketHolder:
    """A ticket of an earlier epoch, before the loss."""
    return TicketHolder(uuid4(), number, number, 1)


# Another server ------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["join", "enter", "leave", "tick"])
async def test_scripts_refuse_a_server_without_the_state(stand: Stand, script: str) -> None:
    await stand.call(2, cap=10)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "join": lambda: stand.join(1),
        "enter": lambda: stand.enter(1),
        "leave": lambda: stand.leave(1),
        "tick": stand.tick,
    }
    await calls[script]()
    await stand.valkey.command("HSET", keys_of(stand.room.schedule_id)[0], "run", "another")
    with pytest.raises(QueueStateLost):
        await calls[script]()


async def test_a_tick_refuses_an_earlier_epoch(stand: Stand) -> None:
    await stand.make()
    stand.set(epoch=3)
    with pytest.raises(QueueStateLost):
        await stand.tick()


async def test_an_earlier_leader_neither_ticks_nor_rebuilds(stand: Stand) -> None:
    await stand.make()
    with pytest.raises(LeaderFenced):
        await stand.tick(token=_TOKEN - 1)
    with pytest.raises(LeaderFenced):
        await stand.make(token=_TOKEN - 1)
    await stand.tick(token=_TOKEN + 1)
    with pytest.raises(LeaderFenced):
        await stand.tick()


# Joining -------------------------------------------------------------------------------------------


async def test_an_account_has_one_number_and_none_past_the_limit(stand: Stand) -> None:
    stand.set(numbers_to=2)
    await stand.make()
    one, two, three = (uuid4() for _ in range(3))
    assert await stand.numbers(one, two, one, three) == [1, 2, -1, 0]
    assert await stand.numbers(three, two) == [0, -2]


# Calls and admissions ------------------------------------------------------------------------------


async def test_an_uncalled_user_waits(stand: Stand) -> None:
    await stand.call(3, cap=2)
    assert await stand.words(3, 1, 2, 3) == "WAAW"


async def test_a_caller_with_another_draw_admits_nobody(stand: Stand) -> None:
    await stand.call(2, cap=10)
    stand.set(lobby_size=2)
    assert await stand.words(1) == "W"
    await stand.tick()
    assert await stand.words(1) == "A"
    stand.set(lobby_size=None)
    assert await stand.words(2) == "W"


async def test_a_heartbeat_is_no_second_admission(stand: Stand) -> None:
    await stand.call(1, cap=1)
    [came] = await stand.enter(1)
    stand.now_ms += 1_000
    [again] = await stand.enter(1)
    assert (came.code, again.code) == ("A", "I")
    assert again.admission == came.admission
    assert again.due_ms == came.due_ms + 1_000


async def test_the_grace_ends_with_the_time_inside(stand: Stand) -> None:
    stand.set(inside_s=_GRACE_S // 2)
    await stand.call(1, cap=1)
    [came] = await stand.enter(1)
    assert came.admission is not None
    assert came.due_ms == came.admission.ends_ms == stand.now_ms + 1_000 * _GRACE_S // 2


@pytest.mark.parametrize("script", ["enter", "leave", "tick"])
async def test_a_lagging_clock_never_turns_time_back(stand: Stand, script: str) -> None:
    await stand.call(2, cap=10)
    await stand.enter(1)
    at_ms = stand.now_ms
    stand.now_ms -= 10 * 60_000
    if script == "enter":
        [came] = await stand.enter(2)
        assert came.admission is not None
        assert came.admission.admitted_ms == at_ms
    if script == "leave":
        await stand.leave(1)
    if script == "tick":
        await stand.tick()
    assert (
        int(await stand.valkey.command("HGET", keys_of(stand.room.schedule_id)[0], "now")) == at_ms
    )


async def test_a_call_is_for_its_own_places(stand: Stand) -> None:
    """The first user missed the call; the open call is for the second."""
    await stand.call(2, cap=1)
    stand.now_ms += 1_000 * _GRACE_S + 1
    await stand.tick()
    assert await stand.words(1, 2, 1) == "LAL"


async def test_a_call_lapses_before_a_tick_removes_it(stand: Stand) -> None:
    await stand.call(2, cap=2)
    stand.now_ms += 1_000 * _GRACE_S
    assert await stand.words(1) == "A"
    stand.now_ms += 1
    assert await stand.words(2) == "L"


async def test_a_call_is_used_up_by_as_many_as_were_counted(stand: Stand) -> None:
    """A place thought vacant has a user: three places, two of them called."""
    stand.set(inside_max=2)
    await stand.make(vacant=[2])
    await stand.join(3)
    await stand.tick()
    assert await stand.words(1, 3, _old(2)) == "AAL"
    assert await stand.pending() == 0


async def test_a_late_user_takes_a_free_place(stand: Stand) -> None:
    await stand.call(2, cap=2)
    stand.now_ms += 1_000 * _GRACE_S + 1
    await stand.tick()
    assert await stand.words(1, 2) == "AA"


async def test_no_free_place_is_taken_while_closed(stand: Stand) -> None:
    await stand.call(1, cap=2)
    stand.now_ms += 1_000 * _GRACE_S + 1
    await stand.tick(is_open=False)
    assert await stand.words(1) == "L"
    await stand.tick()
    assert await stand.words(1) == "A"


async def test_a_place_is_free_without_users_calls_and_unrecorded_exits(
    stand: Stand,
) -> None:
    """A late user polls at each step: another is inside, then called, then out and not recorded."""
    await stand.call(2, cap=1)
    stand.now_ms += 1_000 * _GRACE_S + 1
    await stand.tick()
    assert await stand.words(1) == "L", "the second was called"
    assert await stand.words(2, 1) == "AL", "the second is inside"
    await stand.leave(2)
    assert await stand.words(1) == "L", "the second is not on record as out"
    await stand.tick(recorded=1)
    assert await stand.words(1) == "A"


async def test_a_raised_cap_applies_to_earlier_calls(stand: Stand) -> None:
    await stand.call(2, cap=1)
    stand.set(inside_max=2)
    await stand.tick()
    [late] = await stand.enter(2)
    [early] = await stand.enter(1)
    assert early.admission is not None
    assert late.admission is not None
    assert (early.admission.inside, early.admission.inside_max) == (2, 2)
    assert (late.admission.inside, late.admission.inside_max) == (1, 2)


async def test_a_lowered_cap_applies_once_it_is_met(stand: Stand) -> None:
    await stand.call(3, cap=1)
    stand.set(inside_max=3)
    await stand.tick()
    assert await stand.words(2, 3) == "AA"
    stand.set(inside_max=1)
    await stand.tick()
    [early] = await stand.enter(1)
    assert early.admission is not None
    assert (early.admission.inside, early.admission.inside_max) == (3, 3)

    for person in (1, 2, 3):
        await stand.leave(person)
    await stand.tick()
    await stand.tick(recorded=3)
    await stand.join(1)
    await stand.tick(recorded=3)
    [next_one] = await stand.enter(4)
    assert next_one.admission is not None
    assert next_one.admission.inside_max == 1


# Owners of numbers ---------------------------------------------------------------------------------


async def test_a_returned_number_is_spent(stand: Stand) -> None:
    await stand.call(2, cap=2)
    assert await stand.words(1) == "A"
    await stand.leave(1)
    await stand.leave(2)
    assert await stand.words(1, 2) == "SS"


async def test_a_foreign_number_admits_nobody(stand: Stand) -> None:
    await stand.call(3, cap=10)
    stranger = TicketHolder(uuid4(), 1, 1, stand.room.epoch)
    assert await stand.words(stranger) == "S"
    [told] = await stand.enter(TicketHolder(stand.people[2], 1, 1, stand.room.epoch))
    assert (told.code, told.number) == ("P", 3)


async def test_of_two_numbers_the_better_one_counts(stand: Stand) -> None:
    stand.set(joined=5)
    await stand.make()
    person = _old(2)
    assert await stand.numbers(person.user_id) == [6]
    assert await stand.words(person) == "W"
    [told] = await stand.enter(person._replace(number=4, place=4))
    assert (told.code, told.number) == ("P", 2)
    assert await stand.numbers(person.user_id) == [-2]


async def test_a_ticket_of_a_lost_epoch_restores_its_place(stand: Stand) -> None:
    stand.set(joined=3, inside_max=1)
    await stand.make(vacant=[1, 2, 3])
    await stand.join(1)
    newcomer = TicketHolder(stand.people[0], 4, 4, stand.room.epoch)
    person = _old(2)
    assert await stand.words(person) == "W"
    await stand.tick()
    assert await stand.words(newcomer, person) == "WA"


# A tick --------------------------------------------------------------------------------------------


async def test_a_tick_ends_expired_graces_and_times(stand: Stand) -> None:
    stand.set(inside_s=100)
    await stand.call(3, cap=3)
    await stand.enter(1, 2, 3)
    stand.now_ms += 1_000 * _GRACE_S - 1
    await stand.enter(2, 3)
    assert (await stand.tick()).exits == []
    stand.now_ms += 1
    tick = await stand.tick()
    assert [(one.number, one.reason) for one in tick.exits] == [(1, "silent")]
    assert (tick.inside, await stand.words(1)) == (2, "S")
    stand.now_ms = _START_MS + 100_000
    assert {(one.number, one.reason) for one in (await stand.tick()).exits} == {
        (1, "silent"),
        (2, "time"),
        (3, "time"),
    }


async def test_a_tick_is_bounded(stand: Stand) -> None:
    stand.queue_state = QueueState(stand.valkey, _LINE_TTL_S, 2)
    await stand.make()
    await stand.join(3)
    assert [(await stand.tick()).called_now for _ in range(3)] == [2, 1, 0]
    await stand.enter(1, 2, 3)
    stand.now_ms += 1_000 * _GRACE_S
    ticks = [await stand.tick() for _ in range(2)]
    assert [tick.inside for tick in ticks] == [1, 0]
    assert [len(tick.exits) for tick in ticks] == [2, 2]


async def test_an_exit_is_released_once_it_is_recorded(stand: Stand) -> None:
    await stand.call(3, cap=3)
    await stand.enter(1, 2, 3)
    for person in (1, 2, 3):
        await stand.leave(person)

    async def out(recorded: int) -> list[int]:
        tick = await stand.tick(recorded=recorded)
        return [tick.released, *[one.number for one in tick.exits]]

    assert await out(0) == [0, 1, 2, 3]
    assert await out(1) == [1, 2, 3]
    assert await out(1) == [1, 2, 3], "a beat whose answer was lost"
    assert await out(0) == [1, 2, 3], "a leader that knows less"
    tick = await stand.tick(recorded=2, propagated=1)
    assert (tick.released, [one.number for one in tick.exits]) == (1, [3]), "not known to all yet"
    assert await out(2) == [2, 3]
    assert await out(3) == [3]


async def test_a_call_lapses_and_the_next_ones_are_called(stand: Stand) -> None:
    await stand.call(3, cap=1)
    stand.now_ms += 1_000 * _GRACE_S
    tick = await stand.tick()
    assert (tick.called, tick.pending) == (1, 1)
    stand.now_ms += 1
    tick = await stand.tick()
    assert (tick.called, tick.pending) == (2, 1)


async def test_a_used_up_call_hides_no_lapsed_one(stand: Stand) -> None:
    await stand.call(1, cap=2)
    await stand.enter(1)
    stand.set(grace_s=1)
    await stand.join(1)
    await stand.tick()
    stand.now_ms += 1_001
    assert (await stand.tick()).pending == 0


async def test_a_tick_without_a_call_keeps_the_last_call(stand: Stand) -> None:
    await stand.call(2, cap=9)
    assert (await stand.tick()).called_now == 0
    assert await stand.words(1, 2) == "AA"
    assert await stand.pending() == 0


async def test_a_late_user_has_priority_for_a_while(stand: Stand) -> None:
    await stand.call(3, cap=1)
    assert await stand.words(1) == "A"
    stand.now_ms += 1_000 * _GRACE_S - 1
    await stand.enter(1)
    stand.set(inside_max=2)
    await stand.tick()
    stand.now_ms += 1_000 * _GRACE_S - 1
    await stand.enter(1)
    stand.now_ms += 2
    stand.set(inside_max=1)
    await stand.tick()
    assert await stand.words(2) == "L"
    await stand.leave(1)
    await stand.tick()
    tick = await stand.tick(recorded=1)
    assert (tick.late, tick.called) == (1, 2), "the place is the second one's"
    stand.now_ms += 15_001
    tick = await stand.tick(recorded=1)
    assert (tick.late, tick.called) == (0, 3)


async def test_the_rate_the_cap_and_the_opening_bound_a_call(stand: Stand) -> None:
    stand.set(inside_max=5)
    await stand.make()
    await stand.join(9)
    assert (await stand.tick(is_open=False)).called == 0
    assert (await stand.tick(allowed=2)).called == 2
    assert (await stand.tick()).called == 5
    await stand.enter(1, 2, 3, 4, 5)
    assert (await stand.tick()).called == 5
    await stand.leave(1)
    assert (await stand.tick()).called == 5, "not on record as out"
    assert (await stand.tick(recorded=1)).called == 6


async def test_vacant_places_are_skipped_within_the_limit(
    stand: Stand,
) -> None:
    stand.set(inside_max=4, joined=30)
    await stand.make(vacant=range(1, 31))
    await stand.join(50)
    tick = await stand.tick()
    assert (tick.called, tick.called_now) == (34, 4)


async def test_a_tick_marks_places_vacant(stand: Stand) -> None:
    stand.set(inside_max=1)
    await stand.make()
    await stand.join(3)
    await stand.tick(is_open=False, vacant=[1, 2])
    tick = await stand.tick()
    assert (tick.called, tick.called_now) == (3, 1)


async def test_called_never_decreases(stand: Stand) -> None:
    stand.set(called=5, joined=3)
    await stand.make()
    assert (await stand.tick()).called == 5


# Leaving -------------------------------------------------------------------------------------------


async def test_leaving_the_queue_makes_the_place_vacant(stand: Stand) -> None:
    stand.set(inside_max=1)
    await stand.make()
    await stand.join(2)
    assert await stand.leave(1) == 0
    tick = await stand.tick()
    assert (tick.called, tick.called_now) == (2, 1)


async def test_a_called_user_who_leaves_is_not_pending(stand: Stand) -> None:
    await stand.call(2, cap=2)
    await stand.leave(1)
    assert await stand.pending() == 1
    await stand.leave(1)
    assert await stand.pending() == 1
    assert await stand.words(2) == "A"


async def test_a_late_leave_uses_no_other_call(stand: Stand) -> None:
    await stand.call(2, cap=1)
    stand.now_ms += 1_000 * _GRACE_S + 1
    await stand.tick()
    await stand.leave(1)
    assert await stand.pending() == 1
    assert await stand.words(2) == "A"


async def test_a_leave_without_an_open_call(stand: Stand) -> None:
    await stand.call(1, cap=1)
    stand.now_ms += 1_000 * _GRACE_S + 1
    await stand.tick()
    assert await stand.leave(1) == 0
    assert await stand.words(1) == "S"


async def test_an_uncounted_user_is_not_counted_at_a_leave(stand: Stand) -> None:
    stand.set(inside_max=2)
    await stand.make(vacant=[2])
    await stand.join(3)
    await stand.tick()
    person = _old(2)
    assert await stand.words(1, 3, person) == "AAL"
    await stand.leave(person)
    assert await stand.pending() == 0


async def test_a_late_user_who_leaves_loses_priority(stand: Stand) -> None:
    await stand.call(1, cap=1)
    stand.now_ms += 1_000 * _GRACE_S + 1
    await stand.tick(is_open=False)
    assert await stand.words(1) == "L"
    await stand.leave(1)
    assert (await stand.tick()).late == 0


async def test_leaving_ends_the_admission(stand: Stand) -> None:
    await stand.call(2, cap=2)
    await stand.enter(1, 2)
    assert await stand.leave(1) == 1
    assert await stand.leave(2, "paid") == 1
    assert await stand.leave(2, "paid") == 0
    tick = await stand.tick()
    assert [(one.number, one.reason) for one in tick.exits] == [(1, "left"), (2, "paid")]
    assert tick.inside == 0


async def test_a_payment_ends_the_admission_but_no_place_in_the_queue(stand: Stand) -> None:
    await stand.call(2, cap=1)
    await stand.leave(2, "paid")
    assert await stand.numbers(stand.people[1]) == [-2]


async def test_a_former_number_frees_nothing(stand: Stand) -> None:
    await stand.call(3, cap=1)
    await stand.leave(TicketHolder(stand.people[1], 3, 3, stand.room.epoch))
    assert await stand.numbers(stand.people[1]) == [-2]


# Rebuild -------------------------------------------------------------------------------------------


def _admission(person: UUID, number: int, ends_ms: int) -> Admission:
    return Admission(person, number, number, 1, 10, ends_ms, _START_MS - 1_000)


async def test_a_rebuild_keeps_admissions(stand: Stand) -> None:
    one, two = uuid4(), uuid4()
    admissions = [
        _admission(one, 1, stand.now_ms + 1_000),
        _admission(two, 2, stand.now_ms + 1_000_000),
    ]
    stand.set(joined=2, called=2)
    await stand.make(admissions)
    assert (await stand.tick()).inside == 2
    assert await stand.numbers(one, two) == [-1, -2]
    stand.now_ms += 1_000
    assert [(one.number, one.reason) for one in (await stand.tick()).exits] == [(1, "time")]
    stand.now_ms += 1_000 * _GRACE_S
    assert [(one.number, one.reason) for one in (await stand.tick()).exits][1:] == [(2, "silent")]


async def test_a_rebuild_removes_the_old_state(stand: Stand) -> None:
    await stand.call(3, cap=2)
    await stand.enter(1)
    await stand.make()
    assert await stand.numbers(stand.people[2]) == [1]
    tick = await stand.tick(is_open=False)
    assert (tick.inside, tick.pending, tick.called) == (0, 0, 0)


async def test_a_rebuild_is_usable_after_its_last_part(stand: Stand) -> None:
    asked = []

    async def meanwhile() -> AsyncIterator[IssuedNumbers]:
        with pytest.raises(QueueStateLost):
            await stand.join(1)
        asked.append(True)
        yield IssuedNumbers([3], uuid4().bytes)

    await stand.make(places=meanwhile())
    await stand.join(1)
    assert asked


async def test_a_part_after_a_loss_builds_nothing(stand: Stand) -> None:
    async def lost() -> AsyncIterator[IssuedNumbers]:
        await stand.valkey.command("DEL", *keys_of(stand.room.schedule_id))
        none: tuple[IssuedNumbers, ...] = ()
        for one in none:
            yield one

    with pytest.raises(QueueStateLost):
        await stand.make(places=lost())
    with pytest.raises(QueueStateLost):
        await stand.tick()


async def test_numbers_are_restored_into_a_running_rebuild_only(
    stand: Stand,
) -> None:
    async def lost() -> AsyncIterator[IssuedNumbers]:
        await stand.valkey.command("DEL", *keys_of(stand.room.schedule_id))
        yield IssuedNumbers([1], uuid4().bytes)

    with pytest.raises(QueueStateLost):
        await stand.make(places=lost())
    assert await stand.valkey.command("EXISTS", *keys_of(stand.room.schedule_id)) == 0


async def test_the_first_recorded_number_stays(stand: Stand) -> None:
    person = uuid4()

    async def places() -> AsyncIterator[IssuedNumbers]:
        yield IssuedNumbers([2, 5], _accounts(person, person))
        yield IssuedNumbers([7], _accounts(person))

    stand.set(joined=9)
    await stand.make(places=places())
    assert await stand.numbers(person) == [-2]
