"""The buyers' visits: the same from the same seed, whatever the timing."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from aiohttp import web

from faults.workload.fixtures import Fixtures, SeededBuyer
from faults.workload.load import LoadGenerator
from faults.workload.plan import Visit, Workload, WorkloadProfile

FIELD = Fixtures(
    "schedule",
    "concert",
    [f"A{number}" for number in range(500)],
    [SeededBuyer(f"user-{number}", "token") for number in range(200)],
    5.0,
)
PACE = WorkloadProfile(visits_per_s=500, looks=0.5, top_ups=0.5)
VISITS = 60
WITHIN_S = 60.0


class Shop:
    """Responds to everything after a delay of its own, and remembers the wanted seats."""

    name = "api"

    def __init__(self, slowest_s: float) -> None:
        self.url = ""
        self.wanted: list[tuple[str, ...]] = []
        self._slowest_s = slowest_s
        self._whims = random.Random()

    async def answer(self, request: web.Request) -> web.Response:
        """Refuse every seat; accept everything else."""
        await asyncio.sleep(self._whims.uniform(0, self._slowest_s))
        if not request.path.endswith("/reservations"):
            return web.json_response({"top_up_id": "c", "amount": 1})
        self.wanted.append(tuple((await request.json())["seat_ids"]))
        return web.json_response({"code": "seat_taken"}, status=409)


async def wanted(seed: int, slowest_s: float, *, scenario_visits_too: bool) -> set[tuple[str, ...]]:
    """Run buyers against such a server and return the seats that the first visits wanted."""
    shop = Shop(slowest_s)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        load = LoadGenerator(FIELD, [shop], random.Random(seed), PACE, "visits")
        async with asyncio.timeout(WITHIN_S), load.selling():
            while len(shop.wanted) < 2 * VISITS:
                if scenario_visits_too:
                    load.next_seats()
                await asyncio.sleep(0.01)
    finally:
        await runner.cleanup()
    expected = [visit.seats for visit in first(seed)]
    return set(shop.wanted) & set(expected)


def first(seed: int) -> Sequence[Visit]:
    """Return the seats of the first visits of that seed."""
    visits = Workload(FIELD, PACE, random.Random(seed).getrandbits(64))
    return [visits.next() for _ in range(VISITS)]


async def test_the_same_seed_makes_the_same_visits_whatever_happens_in_between() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    expected = {visit.seats for visit in first(seed)}
    assert await wanted(seed, 0.0, scenario_visits_too=False) == expected
    assert await wanted(seed, 0.15, scenario_visits_too=True) == expected


def test_another_seed_makes_other_visits() -> None:
    assert first(1) == first(1)
    assert first(1) != first(2)


def test_visits_have_their_shares_and_rivals() -> None:
    visits = Workload(FIELD, PACE, 7)
    made = [visits.next() for _ in range(150)]
    assert 45 < sum(one.looks for one in made) < 105
    assert 45 < sum(one.top_ups for one in made) < 105
    times = Counter(seat for one in made for seat in one.seats)
    assert 10 < sum(count > 1 for count in times.values()) < 100
    assert len({one.person for one in made}) > 80
