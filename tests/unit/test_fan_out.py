"""Messages to many receivers: order, turns between topics, rests, broken receivers."""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from boxoffice.http import fan_out
from boxoffice.http.fan_out import FanOut, MessageQueue


@dataclass
class Writes:
    """Every write of a test in order: (topic, receiver, message), and when it was made."""

    made: list[tuple[str, int, bytes]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    takes_s: float = 0.0


@dataclass(eq=False)
class Recorder:
    """A receiver that remembers what it got."""

    writes: Writes
    topic: str
    number: int
    is_broken: bool = False
    is_stuck: bool = False
    is_dropped: bool = False

    def write(self, message: bytes) -> None:
        """Remember a message."""
        if self.is_broken:
            raise OSError("broken")
        time.sleep(self.writes.takes_s)
        self.writes.made.append((self.topic, self.number, message))
        self.writes.at.append(time.monotonic())

    def drop(self) -> None:
        """Remember the end."""
        if self.is_stuck:
            raise OSError("stuck")
        self.is_dropped = True


@pytest.fixture(autouse=True)
def slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "_SLICE", 2)


def receivers(writes: Writes, topic: str, count: int) -> list[Recorder]:
    """Return receivers of a topic."""
    return [Recorder(writes, topic, number) for number in range(count)]


async def test_every_receiver_gets_every_message_in_order() -> None:
    writes, queue = Writes(), MessageQueue(FanOut())
    some = receivers(writes, "a", 5)
    queue.post(b"1", some)
    queue.post(b"2", some[1:])
    await queue.written()
    assert writes.made == [("a", n, b"1") for n in range(5)] + [
        ("a", n, b"2") for n in (1, 2, 3, 4)
    ]
    assert len(queue) == 0
    queue.post(b"3", some[:1])
    await queue.written()
    assert writes.made[-1] == ("a", 0, b"3")


async def test_a_turn_of_the_event_loop_has_one_slice() -> None:
    writes, queue = Writes(), MessageQueue(FanOut())
    queue.post(b"1", receivers(writes, "a", 9))
    seen = [0]
    while len(queue):
        await asyncio.sleep(0)
        seen.append(len(writes.made))
    assert max(after - before for before, after in itertools.pairwise(seen)) == 2
    assert seen[-1] == 9


async def test_a_small_topic_does_not_wait_for_a_large_one() -> None:
    writes, fan = Writes(), FanOut()
    large, small = MessageQueue(fan), MessageQueue(fan)
    large.post(b"1", receivers(writes, "large", 50))
    small.post(b"1", receivers(writes, "small", 2))
    await small.written()
    assert [one for one in writes.made if one[0] == "small"] == [("small", n, b"1") for n in (0, 1)]
    assert len(writes.made) < 10
    await large.written()
    assert len(writes.made) == 52


async def test_topics_with_few_receivers_share_a_slice() -> None:
    writes, fan = Writes(), FanOut()
    queues = [MessageQueue(fan) for _ in range(2)]
    for at, queue in enumerate(queues):
        queue.post(b"1", receivers(writes, str(at), 1))
    await asyncio.sleep(0)
    assert len(writes.made) == 2


async def test_it_rests_three_times_as_long_as_a_slice_takes() -> None:
    writes, queue = Writes(takes_s=0.002), MessageQueue(FanOut())
    queue.post(b"1", receivers(writes, "a", 6))
    await queue.written()
    for last, next_one in ((1, 2), (3, 4)):
        # The second slice's first write is noted after it has taken its time.
        assert writes.at[next_one] - writes.at[last] >= 3 * 0.004


async def test_rests_do_not_delay_a_long_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    writes, queue = Writes(takes_s=0.001), MessageQueue(FanOut())
    loop, rests = asyncio.get_running_loop(), []

    def call_later(after_s: float, call: Callable[..., object], *args: Any) -> asyncio.Handle:
        rests.append(after_s)
        return loop.call_soon(call, *args)

    some = receivers(writes, "a", 400)
    for message in (b"1", b"2"):
        queue.post(message, some)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "call_later", call_later)
        await queue.written()
    # 400 slices at three times 2 ms would be 2.4 s.
    assert sum(rests[:200]) < fan_out._DELAY_S
    assert len(writes.made) == 800


async def test_a_broken_receiver_is_dropped_and_the_others_get_the_message() -> None:
    writes, queue = Writes(), MessageQueue(FanOut())
    some = receivers(writes, "a", 3)
    some[1].is_broken = True
    queue.post(b"1", some)
    await queue.written()
    assert [one.is_dropped for one in some] == [False, True, False]
    assert writes.made == [("a", 0, b"1"), ("a", 2, b"1")]


async def test_a_receiver_that_cannot_even_be_dropped_stops_no_topic() -> None:
    writes, fan = Writes(), FanOut()
    queue, other = MessageQueue(fan), MessageQueue(fan)
    some = receivers(writes, "a", 3)
    some[1].is_broken = some[1].is_stuck = True
    queue.post(b"1", some)
    other.post(b"1", receivers(writes, "b", 5))
    async with asyncio.timeout(10):
        await queue.written()
        await other.written()
    queue.post(b"2", some)
    fan.flush(queue)
    assert [one[1:] for one in writes.made if one[0] == "a"] == [
        (0, b"1"),
        (2, b"1"),
        (0, b"2"),
        (2, b"2"),
    ]
    assert [one[1] for one in writes.made if one[0] == "b"] == list(range(5))
    assert fan._pending == 0


async def test_a_message_without_receivers_is_done_at_once() -> None:
    queue = MessageQueue(FanOut())
    queue.post(b"1", [])
    await queue.written()
    assert len(queue) == 0


async def test_a_flush_writes_everything_once_and_in_order() -> None:
    writes, fan = Writes(), FanOut()
    queue, other = MessageQueue(fan), MessageQueue(fan)
    some = receivers(writes, "a", 5)
    queue.post(b"1", some)
    queue.post(b"2", some)
    other.post(b"1", receivers(writes, "b", 9))
    await asyncio.sleep(0)
    assert queue.waiting_for(some[0]) == [b"2"]
    assert queue.waiting_for(some[4]) == [b"1", b"2"]
    fan.flush(queue)
    assert queue.waiting_for(some[4]) == []
    await queue.written()
    await other.written()
    fan.flush(queue)
    assert [one for one in writes.made if one[0] == "a"] == [
        ("a", number, message) for message in (b"1", b"2") for number in range(5)
    ]
    assert [one[1] for one in writes.made if one[0] == "b"] == list(range(9))
    assert fan._pending == 0
    queue.post(b"3", some)
    await queue.written()
    assert writes.made[-1] == ("a", 4, b"3")
