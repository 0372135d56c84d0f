"""Lanes take turns, and a lane without commands is forgotten."""

from boxoffice.batching import GroupCommit, Limits
from tests.batching.scripted import Desk, Scripted, Wish, everybody, until


async def test_a_busy_lane_does_not_starve_the_others() -> None:
    desk = Desk(batch_max=2, batches_in_flight=1)
    call = await desk.occupy()
    tasks = desk.ask("a b c d e f", "hot") + desk.ask("g", "cool") + desk.ask("h", "cold")
    await until(lambda: desk.group.count == 9)
    call.accept()
    order = []
    for _ in range(5):
        call = await desk.decider.next()
        order.append("".join(call.names))
        call.accept()
    assert order == ["ab", "g", "h", "cd", "ef"]
    await everybody(tasks)


async def test_two_kinds_with_one_key_do_not_share_a_batch() -> None:
    group = GroupCommit(Limits())
    holds, releases = Scripted("hold"), Scripted("release")
    desk = Desk()
    desk.group = group
    desk.decider = holds
    tasks = desk.ask("a")
    desk.decider = releases
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
        (await desk.decider.next()).accept()
        await task
    assert desk.has_forgotten_everything
