"""Addresses take turns, log-ins and sign-ups take turns, and every queue has a bound."""

import asyncio
from collections.abc import Callable

import pytest

from boxoffice.accounts.passwords.fair_semaphore import (
    LOG_IN,
    SIGN_UP,
    ConcurrencyLimit,
    FairSemaphore,
)
from boxoffice.errors import Overloaded, TooMany

CROWD, BUYER = "192.0.2.1", "192.0.2.2"


class Waiters:
    """Waiters for one slot; `got` is the order in which they got it."""

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
        """Give the slot to so many, one after the other."""
        for _ in range(times):
            self.semaphore.release()
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
async def waiters() -> Waiters:
    """Waiters for a slot that is taken."""
    made = Waiters()
    await made.come("first")
    return made


async def test_another_address_waits_for_one_of_a_crowd_at_most(waiters: Waiters) -> None:
    for n in range(30):
        await waiters.come(f"crowd {n}")
    await waiters.come("buyer", address=BUYER)
    await waiters.serve(2)
    assert waiters.got == ["first", "crowd 0", "buyer"]
    await waiters.serve(29)
    assert waiters.got[3:] == [f"crowd {n}" for n in range(1, 30)], "their own order stays"


@pytest.mark.parametrize(("flood", "few"), [(SIGN_UP, LOG_IN), (LOG_IN, SIGN_UP)])
async def test_a_flood_of_one_kind_takes_every_other_turn(
    waiters: Waiters, flood: str, few: str
) -> None:
    for n in range(10):
        await waiters.come(f"flood {n}", flood, f"198.51.100.{n}")
    for n in range(3):
        await waiters.come(f"few {n}", few, f"203.0.113.{n}")
    await waiters.serve(6)
    assert sum(name.startswith("few") for name in waiters.got[1:]) == 3
    assert sum(name.startswith("few") for name in waiters.got[1:4]) in (1, 2)


async def test_a_full_queue_makes_room_for_an_address_with_less(waiters: Waiters) -> None:
    waiters.semaphore._waiting_max = 4
    for n in range(4):
        await waiters.come(f"crowd {n}")
    with pytest.raises(Overloaded):
        waiters.semaphore.check_capacity(LOG_IN, CROWD)
    waiters.semaphore.check_capacity(LOG_IN, BUYER)
    waiters.semaphore.check_capacity(SIGN_UP, CROWD)
    await waiters.come("buyer", address=BUYER)
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await waiters.tasks[4]  # crowd 3, the last one
    assert waiters.semaphore.waiting == 4
    await waiters.serve(4)
    assert waiters.got == ["first", "crowd 0", "buyer", "crowd 1", "crowd 2"]


async def test_a_queue_full_of_addresses_with_one_each_is_full(waiters: Waiters) -> None:
    waiters.semaphore._waiting_max = 4
    for n in range(4):
        await waiters.come(f"{n}", address=f"198.51.100.{n}")
    with pytest.raises(Overloaded):
        await waiters.semaphore.acquire(LOG_IN, BUYER)


@pytest.mark.parametrize("settle", [True, False])
async def test_a_cancelled_waiter_is_passed_over(waiters: Waiters, settle: bool) -> None:
    for n in range(3):
        await waiters.come(f"crowd {n}")
    waiters.tasks[1].cancel()
    if settle:
        await asyncio.sleep(0)
    await waiters.serve(1)
    assert waiters.got == ["first", "crowd 1"]
    assert waiters.semaphore.waiting == 1


async def test_a_slot_granted_to_a_cancelled_waiter_is_passed_on(waiters: Waiters) -> None:
    for n in range(2):
        await waiters.come(f"crowd {n}")
    waiters.semaphore.release()
    waiters.tasks[1].cancel()  # it has the slot, and is cancelled before it runs
    for _ in range(3):
        await asyncio.sleep(0)
    assert waiters.got == ["first", "crowd 1"]


async def test_no_slot_is_lost_or_made_in_any_order_of_hanging_up() -> None:
    waiters = Waiters(waiting_max=8)
    for n in range(200):
        try:
            await waiters.come(f"{n}", LOG_IN if n % 3 else SIGN_UP, f"192.0.2.{n % 7}")
        finally:
            if n % 5 == 0:
                waiters.tasks[-1].cancel()
            if n % 2 == 0 and len(waiters.got) > waiters.semaphore._free:
                await waiters.serve(1)
    results = await _ended(waiters, lambda: waiters.semaphore.waiting == 0)
    assert {type(result) for result in results} <= {type(None), Overloaded, asyncio.CancelledError}


async def _ended(waiters: Waiters, done: Callable[[], bool]) -> list[object]:
    async with asyncio.timeout(5):
        while not done():
            await waiters.serve(1)
    return list(await asyncio.gather(*waiters.tasks, return_exceptions=True))


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
