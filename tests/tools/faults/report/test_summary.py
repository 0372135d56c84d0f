"""A pass needs observations and nothing broken; N is always shown."""

from dataclasses import dataclass
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from faults.report.result import Result, Verdict
from faults.report.summary import document, show
from faults.report.targets import lines

PASSED = Result(
    name="api_sigkill",
    component="API process",
    trials=150,
    kills=150,
    acknowledged=4_000,
    recoveries_s=[0.1] * 149 + [1.5],
    recovery_p99_max_s=2.0,
)


@dataclass
class Change:
    """One thing that spoils a pass."""

    name: str
    value: object


@pytest.mark.parametrize(
    "change",
    [
        Change("trials", 0),
        Change("lost", 1),
        Change("sold_twice", 1),
        Change("imbalance", 1),
        Change("double_charges", 1),
        Change("broken", ["the sale did not continue"]),
        Change("unexcused", {"hold: 500 internal": 1}),
        Change("recoveries_s", [2.5]),
        Change("recoveries_s", []),
    ],
    ids=lambda change: f"{change.name} {change.value}",
)
def test_one_thing_spoils_a_pass(change: Change) -> None:
    assert PASSED.verdict is Verdict.PASS
    assert msgspec.structs.replace(PASSED, **{change.name: change.value}).verdict is Verdict.FAIL


def test_what_was_not_run_has_neither_passed_nor_failed() -> None:
    one = Result(name="disk_full", component="PostgreSQL", not_run="no tmpfs here")
    assert one.verdict is Verdict.NOT_RUN


def test_the_table_has_n_and_its_bound_and_every_reason() -> None:
    failed = msgspec.structs.replace(
        PASSED, name="other", lost=1, broken=["phantom_hold 1 times: r1"], unexcused={"x: 500": 2}
    )
    away = Result(name="disk_full", component="PostgreSQL", not_run="no tmpfs here")
    written = StringIO()
    console = Console(width=150, file=written)
    results = [PASSED, failed, away]
    show(console, results, lines(results, is_whole=False), seed=7, is_whole=False)
    text = written.getvalue()
    for part in ("150", "0.02", "0.10/0.10/1.50", "phantom_hold 1 times: r1", "2 × x: 500"):
        assert part in text
    assert "disk_full: not run: no tmpfs here" in text
    assert "1 FAIL, 1 not run, 1 pass; seed 7; 300 kills, 1 of 8000" in text
    assert "acknowledged holds and payments lost" in text
    assert "A partial run" in text


def test_the_document_says_what_the_table_says() -> None:
    reached = lines([PASSED], is_whole=False)
    written = msgspec.json.decode(
        msgspec.json.encode(document({"machine": "m"}, [PASSED], reached, seed=7, is_whole=False))
    )
    (scenario,) = written["scenarios"]
    assert (scenario["verdict"], scenario["bound"], scenario["recovery_s"]["p99"]) == (
        "pass",
        0.02,
        0.1,
    )
    assert written["totals"]["kills"] == 150
    assert (written["seed"], written["is_whole"]) == (7, False)
    lost = written["targets"][0]
    assert (lost["measured"], lost["n"], lost["status"]) == (
        "0 of 4,000",
        "150 kills",
        "met, of too few",
    )
