"""The checks of the waiting room in Python, one by one."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.errors import (
    QueuePassRequired,
    QueueTicketExpired,
    QueueTicketInvalid,
    TokenInvalid,
    Unavailable,
)
from boxoffice.platform.signing import KeyRing, SigningKey
from boxoffice.settings import Settings
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.engine import leader, restorer
from boxoffice.waiting_room.engine.queue_state import (
    Admission,
    IssuedNumbers,
    TicketHolder,
    key_of,
    keys_of,
)
from boxoffice.waiting_room.handlers import (
    SPENT,
    UNKNOWN,
    EnterResult,
    _newly_issued,
    _result_by_record,
)
from boxoffice.waiting_room.join_writer import _WAITING_MAX
from boxoffice.waiting_room.queue_tickets import QueueTicketSigner
from boxoffice.waiting_room.rules import Gap, Mode, PositionState
from boxoffice.waiting_room.store import AdmissionRecord
from tests.integration.waiting_room.conftest import SECRET, START_S, Clock, Queue
from tests.support.waiting import until
from tests.unit.waiting_room.test_queue_rules import NOW, ROOM


async def _lose(queue: Queue) -> None:
    await queue.pod.valkey.command("DEL", *keys_of(queue.schedule_id))


# Leadership ----------------------------------------------------------------------------------------


async def test_a_replaced_leader_acquires_the_lease_anew(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fenced(*_: Any) -> None:
        return None

    await queue.join()
    monkeypatch.setattr(queue.pod.store, "checkpoint", fenced)
    await queue.pod.leader.tick()
    assert queue.pod.lease._token is None
    monkeypatch.undo()
    await queue.pod.leader.tick()
    assert queue.pod.lease._token is not None


async def test_a_replaced_leader_rebuilds_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fenced(*_: Any) -> bool:
        return False

    await _lose(queue)
    monkeypatch.setattr(queue.pod.store, "begin_epoch", fenced)
    await queue.pod.leader.tick()
    assert await queue.pod.queue_state.counters(queue.schedule_id) is None
    monkeypatch.undo()
    await queue.pod.leader.tick()
    assert await queue.pod.queue_state.counters(queue.schedule_id) is not None


async def test_no_calls_before_vacant_places_are_sent(queue: Queue) -> None:
    for _ in range(3):
        await queue.join()
    queue.pod.leader._progress[queue.schedule_id].vacant = [1, 2]
    await queue.tick(seconds=1)
    assert queue.pod.rooms.counters(queue.schedule_id).called == 0
    await queue.tick(seconds=1)
    assert queue.pod.rooms.counters(queue.schedule_id).called == 3


@pytest.mark.parametrize("mode", [Mode.LOBBY, Mode.FIFO])
async def test_a_rebuilt_lobby_keeps_every_user(queue: Queue, mode: Mode) -> None:
    """Negative control: without a draw the gap consists of vacant places."""
    await queue.set(mode=mode, opens_at=START_S + 100)
    await queue.join()
    await queue.tick()
    await _lose(queue)
    await queue.tick()
    vacant = await queue.pod.valkey.command("BITCOUNT", key_of(queue.schedule_id, "vacant"))
    assert (vacant == 0) is (mode is Mode.LOBBY)


# Joins ---------------------------------------------------------------------------------------------


async def test_no_user_joins_without_a_number(queue: Queue) -> None:
    await queue.pod.valkey.command("HSET", keys_of(queue.schedule_id)[0], "limit", 0)
    with pytest.raises(Unavailable):
        await queue.join()
    await queue.tick()
    await queue.join()


def test_only_new_numbers_are_recorded() -> None:
    one, two, three = (bytes([at]) * 16 for at in range(3))
    assert _newly_issued([1, 2], one + two) == IssuedNumbers([1, 2], one + two)
    assert _newly_issued([-1, 2, 0], one + two + three) == IssuedNumbers([2], two)


async def test_the_join_writer_is_bounded(queue: Queue) -> None:
    join_writer = queue.pod.join_writer
    join_writer.add(queue.schedule_id, IssuedNumbers(list(range(_WAITING_MAX + 1)), b""))
    join_writer.add(queue.schedule_id, IssuedNumbers([1], b"a" * 16))
    assert join_writer._count == 1


async def test_spent_numbers_are_not_restored(queue: Queue) -> None:
    people = [await queue.join() for _ in range(3)]
    await queue.tick(seconds=1)
    assert (await queue.ask(people[1])).state is PositionState.ADMITTED
    await queue.leave(people[1])
    await queue.tick()
    await queue.pod.join_writer.flush()
    await _lose(queue)
    await queue.tick()
    assert queue.known.epoch == 2
    for person in people:
        await queue.join(person)
    numbers = [(await queue.ask(person)).number for person in people]
    assert numbers[::2] == [1, 3]
    assert numbers[1] > 3


async def test_numbers_are_packed_while_they_are_recorded(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two packs and a rest: after a loss each user has the place that was recorded."""
    monkeypatch.setattr(leader, "PACK_NUMBERS", 2)
    monkeypatch.setattr(restorer, "PACK_NUMBERS", 2)
    monkeypatch.setattr(restorer, "_NUMBERS_AT_ONCE", 1_000)
    db, people = queue.pod.db, []
    for size in (2, 2, 1):
        people += [await queue.join() for _ in range(size)]
        await queue.pod.join_writer.flush()
        await queue.tick()

        async def is_packed(packs: int = len(people) // 2) -> bool:
            (row,) = await db.fetch("SELECT count(DISTINCT pack_id) AS n FROM queue_packs")
            return bool(row["n"] == packs)

        await until(is_packed)
    await _lose(queue)
    await queue.tick()
    for person in people:
        await queue.join(person)
    assert [(await queue.ask(person)).number for person in people] == [1, 2, 3, 4, 5]
    newcomer = await queue.join()
    assert (await queue.ask(newcomer)).number > 5


async def test_a_rebuild_waits_for_a_packing_in_progress(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It locks the rows that the rebuild is to pack."""
    monkeypatch.setattr(leader, "PACK_NUMBERS", 2)
    monkeypatch.setattr(restorer, "PACK_NUMBERS", 2)
    pack, release, at_least = queue.pod.store.pack_joins, asyncio.Event(), []

    async def slow(schedule_id: UUID, at_most: int, least: int) -> int:
        if least == 2:
            await release.wait()
        at_least.append(least)
        return await pack(schedule_id, at_most, least)

    monkeypatch.setattr(queue.pod.store, "pack_joins", slow)
    people = [await queue.join() for _ in range(3)]
    await queue.pod.join_writer.flush()
    await queue.tick()
    await _lose(queue)
    rebuilding = asyncio.create_task(queue.tick())

    async def has_begun() -> bool:
        state = key_of(queue.schedule_id, "state")
        return bool(await queue.pod.valkey.command("EXISTS", state))

    await until(has_begun)
    release.set()
    await rebuilding
    assert at_least[0] == 2
    for person in people:
        await queue.join(person)
    assert [(await queue.ask(person)).number for person in people] == [1, 2, 3]


async def test_a_slow_server_packs_fewer(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def slow(_schedule_id: UUID, at_most: int, _at_least: int) -> int:
        asked.append(at_most)
        if at_most > 100_000:
            raise Unavailable("as if it took too long")
        return 0

    await queue.join()
    monkeypatch.setattr(queue.pod.store, "pack_joins", slow)
    await _lose(queue)
    await queue.tick(3)
    assert asked == [250_000, 125_000, 62_500]
    await queue.join()


# Admissions ----------------------------------------------------------------------------------------


def _admission(queue: Queue, number: int) -> Admission:
    """An admission of now."""
    now_ms = int(queue.clock() * 1000)
    return Admission(uuid4(), number, number, 1, 10, now_ms + 600_000, now_ms)


async def test_a_past_epoch_admits_no_user(queue: Queue) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    token = await queue.pod.lease.keep() or 0
    assert await queue.pod.store.begin_epoch(queue.schedule_id, token, 10)
    assert (await queue.ask(person)).state is PositionState.WAITING
    await queue.tick(3, seconds=1)
    assert (await queue.ask(person)).state is PositionState.ADMITTED


async def test_a_number_admitted_for_another_user_is_spent(queue: Queue) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    now_ms = int(queue.clock() * 1000)
    other = _admission(queue, 1)
    assert await queue.pod.store.admit(queue.schedule_id, 1, 9, now_ms, [other])
    with pytest.raises(QueueTicketExpired):
        await queue.ask(person)
    await queue.tick()
    assert queue.pod.rooms.counters(queue.schedule_id).inside == 0


def test_without_valkey_the_record_decides() -> None:
    holder = TicketHolder(uuid4(), 7, 7, 1)
    inside = AdmissionRecord(is_theirs=True, is_out=False, leaves_at=NOW + 100)
    assert _result_by_record(ROOM, holder, inside, NOW) == EnterResult(
        "inside", 7, NOW + 60, NOW + 100
    )
    assert _result_by_record(ROOM, holder, inside, NOW + 70).pass_ends_at == NOW + 100
    assert _result_by_record(ROOM, holder, inside, NOW + 100) == SPENT
    assert _result_by_record(ROOM, holder, inside._replace(is_out=True), NOW) == SPENT
    assert _result_by_record(ROOM, holder, None, NOW) == UNKNOWN


# Caches --------------------------------------------------------------------------------------------


async def test_counters_of_an_earlier_epoch_are_ignored(queue: Queue) -> None:
    await queue.join()
    token = await queue.pod.lease.keep() or 0
    assert await queue.pod.store.begin_epoch(queue.schedule_id, token, 10)
    await queue.pod.refresh(queue.schedule_id)
    assert queue.pod.rooms.counters(queue.schedule_id).joined == 0
    await queue.tick(2)
    assert queue.pod.rooms.counters(queue.schedule_id).joined > 0


async def test_a_known_call_is_not_taken_back(queue: Queue) -> None:
    queue.pod.rooms.update_called(queue.schedule_id, 50)
    await queue.pod.refresh(queue.schedule_id)
    assert queue.pod.rooms.counters(queue.schedule_id).called == 50


def test_possibly_vacant_places() -> None:
    room = msgspec.structs.replace(ROOM, gaps=(Gap(2, 6), Gap(9, 10)), called=3)
    assert list(rules.vacant_places(room, {5})) == [4, 6, 10]


# Tickets and passes --------------------------------------------------------------------------------


async def _tickets(
    clock: Clock, key_until: float | None = None
) -> tuple[TokenAuthority, QueueTicketSigner]:
    async def load() -> list[SigningKey]:
        return [SigningKey(kid="k1", secret=SECRET, created_at=0.0, verifies_until=key_until)]

    sealer = TokenAuthority(Settings().accounts, load, clock)
    await sealer.refresh()
    return sealer, QueueTicketSigner(sealer.keys, clock, ticket_ttl_s=100, cached_max=2)


async def test_a_ticket_is_for_one_schedule(clock: Clock) -> None:
    _, tickets = await _tickets(clock)
    here, there = uuid4(), uuid4()
    ticket = tickets.issue_ticket(here, uuid4(), 1, 7)
    for _ in range(2):
        with pytest.raises(QueueTicketInvalid):
            tickets.read_ticket(ticket, there)
        assert tickets.read_ticket(ticket, here).number == 7


async def test_a_pass_ends_with_its_key(clock: Clock) -> None:
    _, tickets = await _tickets(clock, clock() + 50)
    here, person = uuid4(), uuid4()
    good_pass = tickets.issue_pass(here, person, 7, clock() + 80)
    clock.pass_(49)
    assert tickets.read_pass(good_pass, here, person).number == 7
    clock.pass_(1)
    with pytest.raises(QueuePassRequired):
        tickets.read_pass(good_pass, here, person)


@pytest.mark.parametrize("key_until", [None, START_S])
async def test_tickets_and_passes_that_are_known_end_with_their_key(
    clock: Clock, key_until: float | None
) -> None:
    """The key is deleted, as after a leak, or its end is set later."""
    rows = [SigningKey(kid="k1", secret=SECRET, created_at=0.0, verifies_until=None)]

    async def load() -> list[SigningKey]:
        return list(rows)

    ring = KeyRing(load, clock, 15.0)
    await ring.refresh()
    tickets = QueueTicketSigner(ring, clock, ticket_ttl_s=100, cached_max=2)
    here, person = uuid4(), uuid4()
    ticket = tickets.issue_ticket(here, person, 1, 7)
    good_pass = tickets.issue_pass(here, person, 7, clock() + 80)
    assert tickets.read_ticket(ticket, here).number == 7
    assert tickets.read_pass(good_pass, here, person).number == 7
    if key_until is None:
        rows.clear()
    else:
        rows[0] = msgspec.structs.replace(rows[0], verifies_until=key_until)
    await ring.refresh()
    with pytest.raises(QueueTicketInvalid):
        tickets.read_ticket(ticket, here)
    with pytest.raises(QueuePassRequired):
        tickets.read_pass(good_pass, here, person)


async def test_a_pass_is_for_one_person_in_one_schedule(clock: Clock) -> None:
    sealer, tickets = await _tickets(clock)
    here, person = uuid4(), uuid4()
    good_pass = tickets.issue_pass(here, person, 7, clock() + 10)
    for schedule_id, user_id in ((uuid4(), person), (here, uuid4())):
        with pytest.raises(QueuePassRequired):
            tickets.read_pass(good_pass, schedule_id, user_id)
    assert tickets.read_pass(good_pass, here, person).number == 7
    sealer.keys.unseal(b"boxoffice.waiting_room.pass", good_pass)
    with pytest.raises(TokenInvalid):
        sealer.keys.unseal(b"boxoffice.waiting_room.pass", tickets.issue_ticket(here, person, 1, 7))


async def test_what_is_remembered_of_tickets_is_bounded(clock: Clock) -> None:
    _, tickets = await _tickets(clock)
    here = uuid4()
    for number in range(5):
        tickets.read_ticket(tickets.issue_ticket(here, uuid4(), 1, number), here)
    assert len(tickets._tickets) == 2


async def test_a_hold_needs_an_own_pass(queue: Queue) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    own = (await queue.ask(person)).queue_pass
    surely, check = queue.pod.room.may_hold_by_cache, queue.pod.room.may_hold
    for user_id, text in ((person, None), (person, queue.tickets[person]), (uuid4(), own)):
        assert not surely(queue.schedule_id, user_id, text)
        with pytest.raises(QueuePassRequired):
            await check(queue.schedule_id, user_id, text)
    assert surely(queue.schedule_id, person, own)
    assert await check(queue.schedule_id, person, own)
    queue.clock.pass_(60)
    await queue.pod.rooms.refresh()
    assert not surely(queue.schedule_id, person, own)
    assert not await check(queue.schedule_id, person, own)
