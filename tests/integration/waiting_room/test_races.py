"""Races: a changed cap during calls, a returning leader, late admissions."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from boxoffice.errors import Overloaded, QueueRoomLimit, QueueTicketExpired
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.queue_state import TicketHolder, keys_of
from boxoffice.waiting_room.rules import Mode, PositionState, WaitingRoomChange
from tests.integration.waiting_room.conftest import MakePod, Queue, build_pod, close_pod
from tests.support.hall import open_hall
from tests.support.members import member


async def lose(queue: Queue) -> None:
    """Delete this queue in Valkey."""
    await queue.pod.valkey.command("DEL", *keys_of(queue.schedule_id))


async def test_an_earlier_call_is_admitted_after_a_raised_cap(
    queue: Queue,
) -> None:
    await queue.set(inside_max=2)
    early = [await queue.join() for _ in range(2)]
    await queue.tick(seconds=1)
    await queue.set(inside_max=5)
    late = [await queue.join() for _ in range(3)]
    await queue.tick(seconds=1)

    said = [await queue.ask(person) for person in [*late, *early]]
    assert [one.state for one in said] == [PositionState.ADMITTED] * 5


async def test_a_returning_leader_records_every_exit(queue: Queue, make_pod: MakePod) -> None:
    first = await queue.join()
    await queue.tick(seconds=1)
    assert (await queue.ask(first)).state is PositionState.ADMITTED
    await queue.leave(first)
    await queue.tick()

    other = await make_pod()
    await queue.pod.lease.release()
    await other.refresh(queue.schedule_id)
    await lose(queue)
    await other.tick(queue.schedule_id, 3)
    await queue.pod.refresh(queue.schedule_id)
    second = await queue.join()
    queue.clock.pass_(1)
    await other.tick(queue.schedule_id)
    await queue.pod.refresh(queue.schedule_id)
    assert (await queue.ask(second)).state is PositionState.ADMITTED
    await queue.leave(second)

    await other.lease.release()
    await queue.tick(2)
    open_ones = await queue.pod.db.fetch(
        "SELECT number FROM queue_admissions WHERE ended_at IS NULL"
    )
    assert open_ones == []


async def test_a_replaced_leader_on_an_empty_server_issues_no_number_twice(
    queue: Queue, make_pod: MakePod
) -> None:
    paused = queue.pod
    begun, token = queue.known, paused.lease.token
    assert token is not None
    other = await make_pod()
    await paused.lease.release()
    await other.refresh(queue.schedule_id)
    await lose(queue)
    await other.tick(queue.schedule_id, 3)
    given = [await queue.join(pod=other) for _ in range(3)]
    numbers = {(await queue.ask(one, other)).number for one in given}
    await other.tick(queue.schedule_id)

    await lose(queue)
    # The progress at its stop: the state of a past epoch.
    stale = msgspec.structs.replace(begun, joined=begun.numbers_to - 1)
    await paused.queue_state.rebuild(stale, token, int(queue.clock() * 1000), [], [])
    await other.tick(queue.schedule_id, 3)
    newcomers = [await queue.join(pod=other) for _ in range(5)]
    assert numbers.isdisjoint([(await queue.ask(one, other)).number for one in newcomers])


async def test_an_admission_of_a_past_epoch_is_not_inside(queue: Queue) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    ticket = queue.pod.tickets.read_ticket(queue.tickets[person], queue.schedule_id)
    holder = TicketHolder(person, ticket.number, ticket.number, ticket.epoch)
    said = await queue.pod.queue_state.enter(queue.known, int(queue.clock() * 1000), [holder])
    admission = said.replies[0].admission
    assert admission is not None
    await lose(queue)
    await queue.tick(3, seconds=1)

    # The admitting process was stopped until now.
    late = queue.schedule_id, said.epoch, said.called, said.now_ms, [admission]
    assert await queue.pod.store.admit(*late) is None
    assert await queue.pod.store.admissions(queue.schedule_id, said.now_ms) == []
    assert (await queue.ask(person)).state is PositionState.ADMITTED


async def test_a_ticket_of_a_lost_epoch_waits_for_the_record_of_exits(
    queue: Queue,
) -> None:
    person = await queue.join()
    old_ticket = queue.tickets[person]
    await queue.tick(seconds=1)
    assert (await queue.ask(person)).state is PositionState.ADMITTED
    await lose(queue)
    await queue.tick(3, seconds=1)
    assert (await queue.ask(person)).state is PositionState.ADMITTED
    queue.clock.pass_(1)
    await queue.leave(person)

    queue.tickets[person] = old_ticket
    with pytest.raises(QueueTicketExpired):
        await queue.ask(person)


async def test_no_more_rooms_are_opened_than_processes_cache(
    queue: Queue, db: Database, settings: Settings
) -> None:
    settings = settings.replace(queue_rooms_max=1)
    pod = await build_pod(settings, queue.clock, {})
    other = await open_hall(db, seats=4, people=2)
    try:
        with pytest.raises(Overloaded):
            await pod.room.configure(
                member(other.schedule_id), other.schedule_id, WaitingRoomChange(mode=Mode.FIFO)
            )
        await queue.set(mode=Mode.OFF)
        await pod.room.configure(
            member(other.schedule_id), other.schedule_id, WaitingRoomChange(mode=Mode.FIFO)
        )
        assert pod.rooms.by_schedule.get(other.schedule_id) is not None
    finally:
        await close_pod(pod)


async def test_an_organizer_leaves_rooms_for_the_others(
    queue: Queue, db: Database, settings: Settings
) -> None:
    settings = settings.replace(queue_rooms_per_organizer_max=1)
    pod = await build_pod(settings, queue.clock, {})
    mine, theirs = [await open_hall(db, seats=1, people=1) for _ in range(2)]
    await db.fetch(
        "UPDATE concerts SET organization_id = $1 WHERE concert_id = $2",
        queue.organizer_id,
        mine.schedule_id,
    )
    change = WaitingRoomChange(mode=Mode.FIFO)
    try:
        with pytest.raises(QueueRoomLimit):
            await pod.room.configure(member(queue.organizer_id), mine.schedule_id, change)
        # An open room may be changed, and other organizers open theirs.
        await pod.room.configure(member(queue.organizer_id), queue.schedule_id, change)
        await pod.room.configure(member(theirs.schedule_id), theirs.schedule_id, change)
        await queue.set(mode=Mode.OFF)
        racing = await asyncio.gather(
            pod.room.configure(member(queue.organizer_id), mine.schedule_id, change),
            pod.room.configure(member(queue.organizer_id), queue.schedule_id, change),
            return_exceptions=True,
        )
        assert sum(isinstance(one, QueueRoomLimit) for one in racing) == 1
    finally:
        await close_pod(pod)


async def test_a_room_whose_performance_was_days_ago_takes_no_other_rooms_place(
    queue: Queue, db: Database
) -> None:
    async with db.writing() as connection:
        await connection.execute(
            "UPDATE schedules SET starts_at = clock_timestamp() - interval '2 days',"
            " sale_opens_at = clock_timestamp() - interval '3 days',"
            " sale_closes_at = NULL WHERE schedule_id = $1",
            queue.schedule_id,
        )
    await queue.pod.rooms.refresh()
    assert queue.pod.rooms.by_schedule.get(queue.schedule_id) is None


async def test_a_second_join_keeps_its_place_after_a_loss(
    queue: Queue,
) -> None:
    await queue.set(inside_max=1)
    person = await queue.join()
    await queue.tick(seconds=1)
    assert (await queue.ask(person)).state is PositionState.ADMITTED
    await queue.leave(person)
    other = await queue.join()
    await queue.tick(2, seconds=1)
    assert (await queue.ask(other)).state is PositionState.ADMITTED
    await queue.join(person)
    number = (await queue.ask(person)).number
    await queue.pod.join_writer.flush()

    await lose(queue)
    await queue.tick(2)
    again = await queue.ask(person)
    assert (again.state, again.number) == (PositionState.WAITING, number)
    assert (await queue.ask(person)).number == number


async def test_a_long_rebuild_is_not_taken_over(
    queue: Queue, make_pod: MakePod, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    pack_joins = queue.pod.store.pack_joins
    begun = asyncio.Event()

    async def slow_joins(schedule_id: UUID, *limits: int) -> int:
        begun.set()
        await asyncio.sleep(1.5 * settings.waiting_room.queue_lease_ms / 1000)
        return await pack_joins(schedule_id, *limits)

    monkeypatch.setattr(queue.pod.store, "pack_joins", slow_joins)
    await lose(queue)
    tick = asyncio.create_task(queue.pod.leader.tick())
    await begun.wait()
    led = []
    while not tick.done():
        led.append(await other.leader.tick())
        await asyncio.sleep(0.05)
    assert led
    assert not any(led)
    await queue.tick()
    assert queue.known.epoch == 2
