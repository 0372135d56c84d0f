"""PostgreSQL is restored to an earlier time: users hold numbers that it does not know."""

import pytest

from boxoffice.waiting_room.rules import PositionState
from tests.integration.waiting_room.conftest import MakePod, Queue

# A rebuild reserves 10,000 numbers.
JUMP = 50_000
_ROOM_AS_BEFORE = """
    UPDATE queue_rooms r
       SET (epoch, numbers_to, joined, called, leader_token) =
           (SELECT b.epoch, b.numbers_to, b.joined, b.called, b.leader_token FROM before b)
"""


async def _lose(queue: Queue, *, is_valkey_lost: bool) -> None:
    """Restore the room's row and records to those at the time of the statement before."""
    db = queue.pod.db
    await db.fetch(_ROOM_AS_BEFORE)
    await db.fetch("DELETE FROM queue_joins")
    await db.fetch("DELETE FROM queue_gaps")
    if is_valkey_lost:
        keys = await queue.pod.valkey.command("KEYS", f"boxoffice:queue:{{{queue.schedule_id}}}:*")
        await queue.pod.valkey.command("DEL", *keys)


async def _restored(queue: Queue, make_pod: MakePod) -> None:
    """Go on with a new process: one that ran before must not."""
    await queue.pod.db.fetch("SELECT leases_after_restore_v1(1)")
    [row] = await queue.pod.db.fetch("SELECT queue_after_restore_v1(1, $1) AS rooms", JUMP)
    assert row["rooms"] >= 1
    queue.pod = await make_pod()
    await queue.tick(2, seconds=3)


@pytest.mark.parametrize("is_valkey_lost", [False, True])
async def test_numbers_of_the_lost_time_come_first_and_new_ones_are_above(
    queue: Queue, make_pod: MakePod, is_valkey_lost: bool
) -> None:
    await queue.set(inside_max=1)
    first = await queue.join()
    await queue.tick(seconds=1)
    assert (await queue.ask(first)).state is PositionState.ADMITTED
    known = await queue.join()
    await queue.tick()
    await queue.pod.db.fetch("CREATE TABLE before AS SELECT * FROM queue_rooms")
    # The time that is lost; two rebuilds of it make later epochs than the database knows.
    for _ in range(2):
        await queue.pod.valkey.command("DEL", f"boxoffice:queue:{{{queue.schedule_id}}}:state")
        await queue.tick(2, seconds=3)
    lost = [await queue.join() for _ in range(3)]
    numbers = [(await queue.ask(person)).number for person in lost]
    lost_epoch = queue.known.epoch
    await _lose(queue, is_valkey_lost=is_valkey_lost)
    await _restored(queue, make_pod)

    assert queue.known.epoch > lost_epoch
    newcomer = await queue.join()
    assert (await queue.ask(newcomer)).number > max(numbers)
    # A poll with a ticket of an earlier epoch claims its number; then all are counted.
    waiting = [known, *lost, newcomer]
    for person in waiting:
        await queue.ask(person)
    places = [(await queue.ask(person)).position or 0 for person in waiting]
    assert places == sorted(places)
    await queue.leave(first)
    for at, person in enumerate(waiting):
        for _ in range(12):
            await queue.tick(seconds=2)
            said = {one: (await queue.ask(one)).state for one in waiting[at:]}
            if said[person] is PositionState.ADMITTED:
                break
        assert list(said.values()) == [PositionState.ADMITTED] + [PositionState.WAITING] * (
            len(waiting) - at - 1
        ), f"{at} of {len(waiting)}"
        await queue.leave(person)


async def test_a_second_restore_jumps_over_the_numbers_of_the_first(queue: Queue) -> None:
    """Both began with one backup: the second database does not know of the first."""
    db = queue.pod.db
    before = queue.known.numbers_to
    await db.fetch("SELECT queue_after_restore_v1(2, $1)", JUMP)
    [row] = await db.fetch("SELECT numbers_to, epoch FROM queue_rooms WHERE mode <> 'off'")
    assert (row["numbers_to"], row["epoch"]) == (before + 2 * JUMP, 2 << 16)
    await db.fetch("SELECT queue_after_restore_v1(2, $1)", JUMP)
    assert [tuple(row)] == [
        tuple(one)
        for one in await db.fetch("SELECT numbers_to, epoch FROM queue_rooms WHERE mode <> 'off'")
    ]
