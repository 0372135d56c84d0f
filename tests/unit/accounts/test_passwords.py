"""Password hashing: strong enough, bounded, and as slow for unknown accounts."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
from argon2 import extract_parameters

from boxoffice.accounts.passwords.hashing import LANES, MEMORY_KIB, PASSES, Passwords
from boxoffice.errors import IntegrityError, Overloaded
from boxoffice.settings import Settings


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(
        Settings.of(password_hashes_in_flight_max=2, password_hashes_waiting_max=3).accounts
    )
    yield made
    made.close()


async def test_a_hash_matches_its_password_alone(passwords: Passwords) -> None:
    stored = await passwords.hash("열려라 참깨")
    assert stored != await passwords.hash("열려라 참깨")
    assert await passwords.matches(stored, "열려라 참깨")
    assert not await passwords.matches(stored, "열려라 들깨")
    assert not await passwords.matches(None, "열려라 참깨")


async def test_hashes_are_as_costly_as_promised(passwords: Passwords) -> None:
    found = extract_parameters(await passwords.hash("12345678"))
    assert (found.type.name, found.memory_cost, found.time_cost, found.parallelism) == (
        "ID", MEMORY_KIB, PASSES, LANES,
    )  # fmt: skip
    # The dummy hash costs the same, or the time of a refusal would reveal accounts.
    assert extract_parameters(passwords._dummy_hash) == found


async def test_an_unreadable_hash_is_a_bug_and_no_refusal(passwords: Passwords) -> None:
    with pytest.raises(IntegrityError):
        await passwords.matches("not a hash", "12345678")


class Gate:
    """Work that runs until it is let go; counts how many run at a time."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.lock = threading.Lock()
        self.open = threading.Event()

    def work(self) -> None:
        """Wait for the gate."""
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.open.wait(10)
        with self.lock:
            self.running -= 1


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


async def test_past_the_limits_it_is_overloaded_at_once(passwords: Passwords) -> None:
    gate = Gate()
    tasks = [asyncio.create_task(passwords._run(gate.work)) for _ in range(5)]
    await _until(lambda: gate.running == 2 and passwords._semaphore.waiting == 3)
    for _ in range(3):
        with pytest.raises(Overloaded):
            await passwords._run(gate.work)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert gate.most == 2
    await passwords._run(gate.work)


async def test_a_cancelled_caller_frees_its_place_at_once_and_its_thread_when_it_ends(
    passwords: Passwords,
) -> None:
    gate = Gate()
    tasks = [asyncio.create_task(passwords._run(gate.work)) for _ in range(5)]
    await _until(lambda: gate.running == 2 and passwords._semaphore.waiting == 3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (gate.running, passwords._semaphore.waiting) == (2, 0)
    later = asyncio.create_task(passwords._run(gate.work))
    await _until(lambda: passwords._semaphore.waiting == 1)
    gate.open.set()
    await later
    assert gate.most == 2
