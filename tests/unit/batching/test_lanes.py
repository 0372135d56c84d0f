"""Lanes take turns, and a lane without commands is forgotten."""

import asyncio

from boxoffice.batching import GroupCommit, GroupCommitLimits
from tests.unit.batching.scripted import Desk, Scripted, Wish, everybody, until


async def test_a_busy_lane_does_not_starve_the_others() -> None:
    desk = Desk(batch_max=2, batches_in_flight=1)
    call = await desk.occupy()
    tasks = desk.ask("a b c d e f", "hot") + desk.ask("g", "cool") + desk.ask("h", "cold")
    await until(lambda: desk.group.count == 9)
    call.accept()
    order = []
    for _ in range(5):
        call = await desk.handler.next()
        order.append("".join(call.names))
        call.accept()
    assert order == ["ab", "g", "h", "cd", "ef"]
    await everybody(tasks)


FOR_EVER_S = 3_600.0


async def test_a_few_wait_for_the_batch_before_them_to_come_back() -> None:
    desk = Desk(concurrent_min=3, concurrent_after_s=FOR_EVER_S)
    first = desk.ask("a")
    call = await desk.handler.next()
    later = desk.ask("b c")
    await until(lambda: desk.waiting() == ["b", "c"])
    await asyncio.sleep(0.01)
    assert desk.handler.is_quiet
    call.accept()
    call = await desk.handler.next()
    assert call.names == ["b", "c"]
    call.accept()
    assert await everybody(first + later) == ["did a", "did b", "did c"]
    assert desk.has_forgotten_everything
    await until(lambda: not desk.group._recent)


async def test_many_go_beside_it_and_so_do_other_lanes() -> None:
    desk = Desk(concurrent_min=3, concurrent_after_s=FOR_EVER_S, batches_in_flight=3)
    tasks = desk.ask("a")
    calls = [await desk.handler.next()]
    tasks += desk.ask("b c")
    tasks += desk.ask("z", "other")
    calls.append(await desk.handler.next())
    assert calls[-1].names == ["z"]
    tasks += desk.ask("d")
    calls.append(await desk.handler.next())
    assert calls[-1].names == ["b", "c", "d"]
    for call in calls:
        call.accept()
    await everybody(tasks)
    assert desk.has_forgotten_everything


async def test_nobody_waits_for_a_batch_that_stays_away() -> None:
    desk = Desk(concurrent_min=3, concurrent_after_s=0.02)
    tasks = desk.ask("a")
    away = await desk.handler.next()
    tasks += desk.ask("b")
    call = await desk.handler.next()
    assert call.names == ["b"]
    for one in (call, away):
        one.accept()
    await everybody(tasks)
    assert desk.has_forgotten_everything


async def test_a_full_batch_is_enough_whatever_the_setting_says() -> None:
    desk = Desk(batch_max=2, concurrent_min=500, concurrent_after_s=FOR_EVER_S)
    tasks = desk.ask("a")
    away = await desk.handler.next()
    tasks += desk.ask("b c")
    call = await desk.handler.next()
    assert call.names == ["b", "c"]
    for one in (call, away):
        one.accept()
    await everybody(tasks)


async def test_two_kinds_with_one_key_do_not_share_a_batch() -> None:
    group = GroupCommit(GroupCommitLimits())
    holds, releases = Scripted("hold"), Scripted("release")
    desk = Desk()
    desk.group = group
    desk.handler = holds
    tasks = desk.ask("a")
    desk.handler = releases
    tasks += desk.ask("b")
    first, second = await holds.next(), await releases.next()
    assert (first.names, second.names) == (["a"], ["b"])
    first.accept()
    second.accept()
    assert await everybody(tasks) == ["did a", "did b"]


async def test_lanes_are_forgotten_when_they_are_empty() -> None:
    desk = Desk(batches_in_flight=4)
    for number in range(50):
        task = desk.send(Wish("a", identity=number), key=f"lane-{number}")
        (await desk.handler.next()).accept()
        await task
    assert desk.has_forgotten_everything
