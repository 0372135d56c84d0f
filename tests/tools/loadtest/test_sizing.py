"""From figures to pods: arithmetic that can be done by hand."""

import math

import msgspec
import pytest

from boxoffice_loadtest.analysis import pods, sale, sizing
from boxoffice_loadtest.model import Estimate, ExpectedSale
from tests.tools.loadtest import samples

SALE = ExpectedSale(users=6_000, seats=300, sell_out_s=60.0)


@pytest.mark.parametrize(
    ("peak", "pod", "wanted"),
    [
        (1_000, 1_000, (2, 3)),  # one pod carries it, and one may be lost
        (5_000, 1_000, (6, 9)),  # ⌈5⌉ + 1, ⌈5 / 0.7⌉ + 1
        (5_001, 1_000, (7, 9)),
        (10, 1_000, (2, 3)),
        (100, 0, (2, 2)),
    ],
)
def test_replicas(peak: float, pod: float, wanted: tuple[int, int]) -> None:
    assert pods.replicas(peak, pod) == wanted


def test_memory_of_a_pod_grows_with_connections_and_hot_seats() -> None:
    # 70 MiB at rest, 1,024 connections of 10 KiB, 2,048 seats of 1 KiB.
    assert pods.memory_of_pod(samples.memory(), 1_024, 2_048, 1 / 1024) == pytest.approx(82.0)


def test_a_hall_that_sells_may_take_more_than_one_that_is_looked_at() -> None:
    looked_at = pods.cached_seat_mib(samples.run(), samples.memory(), 2)
    assert looked_at == pytest.approx(1 / 1024)
    large = samples.scenario("steps", seats_total=10_240, started_s=1.0, seconds=10.0)
    seen = [
        samples.sample(float(n), memory_mib={"api-1": 70.0 + n, "api-2": 70.0 + n})
        for n in range(2, 12)
    ]
    run = samples.run(scenarios=[large], samples=seen)
    # 9 MiB more in each process, for 10,240 seats.
    assert pods.cached_seat_mib(run, samples.memory(), 2) == pytest.approx(9 / 10_240, rel=0.2)
    assert pods.peak_process_mib(run) == 81.0


def test_the_limit_is_above_what_a_process_had() -> None:
    seen = [samples.sample(1.0, memory_mib={"api-1": 900.0, "api-2": 70.0})]
    spec = sizing.sized(samples.run(samples=seen), None, None, 2).deployment
    assert spec is not None
    assert spec.memory_limit_mib >= 1_440


def test_a_pool_has_room_for_twice_the_batches_and_for_reads() -> None:
    assert [pods.pool_per_pod(busy) for busy in (None, 0.2, 1.4, 3.0)] == [4, 4, 5, 8]


def test_busy_connections_follow_from_littles_law() -> None:
    # 4 s of batches within 10 s, by two processes.
    assert pods.busy_connections([samples.scenario()], [], 2) == pytest.approx(0.2)
    without = samples.scenario(batch_counters={})
    assert pods.busy_connections([without], [samples.sample(1)], 2) == pytest.approx(0.5)
    assert pods.busy_connections([without], [], 2) is None


def test_a_pod_gives_what_is_left_of_its_core() -> None:
    found = samples.analysis()
    assert found.cost_of_mix_s is not None
    wanted = (1 - samples.IDLE_CORES / 2) / found.cost_of_mix_s.high
    assert pods.pod_capacity(found, 2) == pytest.approx(wanted, rel=1e-3)


def test_demand_follows_the_measured_user_but_sells_no_more_than_there_is() -> None:
    # Three iterations made three tries to hold, one payment, one release; two holds took three seats.
    found = sale.demand(samples.scenario(), SALE)
    # 100 people a second, twice that at the peak; 300 seats in holds of 1.5 make 200 holds in 60 s.
    assert found["hold"] == pytest.approx(200 / 60 * 2)
    assert found["hold"] + found["refused"] == pytest.approx(200)
    assert found["pay"] == found["release"] == pytest.approx(found["hold"] / 2)


def test_a_sale_names_what_gives_way_first() -> None:
    small = sizing.sized(samples.run(), None, SALE, 2)
    assert small.forecast is not None
    assert small.forecast.bottleneck is None
    large = sizing.sized(
        samples.run(), None, ExpectedSale(users=9_000_000, seats=20_000, sell_out_s=30), 2
    )
    assert large.forecast is not None
    shares = {one.component: one.share or 0.0 for one in large.forecast.demands}
    assert large.forecast.bottleneck == max(shares, key=lambda name: shares[name])
    assert large.forecast.pods > small.forecast.pods


def test_the_peak_is_the_stated_one_then_that_of_the_sale_then_the_knee() -> None:
    for peak, expected, source in (
        (5_000.0, SALE, "stated"),
        (None, SALE, "sale"),
        (None, None, "knee"),
    ):
        spec = sizing.sized(samples.run(), peak, expected, 2).deployment
        assert spec is not None
        assert spec.peak_source == source


def test_nothing_is_sized_without_figures() -> None:
    for run, why in (
        (samples.run(stopped="interrupted"), "stopped"),
        (samples.run(memory=None), "no_memory"),
        (samples.run(analysis=msgspec.structs.replace(samples.analysis(), cost_of_mix_s=None)),
         "no_costs"),
    ):  # fmt: skip
        found = sizing.sized(run, None, None, 2)
        assert found.deployment is None
        assert [(one.subject, one.reason) for one in found.inconclusive] == [("deployment", why)]


def test_a_short_run_is_sized_by_the_upper_end_of_its_cost() -> None:
    """A quick run whose interval reaches zero wrote no values."""
    vague = msgspec.structs.replace(
        samples.analysis(),
        knee=None,
        per_core_per_s=None,
        cost_of_mix_s=Estimate(value=1e-3, low=0.0, high=2e-3),
    )
    found = sizing.sized(samples.run(analysis=vague, prediction=None), None, None, 2)
    assert found.deployment is not None
    assert (found.deployment.peak_per_s, found.deployment.peak_source) == (500.0, "core")
    assert found.deployment.pod_per_s == pods.pod_capacity(vague, 2)
    assert found.deployment.confidence == "poor"
    for high in (0.0, math.inf):
        none = msgspec.structs.replace(vague, cost_of_mix_s=Estimate(value=0.0, low=0.0, high=high))
        assert sizing.sized(samples.run(analysis=none), None, None, 2).deployment is None


def test_a_sale_needs_a_measured_journey() -> None:
    found = sizing.sized(samples.run(scenarios=[samples.scenario("lookup")]), None, SALE, 2)
    assert ("sale", "no_journey") in [(one.subject, one.reason) for one in found.inconclusive]


def test_confidence_follows_intervals_and_prediction() -> None:
    good = samples.run()
    assert sizing.confidence(good) == "good"
    assert sizing.confidence(samples.run(prediction=None)) == "fair"
    assert sizing.confidence(samples.run(prediction=samples.prediction(0.3))) == "poor"
    wide = Estimate(value=1e-3, low=1e-4, high=2e-3)
    vague = msgspec.structs.replace(good.analysis, cost_of_mix_s=wide)
    assert sizing.confidence(samples.run(analysis=vague)) == "poor"
