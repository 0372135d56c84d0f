"""Closing refuses what is new and finishes what was accepted."""

import asyncio

import pytest

from boxoffice.batching import Retry
from boxoffice.errors import Draining
from tests.unit.batching.scripted import Harness, NamedCommand, results, until


async def test_everything_accepted_gets_its_outcome_and_new_ones_are_refused() -> None:
    harness = Harness(batch_max=1, batches_in_flight=1)
    tasks = harness.ask("a b")
    tasks.append(harness.send(NamedCommand("c", identity="key")))
    tasks.append(harness.send(NamedCommand("d", identity="other")))
    call = await harness.handler.next()
    await until(lambda: harness.group.count == 4)
    closing = asyncio.create_task(harness.group.close())
    await asyncio.sleep(0)
    with pytest.raises(Draining):
        await harness.group.submit(harness.handler, "lane", NamedCommand("e"))
    call.accept()
    for name in "bcd":
        assert not closing.done()
        call = await harness.handler.next()
        assert call.names == [name]
        call.accept()
    assert await results(tasks) == ["did a", "did b", "did c", "did d"]
    await closing
    assert harness.is_empty


async def test_it_waits_for_commands_in_their_back_off() -> None:
    harness = Harness()
    tasks = harness.ask("a")
    (await harness.handler.next()).say(Retry("in the way"))
    await until(lambda: not harness.group._in_flight)
    closing = asyncio.create_task(harness.group.close())
    call = await harness.handler.next()
    assert not closing.done()
    call.accept()
    await closing
    assert await results(tasks) == ["did a"]


async def test_it_waits_for_commands_whose_callers_have_gone() -> None:
    harness = Harness()
    (gone,) = harness.ask("a")
    call = await harness.handler.next()
    gone.cancel()
    closing = asyncio.create_task(harness.group.close())
    await until(gone.done)
    assert not closing.done()
    call.accept()
    await closing


async def test_with_nothing_to_do_it_raises_nothing_also_when_repeated() -> None:
    harness = Harness()
    await harness.group.close()
    await harness.group.close()
