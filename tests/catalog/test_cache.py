"""The cache: age, size, one load at a time, and what must not be kept."""

import asyncio
from collections import defaultdict

import pytest

from boxoffice.catalog.cache import Cache, Once

from .support import Clock


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


async def test_a_load_that_everybody_left_is_still_kept(
    cache: Cache[str, str], source: Source
) -> None:
    source.gate.clear()
    leaving = asyncio.create_task(cache.get("a"))
    await source.started.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    source.gate.set()
    assert await cache.get("a") == "a1"


async def test_a_failing_load_that_everybody_left_is_silent(
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
    once = Once(lambda: source.load("a"))
    source.failing = True
    results = await asyncio.gather(once.get(), once.get(), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 2
    source.failing = False
    assert [*await asyncio.gather(once.get(), once.get())] == ["a2", "a2"]
    assert await once.get() == "a2"
