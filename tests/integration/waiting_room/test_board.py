"""The board: shared readings, the same bytes in every process, and a Valkey that is away."""

import asyncio
from uuid import uuid4

import pytest

from boxoffice.errors import ScheduleNotFound
from boxoffice.platform.signing import KeyRing, SigningKey
from boxoffice.settings import Settings
from boxoffice.waiting_room.board.keys import BoardKeys
from boxoffice.waiting_room.board.rules import BoardState
from boxoffice.waiting_room.board.service import Boards
from boxoffice.waiting_room.engine.queue_state import keys_of
from boxoffice.waiting_room.rules import Mode, Notice, QueueCounters
from tests.integration.waiting_room.conftest import MakePod, Pod, Queue, build_pod, close_pod
from tests.support.board_signature import kid_of
from tests.support.hall import Hall


async def _exists(_schedule_id: object) -> None:
    return None


def boards_of(pod: Pod, settings: Settings) -> Boards:
    """Return the boards of a pod, by its clock."""
    return Boards(
        settings.waiting_room, pod.rooms, BoardKeys(pod.keys), _exists, pod.clock, pod.clock
    )


async def test_a_user_subtracts_and_gets_the_same_position(
    queue: Queue, settings: Settings
) -> None:
    await queue.set(inside_max=2)
    people = [await queue.join() for _ in range(5)]
    await queue.tick(seconds=1)
    board = (await boards_of(queue.pod, settings).rendered(queue.schedule_id)).board
    said = [await queue.ask(person) for person in people]
    assert board.called == 2
    assert [max(0, one.number - board.called) for one in said] == [one.position for one in said]
    assert {one.epoch for one in said} == {board.epoch}
    assert (board.places_free, board.grace_s, board.notice) == (2, 60, None)


async def test_readers_share_a_reading_of_valkey_per_second(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[float] = []
    read = queue.pod.queue_state.counters

    async def counted(schedule_id: object) -> QueueCounters | None:
        readings.append(queue.clock())
        return await read(queue.schedule_id)

    monkeypatch.setattr(queue.pod.queue_state, "counters", counted)
    boards = boards_of(queue.pod, settings)
    # Polls make a process refresh the counters four times a second; the last one is long ago.
    queue.clock.pass_(40)
    began_at = queue.clock()
    for _ in range(10):
        queue.clock.pass_(0.5)
        asked = await asyncio.gather(*(boards.rendered(queue.schedule_id) for _ in range(200)))
        assert len({id(one) for one in asked}) == 1
        await queue.pod.rooms._refresh_used()
    assert 1 <= len(readings) <= 1 + (queue.clock() - began_at)


async def test_two_processes_show_the_same_bytes(
    queue: Queue, make_pod: MakePod, settings: Settings
) -> None:
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    boards = [boards_of(pod, settings) for pod in (queue.pod, other)]
    await queue.join()
    queue.clock.pass_(20)
    first, second = [await one.rendered(queue.schedule_id) for one in boards]
    assert (first.body, first.etag) == (second.body, second.etag)
    assert first.signature == second.signature
    queue.clock.pass_(3)
    assert await boards[0].rendered(queue.schedule_id) is first


async def test_a_still_board_is_signed_anew_by_a_new_key(queue: Queue, settings: Settings) -> None:
    rows = [SigningKey(kid="old", secret=b"o" * 32, created_at=0.0, verifies_until=None)]

    async def load() -> list[SigningKey]:
        return rows

    ring, clock = KeyRing(load, queue.clock, 15.0), queue.clock
    await ring.refresh()
    boards = Boards(settings.waiting_room, queue.pod.rooms, BoardKeys(ring), _exists, clock, clock)
    clock.pass_(20)
    before = await boards.rendered(queue.schedule_id)
    rows.append(SigningKey(kid="new", secret=b"n" * 32, created_at=1.0, verifies_until=None))
    await ring.refresh()
    clock.pass_(3)
    after = await boards.rendered(queue.schedule_id)
    assert after.body == before.body
    assert kid_of(after.signature) != kid_of(before.signature)
    # A cache that has the old one gets the new one, and no 304.
    assert after.etag != before.etag


async def test_the_seed_is_shown_after_the_draw(queue: Queue, settings: Settings) -> None:
    await queue.set(mode=Mode.LOBBY, opens_at=queue.clock() + 60)
    people = [await queue.join() for _ in range(4)]
    boards = boards_of(queue.pod, settings)
    lobby = (await boards.rendered(queue.schedule_id)).board
    assert (lobby.state, lobby.draw_seed, lobby.lobby_size) == (BoardState.LOBBY, None, None)
    await queue.tick(2, seconds=1)
    await queue.set(inside_max=1)
    await queue.tick(seconds=61)
    await queue.tick(2, seconds=1)
    drawn = (await boards.rendered(queue.schedule_id)).board
    assert (drawn.state, drawn.lobby_size) == (BoardState.WAITING, 4)
    assert drawn.draw_seed == queue.known.seed.hex()
    numbers = [(await queue.ask(person)).number for person in people]
    called = [number for number in numbers if queue.known.place_of(number) <= drawn.called]
    assert len(called) == drawn.called == 1


async def test_a_lost_queue_is_reported_and_its_epoch_follows(
    queue: Queue, settings: Settings
) -> None:
    person = await queue.join()
    boards = boards_of(queue.pod, settings)
    before = (await boards.rendered(queue.schedule_id)).board
    assert before.epoch == (await queue.ask(person)).epoch
    await queue.pod.valkey.command("DEL", *keys_of(queue.schedule_id))
    queue.clock.pass_(5)
    lost = (await boards.rendered(queue.schedule_id)).board
    assert (lost.called, lost.notice) == (before.called, Notice.DELAYED)
    await queue.tick(2, seconds=2)
    again = (await boards.rendered(queue.schedule_id)).board
    assert (again.epoch, again.notice) == (before.epoch + 1, None)
    assert (await queue.ask(person)).epoch == again.epoch


async def test_without_valkey_the_board_has_what_postgresql_knows(
    queue: Queue, settings: Settings
) -> None:
    for _ in range(3):
        await queue.join()
    await queue.tick(2, seconds=1)
    away = settings.replace(valkey_url="redis://127.0.0.1:1/0", valkey_timeout_ms=200)
    pod = await build_pod(away, queue.clock, {})
    try:
        await pod.rooms.refresh()
        board = (await boards_of(pod, settings).rendered(queue.schedule_id)).board
        assert (board.called, board.notice) == (3, Notice.DELAYED)
    finally:
        await close_pod(pod)


async def test_a_room_that_is_off_and_one_that_is_a_draft(
    queue: Queue, hall: Hall, settings: Settings, make_pod: MakePod
) -> None:
    # A process that has not cached the room yet reads it before it says that there is none.
    cold = boards_of(await make_pod(), settings)
    assert (await cold.rendered(queue.schedule_id)).board.state is BoardState.WAITING
    boards = boards_of(queue.pod, settings)
    await queue.set(mode=Mode.OFF)
    await queue.pod.rooms.refresh()
    off = (await boards.rendered(queue.schedule_id)).board
    assert (off.state, off.schedule_id) == (BoardState.OFF, queue.schedule_id)
    assert 0 <= queue.clock() - off.as_of.timestamp() < 1

    async def is_missing(_schedule_id: object) -> None:
        raise ScheduleNotFound

    clock = queue.clock
    keys = BoardKeys(queue.pod.keys)
    missing = Boards(settings.waiting_room, queue.pod.rooms, keys, is_missing, clock, clock)
    with pytest.raises(ScheduleNotFound):
        await missing.rendered(uuid4())
    await hall.change_schedule("status = 'DRAFT'")
    await queue.set(mode=Mode.FIFO)
    queue.clock.pass_(2)
    with pytest.raises(ScheduleNotFound):
        await boards.rendered(queue.schedule_id)
