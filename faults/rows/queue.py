"""What becomes of a waiting room when Valkey is lost while people stand in it."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import aiohttp
from rich.console import Console

from boxoffice import seeding
from faults.checks import audit_now
from faults.field import Person
from faults.load import Load
from faults.matrix import AnyRow, Observations, Part, Row
from faults.outsiders import wait_for
from faults.rows.valkey import answers
from faults.world import World

RECOVERY_MAX_S = 2.0
_BACK_WITHIN_S = 30.0
_STANDING = 12
_ASK_EVERY_S = 0.02
_SEATS = 20

Strike = Callable[[World], Awaitable[float]]


class _Line:
    """People in the line of a schedule of their own, asking the processes in turn."""

    def __init__(self, world: World, session: aiohttp.ClientSession, schedule_id: str) -> None:
        self._urls = itertools.cycle([api.url for api in world.api])
        self._session = session
        self._path = f"/v1/schedules/{schedule_id}/queue"
        self.numbers: dict[Person, int] = {}
        self.tickets: dict[Person, str] = {}

    async def join(self, person: Person) -> int | None:
        """Return a person's number, None where nobody is taken."""
        told = await self._call("POST", person.headers())
        if told is None:
            return None
        self.tickets[person] = told["queue_ticket"]
        return int(told["number"])

    async def ask(self, person: Person) -> Any:
        """Return what a person is told, None for no answer."""
        told = await self._call("GET", {"Queue-Ticket": self.tickets[person]})
        if told and told.get("queue_ticket"):
            self.tickets[person] = told["queue_ticket"]
        return told

    async def joined(self, person: Person) -> int:
        """Return a person's number as soon as there is one."""
        until = time.monotonic() + _BACK_WITHIN_S
        while (number := await self.join(person)) is None:
            if time.monotonic() > until:
                raise TimeoutError("nobody is taken into the line")
            await asyncio.sleep(_ASK_EVERY_S)
        return number

    async def _call(self, method: str, headers: dict[str, str]) -> Any:
        url = next(self._urls) + self._path
        try:
            async with self._session.request(method, url, headers=headers) as answer:
                return await answer.json() if answer.status in {200, 201} else None
        except (aiohttp.ClientError, TimeoutError):
            return None


async def _kill_valkey(world: World) -> float:
    world.valkey.kill()
    await wait_for(lambda: answers(world), _BACK_WITHIN_S, "Valkey is not back")
    return time.monotonic()


async def _play(world: World, load: Load, random: Random, trials: int) -> Observations:
    seen = Observations()
    plan = seeding.Plan(_SEATS, 0, 0, queue_rate_per_s=0.01)
    made = await seeding.seed(world.settings, plan, None, Console(quiet=True))
    patience = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=patience) as session:
        line = _Line(world, session, str(made.schedule_id))
        people = iter(load.field.people)
        for _ in range(trials):
            await _trial(world, load, random, seen, line, people)
    return seen


async def _trial(
    world: World,
    load: Load,
    random: Random,
    seen: Observations,
    line: _Line,
    people: Any,
) -> None:
    """Have some join, lose Valkey, have one more join, and look where everybody stands."""
    for person in itertools.islice(people, _STANDING):
        line.numbers[person] = await line.joined(person)
    await load.sell_for(random.uniform(0.3, 1.0))
    back_at_s = await _kill_valkey(world)
    newcomer = next(people)
    number = await line.joined(newcomer)
    seen.recoveries_s.append(time.monotonic() - back_at_s)
    seen.kills += 1
    seen.trials += 1
    if number <= max(line.numbers.values()):
        seen.broken.append(f"a newcomer got number {number}, which was out already")
    for person, known in line.numbers.items():
        told = await line.ask(person)
        if told is None or told["number"] != known:
            seen.broken.append(f"number {known} was told {told}")
        elif await line.joined(person) != known:
            seen.broken.append(f"number {known} joined again and got another")
    line.numbers[newcomer] = number
    seen.broken += await audit_now(world.settings)


ROWS: tuple[AnyRow, ...] = (
    Row(
        name="queue_valkey_sigkill",
        part=Part.VALKEY,
        does="SIGKILL of Valkey, which comes back empty, while people stand in a waiting room",
        expects="within 2 s somebody has a number again, above all others; everybody keeps theirs",
        run=_play,
        trials=10,
        trial_s=3.0,
        round_trials=10,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
)
