"""Closing refuses what is new and finishes what was accepted."""

import asyncio

import pytest

from boxoffice.batching import Retry
from boxoffice.errors import Draining
from tests.unit.batching.scripted import Desk, Wish, everybody, until


async def test_everything_accepted_gets_its_outcome_and_new_ones_are_refused() -> None:
    desk = Desk(batch_max=1, batches_in_flight=1)
    tasks = desk.ask("a b")
    tasks.append(desk.send(Wish("c", identity="key")))
    tasks.append(desk.send(Wish("d", identity="other")))
    call = await desk.handler.next()
    await until(lambda: desk.group.count == 4)
    closing = asyncio.create_task(desk.group.close())
    await asyncio.sleep(0)
    with pytest.raises(Draining):
        await desk.group.submit(desk.handler, "lane", Wish("e"))
    call.accept()
    for name in "bcd":
        assert not closing.done()
        call = await desk.handler.next()
        assert call.names == [name]
        call.accept()
    assert await everybody(tasks) == ["did a", "did b", "did c", "did d"]
    await closing
    assert desk.has_forgotten_everything


async def test_it_waits_for_commands_in_their_back_off() -> None:
    desk = Desk()
    tasks = desk.ask("a")
    (await desk.handler.next()).say(Retry("in the way"))
    await until(lambda: not desk.group._in_flight)
    closing = asyncio.create_task(desk.group.close())
    call = await desk.handler.next()
    assert not closing.done()
    call.accept()
    await closing
    assert await everybody(tasks) == ["did a"]


async def test_it_waits_for_commands_whose_callers_have_gone() -> None:
    desk = Desk()
    (gone,) = desk.ask("a")
    call = await desk.handler.next()
    gone.cancel()
    closing = asyncio.create_task(desk.group.close())
    await until(gone.done)
    assert not closing.done()
    call.accept()
    await closing


async def test_with_nothing_to_do_it_raises_nothing_also_when_repeated() -> None:
    desk = Desk()
    await desk.group.close()
    await desk.group.close()
