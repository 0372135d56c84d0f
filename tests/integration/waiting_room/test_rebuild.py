"""Valkey loses the queue: flushed, killed, or restored with older data. No user loses their place."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
import structlog

from boxoffice.errors import QueueTicketExpired, Unavailable
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.waiting_room.engine.queue_state import LeaderFenced, TickCommand, keys_of
from boxoffice.waiting_room.rules import PositionState
from tests.integration.waiting_room.conftest import MakePod, Queue
from tests.support.waiting import until


async def _empty(queue: Queue) -> None:
    await queue.pod.valkey.command("DEL", *keys_of(queue.schedule_id))


async def _snapshot(queue: Queue) -> dict[str, Any]:
    found = {}
    for key in keys_of(queue.schedule_id):
        found[key] = await queue.pod.valkey.command("DUMP", key)
    return found


async def _restore(queue: Queue, snapshot: dict[str, Any], run: str | None) -> None:
    """Restore older data, as a killed server does; `run` is the server's identity."""
    await _empty(queue)
    for key, value in snapshot.items():
        if value is not None:
            await queue.pod.valkey.command("RESTORE", key, 0, value)
    if run is not None:
        await queue.pod.valkey.command("HSET", keys_of(queue.schedule_id)[0], "run", run)


async def test_no_joins_or_admissions_before_the_rebuild(queue: Queue) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    await _empty(queue)
    with pytest.raises(Unavailable):
        await queue.join()
    said = await queue.ask(person)
    assert (said.state, said.position) == (PositionState.WAITING, 1)
    await queue.tick()
    await queue.join()


async def test_places_are_kept_and_newcomers_are_behind(queue: Queue) -> None:
    await queue.set(inside_max=3)
    people = [await queue.join() for _ in range(8)]
    await queue.tick(seconds=1)
    inside = [await queue.ask(person) for person in people[:3]]
    await queue.tick()

    await _empty(queue)
    # Admitted users get the next pass by the record; no user is admitted.
    again = [await queue.ask(person) for person in people[:3]]
    assert [one.state for one in again] == [PositionState.ADMITTED] * 3
    assert [one.leaves_at for one in again] == [one.leaves_at for one in inside]
    await queue.tick()
    assert queue.known.epoch == 2

    newcomer = await queue.join()
    said = [await queue.ask(person) for person in [*people[3:], newcomer]]
    assert [one.position for one in said] == [1, 2, 3, 4, 5, 6]
    assert [(await queue.ask(person)).state for person in people[:3]] == [
        PositionState.ADMITTED
    ] * 3
    await queue.tick(2, seconds=1)
    assert queue.pod.rooms.counters(queue.schedule_id).inside == 3

    for person in people[:3]:
        await queue.leave(person)
    await queue.tick(3, seconds=1)
    said = [await queue.ask(person) for person in people[3:]]
    assert [one.state for one in said] == [PositionState.ADMITTED] * 3 + [PositionState.WAITING] * 2


async def test_a_number_is_admitted_once_whatever_valkey_has_lost(queue: Queue) -> None:
    first = await queue.join()
    await queue.tick(seconds=1)
    await queue.ask(first)
    await queue.leave(first)
    await queue.tick()
    await _empty(queue)
    await queue.tick(2, seconds=1)
    with pytest.raises(QueueTicketExpired):
        await queue.ask(first)
    await queue.join(first)
    await queue.tick(2, seconds=1)
    assert (await queue.ask(first)).state is PositionState.ADMITTED


async def test_an_account_with_two_numbers_has_the_better_one(queue: Queue) -> None:
    await queue.set(inside_max=1)
    _, person, other = [await queue.join() for _ in range(3)]
    old = queue.tickets[person]
    await queue.tick(seconds=1)
    await _empty(queue)
    await queue.tick()
    await queue.join(person)
    new = queue.tickets[person]
    assert new != old
    queue.tickets[person] = old
    assert (await queue.ask(person)).position == 1
    queue.tickets[person] = new
    await queue.set(inside_max=100)
    await queue.tick(3, seconds=1)
    assert (await queue.ask(other)).state is PositionState.ADMITTED
    said = await queue.ask(person)
    assert said.number == 2
    said = await queue.ask(person)
    assert (said.state, said.number) == (PositionState.ADMITTED, 2)
    rows = await queue.pod.db.fetch(
        "SELECT count(*) AS n FROM queue_admissions WHERE user_id = $1", person
    )
    assert rows[0]["n"] == 1


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_user_without_a_ticket_gets_the_recorded_place(
    queue: Queue, is_written: bool
) -> None:
    """Negative control: without the record, a user without a ticket starts at the end."""
    person = await queue.join()
    await queue.join()
    if is_written:
        await queue.pod.join_writer.flush()
    await _empty(queue)
    await queue.tick()
    del queue.tickets[person]
    await queue.join(person)
    number = (await queue.ask(person)).number
    assert (number == 1) is is_written
    assert await queue.join(person) == person
    assert (await queue.ask(person)).number == number


async def test_a_join_whose_answer_is_late_is_repeated_and_recorded(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    join, calls = queue.pod.queue_state.join, []

    async def late(schedule_id: UUID, accounts: bytes) -> Any:
        calls.append(accounts)
        found = await join(schedule_id, accounts)
        if len(calls) != 2:
            raise ValkeyUnavailable("as if the event loop had stalled")
        return found

    monkeypatch.setattr(queue.pod.queue_state, "join", late)
    person = await queue.join()
    assert calls == [person.bytes] * 2
    # Negative control: of a call that fails twice no number is known.
    with pytest.raises(Unavailable):
        await queue.join()
    await queue.pod.join_writer.flush()
    rows = await queue.pod.db.fetch("SELECT numbers, accounts FROM queue_joins")
    assert [(row["numbers"], row["accounts"]) for row in rows] == [([1], person.bytes)]


async def test_a_rebuild_repeats_a_call_that_was_late(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await queue.join() for _ in range(4)]
    await queue.pod.join_writer.flush()
    await _empty(queue)
    restore, calls = queue.pod.queue_state.restore, []

    async def late(*args: Any) -> None:
        calls.append(args)
        await restore(*args)
        if len(calls) <= 2:
            raise ValkeyUnavailable("as if the event loop had stalled")

    monkeypatch.setattr(queue.pod.queue_state, "restore", late)
    await queue.tick()
    assert calls == [calls[0]] * 3
    assert queue.known.epoch == 2
    for person in people:
        await queue.join(person)
    assert [(await queue.ask(person)).number for person in people] == [1, 2, 3, 4]


async def test_the_join_writer_keeps_what_it_could_not_write(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    join_writer = queue.pod.join_writer
    person = await queue.join()

    async def away(*_: Any) -> None:
        raise Unavailable("as if it had gone")

    monkeypatch.setattr(queue.pod.store, "record_joins", away)
    with pytest.raises(Unavailable):
        await join_writer.flush()
    monkeypatch.undo()
    await queue.join(person)
    await join_writer.flush()
    await join_writer.flush()
    rows = await queue.pod.db.fetch("SELECT numbers, accounts FROM queue_joins")
    assert [(row["numbers"], row["accounts"]) for row in rows] == [([1], person.bytes)]


async def test_a_stopping_process_waits_for_a_running_write(queue: Queue) -> None:
    join_writer, db = queue.pod.join_writer, queue.pod.db
    person = await queue.join()
    writer = asyncio.create_task(join_writer.run())

    async def drain() -> None:
        await join_writer.flush()
        writer.cancel()

    async def is_stuck() -> bool:
        locks = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'queue_joins'::regclass"
        return bool(await db.fetch(locks))

    async with db.transaction() as stranger:
        await stranger.execute("LOCK TABLE queue_joins IN EXCLUSIVE MODE")
        await until(is_stuck)
        draining = asyncio.create_task(drain())
        # Without waiting it would return before the running write.
        await asyncio.wait([draining], timeout=0.3)
    await draining
    await asyncio.wait([writer])
    rows = await db.fetch("SELECT numbers, accounts FROM queue_joins")
    assert [(row["numbers"], row["accounts"]) for row in rows] == [([1], person.bytes)]


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_older_data_gives_no_number_twice(queue: Queue, is_guarded: bool) -> None:
    """Negative control: without the server's identity, issued numbers are issued again."""
    first = await queue.join()
    await queue.tick()
    snapshot = await _snapshot(queue)
    second = await queue.join()
    await queue.tick()
    await _restore(queue, snapshot, "another" if is_guarded else None)
    if is_guarded:
        with pytest.raises(Unavailable):
            await queue.join()
        await queue.tick()
    third = await queue.join()
    numbers = [(await queue.ask(person)).number for person in (first, second, third)]
    assert (len(set(numbers)) == 3) is is_guarded
    assert numbers[:2] == [1, 2]


async def test_an_interrupted_rebuild_begins_no_second_epoch(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.join()
    await queue.tick()
    await _empty(queue)

    async def broken(*_: Any) -> None:
        raise ValkeyUnavailable("as if it had gone again")

    monkeypatch.setattr(queue.pod.queue_state, "rebuild", broken)
    await queue.tick(3)
    monkeypatch.undo()
    await queue.tick()
    assert queue.known.epoch == 2
    await queue.join()


async def test_a_poll_during_a_rebuild_keeps_a_number_that_only_its_ticket_knows(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.set(inside_max=1)
    person = await queue.join()
    await queue.tick()
    # Its process dies before it records the number.
    await _empty(queue)

    async def broken(*_: Any) -> None:
        raise ValkeyUnavailable("as if the rebuild took a while")

    monkeypatch.setattr(queue.pod.queue_state, "rebuild", broken)
    await queue.tick()
    assert queue.known.epoch == 2
    said = await queue.ask(person)
    assert (said.state, said.epoch) == (PositionState.WAITING, 1)
    monkeypatch.undo()
    await queue.tick(3, seconds=2)
    said = await queue.ask(person)
    assert (said.state, said.epoch) == (PositionState.ADMITTED, 2)


async def test_a_leader_that_was_replaced_can_do_nothing(queue: Queue, make_pod: MakePod) -> None:
    token = await queue.pod.lease.keep() or 0
    await queue.pod.lease.release()
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    assert await other.leader.tick()
    command = TickCommand(
        token=token, now_ms=int(queue.clock() * 1000), is_open=True, allowed=10,
        numbers_to=queue.known.numbers_to, recorded=0, rate_per_s=None, is_sold_out=False,
    )  # fmt: skip
    with pytest.raises(LeaderFenced):
        await queue.pod.queue_state.tick(queue.known, command)
    with pytest.raises(LeaderFenced):
        await queue.pod.queue_state.rebuild(queue.known, token, 0, [], [])
    assert await queue.pod.store.checkpoint(queue.schedule_id, token, 0, 0, 10**6) is None
    assert not await queue.pod.store.begin_epoch(queue.schedule_id, token, 10)
    # Negative control: the later token is accepted.
    later = await other.lease.keep() or 0
    assert later > token
    await other.queue_state.tick(queue.known, command._replace(token=later))
    assert await other.store.checkpoint(queue.schedule_id, later, 0, 0, 10) is not None


async def test_another_leader_takes_over_where_the_first_one_died(
    queue: Queue, make_pod: MakePod
) -> None:
    person = await queue.join()
    await queue.pod.leader.tick()
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    assert not await other.leader.tick()
    until = asyncio.get_running_loop().time() + 20
    while not await other.leader.tick():
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.05)
    queue.clock.pass_(1)
    await other.leader.tick()
    await other.refresh(queue.schedule_id)
    assert (await queue.ask(person, other)).state is PositionState.ADMITTED


async def test_a_lost_answer_of_a_tick_releases_nothing_twice(queue: Queue) -> None:
    """Exits are released by their count since the rebuild, however often a tick is repeated."""
    await queue.set(inside_max=2)
    people = [await queue.join() for _ in range(6)]
    await queue.tick(seconds=1)
    for person in people[:2]:
        await queue.ask(person)
    await queue.leave(people[0])
    await queue.tick()
    token = await queue.pod.lease.keep() or 0
    command = TickCommand(
        token=token, now_ms=int(queue.clock() * 1000), is_open=False, allowed=0,
        numbers_to=queue.known.numbers_to, recorded=1, rate_per_s=None, is_sold_out=False,
    )  # fmt: skip
    await queue.pod.queue_state.tick(queue.known, command)
    await queue.leave(people[1])
    ticks = [await queue.pod.queue_state.tick(queue.known, command) for _ in range(3)]
    assert [len(tick.exits) for tick in ticks] == [1, 1, 1]


async def test_an_outage_is_logged_once_and_not_per_tick(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise ValkeyUnavailable

    monkeypatch.setattr(queue.pod.queue_state, "tick", away)
    with structlog.testing.capture_logs() as logs:
        await queue.tick(10)
        said = [entry for entry in logs if entry["event"] == "waiting_room_tick_failed"]
        assert len(said) == 1
        assert said[0]["error"] == "ValkeyUnavailable()"
        await queue.tick(1, seconds=6)
    assert len([entry for entry in logs if entry["event"] == "waiting_room_tick_failed"]) == 2
