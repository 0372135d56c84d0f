"""Joins, waits, admissions and exits, on a real Valkey and PostgreSQL."""

import asyncio
from uuid import uuid4

import pytest

from boxoffice.errors import QueueClosed, QueueTicketExpired
from boxoffice.platform.concurrency.background import Background
from boxoffice.waiting_room.departures import PaidExits
from boxoffice.waiting_room.rules import Notice, PositionState
from tests.integration.waiting_room.conftest import START_S, MakePod, Queue


async def test_users_are_admitted_in_order_of_arrival_up_to_the_cap(queue: Queue) -> None:
    people = [await queue.join() for _ in range(15)]
    await queue.tick(seconds=1)

    said = [await queue.ask(person) for person in people]
    assert [one.state for one in said] == [PositionState.ADMITTED] * 10 + [
        PositionState.WAITING
    ] * 5
    assert [one.position for one in said[10:]] == [1, 2, 3, 4, 5]
    assert all(one.queue_pass for one in said[:10])


async def test_the_same_person_gets_the_same_place(queue: Queue, make_pod: MakePod) -> None:
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    first = await queue.join()
    second = await queue.join()

    again = await queue.pod.room.join(queue.schedule_id, first, "10.0.0.2")
    elsewhere = await other.room.join(queue.schedule_id, first, "10.0.0.3")
    assert (again.number, elsewhere.number) == (1, 1)
    assert (await other.room.join(queue.schedule_id, second, "10.0.0.3")).number == 2


async def test_one_account_on_two_pods_at_the_same_moment_is_one_place(
    queue: Queue, make_pod: MakePod
) -> None:
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    person = await queue.join()
    joins = [
        pod.room.join(queue.schedule_id, person, "10.0.0.1")
        for _ in range(8)
        for pod in (queue.pod, other)
    ]
    assert {one.number for one in await asyncio.gather(*joins)} == {1}
    await queue.join()
    await queue.tick()
    assert queue.pod.rooms.counters(queue.schedule_id).joined == 2


async def test_a_heartbeat_keeps_the_place_and_silence_frees_it(queue: Queue) -> None:
    await queue.set(inside_max=1)
    first, second = await queue.join(), await queue.join()
    await queue.tick(seconds=1)
    assert (await queue.ask(first)).state is PositionState.ADMITTED
    for _ in range(3):
        queue.clock.pass_(40)
        assert (await queue.ask(first)).state is PositionState.ADMITTED
        await queue.tick(2)
        assert (await queue.ask(second)).state is PositionState.WAITING

    await queue.tick(seconds=61)
    with pytest.raises(QueueTicketExpired):
        await queue.ask(first)
    # The place is refilled once every process knows the exit.
    await queue.tick(4, seconds=0.2)
    assert (await queue.ask(second)).state is PositionState.WAITING
    await queue.tick(2, seconds=0.2)
    assert (await queue.ask(second)).state is PositionState.ADMITTED


async def test_the_time_inside_comes_to_its_end(queue: Queue) -> None:
    await queue.set(inside_s=100, grace_s=60)
    person = await queue.join()
    await queue.tick(seconds=1)
    began = await queue.ask(person)
    assert began.leaves_at == pytest.approx(queue.clock() + 100, abs=0.01)
    queue.clock.pass_(50)
    later = await queue.ask(person)
    assert later.pass_ends_at == pytest.approx(began.leaves_at)
    await queue.tick(seconds=51)
    with pytest.raises(QueueTicketExpired):
        await queue.ask(person)


async def test_leaving_frees_a_place_inside_and_in_the_queue(queue: Queue) -> None:
    await queue.set(inside_max=1)
    first, second, third = [await queue.join() for _ in range(3)]
    await queue.tick(seconds=1)
    await queue.ask(first)
    await queue.leave(second)
    await queue.leave(first)
    await queue.tick(2, seconds=1)
    assert (await queue.ask(third)).state is PositionState.ADMITTED
    assert await queue.join(second) == second
    assert (await queue.ask(second)).position == 1


async def test_a_payment_frees_the_place(queue: Queue) -> None:
    await queue.set(inside_max=1)
    first, second = await queue.join(), await queue.join()
    await queue.tick(seconds=1)
    await queue.ask(first)
    queue.pod.room.release_paid(queue.schedule_id, [first])
    await asyncio.gather(*queue.pod.tasks)
    await queue.tick(2, seconds=1)
    assert (await queue.ask(second)).state is PositionState.ADMITTED
    ended = await queue.pod.db.fetch(
        "SELECT number, ended_by FROM queue_admissions ORDER BY number"
    )
    assert [tuple(row) for row in ended] == [(1, "paid"), (2, None)]


async def test_a_sale_of_the_cashier_frees_the_place(queue: Queue) -> None:
    await queue.set(inside_max=1)
    first, second = await queue.join(), await queue.join()
    await queue.tick(seconds=1)
    await queue.ask(first)
    pod, tasks = queue.pod, Background()
    exits = PaidExits(pod.store, pod.queue_state, pod.clock, tasks.start)
    exits.release(queue.schedule_id, [])
    exits.release(uuid4(), [first])
    exits.release(queue.schedule_id, [first])
    await tasks.finish()
    await queue.tick(2, seconds=1)
    assert (await queue.ask(second)).state is PositionState.ADMITTED


async def test_a_late_user_is_next(queue: Queue) -> None:
    await queue.set(inside_max=2, grace_s=10)
    people = [await queue.join() for _ in range(5)]
    await queue.tick(seconds=1)
    await queue.tick(seconds=11)
    # The first two missed the call, so the next two were called.
    assert [(await queue.ask(one)).state for one in people[2:4]] == [PositionState.ADMITTED] * 2
    late = await queue.ask(people[0])
    assert (late.state, late.position) == (PositionState.WAITING, 1)
    await queue.leave(people[2])
    await queue.tick(2, seconds=1)
    assert (await queue.ask(people[4])).state is PositionState.WAITING
    assert (await queue.ask(people[0])).state is PositionState.ADMITTED


async def test_pause_resume_close_and_off(queue: Queue) -> None:
    first, second = await queue.join(), await queue.join()
    await queue.set(paused=True)
    await queue.tick(2, seconds=1)
    assert (await queue.ask(first)).notice is Notice.PAUSED
    await queue.set(paused=False)
    await queue.tick(2, seconds=1)
    assert (await queue.ask(first)).state is PositionState.ADMITTED
    await queue.set(closed=True, inside_max=1)
    with pytest.raises(QueueClosed):
        await queue.join()
    assert (await queue.ask(first)).state is PositionState.ADMITTED
    await queue.set(mode="off")
    assert (await queue.ask(second)).state is PositionState.ADMITTED
    with pytest.raises(QueueClosed):
        await queue.join()


async def test_no_user_is_admitted_before_the_opening(queue: Queue) -> None:
    await queue.set(opens_at=START_S + 100)
    person = await queue.join()
    await queue.tick(2, seconds=1)
    said = await queue.ask(person)
    assert (said.state, said.notice) == (PositionState.WAITING, Notice.NOT_OPEN)
    assert said.eta_s == 98
    await queue.tick(2, seconds=50)
    assert (await queue.ask(person)).state is PositionState.ADMITTED


async def test_sold_out_stops_the_queue_and_returned_seats_resume_it(queue: Queue) -> None:
    queue.pod.seats[queue.schedule_id] = 0
    person = await queue.join()
    await queue.tick(2, seconds=1)
    said = await queue.ask(person)
    assert (said.state, said.notice, said.eta_s) == (PositionState.WAITING, Notice.SOLD_OUT, None)
    queue.pod.seats[queue.schedule_id] = 1
    await queue.tick(2, seconds=1)
    assert (await queue.ask(person)).state is PositionState.ADMITTED


async def test_the_rate_bounds_how_many_are_called(queue: Queue) -> None:
    await queue.set(rate_per_s=2.0)
    people = [await queue.join() for _ in range(10)]
    await queue.tick(10, seconds=0.2)
    states = [(await queue.ask(person)).state for person in people]
    assert 4 <= states.count(PositionState.ADMITTED) <= 5


async def test_new_leaders_together_call_no_more_than_the_rate(
    queue: Queue, make_pod: MakePod
) -> None:
    await queue.set(rate_per_s=2.0, inside_max=1_000)
    for _ in range(30):
        await queue.join()
    await queue.tick(10, seconds=0.1)
    begun = queue.pod.rooms.counters(queue.schedule_id).called
    pods = [queue.pod, await make_pod()]
    for turn in range(20):
        await pods[turn % 2].leader.release()
        queue.clock.pass_(0.1)
        await pods[1 - turn % 2].refresh(queue.schedule_id)
        await pods[1 - turn % 2].tick(queue.schedule_id)
    await queue.pod.refresh(queue.schedule_id)
    called = queue.pod.rooms.counters(queue.schedule_id).called - begun
    # A bucket holds the tokens of one second.
    assert called <= 2.0 * (1 + 20 * 0.1)


async def test_a_pod_whose_clock_lags_behind_turns_nothing_back(
    queue: Queue, make_pod: MakePod
) -> None:
    """The queue keeps the latest time of any caller."""
    await queue.set(inside_s=100, grace_s=60)
    person = await queue.join()
    await queue.tick(seconds=1)
    first = await queue.ask(person)
    queue.clock.pass_(50)
    later = await queue.ask(person)
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    queue.clock.pass_(-300)
    lagging = await queue.ask(person, other)
    assert lagging.leaves_at == first.leaves_at == later.leaves_at
    assert lagging.pass_ends_at == later.pass_ends_at
