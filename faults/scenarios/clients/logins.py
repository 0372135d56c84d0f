"""What one address can do to the log-ins of others."""

import asyncio
import time
from collections import Counter
from random import Random

import aiohttp
import msgspec

from faults.checks.record import percentile
from faults.cluster import subprocesses
from faults.cluster.cluster import Cluster, Topology
from faults.interference.login_flood import LoginFloodPlan, LoginFloodResult
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_CROWD, _BUYER = "127.0.0.3", "127.0.0.2"
_CONNECTIONS = 80
_SECONDS = 5.0
_BEGUN_AFTER_S = 1.5
_LOG_INS = 5
# A log-in waits for one hash of the crowd's log-ins and one of its sign-ups; the rest is what 2,500
# refusals a second take of a worker on a busy machine.
_P95_MAX_S = 3.0
_WITHIN_S = 60.0
_PASSWORD = "an honest password"  # noqa: S105 - of nobody
# Without the limits per window, which would end the flood: what is tried is that turns are taken.
_SETTINGS = {
    "login_address_failures_max": 1_000_000,
    "login_address_attempts_max": 1_000_000,
    "sign_ups_per_address_max": 1_000_000,
}
_WANTED = {
    f"POST /v1/{path} {status}"
    for path, statuses in {"sessions": (401, 429, 503), "users": (201, 429, 503)}.items()
    for status in statuses
}


def _from(address: str, url: str) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, local_addr=(address, 0))
    return aiohttp.ClientSession(url, connector=connector)


async def _sign_up(url: str, emails: list[str]) -> None:
    async with _from(_BUYER, url) as session:
        for email in emails:
            body = {"email": email, "password": _PASSWORD, "name": "Buyer"}
            async with session.post("/v1/users", json=body) as answer:
                answer.raise_for_status()


async def _log_in(url: str, address: str, emails: list[str]) -> tuple[list[float], Counter[int]]:
    """Log people in one after the other, each once; return how long it took, and the statuses."""
    took_s, statuses = [], Counter[int]()
    async with _from(address, url) as session:
        for email in emails:
            began_s = time.monotonic()
            body = {"email": email, "password": _PASSWORD}
            async with session.post("/v1/sessions", json=body) as answer:
                await answer.read()
                statuses[answer.status] += 1
            took_s.append(time.monotonic() - began_s)
    return took_s, statuses


async def flood(cluster: Cluster, load: LoadGenerator, random: Random, trials: int) -> Observations:
    """Have one address flood log-in and sign-up, and log in from another one, and from that one."""
    seen, took_s, told = Observations(), list[float](), Counter[str]()
    url = cluster.api[0].url
    control_refused = 0
    for _ in range(trials):
        tag = f"{load.tag}-{random.randrange(2**31)}"
        emails = [f"buyer-{at}-{tag}@example.test" for at in range(_LOG_INS)]
        await _sign_up(url, emails)
        crowd = LoginFloodPlan(
            url=url,
            address=_CROWD,
            log_ins=_CONNECTIONS,
            sign_ups=_CONNECTIONS,
            seconds=_SECONDS,
            tag=tag,
        )
        asked = msgspec.msgpack.encode(crowd)
        flooding = asyncio.create_task(
            subprocesses.ask("faults.interference.login_flood", asked, within_s=_WITHIN_S)
        )
        await asyncio.sleep(_BEGUN_AFTER_S)
        took, statuses = await _log_in(url, _BUYER, emails)
        # The control: who has the crowd's own address stands in its line.
        _, control = await _log_in(url, _CROWD, emails)
        told.update(msgspec.msgpack.decode(await flooding, type=LoginFloodResult).answers)
        seen.trials += 1
        took_s += took
        control_refused += _LOG_INS - control[201]
        if set(statuses) != {201}:
            seen.broken.append(f"an honest buyer's log-ins were answered {dict(statuses)}")
    return _judged(seen, sorted(took_s), told, control_refused)


def _judged(
    seen: Observations, took_s: list[float], told: Counter[str], control_refused: int
) -> Observations:
    p95_s = percentile(took_s, 95)
    seen.figures = {"login_p95_ms": p95_s * 1000}
    seen.counts = Counter(
        logins_served_count=len(took_s),
        control_refused_count=control_refused,
        flood_requests_count=told.total(),
    )
    if p95_s > _P95_MAX_S:
        seen.broken.append(f"an honest buyer's log-in took {p95_s:.1f} s")
    if control_refused == 0:
        seen.broken.append("nobody was refused at the crowd's own address: it was no flood")
    if odd := {what: count for what, count in told.items() if what not in _WANTED}:
        seen.broken.append(f"the crowd was answered {odd}")
    return seen


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="logins_from_one_address",
        component=Component.CLIENTS,
        does="80 connections of one address log in and 80 sign up without rest, with the limits per "
        "window lifted; a buyer logs in five times from another address, and from that one",
        expects="five of five log-ins succeed, p95 within 3 s; the control at the crowd's own address "
        "is refused",
        run=flood,
        trials=4,
        quick_trials=2,
        trial_s=_SECONDS + 3,
        topology=Topology(api=1, settings=_SETTINGS),
        profile=WorkloadProfile(visits_per_s=10.0),
    ),
)
