"""Lanes take turns, and a lane without commands is forgotten."""

import asyncio

from boxoffice.batching import GroupCommit, GroupCommitLimits
from tests.unit.batching.scripted import Harness, NamedCommand, ScriptedHandler, results, until


async def test_a_busy_lane_does_not_starve_the_others() -> None:
    harness = Harness(batch_max=2, batches_in_flight=1)
    call = await harness.occupy()
    tasks = harness.ask("a b c d e f", "hot") + harness.ask("g", "cool") + harness.ask("h", "cold")
    await until(lambda: harness.group.count == 9)
    call.accept()
    order = []
    for _ in range(5):
        call = await harness.handler.next()
        order.append("".join(call.names))
        call.accept()
    assert order == ["ab", "g", "h", "cd", "ef"]
    await results(tasks)


FOR_EVER_S = 3_600.0


async def test_a_few_wait_for_the_batch_before_them_to_return() -> None:
    harness = Harness(concurrent_min=3, concurrent_after_s=FOR_EVER_S)
    first = harness.ask("a")
    call = await harness.handler.next()
    later = harness.ask("b c")
    await until(lambda: harness.waiting() == ["b", "c"])
    await asyncio.sleep(0.01)
    assert harness.handler.is_quiet
    call.accept()
    call = await harness.handler.next()
    assert call.names == ["b", "c"]
    call.accept()
    assert await results(first + later) == ["did a", "did b", "did c"]
    assert harness.is_empty
    await until(lambda: not harness.group._recent)


async def test_many_go_beside_it_and_so_do_other_lanes() -> None:
    harness = Harness(concurrent_min=3, concurrent_after_s=FOR_EVER_S, batches_in_flight=3)
    tasks = harness.ask("a")
    calls = [await harness.handler.next()]
    tasks += harness.ask("b c")
    tasks += harness.ask("z", "other")
    calls.append(await harness.handler.next())
    assert calls[-1].names == ["z"]
    tasks += harness.ask("d")
    calls.append(await harness.handler.next())
    assert calls[-1].names == ["b", "c", "d"]
    for call in calls:
        call.accept()
    await results(tasks)
    assert harness.is_empty


async def test_no_command_waits_for_a_batch_that_takes_long() -> None:
    harness = Harness(concurrent_min=3, concurrent_after_s=0.02)
    tasks = harness.ask("a")
    away = await harness.handler.next()
    tasks += harness.ask("b")
    call = await harness.handler.next()
    assert call.names == ["b"]
    for one in (call, away):
        one.accept()
    await results(tasks)
    assert harness.is_empty


async def test_a_full_batch_is_enough_whatever_the_setting_says() -> None:
    harness = Harness(batch_max=2, concurrent_min=500, concurrent_after_s=FOR_EVER_S)
    tasks = harness.ask("a")
    away = await harness.handler.next()
    tasks += harness.ask("b c")
    call = await harness.handler.next()
    assert call.names == ["b", "c"]
    for one in (call, away):
        one.accept()
    await results(tasks)


async def test_two_kinds_with_one_key_do_not_share_a_batch() -> None:
    group = GroupCommit(GroupCommitLimits())
    holds, releases = ScriptedHandler("hold"), ScriptedHandler("release")
    harness = Harness()
    harness.group = group
    harness.handler = holds
    tasks = harness.ask("a")
    harness.handler = releases
    tasks += harness.ask("b")
    first, second = await holds.next(), await releases.next()
    assert (first.names, second.names) == (["a"], ["b"])
    first.accept()
    second.accept()
    assert await results(tasks) == ["did a", "did b"]


async def test_lanes_are_forgotten_when_they_are_empty() -> None:
    harness = Harness(batches_in_flight=4)
    for number in range(50):
        task = harness.send(NamedCommand("a", identity=number), key=f"lane-{number}")
        (await harness.handler.next()).accept()
        await task
    assert harness.is_empty
