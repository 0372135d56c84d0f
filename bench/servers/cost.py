"""What a request costs on a server: at full load, and at a rate at which it mostly waits."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from bench.client import load
from bench.environment.cpu import CpuMeter
from bench.environment.processes import ServerProcess
from bench.scenarios import http_requests
from bench.servers.candidates import Candidate

CONNECTIONS = 64
LOW_RATE_PER_S = 88.0
_SETTLE_S = 0.5
_SCHEDULE_ID = str(UUID("01890000-0000-7000-8000-000000000001"))
# As long as an access token of the shop.
_TOKEN = "t" * 300


@dataclass(frozen=True)
class Cost:
    """One run; CPU in microseconds per request, memory of all processes of the server together."""

    cpu_us: float
    rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    client_cpu_us: float
    low_cpu_us: float
    low_p50_ms: float
    low_p99_ms: float
    idle_mib: float
    loaded_mib: float


def holds(count: int) -> list[bytes]:
    """Return requests as the baseline gets them."""
    return [
        http_requests.hold(_SCHEDULE_ID, _TOKEN, f"hold-{at}", [f"1-1-{1 + at % 25}"])
        for at in range(count)
    ]


def measure(candidate: Candidate, folder: Path, count: int, low_s: float) -> Cost:
    """Measure a server once, in a process of its own."""
    server = candidate.start(folder)
    try:
        time.sleep(_SETTLE_S)
        idle_mib = server.group.resident_mib()
        requests = holds(2_000)
        full, cpu_us = _send(server, requests, count, None)
        loaded_mib = server.group.resident_mib()
        low, low_cpu_us = _send(server, requests, int(low_s * LOW_RATE_PER_S), LOW_RATE_PER_S)
    finally:
        server.kill()
    return Cost(
        cpu_us=cpu_us,
        rps=full.rps,
        p50_ms=full.p50_ms,
        p95_ms=full.p95_ms,
        p99_ms=full.p99_ms,
        client_cpu_us=full.cpu_s * 1e6 / count,
        low_cpu_us=low_cpu_us,
        low_p50_ms=low.p50_ms,
        low_p99_ms=low.p99_ms,
        idle_mib=idle_mib,
        loaded_mib=loaded_mib,
    )


def _send(
    server: ServerProcess, requests: Sequence[bytes], count: int, rate_per_s: float | None
) -> tuple[load.LoadResult, float]:
    meter = CpuMeter([server.group])
    plan = load.LoadPlan(
        port=server.port,
        # One is enough for the low rate, and none of many is closed because it was not needed.
        connections=CONNECTIONS if rate_per_s is None else 1,
        requests=list(requests),
        count=count,
        warmup=list(requests) if rate_per_s is None else [],
        rate_per_s=rate_per_s,
    )
    sent = load.run(plan, meter.start, meter.stop)
    if set(sent.statuses) != {"201"}:
        raise load.LoadFailed(f"answers were {sent.statuses}")
    return sent, meter.cpu_us()["app"] / count
