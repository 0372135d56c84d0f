"""The benchmark runs end to end and its figures are complete; the values are not tested."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.measurement.results import figures
from bench.measurement.runner import chosen
from bench.measurement.sample import RunSample
from bench.measurement.targets import TargetResult, check
from bench.scenarios import locks
from bench.scenarios.catalogue import SCENARIOS
from bench.scenarios.holds import REFUSED_FACTOR
from bench.scenarios.scenario import HUGE
from bench.scenarios.spike import AREA_SEATS, REQUESTS_PER_AREA

ROOT = Path(__file__).parents[3]
HOLDS = 120
# Only ends a run that hangs; beside other work a run takes two minutes.
TIMEOUT_S = 240
# Every kind of preparation and client once; the other scenarios differ in their requests.
SHOP = [
    "lock_per_request",
    "hold_accepted",
    "hold_refused",
    "hold_sold_out",
    "pay",
    "notice_repeated",
    "seats_304",
    "open_88",
]
LOCKS = [
    "lock_none_contended",
    "lock_postgres_per_request_contended",
    "lock_valkey_per_request_contended",
]
SPIKE = "spike_400000_2_workers"
NAMES = [*SHOP, "hold_accepted_relayed", "seat_events", *LOCKS, SPIKE]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a very small run writes."""
    written = tmp_path_factory.mktemp("bench") / "bench.json"
    argv = [sys.executable, "-m", "bench", "--quick", f"--holds={HOLDS}", f"--json={written}"]
    argv.append(f"--scenarios={','.join(NAMES)}")
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-3000:]
    return msgspec.json.decode(written.read_bytes())


@pytest.fixture(scope="module")
def scenarios(document: Any) -> Mapping[str, Any]:
    """Its scenarios by name."""
    return {scenario["name"]: scenario for scenario in document["scenarios"]}


def test_each_row_has_every_figure(scenarios: Mapping[str, Any]) -> None:
    assert list(scenarios) == ["baseline", *NAMES]
    for scenario in scenarios.values():
        for name in ("cpu_us_app", "rps", "p50_ms", "p95_ms", "p99_ms", "memory_mib"):
            assert scenario[name] > 0, (scenario["name"], name)
        for name in ("cpu_us_postgres", "cpu_us_valkey"):
            assert scenario[name] >= 0, (scenario["name"], name)
        assert scenario["p50_ms"] <= scenario["p95_ms"] <= scenario["p99_ms"]
        measured = set(scenario["memory_mib_by_process"]) - {"relay"}
        assert measured == {"app", "postgres", "valkey", "client"}


def test_each_row_was_answered_as_it_should_be(scenarios: Mapping[str, Any]) -> None:
    for scenario in scenarios.values():
        assert scenario["unexpected"] == 0, scenario
    assert scenarios["hold_accepted"]["statuses"] == {"201": HOLDS}
    assert scenarios["hold_refused"]["codes"] == {"seat_taken": REFUSED_FACTOR * HOLDS}
    assert scenarios["hold_sold_out"]["codes"] == {"sold_out": REFUSED_FACTOR * HOLDS}
    assert scenarios["pay"]["statuses"] == {"201": HOLDS // 2}
    assert set(scenarios["seats_304"]["statuses"]) == {"304"}


def test_the_audit_is_clean_after_every_row(scenarios: Mapping[str, Any]) -> None:
    assert {scenario["audit"] for scenario in scenarios.values()} == {"clean"}


def test_the_relay_is_counted_where_it_runs(scenarios: Mapping[str, Any]) -> None:
    assert [name for name, scenario in scenarios.items() if scenario["cpu_us_relay"]] == [
        "hold_accepted_relayed"
    ]


def test_events_reach_the_open_streams(scenarios: Mapping[str, Any]) -> None:
    assert [name for name, scenario in scenarios.items() if scenario["streams"]] == ["seat_events"]
    with_streams = scenarios["seat_events"]
    assert with_streams["events_per_s"] > with_streams["streams"]
    assert with_streams["cpu_us_per_event"] > 0
    assert scenarios["hold_accepted"]["cpu_us_per_event"] is None


def test_without_a_lock_seats_are_sold_twice_and_with_one_they_are_not(
    scenarios: Mapping[str, Any],
) -> None:
    assert scenarios["lock_none_contended"]["sold_twice"] > 0
    for name in LOCKS[1:]:
        assert scenarios[name]["sold_twice"] == 0
        assert 0 < scenarios[name]["statuses"]["201"] <= HOLDS // 6
        assert scenarios[name]["cpu_us_per_success"] > scenarios[name]["cpu_us_total"]


def test_every_request_of_a_spike_gets_a_final_answer(scenarios: Mapping[str, Any]) -> None:
    spike = scenarios[SPIKE]
    requests, seats = REQUESTS_PER_AREA, AREA_SEATS
    held = spike["statuses"]["201"]
    assert spike["statuses"] == {"201": held, "409": requests - held}
    assert spike["codes"] == {"seat_taken": requests - held}
    # Groups have at most four seats, and a refused group lacks at least one.
    assert seats / 8 < held < seats
    assert spike["connections"] > 64


def test_durability_is_on(document: Any) -> None:
    assert document["about"]["PostgreSQL"].endswith("fsync on, synchronous_commit on")


def test_the_database_works_for_holds_and_not_for_the_baseline(
    scenarios: Mapping[str, Any],
) -> None:
    assert (
        scenarios["lock_per_request"]["cpu_us_postgres"] > scenarios["baseline"]["cpu_us_postgres"]
    )
    assert scenarios["hold_accepted"]["batch_mean"] >= 1
    assert sum(scenarios["hold_accepted"]["batch_sizes"].values()) > 0
    assert scenarios["baseline"]["batch_mean"] == 0


def test_every_target_has_an_outcome(document: Any) -> None:
    outcomes = {one["target"]: one["outcome"] for one in document["targets"]}
    assert set(outcomes.values()) <= {"PASS", "FALLS SHORT", "not measured"}
    assert outcomes["hold_accepted, CPU × baseline"] != "not measured"
    assert outcomes["concerts_read, CPU × baseline"] == "not measured"


def _sample(number: int, us: float, **changed: Any) -> RunSample:
    plain: dict[str, Any] = {
        "round": number,
        "cpu_us": {"app": us, "postgres": 0.0, "valkey": 0.0},
        "client_cpu_us": 20.0,
        "rps": 1e6 / us,
        "p50_ms": 1.0,
        "p95_ms": 2.0,
        "p99_ms": 3.0,
        "memory_mib": {"app": 60.0, "postgres": 30.0, "valkey": 10.0, "client": 30.0},
        "statuses": {"201": 10},
        "codes": {},
        "audit": "clean",
        "unexpected": 0,
    }
    return RunSample(**(plain | changed))


def test_ratios_are_taken_within_a_round_and_then_their_median() -> None:
    # In the second round the whole machine was half as fast, the baseline and the scenario alike.
    baseline = [_sample(1, 90), _sample(1, 110), _sample(2, 200), _sample(2, 200), _sample(3, 100)]
    hold = [_sample(1, 200), _sample(2, 400), _sample(3, 260)]
    by_name = {
        scenario.name: scenario
        for scenario in figures({"baseline": baseline, "hold_accepted": hold})
    }
    assert by_name["hold_accepted"].ratio_to_baseline == 2.0
    assert by_name["hold_accepted"].cpu_us_total == 260
    assert by_name["hold_accepted"].spread["ratio_to_baseline"] == (2.0, 2.6)
    assert by_name["baseline"].runs == 5


def test_one_dirty_audit_is_shown() -> None:
    scenarios = [_sample(1, 90), _sample(2, 90, audit="broken: one_row_per_seat")]
    assert figures({"pay": scenarios})[0].audit == "broken: one_row_per_seat"


def test_a_target_is_reached_at_its_limit() -> None:
    assert TargetResult("t", 2.0, 2.0, at_most=True).outcome == "PASS"
    assert TargetResult("t", 2.01, 2.0, at_most=True).outcome == "FALLS SHORT"
    assert TargetResult("t", 7.9, 8.0, at_most=False).outcome == "FALLS SHORT"
    samples = {"baseline": [_sample(1, 100)], "hold_accepted": [_sample(1, 300)]}
    outcomes = {one.target: one.outcome for one in check(figures(samples))}
    assert outcomes["hold_accepted, CPU × baseline"] == "FALLS SHORT"
    assert outcomes["pay, CPU × baseline"] == "not measured"


def test_only_the_quick_run_leaves_out_the_million_seats() -> None:
    assert all(scenario.seats != HUGE for scenario in chosen(SCENARIOS, [], huge=False))
    assert chosen(SCENARIOS, [], huge=True) == list(SCENARIOS)
    assert [scenario.name for scenario in chosen(SCENARIOS, ["pay"], huge=False)] == [
        "baseline",
        "pay",
    ]


def test_the_rows_about_locks_are_asked_for_by_name_and_come_in_pairs() -> None:
    names = [scenario.name for scenario in locks.SCENARIOS]
    assert not set(names) & {scenario.name for scenario in SCENARIOS}
    uncontended = {
        name.removesuffix("_uncontended") for name in names if name.endswith("_uncontended")
    }
    assert uncontended == {
        name.removesuffix("_contended") for name in names if name.endswith("_contended")
    }
    assert len(names) == 2 * len(uncontended)
    assert [scenario.name for scenario in locks.SCENARIOS if scenario.may_oversell] == names[:2]
