"""Memory growth of a worker by one connection."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import aiohttp

from faults.cluster.cluster import Api, Cluster, ProcessFailed, Topology
from faults.interference.one_connection import KINDS, SendPattern, Sent, play
from faults.report.targets import ONE_CONNECTION_MAX_MIB
from faults.scenario import AnyScenario, Component, NotRun, Observations, Scenario
from faults.workload.balancer import new_session
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_KIB = 1_024
_SECONDS = 3.0
_READY_WITHIN_S = 30.0
# Resets the peak that the kernel keeps (proc(5), clear_refs).
_SET_BACK = "5"
# What a worker loads for its first requests is no growth.
_WARMED_BY = ("/healthz", "/v1/concerts", "/nowhere", "/docs", "/metrics")
# Controls: with bounds as wide as settings allow, the growth must show.
_CONTROLS: Mapping[str, Mapping[str, object]] = {
    "pipelined_large_heads": {"pipelined_requests_max": 1_000},
    "declared_body": {"body_max_bytes": 1 << 30},
}


def _peak_kib(pid: int) -> int:
    """Return the peak resident memory of a process since the reset."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise NotRun("this kernel keeps no peak of a process's memory")


def _set_back(pid: int) -> int:
    """Reset the peak to the current value, and return that."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text(_SET_BACK)
    except OSError as error:
        raise NotRun(f"the peak of a process's memory cannot be set back: {error}") from error
    return _peak_kib(pid)


async def _warm(api: Api, path: str) -> None:
    """Wait until a process is ready, and request everything that it loads lazily."""
    until_s = time.monotonic() + _READY_WITHIN_S
    async with new_session() as session:
        while True:
            try:
                async with session.get(f"{api.url}/readyz") as answer:
                    if answer.status == 200:
                        break
            except aiohttp.ClientError:
                pass
            if time.monotonic() > until_s:
                raise ProcessFailed(f"{api.name} is not ready: {api.log_tail()}")
            await asyncio.sleep(0.05)
        for _ in range(3):
            for one in (*_WARMED_BY, path):
                async with session.get(api.url + one) as answer:
                    await answer.read()
            async with session.post(f"{api.url}/v1/users", json={"email": 1}) as answer:
                await answer.read()


async def _grown_mib(
    cluster: Cluster, pattern: SendPattern, path: str, settings: Mapping[str, object]
) -> tuple[float, Sent]:
    """Return the growth of a fresh worker under one connection of a kind."""
    api = cluster.another_api(f"alone-{pattern.name}", settings)
    api.start()
    try:
        await _warm(api, path)
        before_kib = _set_back(api.pid)
        sent = await play(pattern, api.port, path, _SECONDS)
        # It must still serve.
        async with new_session() as session, session.get(f"{api.url}/healthz") as answer:
            if answer.status != 200:
                raise ProcessFailed(f"{api.name} answers {answer.status}")
        return (_peak_kib(api.pid) - before_kib) / _KIB, sent
    finally:
        await api.close()


async def send_patterns(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Run every kind of connection, each against a fresh worker."""
    seen = Observations()
    path = f"/v1/schedules/{load.fixtures.schedule_id}/seats"
    kinds = list(KINDS) if trials >= len(KINDS) else random.sample(KINDS, trials)
    for pattern in kinds:
        grown_mib, sent = await _grown_mib(cluster, pattern, path, {})
        seen.trials += 1
        seen.figures[f"{pattern.name}_mib"] = grown_mib
        most = max(seen.figures.get("one_connection_mib", 0.0), grown_mib)
        seen.figures["one_connection_mib"] = most
        if grown_mib > ONE_CONNECTION_MAX_MIB:
            seen.broken.append(
                f"{pattern.name}: a worker grew by {grown_mib:.1f} MiB for {sent.sent_bytes:,} bytes"
            )
    for name, settings in _CONTROLS.items():
        pattern = next(one for one in KINDS if one.name == name)
        grown_mib, _ = await _grown_mib(cluster, pattern, path, settings)
        seen.figures[f"control_{name}_mib"] = grown_mib
        if grown_mib <= ONE_CONNECTION_MAX_MIB:
            seen.broken.append(
                f"without its bound {name} takes {grown_mib:.1f} MiB: the check finds nothing"
            )
    return seen


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="clients_one_connection",
        component=Component.CLIENTS,
        does=f"one connection to a fresh worker, for each of {len(KINDS)} patterns",
        expects=f"the worker grows by {ONE_CONNECTION_MAX_MIB} MiB at most, and serves; "
        "with a bound taken away it grows by more",
        run=send_patterns,
        trials=len(KINDS),
        quick_trials=len(KINDS),
        trial_s=_SECONDS + 2,
        topology=Topology(api=1),
        profile=WorkloadProfile(visits_per_s=5.0, pays=0.3, releases=0.5, looks=0.0),
        hold_ttl_s=60,
    ),
)
