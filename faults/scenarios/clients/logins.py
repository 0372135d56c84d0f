"""A flood of log-ins and sign-ups from one address, and the log-ins of others meanwhile."""

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

_FLOODER, _BUYER = "127.0.0.3", "127.0.0.2"
_CONNECTIONS = 80
_FLOOD_S = 6.0
_LOG_INS_AFTER_S = 1.5
_LOG_INS = 5
# A log-in waits for one hash of each kind of the flood's; on a machine
# with other work each takes longer, and so does a log-in without a flood.
_P95_MAX_S = 3.0
_P95_MAX_TIMES = 10.0
_WITHIN_S = 60.0
_PASSWORD = "an honest password"  # noqa: S105 - of no account
# Without the limits per window, which would end the flood: the scenario is about the order of turns.
_SETTINGS = {
    "login_address_failures_max": 1_000_000,
    "login_address_attempts_max": 1_000_000,
    "sign_ups_per_address_max": 1_000_000,
}
_EXPECTED = {
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


async def _log_in(session: aiohttp.ClientSession, email: str) -> tuple[float, int]:
    """Log in once; return the seconds that it took and the status."""
    began_s = time.monotonic()
    body = {"email": email, "password": _PASSWORD}
    async with session.post("/v1/sessions", json=body) as answer:
        await answer.read()
        return time.monotonic() - began_s, answer.status


async def _log_in_each(url: str, emails: list[str]) -> list[tuple[float, int]]:
    """Log every buyer in, one after the other, from an address of their own."""
    async with _from(_BUYER, url) as session:
        return [await _log_in(session, email) for email in emails]


async def _refused_beside(flood: "asyncio.Task[bytes]", url: str, emails: list[str]) -> int:
    """Log in from the flooding address until the flood ends; return how often that was refused."""
    refused, turn = 0, 0
    async with _from(_FLOODER, url) as session:
        while not flood.done():
            _, status = await _log_in(session, emails[turn % len(emails)])
            turn += 1
            refused += status != 201
    return refused


async def flood(cluster: Cluster, load: LoadGenerator, random: Random, trials: int) -> Observations:
    """Flood log-in and sign-up from one address; log in from another one, and from that one."""
    seen, answers = Observations(), Counter[str]()
    calm_s, took_s = list[float](), list[float]()
    url = cluster.api[0].url
    for _ in range(trials):
        tag = f"{load.tag}-{random.randrange(2**31)}"
        emails = [f"buyer-{at}-{tag}@example.test" for at in range(_LOG_INS)]
        await _sign_up(url, emails)
        calm_s += [seconds for seconds, _ in await _log_in_each(url, emails)]
        flooding = asyncio.create_task(_flood(url, tag))
        await asyncio.sleep(_LOG_INS_AFTER_S)
        # The control shares the flood's address, and with it the flood's queue.
        logged_in, refused = await asyncio.gather(
            _log_in_each(url, emails), _refused_beside(flooding, url, emails)
        )
        answers.update(msgspec.msgpack.decode(await flooding, type=LoginFloodResult).answers)
        seen.trials += 1
        seen.counts["control_refused_count"] += refused
        took_s += [seconds for seconds, _ in logged_in]
        if (statuses := Counter(status for _, status in logged_in)).keys() != {201}:
            seen.broken.append(f"the log-ins of buyers were answered {dict(statuses)}")
    return _observed(seen, sorted(calm_s), sorted(took_s), answers)


async def _flood(url: str, tag: str) -> bytes:
    plan = LoginFloodPlan(
        url=url,
        address=_FLOODER,
        log_ins=_CONNECTIONS,
        sign_ups=_CONNECTIONS,
        seconds=_FLOOD_S,
        tag=tag,
    )
    module = "faults.interference.login_flood"
    return await subprocesses.ask(module, msgspec.msgpack.encode(plan), within_s=_WITHIN_S)


def _observed(
    seen: Observations, calm_s: list[float], took_s: list[float], answers: Counter[str]
) -> Observations:
    calm_p95_s, p95_s = percentile(calm_s, 95), percentile(took_s, 95)
    seen.figures = {"login_p95_ms": p95_s * 1000, "login_calm_p95_ms": calm_p95_s * 1000}
    seen.counts["logins_served_count"] = len(took_s)
    seen.counts["flood_requests_count"] = answers.total()
    if p95_s > max(_P95_MAX_S, _P95_MAX_TIMES * calm_p95_s):
        seen.broken.append(f"log-ins took {p95_s:.1f} s, and {calm_p95_s:.1f} s before the flood")
    if seen.counts["control_refused_count"] == 0:
        seen.broken.append("no log-in at the flood's own address was refused: it was no flood")
    if odd := {what: count for what, count in answers.items() if what not in _EXPECTED}:
        seen.broken.append(f"the flood was answered {odd}")
    return seen


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="logins_from_one_address",
        component=Component.CLIENTS,
        does="80 connections of one address log in and 80 sign up repeatedly, with the limits per "
        "window lifted; meanwhile buyers log in from another address, and from that one",
        expects="every log-in from the other address succeeds, p95 within 3 s (or ten times that "
        "before the flood, on a busy machine); log-ins at the flood's address are refused",
        run=flood,
        trials=4,
        quick_trials=2,
        trial_s=_FLOOD_S + 4,
        topology=Topology(api=1, settings=_SETTINGS),
        profile=WorkloadProfile(visits_per_s=10.0),
    ),
)
