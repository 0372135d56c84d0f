"""Losses of the state, former leaders, and joins."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from boxoffice.waiting_room.engine.queue_state import LeaderFenced, QueueStateLost, keys_of
from tests.integration.guards.waiting_room.scripts.stand import TOKEN, Stand


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
        await stand.tick(token=TOKEN - 1)
    with pytest.raises(LeaderFenced):
        await stand.make(token=TOKEN - 1)
    await stand.tick(token=TOKEN + 1)
    with pytest.raises(LeaderFenced):
        await stand.tick()


async def test_an_account_has_one_number_and_none_past_the_limit(stand: Stand) -> None:
    stand.set(numbers_to=2)
    await stand.make()
    one, two, three = (uuid4() for _ in range(3))
    assert await stand.numbers(one, two, one, three) == [1, 2, -1, 0]
    assert await stand.numbers(three, two) == [0, -2]
