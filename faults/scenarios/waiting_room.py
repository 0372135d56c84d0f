"""A waiting room that loses Valkey with people in it."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import aiohttp
from rich.console import Console

from boxoffice.cli import seeding
from faults.checks.database import audit_now
from faults.cluster.cluster import Cluster
from faults.interference.external_clients import wait_for
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.fixtures import SeededBuyer
from faults.workload.load import LoadGenerator

RECOVERY_MAX_S = 2.0
_BACK_WITHIN_S = 30.0
_STANDING = 12
_ASK_EVERY_S = 0.02
_SEATS = 20

Strike = Callable[[Cluster], Awaitable[float]]


class _Line:
    """People in the queue of one schedule, whose requests go to the processes in turn."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession, schedule_id: str) -> None:
        self._urls = itertools.cycle([api.url for api in cluster.api])
        self._session = session
        self._path = f"/v1/schedules/{schedule_id}/queue"
        self.numbers: dict[SeededBuyer, int] = {}
        self.tickets: dict[SeededBuyer, str] = {}
        # A refusal with `Retry-After` is excused until then; no other failure is.
        self.excused_until_s = 0.0
        self.refusals = 0
        self.odd: Counter[str] = Counter()

    async def join(self, person: SeededBuyer) -> int | None:
        """Return the number of a person, None if joining is refused."""
        answer = await self._call("POST", person.headers())
        if answer is None:
            return None
        self.tickets[person] = answer["queue_ticket"]
        return int(answer["number"])

    async def ask(self, person: SeededBuyer) -> Any:
        """Return the queue position of a person, None without a response."""
        answer = await self._call("GET", {"Queue-Ticket": self.tickets[person]})
        if answer and answer.get("queue_ticket"):
            self.tickets[person] = answer["queue_ticket"]
        return answer

    async def joined(self, person: SeededBuyer) -> int:
        """Return the number of a person as soon as there is one."""
        until = time.monotonic() + _BACK_WITHIN_S
        while (number := await self.join(person)) is None:
            if time.monotonic() > until:
                raise TimeoutError("no new person gets a number")
            await asyncio.sleep(_ASK_EVERY_S)
        return number

    async def _call(self, method: str, headers: dict[str, str]) -> Any:
        url = next(self._urls) + self._path
        try:
            async with self._session.request(method, url, headers=headers) as answer:
                if answer.status in {200, 201}:
                    return await answer.json()
                is_told = answer.status == 503 and "Retry-After" in answer.headers
                self._note(f"{method} {answer.status}", is_excusable=is_told)
        except (aiohttp.ClientError, TimeoutError) as error:
            # No process of the product is affected, so silence is not excused.
            self._note(f"{method} {type(error).__name__}", is_excusable=False)
        return None

    def _note(self, what: str, *, is_excusable: bool) -> None:
        if is_excusable and time.monotonic() < self.excused_until_s:
            self.refusals += 1
        else:
            self.odd[what] += 1


async def _kill_valkey(cluster: Cluster) -> float:
    """Kill Valkey and return when it has ended."""
    pid, at_s = cluster.valkey.pid, time.monotonic()
    cluster.valkey.kill()

    async def has_gone() -> bool:
        return not cluster.valkey.is_running or cluster.valkey.pid != pid

    await wait_for(has_gone, _BACK_WITHIN_S, "Valkey was not killed")
    return at_s


async def _play(cluster: Cluster, load: LoadGenerator, random: Random, trials: int) -> Observations:
    seen = Observations()
    plan = seeding.Plan(_SEATS, 0, 0, queue_rate_per_s=0.01)
    made = await seeding.seed(cluster.settings, plan, None, Console(quiet=True))
    patience = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=patience) as session:
        line = _Line(cluster, session, str(made.schedule_id))
        people = iter(load.fixtures.people)
        for _ in range(trials):
            await _trial(cluster, load, random, seen, line, people)
    seen.figures["refused_meanwhile_count"] = float(line.refusals)
    if line.odd:
        seen.broken.append(f"people in the queue were answered {dict(line.odd)}")
    return seen


async def _trial(
    cluster: Cluster,
    load: LoadGenerator,
    random: Random,
    seen: Observations,
    line: _Line,
    people: Any,
) -> None:
    """Some join, Valkey is lost, one more joins, then every number is compared."""
    for person in itertools.islice(people, _STANDING):
        line.numbers[person] = await line.joined(person)
    await load.sell_for(random.uniform(0.3, 1.0))
    line.excused_until_s = time.monotonic() + RECOVERY_MAX_S
    at_s = await _kill_valkey(cluster)
    newcomer = next(people)
    number = await line.joined(newcomer)
    seen.recoveries_s.append(time.monotonic() - at_s)
    seen.kills += 1
    seen.trials += 1
    if number <= max(line.numbers.values()):
        seen.broken.append(f"a newcomer got number {number}, which was out already")
    for person, known in line.numbers.items():
        answer = await line.ask(person)
        if answer is None or answer["number"] != known:
            seen.broken.append(f"number {known} was answered {answer}")
        elif await line.joined(person) != known:
            seen.broken.append(f"number {known} joined again and got another")
    line.numbers[newcomer] = number
    seen.broken += await audit_now(cluster.settings)


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="queue_valkey_sigkill",
        component=Component.VALKEY,
        does="SIGKILL of Valkey, which restarts empty, while people wait in a waiting room",
        expects="within 2 s of the kill a new person gets a number, above all others; all others "
        "keep theirs",
        run=_play,
        trials=10,
        trial_s=3.0,
        round_trials=10,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
)
