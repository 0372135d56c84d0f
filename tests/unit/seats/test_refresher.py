"""How often a schedule is read, and how old its states may be, on a clock that the test sets."""

import asyncio
import math
import time
from array import array

import pytest

from boxoffice.seats.cache import refresher
from boxoffice.seats.cache.refresher import MaxAge, SnapshotRefresher
from boxoffice.seats.cache.states import (
    AVAILABLE,
    HELD,
    SOLD,
    PositionChange,
    SaleWindow,
    StoredStates,
)

SALE = SaleWindow(True, 0.0, float("inf"))


class Source:
    """Readings of one seat that take a given time, or fail."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.takes_s = 0.001
        self.readings = 0
        self.fails = False
        self.listens_since = math.inf

    def clock(self) -> float:
        return self.now_s

    def connected_since(self) -> float:
        return self.listens_since

    async def read(self) -> StoredStates:
        self.readings += 1
        await asyncio.sleep(0)
        self.now_s += self.takes_s
        if self.fails:
            raise OSError("away")
        nobody = array("Q")
        return StoredStates(self.now_s, b"\0", array("d", [0.0]), array("q", [1]), nobody, SALE)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def watch(source: Source) -> SnapshotRefresher:
    return SnapshotRefresher(source.read, MaxAge(0.25, 1.0), source.connected_since, source.clock)


async def _turn() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_without_messages_no_old_reading_is_used(
    source: Source, watch: SnapshotRefresher
) -> None:
    await watch.fresh()
    source.now_s += 0.2
    assert watch.usable() is watch.live
    source.now_s += 0.1
    assert watch.usable() is None
    await _turn()
    assert watch.usable() is watch.live
    assert source.readings == 2


async def test_with_messages_a_reading_verifies_in_the_background(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.listens_since = 0.0
    await watch.fresh()
    source.now_s += 1.1
    assert watch.usable() is watch.live, "it is verified meanwhile"
    await _turn()
    assert source.readings == 2
    source.fails = True
    source.now_s += 2.1
    assert watch.usable() is None, "it could not be verified for too long"


async def test_a_large_hall_is_read_for_a_twentieth_of_the_time(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.takes_s = 0.5
    await watch.fresh()
    for _ in range(1_000):
        source.now_s += 0.1
        watch.usable()
        await _turn()
    assert 5 <= source.readings <= 11


async def test_a_hall_that_is_not_eager_is_read_once_it_is_enabled(source: Source) -> None:
    watch = SnapshotRefresher(
        source.read, MaxAge(0.25, 1.0), source.connected_since, source.clock, eager=False
    )
    assert watch.usable() is None
    await _turn()
    assert source.readings == 0
    watch.enable()
    assert watch.usable() is None
    await _turn()
    assert watch.usable() is watch.live is not None
    assert source.readings == 1


async def test_a_database_that_is_away_is_not_stormed(
    source: Source, watch: SnapshotRefresher
) -> None:
    await watch.fresh()
    source.fails = True
    source.takes_s = 0.0
    source.now_s += 10
    for _ in range(1_000):
        source.now_s += 0.001
        assert watch.usable() is None
        await _turn()
    assert source.readings <= 22
    with pytest.raises(OSError, match="away"):
        await watch.fresh()


async def test_an_invalidation_outlives_the_reading_in_progress(
    source: Source, watch: SnapshotRefresher
) -> None:
    await watch.fresh()
    source.now_s += 0.3
    assert watch.usable() is None
    watch.invalidate()
    await _turn()
    assert watch.usable() is None, "what was read began before the doubt"
    source.now_s += 0.1
    watch.usable()
    await _turn()
    assert watch.usable() is watch.live


async def test_fresh_states_cost_no_turn_of_the_loop(
    source: Source, watch: SnapshotRefresher
) -> None:
    await watch.fresh()
    began = time.thread_time()
    for _ in range(1_000):
        work = watch.fresh()
        with pytest.raises(StopIteration):
            work.send(None)
    assert time.thread_time() - began < 1


async def test_a_change_during_the_first_reading_costs_no_second_one(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.takes_s = 0.1
    assert watch.usable() is None
    watch.apply([PositionChange(0, HELD, 2_000.0, 2, 7)])
    await _turn()
    live = watch.usable()
    assert live is not None, "memory refuses as soon as the first reading is there"
    assert live.is_taken(0, 1_999.0)
    assert 7 in live.people
    assert source.readings == 1


async def test_a_change_before_the_first_reading_is_in_it(
    source: Source, watch: SnapshotRefresher
) -> None:
    watch.apply([PositionChange(0, HELD, 2_000.0, 1, 7)])
    live = await watch.fresh()
    assert live.is_free(0), "only the reading counts, which began later"
    assert watch.usable() is live


async def test_a_gap_during_the_first_reading_is_found(
    source: Source, watch: SnapshotRefresher
) -> None:
    assert watch.usable() is None
    watch.apply([PositionChange(0, HELD, 2_000.0, 9, 7)])
    await _turn()
    assert watch.usable() is None, "seven changes are not known"
    source.now_s += 0.1
    watch.usable()
    await _turn()
    assert watch.usable() is watch.live


async def test_more_changes_than_are_kept_are_an_unknown_state(
    source: Source, watch: SnapshotRefresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "_EARLY_CHANGES_MAX", 2)
    assert watch.usable() is None
    for version in (2, 3, 4):
        watch.apply([PositionChange(0, (AVAILABLE, HELD)[version % 2 == 0], 0.0, version, version)])
    await _turn()
    assert watch.usable() is None


async def test_changes_of_a_failed_first_reading_are_in_the_next_one(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.fails = True
    assert watch.usable() is None
    watch.apply([PositionChange(0, SOLD, 0.0, 9, 7)])
    await _turn()
    source.fails = False
    live = await watch.fresh()
    assert 7 not in live.people
    assert watch.usable() is live


async def test_an_invalidation_after_a_slow_reading_is_soon_repaired(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.takes_s = 0.5
    await watch.fresh()
    watch.invalidate()
    source.now_s += 0.001
    assert watch.usable() is None
    await _turn()
    assert watch.usable() is watch.live, "and not after twenty times what the reading took"
    assert source.readings == 2


async def test_a_reading_that_an_invalidation_overtakes_is_repeated_at_once(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.takes_s = 0.5
    assert watch.usable() is None
    watch.invalidate()
    await _turn()
    assert watch.usable() is None, "what was read began before"
    await _turn()
    assert watch.usable() is watch.live
    assert source.readings == 2


async def test_a_storm_of_invalidations_reads_for_a_twentieth_of_the_time(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.takes_s = 0.5
    await watch.fresh()
    for _ in range(1_000):
        source.now_s += 0.1
        watch.invalidate()
        watch.usable()
        await _turn()
    assert 9 <= source.readings <= 13


async def test_without_messages_memory_refuses_all_the_time(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.takes_s = 0.005
    await watch.fresh()
    for _ in range(1_000):
        assert watch.usable() is watch.live
        source.now_s += 0.001
        await _turn()
    assert source.readings <= 6


async def test_messages_that_begin_to_arrive_leave_no_time_without_refusals(
    source: Source, watch: SnapshotRefresher
) -> None:
    source.takes_s = 0.007
    assert watch.usable() is None
    source.listens_since = source.now_s + 0.002
    await _turn()
    readings = []
    for _ in range(1_000):
        assert watch.usable() is watch.live
        source.now_s += 0.001
        await _turn()
        readings.append(source.readings)
    assert readings[0] == 1
    assert readings[250] == 2, "a reading from before the messages is used for 250 ms only"
    assert readings[-1] == 2


async def test_messages_that_begin_to_arrive_make_no_old_reading_good(
    source: Source, watch: SnapshotRefresher
) -> None:
    await watch.fresh()
    source.listens_since = source.now_s
    source.now_s += 0.3
    source.fails = True
    assert watch.usable() is None
    with pytest.raises(OSError, match="away"):
        await watch.fresh()
