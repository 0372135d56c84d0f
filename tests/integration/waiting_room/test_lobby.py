"""The lobby: equal before the draw, drawn once, and verifiable."""

import asyncio
from hashlib import sha256
from uuid import uuid4

import pytest

from boxoffice.errors import QueueDrawn
from boxoffice.waiting_room.engine.shuffle import place_of
from boxoffice.waiting_room.rules import Mode, Notice, PositionState
from tests.integration.waiting_room.conftest import START_S, MakePod, Queue

OPENS_S = START_S + 100


@pytest.fixture
async def lobby(queue: Queue) -> Queue:
    """A lobby that opens in 100 seconds."""
    await queue.set(mode=Mode.LOBBY, opens_at=OPENS_S, inside_max=1_000)
    return queue


async def test_all_users_are_equal_and_then_drawn(lobby: Queue) -> None:
    people = [await lobby.join() for _ in range(40)]
    promised = lobby.known.seed_hash
    await lobby.tick(2, seconds=1)
    before = [await lobby.ask(person) for person in people]
    assert {(one.state, one.position, one.notice) for one in before} == {
        (PositionState.LOBBY, None, Notice.NOT_OPEN)
    }
    assert before[0].eta_s == 98

    await lobby.set(rate_per_s=5.0)
    await lobby.tick(2, seconds=50)
    late = await lobby.join()
    seed, size = lobby.known.seed, lobby.known.lobby_size
    assert size == 40
    assert sha256(seed).hexdigest() == promised
    places = [place_of(seed, 40, one.number) for one in before]
    assert places != list(range(1, 41))

    await lobby.tick(2, seconds=1)
    called = lobby.pod.rooms.counters(lobby.schedule_id).called
    assert 0 < called < 40
    for person, place in zip(people, places, strict=True):
        said = await lobby.ask(person)
        assert (said.state is PositionState.ADMITTED) == (place <= called)
        if place > called:
            assert said.position == place - called
    assert (await lobby.ask(late)).position == 41 - called


async def test_no_user_can_be_drawn_twice(lobby: Queue, make_pod: MakePod) -> None:
    for _ in range(5):
        await lobby.join()
    await lobby.tick(seconds=1)
    token = await lobby.pod.lease.keep() or 0
    other = await make_pod()
    await lobby.pod.store.draw(lobby.schedule_id, token, 5)
    await other.store.draw(lobby.schedule_id, token, 3)
    await other.refresh(lobby.schedule_id)
    room = other.rooms.by_schedule.get(lobby.schedule_id)
    assert room is not None
    assert room.lobby_size == 5


async def test_an_account_that_joins_at_two_pods_at_once_has_one_number(
    lobby: Queue, make_pod: MakePod
) -> None:
    """The guard `join_one_number_per_account` is the negative control."""
    other = await make_pod()
    await other.refresh(lobby.schedule_id)
    people = [uuid4() for _ in range(30)]
    joins = [
        pod.room.join(lobby.schedule_id, person, f"10.0.0.{at}")
        for at, person in enumerate(people)
        for pod in (lobby.pod, other)
    ]
    numbers = [one.number for one in await asyncio.gather(*joins)]
    assert numbers[::2] == numbers[1::2]
    assert sorted(numbers[::2]) == list(range(1, 31))


async def test_no_lobby_after_the_first_admission(queue: Queue) -> None:
    await queue.join()
    await queue.tick(2, seconds=1)
    with pytest.raises(QueueDrawn):
        await queue.set(mode=Mode.LOBBY)


async def test_leaving_the_lobby_makes_the_place_vacant(lobby: Queue) -> None:
    people = [await lobby.join() for _ in range(3)]
    await lobby.leave(people[0])
    await lobby.tick(3, seconds=60)
    await lobby.tick(2, seconds=1)
    assert [(await lobby.ask(one)).state for one in people[1:]] == [PositionState.ADMITTED] * 2


async def test_a_lobby_lost_before_the_draw_draws_all_users(lobby: Queue) -> None:
    people = [await lobby.join() for _ in range(20)]
    await lobby.tick(2, seconds=1)
    await lobby.pod.valkey.command("DEL", f"boxoffice:queue:{{{lobby.schedule_id}}}:state")
    await lobby.tick(2, seconds=1)
    newcomer = await lobby.join()
    await lobby.tick(60, seconds=2)
    said = [await lobby.ask(person) for person in [*people, newcomer]]
    await lobby.tick(2, seconds=1)
    said = [await lobby.ask(person) for person in [*people, newcomer]]
    assert {one.state for one in said} == {PositionState.ADMITTED}
