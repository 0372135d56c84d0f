"""The cache: age, size, one load at a time, and what must not be kept."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest

from boxoffice.errors import NotFound, ScheduleNotFound
from boxoffice.platform.cache import Cache
from boxoffice.platform.concurrency.single_flight import SingleFlight
from tests.integration.catalog.support import Clock


class Source:
    """Counts its loads and lets each wait for its turn."""

    def __init__(self) -> None:
        self.loads: dict[str, int] = defaultdict(int)
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.failing = False
        self.cancelled = 0

    async def load(self, key: str) -> str:
        self.loads[key] += 1
        value = f"{key}{self.loads[key]}"
        self.started.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failing:
            raise LookupError(value)
        return value


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source, clock: Clock) -> Cache[str, str]:
    return Cache(source.load, ttl_s=lambda _: 10, weight_max=3, clock=clock)


async def test_a_value_is_loaded_once_until_its_time_is_over(
    cache: Cache[str, str], clock: Clock
) -> None:
    assert await cache.get("a") == "a1"
    clock.advance(9.9)
    assert await cache.get("a") == "a1"
    clock.advance(0.2)
    assert await cache.get("a") == "a2"


async def test_the_time_counts_from_the_start_of_the_load(
    cache: Cache[str, str], source: Source, clock: Clock
) -> None:
    source.gate.clear()
    slow = asyncio.create_task(cache.get("a"))
    await source.started.wait()
    clock.advance(6)
    source.gate.set()
    assert await slow == "a1"
    clock.advance(5)
    assert await cache.get("a") == "a2"


async def test_concurrent_misses_share_one_load(cache: Cache[str, str], source: Source) -> None:
    assert await asyncio.gather(*(cache.get("a") for _ in range(50))) == ["a1"] * 50
    assert source.loads == {"a": 1}


async def test_a_failure_reaches_all_who_wait_and_is_not_kept(
    cache: Cache[str, str], source: Source
) -> None:
    source.failing = True
    results = await asyncio.gather(*(cache.get("a") for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 3
    source.failing = False
    assert await cache.get("a") == "a2"


async def test_a_caller_who_leaves_does_not_take_the_load_along(
    cache: Cache[str, str], source: Source
) -> None:
    source.gate.clear()
    leaving = asyncio.create_task(cache.get("a"))
    staying = asyncio.create_task(cache.get("a"))
    await source.started.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    source.gate.set()
    assert await staying == "a1"
    assert leaving.cancelled()
    assert source.cancelled == 0


async def test_a_load_without_waiting_callers_is_still_kept(
    cache: Cache[str, str], source: Source
) -> None:
    source.gate.clear()
    leaving = asyncio.create_task(cache.get("a"))
    await source.started.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    source.gate.set()
    assert await cache.get("a") == "a1"


async def test_a_failing_load_without_waiting_callers_is_silent(
    cache: Cache[str, str], source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    source.gate.clear()
    source.failing = True
    leaving = asyncio.create_task(cache.get("a"))
    await source.started.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    source.gate.set()
    with pytest.raises(LookupError):
        await cache.get("a")
    assert not caplog.records


async def test_invalidation_forgets(cache: Cache[str, str]) -> None:
    await cache.get("a")
    cache.invalidate("a")
    assert await cache.get("a") == "a2"


async def test_a_load_that_was_under_way_at_an_invalidation_is_not_kept(
    cache: Cache[str, str], source: Source
) -> None:
    source.gate.clear()
    before = asyncio.create_task(cache.get("a"))
    await source.started.wait()
    cache.invalidate("a")
    after = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    source.gate.set()
    assert await before == "a1"
    assert await after == "a2"
    assert await cache.get("a") == "a2"
    assert cache.peek("a") == "a2"


async def test_clear_forgets_everything(cache: Cache[str, str], source: Source) -> None:
    await cache.get("a")
    source.gate.clear()
    source.started.clear()
    loading = asyncio.create_task(cache.get("b"))
    await source.started.wait()
    cache.clear()
    source.gate.set()
    assert await loading == "b1"
    assert len(cache) == 0


async def test_the_least_recently_used_goes_first(cache: Cache[str, str]) -> None:
    for key in ("a", "b", "c", "a", "d"):
        await cache.get(key)
    assert len(cache) == 3
    assert await cache.get("a") == "a1"
    assert await cache.get("b") == "b2"


async def test_weights_bound_the_cache_and_the_newest_stays(source: Source, clock: Clock) -> None:
    weights = {"a1": 2, "b1": 2, "c1": 9}
    cache: Cache[str, str] = Cache(
        source.load, ttl_s=lambda _: 10, weight_max=4, weigh=weights.__getitem__, clock=clock
    )
    await cache.get("a")
    await cache.get("b")
    assert len(cache) == 2
    await cache.get("c")
    assert len(cache) == 1
    assert cache.peek("c") == "c1"


async def test_max_age_reads_again_what_is_too_old(cache: Cache[str, str], clock: Clock) -> None:
    await cache.get("a")
    clock.advance(2)
    assert await cache.get("a", max_age_s=3) == "a1"
    assert await cache.get("a", max_age_s=1) == "a2"
    assert await cache.get("a", max_age_s=0) == "a3"


async def test_a_forced_read_starts_after_the_call_and_is_shared(
    cache: Cache[str, str], source: Source
) -> None:
    source.gate.clear()
    early = asyncio.create_task(cache.get("a"))
    await source.started.wait()
    forced = [asyncio.create_task(cache.get("a", max_age_s=0)) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await early == "a1"
    assert await asyncio.gather(*forced) == ["a2"] * 20
    assert source.loads == {"a": 2}


async def test_once_makes_once_and_tries_again_after_a_failure() -> None:
    source = Source()
    once = SingleFlight(lambda: source.load("a"))
    source.failing = True
    results = await asyncio.gather(once.get(), once.get(), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 2
    source.failing = False
    assert [*await asyncio.gather(once.get(), once.get())] == ["a2", "a2"]
    assert await once.get() == "a2"


class Shelf:
    """Finds what is on it, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.there: set[str] = set()

    async def load(self, key: str) -> str:
        self.asked += 1
        if key not in self.there:
            raise ScheduleNotFound
        return key


@pytest.fixture
async def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def absences(shelf: Shelf, clock: Clock) -> Cache[str, str]:
    return Cache(shelf.load, ttl_s=lambda _: 10, weight_max=3, absent_ttl_s=5, clock=clock)


async def test_what_was_not_found_is_not_asked_for_again_for_a_while(
    absences: Cache[str, str], shelf: Shelf, clock: Clock
) -> None:
    for _ in range(3):
        with pytest.raises(ScheduleNotFound):
            await absences.get("a")
    assert shelf.asked == 1
    shelf.there.add("a")
    clock.advance(5.1)
    assert await absences.get("a") == "a"


async def test_who_wants_it_read_again_gets_it_read_again(
    absences: Cache[str, str], shelf: Shelf
) -> None:
    with pytest.raises(NotFound):
        await absences.get("a")
    shelf.there.add("a")
    assert await absences.get("a", 0) == "a"
    assert await absences.get("a") == "a"


async def test_an_absence_is_forgotten_with_its_key_and_with_all_of_them(
    absences: Cache[str, str], shelf: Shelf
) -> None:
    forgets: list[Callable[[], None]] = [
        lambda: absences.invalidate("a"),
        absences.clear,
        absences.forget_absent,
    ]
    for forget in forgets:
        with pytest.raises(NotFound):
            await absences.get("a")
        before = shelf.asked
        forget()
        with pytest.raises(NotFound):
            await absences.get("a")
        assert shelf.asked == before + 1


async def test_made_up_keys_are_bounded_and_displace_nothing(
    absences: Cache[str, str], shelf: Shelf
) -> None:
    shelf.there.add("real")
    await absences.get("real")
    for at in range(Cache.ABSENT_MAX + 10):
        with pytest.raises(NotFound):
            await absences.get(f"no{at}")
    assert len(absences._absent) == Cache.ABSENT_MAX
    before = shelf.asked
    assert await absences.get("real") == "real"
    assert shelf.asked == before


async def test_an_absence_that_was_invalidated_while_it_was_read_is_not_kept(
    shelf: Shelf, clock: Clock
) -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def load(key: str) -> str:
        found = key in shelf.there
        reading.set()
        await go_on.wait()
        if not found:
            raise ScheduleNotFound
        return key

    cache = Cache(load, ttl_s=lambda _: 10, weight_max=3, absent_ttl_s=5, clock=clock)
    first = asyncio.create_task(cache.get("a"))
    await reading.wait()
    shelf.there.add("a")
    cache.invalidate("a")
    go_on.set()
    with pytest.raises(ScheduleNotFound):
        await first
    assert await cache.get("a") == "a"
