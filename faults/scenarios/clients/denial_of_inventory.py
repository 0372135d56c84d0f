"""Two accounts that hold, release and hold the same seats again, to keep others from buying."""

import asyncio
import time
from collections import Counter
from random import Random
from uuid import uuid4

import aiohttp

from faults.cluster.cluster import Cluster, Topology
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.fixtures import Fixtures, SeededBuyer
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_SEATS = 10
_SECONDS = 4.0
# How long each keeps the seats, and waits after a refusal.
_KEEPS_S = 0.05
_REFUSED_PAUSE_S = 0.01
# Share of the second half, when the lapses that are free are used up.
_FREE_MIN = 0.95
_FREE_WITHOUT_MAX = 0.5
_HOLD_TTL_S = 60


async def _hold(
    session: aiohttp.ClientSession, fixtures: Fixtures, person: SeededBuyer
) -> tuple[int, str]:
    """Hold all seats; return the status, and the reservation id or the problem code."""
    path = f"/v1/schedules/{fixtures.schedule_id}/reservations"
    headers = person.headers(str(uuid4()))
    async with session.post(
        path, json={"seat_ids": list(fixtures.seat_ids)}, headers=headers
    ) as answer:
        body = await answer.json(content_type=None)
        return answer.status, str(body.get("reservation_id") or body.get("code"))


async def _alternate(url: str, fixtures: Fixtures) -> tuple[float, Counter[str], bool]:
    """Alternate between two accounts; return the share of the second half in which the seats were
    free, the counts by response, and whether a third account got them afterwards.
    """
    answers, busy_s, turn = Counter[str](), 0.0, 0
    began_s = time.monotonic()
    half_s, over_s = began_s + _SECONDS / 2, began_s + _SECONDS
    async with aiohttp.ClientSession(url) as session:
        while (asked_s := time.monotonic()) < over_s:
            person = fixtures.people[turn % 2]
            turn += 1
            status, what = await _hold(session, fixtures, person)
            answers["held" if status == 201 else what] += 1
            if status != 201:
                await asyncio.sleep(_REFUSED_PAUSE_S)
                continue
            await asyncio.sleep(_KEEPS_S)
            path = f"/v1/reservations/{what}"
            async with session.delete(path, headers=person.headers()) as answer:
                answer.raise_for_status()
            busy_s += max(0.0, min(time.monotonic(), over_s) - max(asked_s, half_s))
        status, _ = await _hold(session, fixtures, fixtures.people[2])
    return 1 - busy_s / (over_s - half_s), answers, status == 201


async def alternate(
    cluster: Cluster, _load: LoadGenerator, _random: Random, trials: int
) -> Observations:
    """Alternate holds of two accounts, with and without the cool-down."""
    seen, shares, controls = Observations(), list[float](), list[float]()
    for _ in range(trials):
        for api, found in zip(cluster.api, (shares, controls), strict=True):
            fixtures = await cluster.create_fixtures(seats=_SEATS, people=3, hold_ttl_s=_HOLD_TTL_S)
            free, answers, is_had = await _alternate(api.url, fixtures)
            found.append(free)
            if odd := set(answers) - {"held", "hold_cooldown"}:
                seen.broken.append(f"the two accounts were answered {sorted(odd)}")
            if not is_had:
                seen.broken.append("a third person did not get the seats afterwards")
        seen.trials += 1
    seen.figures = {
        "seats_free_share_min": min(shares),
        "seats_free_share_without_max": max(controls),
    }
    if min(shares) < _FREE_MIN:
        seen.broken.append(f"others could buy {min(shares):.0%} of the time")
    if max(controls) > _FREE_WITHOUT_MAX:
        seen.broken.append(f"the control left the seats free {max(controls):.0%} of the time")
    return seen


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="denial_of_inventory",
        component=Component.CLIENTS,
        does="two accounts alternately hold ten seats for 50 ms and release them; the control has "
        "no cool-down",
        expects="after their free lapses the seats are free 95 % of the time, in the control less "
        "than half of it; a third account gets them",
        run=alternate,
        trials=4,
        quick_trials=1,
        trial_s=2 * _SECONDS + 2,
        topology=Topology(
            api=2,
            settings={"hold_lapses_free_max": 3},
            api_env=({}, {"BOXOFFICE_HOLD_LAPSES_FREE_MAX": "1000000"}),
        ),
        profile=WorkloadProfile(visits_per_s=10.0),
    ),
)
