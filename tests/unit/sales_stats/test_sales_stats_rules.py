"""Counting in steps: nothing is counted twice or lost, and a percentile is where it must be."""

import random
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.observability.access_log import Kind
from boxoffice.observability.metrics import FINE_SECONDS, REQUEST_SECONDS
from boxoffice.sales_stats import rules
from boxoffice.sales_stats.rules import Sold, TrafficSums
from boxoffice.sales_stats.traffic_counter import SHOP, TrafficCounter

_TIMES = st.lists(st.floats(0.000_01, 9.9), min_size=1, max_size=200)


def _steps_of(seconds: list[float]) -> dict[int, int]:
    steps: dict[int, int] = {}
    for value in seconds:
        at = bisect_left(FINE_SECONDS, value)
        steps[at] = steps.get(at, 0) + 1
    return steps


@given(_TIMES)
def test_a_percentile_is_in_the_step_of_the_true_one(seconds: list[float]) -> None:
    true = sorted(seconds)[max(0, -(-len(seconds) * 95 // 100) - 1)]
    at = bisect_left(FINE_SECONDS, true)
    found = rules.percentile_ms(_steps_of(seconds), FINE_SECONDS, 0.95)
    assert found is not None
    low = FINE_SECONDS[at - 1] if at else 0.0
    assert low * 1000 - 1e-9 <= found <= FINE_SECONDS[at] * 1000 + 1e-9


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert rules.percentile_ms({}, FINE_SECONDS, 0.95) is None


def test_above_the_last_bucket_the_last_one_counts() -> None:
    assert rules.percentile_ms({len(FINE_SECONDS): 3}, FINE_SECONDS, 0.95) == 10_000


@given(_TIMES)
def test_the_metrics_count_what_the_steps_count(seconds: list[float]) -> None:
    child = REQUEST_SECONDS.labels("/test")
    before = [bucket.get() for bucket in child._buckets]
    steps = child.observe_all(seconds)
    after = [bucket.get() for bucket in child._buckets]
    assert sum(steps.values()) == len(seconds)
    counted = [now - then for now, then in zip(after, before, strict=True)]
    expected = [0.0] * len(counted)
    for value in seconds:
        expected[bisect_left(child._upper_bounds, value)] += 1
    assert counted == expected


@given(
    st.dictionaries(st.integers(0, 100), st.tuples(st.integers(1, 9), st.integers(0, 52))),
    st.sampled_from(["ok", "seat_taken"]),
)
def test_counters_are_parsed_as_written(found: dict[int, tuple[int, int]], code: str) -> None:
    sums = {step: TrafficSums({code: count}, {at: count}) for step, (count, at) in found.items()}
    fields = [
        (rules.field_of(step, name), count)
        for step, one in sums.items()
        for name, count in one.fields().items()
    ]
    assert rules.sums_by_step(fields) == sums


def test_unknown_counters_are_skipped() -> None:
    assert rules.sums_by_step([("x", 1), ("7:t:x", 1), ("7:c:ok", 2)]) == {
        7: TrafficSums({"ok": 2})
    }


def test_a_step_is_shown_once_it_is_flushed() -> None:
    boundary = 1_000 * rules.STEP_S
    assert rules.window(boundary + rules.SETTLED_AFTER_S - 0.1, 60)[-1] == 998
    assert rules.window(boundary + rules.SETTLED_AFTER_S, 60) == range(988, 1000)


def test_few_windows_are_read_for_any_request() -> None:
    asked = range(rules.WINDOW_MIN_S, rules.WINDOW_MAX_S + 1)
    assert {rules.read_window(window_s) for window_s in asked} == set(rules.WINDOWS_S)
    assert all(rules.read_window(window_s) >= window_s for window_s in asked)


def test_an_uncounted_step_is_none_and_one_without_requests_is_zero() -> None:
    sold = [Sold(step=5, holds=2, sales=1, revenue=100)]
    [unknown] = rules.series(range(5, 6), None, sold, FINE_SECONDS)
    assert (unknown.requests, unknown.refusals, unknown.p95_ms) == (None, None, None)
    assert (unknown.holds, unknown.sales, unknown.revenue) == (2, 1, 100)
    [quiet] = rules.series(range(6, 7), {}, sold, FINE_SECONDS)
    assert (quiet.requests, quiet.refusals, quiet.p95_ms, quiet.sales) == (0, {}, None, 0)


def test_a_worker_keeps_a_bounded_number_of_schedules() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    traffic_counter = TrafficCounter(lambda: 1_000.0, schedules_max=3)
    asked = [f"schedule-{rng.randrange(50)}" for _ in range(500)]
    for scope in asked:
        traffic_counter.record(Kind("GET", "/v1/seats", 200, "ok", scope), 2, {0: 2})
    traffic_counter.record(Kind("GET", "/readyz", 200, "ok"), 9, {0: 9})
    sums = traffic_counter.drain()
    assert sums[SHOP, 200].requests == 2 * len(asked)
    assert len(sums) == 2 * (3 + 1)
    for (scope, _), one in sums.items():
        if scope != SHOP:
            assert one.requests == 2 * asked.count(scope)
    assert traffic_counter.drain() == {}


def test_a_schedule_that_does_not_exist_is_not_counted_separately() -> None:
    traffic_counter = TrafficCounter(lambda: 1_000.0, 4)
    for made_up in range(100):
        for status, code in ((400, "invalid"), (401, "unauthenticated"), (429, "too_many")):
            traffic_counter.record(
                Kind("POST", "/v1/holds", status, code, f"made up {made_up}"), 1, {0: 1}
            )
    traffic_counter.record(Kind("POST", "/v1/holds", 409, "seat_taken", "real"), 1, {0: 1})
    traffic_counter.record(Kind("POST", "/v1/holds", 401, "unauthenticated", "real"), 1, {0: 1})

    sums = {scope: one.codes for (scope, _), one in traffic_counter.drain().items()}
    assert sums.keys() == {SHOP, "real"}
    assert sums["real"] == {"seat_taken": 1, "unauthenticated": 1}
