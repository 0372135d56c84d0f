"""Without guards the product sells seats twice under load, and the check of the histories finds it."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

from boxoffice.settings import Settings
from faults.checks.linearizability import Violation, check
from faults.checks.record import Record
from faults.scenarios.seeded_violations import take_guards_away
from faults.workload.fixtures import Fixtures, create_fixtures
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile
from tests.support.shop import pods

SELL_FOR_S = 2.0
FOUND_WITHIN_S = 40.0
# Few seats, and every hold is paid.
PACE = WorkloadProfile(visits_per_s=40, pays=0.8, releases=0.1, top_ups=0, looks=0)


@dataclass(frozen=True)
class _Endpoint:
    name: str
    url: str


async def _sold(settings: Settings, fixtures: Fixtures, seed: int, *, until_twice: bool) -> Record:
    # Neither cache nor seat lock hides the decision of PostgreSQL.
    with pods(settings, 2, seat_cache=False, seat_lock="off") as serving:
        endpoints = [_Endpoint(f"api-{at}", pod.url) for at, pod in enumerate(serving)]
        load = LoadGenerator(fixtures, endpoints, random.Random(seed), PACE, f"seeded-{seed}")
        async with load.selling():
            give_up_s = time.monotonic() + FOUND_WITHIN_S
            await load.sell_for(SELL_FOR_S)
            while until_twice and not _sold_twice(load.record) and time.monotonic() < give_up_s:
                await load.sell_for(0.2)
    return load.record


def _sold_twice(record: Record) -> set[str]:
    """Return the seats whose sale was acknowledged to more than one reservation."""
    seats = {held.reservation_id: held.seats for held in record.holds}
    sales = [seat for paid in record.payments for seat in seats[paid.reservation_id]]
    return {seat for seat in sales if sales.count(seat) > 1}


async def _checked(
    settings: Settings, folder: Path, *, guarded: bool
) -> tuple[Record, list[Violation]]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    fixtures = await create_fixtures(
        settings, folder, seats=12, users=80, hold_ttl_s=2, ticket_limit=1_000
    )
    if not guarded:
        await take_guards_away(settings)
    record = await _sold(settings, fixtures, seed, until_twice=not guarded)
    people = [person.user_id for person in fixtures.people]
    return record, check(record.history(people, fixtures.hold_ttl_s))


async def test_without_guards_the_checks_find_double_sales(
    settings: Settings, tmp_path: Path
) -> None:
    record, found = await _checked(settings, tmp_path, guarded=False)
    twice = _sold_twice(record)
    assert twice, "nothing was sold twice"
    assert twice <= {one.seat for one in found}


async def test_with_its_guards_the_checks_find_nothing(settings: Settings, tmp_path: Path) -> None:
    record, found = await _checked(settings, tmp_path, guarded=True)
    assert record.payments
    assert record.refusals
    assert not _sold_twice(record)
    assert found == []
