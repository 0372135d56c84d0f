"""Times of a part, and what is kept of them."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from statistics import median
from typing import TypeVar

import msgspec

T = TypeVar("T")

REPETITIONS = 25


class PartCost(msgspec.Struct, frozen=True):
    """What one part costs, in microseconds of CPU: the least and the median of many short runs.

    Other work on the machine adds to most runs, so the least is nearest to the part itself.
    """

    group: str
    part: str
    least_us: float
    median_us: float


def part_cost(group: str, part: str, seconds: Sequence[float]) -> PartCost:
    """Return the cost of a part from the CPU seconds of each run."""
    return PartCost(group, part, round(min(seconds) * 1e6, 2), round(median(seconds) * 1e6, 2))


def timed_loop(
    function: Callable[[T], object], arguments: Callable[[], Iterable[T]]
) -> list[float]:
    """Return the CPU seconds of a call in each of `REPETITIONS` loops over new `arguments`."""
    took = []
    for _ in range(REPETITIONS):
        given = list(arguments())
        began_at = time.thread_time()
        for argument in given:
            function(argument)
        took.append((time.thread_time() - began_at) / len(given))
    return took


async def timed_calls(call: Callable[[], Awaitable[object]], parts: int) -> list[float]:
    """Return the CPU seconds of this thread for each of `parts` parts of a call, for each call.

    While the call waits for a server, the thread uses none.
    """
    took = []
    for _ in range(REPETITIONS):
        began_at = time.thread_time()
        await call()
        took.append((time.thread_time() - began_at) / parts)
    return took
