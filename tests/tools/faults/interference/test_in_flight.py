"""A kill counts as in flight if it hit a request; a scenario without one is broken."""

import random

from faults.checks.record import Attempt, CallEnding
from faults.interference.in_flight import record_kill, require_a_hit
from faults.scenario import Observations
from faults.workload.fixtures import Fixtures
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

CUT = Attempt("hold", "k1", "api-1", 1.0, 1.1, CallEnding.CUT)


def load_of(*attempts: Attempt) -> LoadGenerator:
    """Return a load that has made these attempts and has ended."""
    load = LoadGenerator(
        Fixtures("s", "c", [], [], 5.0), [], random.Random(1), WorkloadProfile(), "t"
    )
    load.record.attempts += attempts
    return load


def test_a_kill_in_flight_is_counted_with_its_requests() -> None:
    seen, load = Observations(), load_of(CUT, CUT)
    record_kill(seen, load, 1.05, {"api-1"})
    record_kill(seen, load, 2.0, {"api-1"})
    assert seen.kills == 2
    assert seen.counts["kills_in_flight_count"] == 1
    assert seen.counts["requests_in_flight_at_kills_count"] == 2
    require_a_hit(seen)
    assert not seen.broken


def test_what_a_kill_struck_counts_before_it_is_answered() -> None:
    seen, load = Observations(), load_of()
    load._in_flight = {"affected": ("api-1", 1.0), "later": ("api-1", 1.1), "other": ("api-2", 1.0)}
    record_kill(seen, load, 1.05, {"api-1"})
    assert seen.counts["requests_in_flight_at_kills_count"] == 1
    require_a_hit(seen)
    assert not seen.broken


def test_a_scenario_whose_kills_hit_no_request_is_broken() -> None:
    seen, load = Observations(), load_of(CUT)
    record_kill(seen, load, 1.05, {"api-2"})
    require_a_hit(seen)
    assert seen.broken == ["none of 1 kills affected a request"]


async def test_the_wait_for_a_request_has_an_end() -> None:
    load = load_of()
    await load.wait_for_request_in_flight({"api-1"}, within_s=0.0)
    assert not load.has_request_in_flight({"api-1"})
