"""Made-up runs with known answers."""

from functools import cache
from typing import Any

from boxoffice_loadtest.analysis.comparison import ServerState, StoredHold, StoredPayment
from boxoffice_loadtest.measurement.client_log import (
    AcknowledgedHold,
    AcknowledgedPayment,
    ClientLog,
    LoggedRequest,
)
from boxoffice_loadtest.model import (
    AuditCheck,
    CapacityAnalysis,
    Estimate,
    Knee,
    LineFit,
    LoadTestRun,
    LoadWindow,
    MemoryProbe,
    Prediction,
    ResourceSample,
    ScenarioResult,
    StepResult,
)

USERS = [f"user-{number}" for number in range(10)]
# What a request costs the API in the made-up runs, in seconds.
COSTS = {"lookup": 100e-6, "seats": 150e-6, "hold": 300e-6, "refused": 200e-6, "pay": 250e-6}
IDLE_CORES, TRANSACTION_S, WAKEUP_S = 0.05, 500e-6, 50e-6


def window(
    counts: dict[str, int], transactions: int, wakeups: int = 100, seconds: float = 3.0
) -> LoadWindow:
    """Return a window whose CPU is exactly what `COSTS` say."""
    used = IDLE_CORES * seconds + transactions * TRANSACTION_S
    used += wakeups * WAKEUP_S
    used += sum(COSTS[kind] * count for kind, count in counts.items())
    return LoadWindow(
        seconds=seconds,
        counts=counts,
        cpu_s={"api": used, "postgres": used / 2, "valkey": used / 10, "generator": used},
        transactions=transactions,
        wakeups=wakeups,
        wal_bytes=1_200.0 * counts.get("hold", 0) + 3_700.0 * counts.get("pay", 0),
        valkey_commands=2.0 * sum(counts.values()),
    )


def windows(count: int = 24) -> list[LoadWindow]:
    """Return windows of different mixes, all with the costs of `COSTS`."""
    found = []
    for number in range(count):
        load = 40 + 30 * (number % 8)
        counts = {
            "lookup": load * (1 + number % 3),
            "seats": load * (1 + (number // 2) % 2),
            "hold": 20 + 7 * (number % 5),
            "refused": load * (1 + (number // 3) % 3),
            "pay": 15 + 11 * (number % 4),
        }
        found.append(window(counts, 60 + 13 * (number % 7), 100 + 90 * (number % 11)))
    return found


def step(offered: float, **more: Any) -> StepResult:
    """Return a sustained step on a machine that is not saturated."""
    dropped_per_s = more.get("dropped_iterations", 0) / more.get("seconds", 10.0)
    values: dict[str, Any] = {
        "offered_per_s": offered,
        "started_per_s": offered - dropped_per_s,
        "answers_per_s": offered,
        "p95_ms": 12.0,
        "failures": 0,
        "dropped_iterations": 0,
        "seconds": 10.0,
        "cores": {"api": offered / 1000, "generator": offered / 2000, "postgres": offered / 4000},
        "cpu_busy": min(1.0, offered / 1000),
        "counts": {"lookup": int(4 * offered), "refused": int(5 * offered), "hold": int(offered)},
        "transactions": offered * 0.6 * 0.5,
    }
    return StepResult(**{**values, **more})


def failed_step(offered: float, answered: float, **more: Any) -> StepResult:
    """Return a step on which a third of the iterations did not start."""
    dropped_iterations = int(offered * 10 / 3)
    return step(
        offered, answers_per_s=answered, dropped_iterations=dropped_iterations, cpu_busy=1.0, **more
    )


def log() -> ClientLog:
    """Two holds, of which the first is paid and the second is released."""
    return ClientLog(
        started_ms=1_000_000.0,
        iterations=3,
        requests=[
            LoggedRequest("hold", 1_000_100.0, 10.0, 201, ""),
            LoggedRequest("pay", 1_000_200.0, 20.0, 201, ""),
            LoggedRequest("hold", 1_001_100.0, 30.0, 201, ""),
            LoggedRequest("hold", 1_001_200.0, 40.0, 409, "seat_taken"),
            LoggedRequest("release", 1_002_300.0, 50.0, 204, ""),
        ],
        holds=[
            AcknowledgedHold("r1", 1, ("A-1", "A-2"), "k1", 1_000_100.0, 1_000_110.0),
            AcknowledgedHold("r2", 2, ("A-3",), "k2", 1_001_100.0, 1_001_130.0),
        ],
        payments=[AcknowledgedPayment("p1", "r1", 1, 200, "k3", 1_000_220.0)],
        releases={"r2": 1_002_300.0},
        buyers={1, 2, 3},
    )


def state() -> ServerState:
    """What a database has that agrees with `log`."""
    return ServerState(
        holds=[
            StoredHold("r1", "user-1", ("A-1", "A-2"), "CONFIRMED", "k1"),
            StoredHold("r2", "user-2", ("A-3",), "CANCELLED", "k2"),
        ],
        payments=[StoredPayment("p1", "r1", "user-1", 200, "k3")],
        hold_ttl_s=300.0,
    )


def memory() -> MemoryProbe:
    """Two processes of 70 MiB; 10 KiB for a connection, 1 KiB for a hot seat."""
    return MemoryProbe(
        processes=2,
        idle_mib=140.0,
        peak_mib=170.0,
        by_connection=LineFit(
            intercept=140, slope=10 / 1024, low=9 / 1024, high=10 / 1024, points=[(0, 140.0)]
        ),
        by_cached_seat=LineFit(
            intercept=140, slope=1 / 1024, low=0.9 / 1024, high=1 / 1024, points=[(0, 140.0)]
        ),
        seats_per_schedule=2_000,
    )


def sample(at_s: float, **more: Any) -> ResourceSample:
    """Return what was seen at one second."""
    values: dict[str, Any] = {
        "at_s": at_s,
        "seconds": 1.0,
        "cores": {"api-1": 0.2, "api-2": 0.3, "postgres": 0.1, "generator": 0.4},
        "memory_mib": {"api-1": 70.0, "api-2": 71.0, "postgres": 200.0, "generator": 300.0},
        "cpu_busy": 0.5,
        "database": {"commits": 50.0, "active": 1.0, "connections": 12.0, "wal_bytes": 1000.0},
        "valkey": {"commands": 200.0, "connections": 9.0},
    }
    return ResourceSample(**{**values, **more})


def scenario(name: str = "onsale", **more: Any) -> ScenarioResult:
    """Return a scenario of 100 iterations that went well."""
    from boxoffice_loadtest.analysis import aggregation, comparison  # noqa: PLC0415 — what is tested

    kept = log()
    values: dict[str, Any] = {
        "name": name,
        "started_s": 1.0,
        "seconds": 10.0,
        "planned_iterations": 3,
        "iterations": 3,
        "dropped_iterations": 0,
        "requests": aggregation.request_stats(kept.requests),
        "timeline": aggregation.timeline(kept),
        "seats_total": 10,
        "seats_taken": 3,
        "sold_out_s": None,
        "acknowledged": {"holds": 2, "payments": 1, "releases": 1},
        "k6_thresholds": {"integrity rate==1": True},
        "integrity_failures": 0,
        "k6_requests": len(kept.requests) + 1,
        "findings": comparison.compare(kept, state(), USERS),
        "batch_counters": {
            "commands_sum.hold": 3.0,
            "commands_count.hold": 2.0,
            "seconds_sum.hold": 4.0,
        },
        "seat_map_bytes": 100.0,
    }
    return ScenarioResult(**{**values, **more})


def audit() -> list[AuditCheck]:
    """An audit that found nothing."""
    return [AuditCheck(name="seats", violations=0), AuditCheck(name="money", violations=0)]


@cache
def analysis() -> CapacityAnalysis:
    """The analysis of the made-up windows and steps."""
    from boxoffice_loadtest.analysis import capacity  # noqa: PLC0415 — what is tested

    steps = [step(100), step(200), step(400), step(800), failed_step(1600, 900)]
    return capacity.analyze(steps, windows(), cores=4, api_processes=2, failures=(1000, 0))


def prediction(error: float = 0.05) -> Prediction:
    """A validated prediction."""
    return Prediction(
        cpu_share=0.3,
        limit_method="quota",
        predicted=Estimate(value=500.0, low=450.0, high=550.0),
        measured_per_s=500.0 / (1 + error),
        error=error,
        error_max=0.15,
        steps=[step(200), failed_step(700, 480)],
    )


def run(**more: Any) -> LoadTestRun:
    """Return a whole run that passed."""
    from boxoffice_loadtest.analysis import thresholds  # noqa: PLC0415 — what is tested

    scenarios = [scenario(), scenario("steps", steps=[step(100), failed_step(1600, 900)])]
    found = analysis()
    values: dict[str, Any] = {
        "run_id": "lt00",
        "started_at": "2026-11-24T09:00:00+00:00",
        "command": "boxoffice loadtest",
        "seconds": 60.0,
        "stopped": None,
        "target": "embedded",
        "is_quick": False,
        "environment": {"cores": "4", "postgresql_max_connections": "100", "workers": "2"},
        "not_sampled": [],
        "scenarios": scenarios,
        "samples": [sample(float(second)) for second in range(1, 20)],
        "audit": audit(),
        "memory": memory(),
        "analysis": found,
        "prediction": prediction(),
        "thresholds": thresholds.check(
            scenarios, audit(), found, prediction(), 88.0, is_whole=False
        ),
    }
    return LoadTestRun(**{**values, **more})


def knee_of(found: object) -> Knee:
    """Return a knee; fail where it was refused."""
    assert isinstance(found, Knee), found
    return found
