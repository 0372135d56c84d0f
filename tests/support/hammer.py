"""Many people and several pods after few seats: everything that can happen, in a random order."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid4

from boxoffice.payments.store import PaymentStore, TopUpCommand
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ReleaseCommand, ReservationStore
from tests.support.hall import BALANCE_MAX_MINOR, Hall


class Hammer:
    """Pods that hold, pay, release, sweep and top up at once; `outcomes` counts the outcomes."""

    def __init__(self, hall: Hall, pods: Sequence[Database], seed: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.promised: set[UUID] = set()
        self._hall = hall
        self._pods = pods
        self._seed = seed
        # Reservations of all pods, so that they meet; what has ended stays in and is asked for again.
        self._known: list[tuple[UUID, UUID]] = []

    async def run(self, seconds: float) -> None:
        """Strike for `seconds`."""
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as strikes:
            for at, pod in enumerate(self._pods):
                strikes.create_task(self._strike(at, pod, until))

    async def _strike(self, at: int, pod: Database, until: float) -> None:
        rng = random.Random(self._seed + at)
        deeds = [self._hold, self._pay, self._release, self._top_up, self._expire]
        while time.monotonic() < until:
            [deed] = rng.choices(deeds, weights=(50, 12, 20, 8, 10))
            await deed(pod, rng)

    async def hold_once(self) -> None:
        """Let each pod hold a random batch, all of them at the same time."""
        seeded = ((pod, random.Random(self._seed + at)) for at, pod in enumerate(self._pods))
        await asyncio.gather(*(self._hold(pod, rng) for pod, rng in seeded))

    async def pay_all(self) -> None:
        """Let the pods in turn pay what is held, one hold after the other."""
        for pod, one in zip(itertools.cycle(self._pods), list(self._known)):
            await self._paid(pod, [one])

    async def _hold(self, pod: Database, rng: random.Random) -> None:
        requests = [
            self._hall.hold_command(
                rng.choice(self._hall.people),
                *rng.sample(self._hall.seat_ids, rng.randint(1, 4)),
            )
            for _ in range(rng.randint(1, 8))
        ]
        outcomes = await ReservationStore(pod).hold(self._hall.schedule_id, requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            self.outcomes[outcome.name] += 1
            if outcome.held is not None:
                self.promised.add(outcome.held.reservation_id)
                self._known.append((request.user_id, outcome.held.reservation_id))
                del self._known[:-60]

    def _some(self, rng: random.Random) -> list[tuple[UUID, UUID]]:
        return rng.sample(self._known, min(len(self._known), rng.randint(1, 4)))

    async def _pay(self, pod: Database, rng: random.Random) -> None:
        await self._paid(pod, self._some(rng))

    async def _paid(self, pod: Database, held: Sequence[tuple[UUID, UUID]]) -> None:
        bills = [self._hall.bill(*one) for one in held]
        for paid in await PaymentStore(pod).pay(self._hall.schedule_id, bills):
            self.outcomes[paid.name] += 1

    async def _release(self, pod: Database, rng: random.Random) -> None:
        commands = [ReleaseCommand(*one, new_id()) for one in self._some(rng)]
        for released in await ReservationStore(pod).release(self._hall.schedule_id, commands):
            self.outcomes[released.name] += 1

    async def _top_up(self, pod: Database, rng: random.Random) -> None:
        commands = [
            TopUpCommand(person, str(uuid4()), b"", new_id(), rng.randint(1, 60))
            for person in rng.sample(self._hall.people, rng.randint(1, 4))
        ]
        for topped_up in await PaymentStore(pod).top_up(commands, BALANCE_MAX_MINOR):
            self.outcomes[topped_up.name] += 1

    async def _expire(self, pod: Database, rng: random.Random) -> None:
        swept = await ReservationStore(pod).expire(self._hall.schedule_id, rng.randint(1, 9))
        self.outcomes["expired"] += swept.closed
