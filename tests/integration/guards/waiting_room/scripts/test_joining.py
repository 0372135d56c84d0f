"""Losses of the state, former leaders, and joins."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from boxoffice.waiting_room.engine.queue_state import (
    LeaderFenced,
    QueueStateLost,
    TicketHolder,
    key_of,
    keys_of,
)
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


async def test_accounts_of_one_bucket_have_their_own_numbers(stand: Stand) -> None:
    await stand.make()
    one, two, elsewhere = UUID(int=1 << 64), UUID(int=2 << 64), UUID(int=(1 << 64) + 1)
    assert await stand.numbers(one, two, elsewhere) == [1, 2, 3]
    assert await stand.leave(TicketHolder(one, 1, 1, stand.room.epoch)) == 0
    assert await stand.numbers(two, elsewhere, one) == [-2, -3, 4]


async def test_an_account_is_not_found_across_two_entries(stand: Stand) -> None:
    """The bytes from the second of an entry on are those of another account."""
    await stand.make()
    one = UUID(bytes=b"\1" + b"\2" * 13 + b"\0\0")
    other = UUID(bytes=b"\2" * 13 + b"\0" + b"\0\0")
    assert await stand.numbers(one, other) == [1, 2]
    assert await stand.numbers(other, one) == [-2, -1]
    await stand.leave(TicketHolder(other, 2, 2, stand.room.epoch))
    assert await stand.numbers(one, other) == [-1, 3]


async def test_no_key_has_the_numbers_of_many(stand: Stand) -> None:
    stand.set(numbers_to=10_000)
    await stand.make()
    for _ in range(6):
        await stand.join(500)
    fields = [
        await stand.valkey.command("HLEN", key_of(stand.room.schedule_id, f"numbers:{shard}"))
        for shard in range(16)
    ]
    # 183 each on average; a binomial count beyond these is one in 10^9 runs.
    assert min(fields) > 90
    assert max(fields) < 280


async def _bytes_per_number(stand: Stand, numbers: int) -> float:
    """Weigh all keys of a room, each whole, because a sample of five is off by a byte."""
    keys = keys_of(stand.room.schedule_id)[1:17]
    usage = ("MEMORY", "USAGE")
    taken = [await stand.valkey.command(*usage, key, "SAMPLES", 0, key=key) for key in keys]
    return float(sum(taken)) / numbers


async def test_many_numbers_are_in_tables_and_few_in_lists(stand: Stand) -> None:
    """A look-up in a list reads half of it; a number takes about 60 bytes, then fewer."""
    stand.set(numbers_to=10_000)
    await stand.make()
    # Each has a bucket of its own: one of four random ones would be too long for a list.
    first = [UUID(int=uuid4().int >> 16 << 16 | field) for field in range(0, 65_504, 32)]
    await stand.numbers(*first)
    await stand.tick()
    assert await _encodings(stand) == {b"listpack"}
    last = uuid4()
    assert await stand.numbers(last) == [2_048]
    await stand.tick()
    assert await _encodings(stand) == {b"hashtable"}
    assert await stand.numbers(first[0], last, uuid4()) == [-1, -2_048, 2_049]
    # New tables with one number a bucket are the dearest: 58 to 62 bytes by the seed of the hash,
    # which decides how many of a table's slots are shared.
    assert await _bytes_per_number(stand, 2_049) <= 64
    await stand.numbers(*(UUID(int=one.int ^ 1 << 127) for one in first))
    assert await _bytes_per_number(stand, 4_096) <= 42


async def _encodings(stand: Stand) -> set[bytes]:
    keys = keys_of(stand.room.schedule_id)[1:17]
    return {await stand.valkey.command("OBJECT", "ENCODING", key, key=key) for key in keys}
