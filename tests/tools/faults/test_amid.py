"""A kill counts as amid requests where one was under way, and a row of which none was is broken."""

import random

from faults.checks.record import Attempt, Ending
from faults.interference.in_flight import judge, note_kill
from faults.scenario import Observations
from faults.workload.fixtures import Field
from faults.workload.load import Load
from faults.workload.plan import Pace

CUT = Attempt("hold", "k1", "api-1", 1.0, 1.1, Ending.CUT)


def load_of(*attempts: Attempt) -> Load:
    """Return a load that has made these attempts and sells no more."""
    load = Load(Field("s", "c", [], [], 5.0), [], random.Random(1), Pace(), "t")
    load.record.attempts += attempts
    return load


def test_a_kill_amid_requests_is_counted_with_what_it_struck() -> None:
    seen, load = Observations(), load_of(CUT, CUT)
    note_kill(seen, load, 1.05, {"api-1"})
    note_kill(seen, load, 2.0, {"api-1"})
    assert seen.kills == 2
    assert seen.counts["kills_amid_requests_count"] == 1
    assert seen.counts["requests_under_way_at_kills_count"] == 2
    judge(seen)
    assert not seen.broken


def test_what_a_kill_struck_counts_before_it_is_answered() -> None:
    seen, load = Observations(), load_of()
    load._under_way = {"struck": ("api-1", 1.0), "later": ("api-1", 1.1), "other": ("api-2", 1.0)}
    note_kill(seen, load, 1.05, {"api-1"})
    assert seen.counts["requests_under_way_at_kills_count"] == 1
    judge(seen)
    assert not seen.broken


def test_a_row_whose_kills_struck_nobody_is_broken() -> None:
    seen, load = Observations(), load_of(CUT)
    note_kill(seen, load, 1.05, {"api-2"})
    judge(seen)
    assert seen.broken == ["none of 1 kills struck a request"]


async def test_the_wait_for_a_request_has_an_end() -> None:
    load = load_of()
    await load.until_asked({"api-1"}, within_s=0.0)
    assert not load.is_asked({"api-1"})
