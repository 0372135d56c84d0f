"""Targets are met, missed, or not run; missing results never meet one."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from faults.report.result import Result
from faults.report.targets import (
    CRASH_POINTS,
    ROLLING_RESTARTS_MIN,
    SEEDED_MIN,
    TARGETS,
    TargetLine,
    TargetStatus,
    lines,
    summary_line,
)
from faults.runner import take
from faults.scenario import Observations
from faults.scenarios import ALL

PARTS = {scenario.name: scenario.component.value for scenario in ALL}
# 43 minutes, five of failover, the parser and floods, 22 of sales through providers, and nine of a
# cancelled hall. The trials of guards come on top: one for each guard of the code.
WHOLE_MAX_S = 79 * 60
GUARD_MAX_S = 0.6


def played(name: str, **seen: object) -> Result:
    """Return the result of a scenario with buyers."""
    return msgspec.structs.replace(
        Result(name=name, component=PARTS[name], trials=3, requests=5_000, acknowledged=2_000),
        **seen,
    )


def recovered(name: str, limit_s: float, **seen: object) -> Result:
    """Return the result of a scenario with a hundred short faults."""
    return played(name, recovery_p99_max_s=limit_s, recoveries_s=[0.1] * 100, **seen)


def errand(name: str, trials: int, **figures: float) -> Result:
    """Return the result of a scenario without buyers."""
    return Result(name=name, component=PARTS[name], trials=trials, figures=figures)


GOOD: Mapping[str, Result] = {
    one.name: one
    for one in (
        recovered("api_sigkill", 2.0, trials=100, kills=300),
        *(recovered(name, 2.0, trials=16, kills=16) for name in CRASH_POINTS),
        recovered("pg_postmaster_sigkill", 5.0, trials=30, kills=30),
        recovered("valkey_sigkill", 2.0, trials=50, kills=50),
        played("valkey_sigstop", figures={"goodput_kept_percent": 95.0}),
        played("overload", figures={"goodput_share": 0.95, "accepted_p99_ms": 400.0}),
        played("rolling_restart", trials=20, figures={"failed_requests_count": 0.0}),
        played("clients_storm", figures={"memory_growth_mb": 4.0, "p99_times": 1.1}),
        played("clients_hang_ups", figures={"memory_growth_mb": 9.0, "p99_times": 1.7}),
        played("clients_one_connection", trials=20, figures={"one_connection_mib": 3.0}),
        errand(
            "seeded_double_sale",
            30,
            found_by_histories_count=30,
            found_by_record_count=30,
            found_by_audit_count=30,
        ),
        errand("guards", 335, guards_declared_count=335),
        errand("schemathesis", 11_000, forgiven_count=4),
    )
}


def told(results: Sequence[Result], *, is_whole: bool = True) -> dict[str, TargetLine]:
    """Return the lines by their figures."""
    return {one.figure: one for one in lines(results, is_whole=is_whole)}


def spoilt(name: str, **seen: object) -> list[Result]:
    """Return all results with one of them changed."""
    changed = {**GOOD, name: msgspec.structs.replace(GOOD[name], **seen)}
    return list(changed.values())


def test_a_whole_run_that_is_good_meets_every_figure() -> None:
    made = lines(list(GOOD.values()), is_whole=True)
    assert len(made) == len(TARGETS)
    assert {one.status for one in made} == {TargetStatus.MET}
    assert summary_line(made, is_whole=True) == f"A whole run: all {len(TARGETS)} figures met."


LATE_S = [0.1] * 90 + [6.0] * 10


@pytest.mark.parametrize(
    ("name", "seen", "figure"),
    [
        ("money_double_pay", {}, ""),
        ("api_sigkill", {"lost": 1}, "acknowledged holds and payments lost"),
        ("api_sigkill", {"kills": 100}, "acknowledged holds and payments lost"),
        ("api_sigkill", {"sold_twice": 1}, "seats sold twice"),
        ("api_sigkill", {"imbalance": 1}, "imbalance of the ledger"),
        ("api_sigkill", {"double_charges": 1}, "double charges"),
        ("api_sigkill", {"unexcused": {"hold: 500": 2}}, "answers that no fault excuses"),
        ("api_sigkill", {"recoveries_s": [2.5] * 100}, "the next sale, p99: API process"),
        ("valkey_sigkill", {"recoveries_s": [2.5] * 100}, "the next sale, p99: Valkey"),
        ("valkey_sigkill", {"recoveries_s": [0.1] * 9}, "the next sale, p99: Valkey"),
        ("pg_postmaster_sigkill", {"recoveries_s": LATE_S}, "the next sale, p99: PostgreSQL"),
        ("pg_postmaster_sigkill", {"recoveries_s": []}, "the next sale, p99: PostgreSQL"),
        ("api_kill_with_a_claim", {"broken": ["two effects"]}, "crash points"),
        ("api_kill_with_a_claim", {"trials": 0}, "crash points"),
        ("valkey_sigstop", {"figures": {"goodput_kept_percent": 69.0}}, "with Valkey down"),
        ("valkey_sigstop", {"figures": {}}, "with Valkey down"),
        ("valkey_sigstop", {"trials": 2}, "with Valkey down"),
        ("overload", {"figures": {"goodput_share": 0.89, "accepted_p99_ms": 1}}, "goodput at 5"),
        ("overload", {"figures": {"goodput_share": 1, "accepted_p99_ms": 1001}}, "p99 of accepted"),
        ("rolling_restart", {"figures": {"failed_requests_count": 1}}, "rolling restarts"),
        ("rolling_restart", {"trials": 19}, "rolling restarts"),
        (
            "clients_storm",
            {"figures": {"memory_growth_mb": 51, "p99_times": 1}},
            "memory under abusive clients",
        ),
        (
            "clients_storm",
            {"figures": {"memory_growth_mb": 1, "p99_times": 2.1}},
            "p99 of buyers",
        ),
        ("clients_one_connection", {"figures": {"one_connection_mib": 16.1}}, "one connection"),
        ("clients_one_connection", {"figures": {}}, "one connection"),
        ("clients_one_connection", {"trials": 19}, "one connection"),
        ("guards", {"broken": ["nobody notices"]}, "guards"),
        ("guards", {"trials": 334}, "guards"),
        ("schemathesis", {"trials": 9_999}, "schemathesis"),
        ("schemathesis", {"broken": ["a 500"]}, "schemathesis"),
        ("schemathesis", {"figures": {}}, "schemathesis"),
        (
            "seeded_double_sale",
            {"figures": {"found_by_histories_count": 30, "found_by_audit_count": 29}},
            "seeded",
        ),
        ("seeded_double_sale", {"trials": SEEDED_MIN - 1}, "seeded"),
    ],
)
def test_one_bad_figure_is_missed_and_no_other(
    name: str, seen: Mapping[str, object], figure: str
) -> None:
    results = spoilt(name, **seen) if figure else [*GOOD.values(), played(name)]
    made = lines(results, is_whole=True)
    missed = [one.figure for one in made if one.status is TargetStatus.MISSED]
    assert [figure in one for one in missed] == ([True] if figure else [])
    assert ("1 MISSED" in summary_line(made, is_whole=True)) == bool(figure)


def test_one_comparison_of_overload_is_too_few_for_a_whole_run() -> None:
    made = told(spoilt("overload", trials=1))
    missed = [name for name, one in made.items() if one.status is TargetStatus.MISSED]
    assert len(missed) == 2
    assert all("5 × what saturates" in name for name in missed)


def test_a_scenario_missing_from_a_whole_run_is_not_run() -> None:
    left = [one for one in GOOD.values() if one.name != "overload"]
    made = told(left)
    assert made["p99 of accepted requests at 5 × what saturates"].status is TargetStatus.NOT_RUN
    assert "2 not run" in summary_line(list(made.values()), is_whole=True)


def test_a_scenario_that_was_not_run_meets_no_target() -> None:
    made = told(spoilt("guards", not_run="no tree to copy"), is_whole=False)
    assert made["guards whose removal fails a test"].status is TargetStatus.NOT_RUN


def test_a_partial_run_marks_figures_of_few_trials() -> None:
    some = [GOOD["rolling_restart"], msgspec.structs.replace(GOOD["schemathesis"], trials=900)]
    made = told(some, is_whole=False)
    assert made["failed requests in rolling restarts"].status is TargetStatus.MET
    assert made["schemathesis, all checks and phases"].status is TargetStatus.FEWER
    assert "guards whose removal fails a test" not in made
    assert "acknowledged holds and payments lost, over kills" not in made
    said = summary_line(list(made.values()), is_whole=False)
    assert said.startswith("A partial run")
    assert "1 met, of too few" in said


def test_a_bad_figure_is_missed_in_a_partial_run_too() -> None:
    bad = msgspec.structs.replace(GOOD["overload"], figures={"goodput_share": 0.5})
    made = told([bad], is_whole=False)
    statuses = [one.status for one in made.values()]
    assert statuses.count(TargetStatus.MISSED) == 2, "the share is bad and the p99 was not measured"


def test_a_nought_is_a_figure() -> None:
    result = Result(name="clients_storm", component=PARTS["clients_storm"])
    take(result, Observations(trials=1, figures={"memory_growth_mb": 0.0, "p99_times": 0.0}))
    statuses = {one.status for one in lines([result], is_whole=False)}
    assert statuses == {TargetStatus.MET}


def test_every_figure_comes_from_existing_scenarios() -> None:
    for target in TARGETS:
        scenarios = [GOOD.get(scenario.name) or played(scenario.name) for scenario in ALL]
        assert any(target.concerns(one) for one in scenarios), target.figure
    assert set(CRASH_POINTS) <= PARTS.keys()


def test_a_whole_run_wants_enough_trials_and_fits_into_its_time() -> None:
    trials = {scenario.name: scenario.trials for scenario in ALL}
    assert trials["rolling_restart"] >= ROLLING_RESTARTS_MIN
    assert trials["seeded_double_sale"] >= SEEDED_MIN
    others = [scenario for scenario in ALL if scenario.name != "guards"]
    planned_s = sum(scenario.trials * scenario.trial_s for scenario in others)
    assert planned_s <= WHOLE_MAX_S, f"{planned_s / 60:.0f} min"
    [guards] = [scenario for scenario in ALL if scenario not in others]
    assert guards.trial_s <= GUARD_MAX_S
