"""Passes of a waiting room with one place, while processes are killed."""

import asyncio
import itertools
import time
from random import Random
from typing import Any, NamedTuple

import aiohttp
import asyncpg
from rich.console import Console

from boxoffice.cli import seeding
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings
from faults.checks.database import audit_now
from faults.cluster.cluster import Cluster
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.fixtures import SeededBuyer
from faults.workload.load import LoadGenerator

# The leader's lease, a tick, and a second in which every process learns of exits.
ADMITTED_WITHIN_S = 8.0
_SQL = sql_files.load("faults")
_WITHIN_S = 30.0
_ASK_EVERY_S = 0.02
_SEATS = 400
# The last passes that are tried.
_TRIED = 12


class _Visitor(NamedTuple):
    person: SeededBuyer
    ticket: str
    queue_pass: str


class _Room:
    """Visitors of one schedule, whose requests go to the processes in turn."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession, schedule_id: str) -> None:
        self._urls = itertools.cycle([api.url for api in cluster.api])
        self._session = session
        self._path = f"/v1/schedules/{schedule_id}"
        self._keys = itertools.count()
        self.gone: list[_Visitor] = []

    async def enter(self, person: SeededBuyer) -> _Visitor:
        """Join, and wait for admission."""
        _, joined = await self._answer("POST", "/queue", person.headers())
        ticket = joined["queue_ticket"]
        until = time.monotonic() + _WITHIN_S
        while time.monotonic() < until:
            _, answer = await self._answer("GET", "/queue", {"Queue-Ticket": ticket})
            ticket = answer.get("queue_ticket", ticket)
            if answer["state"] == "ADMITTED":
                return _Visitor(person, ticket, answer["queue_pass"])
            await asyncio.sleep(_ASK_EVERY_S)
        raise TimeoutError(f"no admission within {_WITHIN_S:.0f} s")

    async def leave(self, visitor: _Visitor) -> None:
        """Leave the queue."""
        await self._answer("DELETE", "/queue", {"Queue-Ticket": visitor.ticket})
        self.gone = [*self.gone, visitor][-_TRIED:]

    async def hold(self, visitor: _Visitor, seat: int) -> tuple[int, Any]:
        """Try to hold a seat."""
        key = f"place-{next(self._keys)}"
        headers = visitor.person.headers(key) | {"Queue-Pass": visitor.queue_pass}
        body = {"seat_ids": [f"{1 + seat // 250}-{1 + seat // 25 % 10}-{1 + seat % 25}"]}
        return await self._answer("POST", "/reservations", headers, body)

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], body: Any = None
    ) -> tuple[int, Any]:
        """Repeat until the response is not a 5xx."""
        until = time.monotonic() + _WITHIN_S
        while time.monotonic() < until:
            url = next(self._urls) + self._path + path
            try:
                async with self._session.request(method, url, headers=headers, json=body) as answer:
                    if answer.status < 500:
                        return answer.status, await answer.json() if answer.status != 204 else None
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(_ASK_EVERY_S)
        raise TimeoutError(f"{method} {path} was not answered")


async def _one_at_a_time(settings: Settings, schedule_id: str) -> None:
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        await connection.execute(_SQL["admit_one_at_a_time"], schedule_id)
    finally:
        await connection.close()


async def _play(cluster: Cluster, load: LoadGenerator, random: Random, trials: int) -> Observations:
    seen = Observations()
    plan = seeding.Plan(_SEATS, 0, 0, queue_rate_per_s=100.0)
    made = await seeding.seed(cluster.settings, plan, None, Console(quiet=True))
    await _one_at_a_time(cluster.settings, str(made.schedule_id))
    await asyncio.sleep(1)  # every process follows within a second
    patience = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=patience) as session:
        room = _Room(cluster, session, str(made.schedule_id))
        people = iter(load.fixtures.people)
        inside = await room.enter(next(people))
        for number in range(trials):
            inside = await _trial(cluster, load, random, seen, room, inside, next(people), number)
    seen.broken += await audit_now(cluster.settings)
    return seen


async def _trial(
    cluster: Cluster,
    load: LoadGenerator,
    random: Random,
    seen: Observations,
    room: _Room,
    inside: _Visitor,
    person: SeededBuyer,
    number: int,
) -> _Visitor:
    """One visitor leaves, a process is killed; after the next admission every old pass is tried."""
    await load.sell_for(random.uniform(0.1, 0.5))
    victim = random.choice(cluster.api)
    with load.fault("kill", grace_s=ADMITTED_WITHIN_S, affected=[victim.name]):
        await room.leave(inside)
        at_s = time.monotonic()
        victim.kill()
        after = await room.enter(person)
        _note_wait(seen, time.monotonic() - at_s)
        tried = [await room.hold(one, 2 * number) for one in room.gone for _ in range(2)]
        await cluster.wait_until_ready()
        tried += [await room.hold(one, 2 * number) for one in room.gone for _ in range(2)]
    held = sum(status == 201 for status, _ in tried)
    if held:
        seen.broken.append(f"{held} holds through passes that are over")
    if any(status not in {201, 403} for status, _ in tried):
        seen.broken.append(f"passes that are over were answered {tried}")
    status, answer = await room.hold(after, 2 * number + 1)
    if status != 201:
        seen.broken.append(f"the admitted visitor was answered {status} {answer}")
    seen.kills += 1
    seen.trials += 1
    seen.figures["passes_tried_count"] = seen.figures.get("passes_tried_count", 0.0) + len(tried)
    return after


def _note_wait(seen: Observations, waited_s: float) -> None:
    most = max(seen.figures.get("next_admitted_max_s", 0.0), waited_s)
    seen.figures["next_admitted_max_s"] = round(most, 2)
    if waited_s > ADMITTED_WITHIN_S:
        seen.broken.append(f"the next one was let in after {waited_s:.1f} s")


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="queue_pass_api_sigkill",
        component=Component.API,
        does="SIGKILL of one of two API processes as a visitor leaves a waiting room with one "
        "place; then every old pass tries to hold a seat, at both",
        expects="the next visitor is admitted within 8 s; by then no old pass holds anything, and "
        "the valid one does",
        run=_play,
        trials=20,
        trial_s=5.0,
        round_trials=20,
    ),
)
