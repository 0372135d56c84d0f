"""Who hashes next: addresses in turn, log-ins and sign-ups in turn, and every queue has a bound."""

import asyncio
from collections.abc import Callable

import pytest

from boxoffice.accounts.fair_semaphore import LOG_IN, SIGN_UP, ConcurrencyLimit, FairSemaphore
from boxoffice.errors import Overloaded, TooMany

CROWD, BUYER = "192.0.2.1", "192.0.2.2"


class Line:
    """People who wait for one slot; `got` is the order in which they had it."""

    def __init__(self, waiting_max: int = 64) -> None:
        self.semaphore = FairSemaphore(1, waiting_max)
        self.got: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, name: str, kind: str = LOG_IN, address: str = CROWD) -> None:
        """Begin to wait."""
        self.tasks.append(asyncio.create_task(self._work(name, kind, address)))
        await asyncio.sleep(0)

    async def _work(self, name: str, kind: str, address: str) -> None:
        await self.semaphore.acquire(kind, address)
        self.got.append(name)

    async def serve(self, times: int) -> None:
        """Let so many have their turn, one after the other."""
        for _ in range(times):
            self.semaphore.release()
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
async def line() -> Line:
    """A line whose one slot is taken."""
    made = Line()
    await made.come("first")
    return made


async def test_another_address_waits_for_one_of_a_crowd_at_most(line: Line) -> None:
    for n in range(30):
        await line.come(f"crowd {n}")
    await line.come("buyer", address=BUYER)
    await line.serve(2)
    assert line.got == ["first", "crowd 0", "buyer"]
    await line.serve(29)
    assert line.got[3:] == [f"crowd {n}" for n in range(1, 30)], "their own order stays"


@pytest.mark.parametrize(("flood", "few"), [(SIGN_UP, LOG_IN), (LOG_IN, SIGN_UP)])
async def test_a_flood_of_one_kind_takes_every_other_turn(line: Line, flood: str, few: str) -> None:
    for n in range(10):
        await line.come(f"flood {n}", flood, f"198.51.100.{n}")
    for n in range(3):
        await line.come(f"few {n}", few, f"203.0.113.{n}")
    await line.serve(6)
    assert sum(name.startswith("few") for name in line.got[1:]) == 3
    assert sum(name.startswith("few") for name in line.got[1:4]) in (1, 2)


async def test_a_full_queue_makes_room_for_an_address_with_less(line: Line) -> None:
    line.semaphore._waiting_max = 4
    for n in range(4):
        await line.come(f"crowd {n}")
    with pytest.raises(Overloaded):
        line.semaphore.check_capacity(LOG_IN, CROWD)
    line.semaphore.check_capacity(LOG_IN, BUYER)
    line.semaphore.check_capacity(SIGN_UP, CROWD)
    await line.come("buyer", address=BUYER)
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await line.tasks[4]  # crowd 3, who came last
    assert line.semaphore.waiting == 4
    await line.serve(4)
    assert line.got == ["first", "crowd 0", "buyer", "crowd 1", "crowd 2"]


async def test_a_queue_full_of_addresses_with_one_each_is_full(line: Line) -> None:
    line.semaphore._waiting_max = 4
    for n in range(4):
        await line.come(f"{n}", address=f"198.51.100.{n}")
    with pytest.raises(Overloaded):
        await line.semaphore.acquire(LOG_IN, BUYER)


@pytest.mark.parametrize("settle", [True, False])
async def test_a_cancelled_waiter_is_passed_over(line: Line, settle: bool) -> None:
    for n in range(3):
        await line.come(f"crowd {n}")
    line.tasks[1].cancel()
    if settle:
        await asyncio.sleep(0)
    await line.serve(1)
    assert line.got == ["first", "crowd 1"]
    assert line.semaphore.waiting == 1


async def test_a_slot_granted_to_a_cancelled_waiter_is_passed_on(line: Line) -> None:
    for n in range(2):
        await line.come(f"crowd {n}")
    line.semaphore.release()
    line.tasks[1].cancel()  # it has the turn, and never hears of it
    for _ in range(3):
        await asyncio.sleep(0)
    assert line.got == ["first", "crowd 1"]


async def test_no_slot_is_lost_or_made_in_any_order_of_hanging_up() -> None:
    line = Line(waiting_max=8)
    for n in range(200):
        try:
            await line.come(f"{n}", LOG_IN if n % 3 else SIGN_UP, f"192.0.2.{n % 7}")
        finally:
            if n % 5 == 0:
                line.tasks[-1].cancel()
            if n % 2 == 0 and len(line.got) > line.semaphore._free:
                await line.serve(1)
    results = await _ended(line, lambda: line.semaphore.waiting == 0)
    assert {type(result) for result in results} <= {type(None), Overloaded, asyncio.CancelledError}


async def _ended(line: Line, done: Callable[[], bool]) -> list[object]:
    async with asyncio.timeout(5):
        while not done():
            await line.serve(1)
    return list(await asyncio.gather(*line.tasks, return_exceptions=True))


def test_an_address_has_a_limit_of_each_kind() -> None:
    limit = ConcurrencyLimit(2)
    with limit.slot(LOG_IN, CROWD), limit.slot(LOG_IN, CROWD):
        with pytest.raises(TooMany) as caught, limit.slot(LOG_IN, CROWD):
            pass
        assert caught.value.extra["retry_after_s"] == 1
        with limit.slot(SIGN_UP, CROWD), limit.slot(LOG_IN, BUYER):
            pass
    with limit.slot(LOG_IN, CROWD):
        pass
    assert limit._inside == {}
