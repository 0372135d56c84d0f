"""The checks after a real sale: no finding, until something is removed or forgotten."""

import random
from pathlib import Path

import asyncpg

from boxoffice.platform.ids import parse_scoped
from boxoffice.settings import Settings
from faults.checks.database import check
from faults.workload.fixtures import create_fixtures
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile
from tests.support.shop import Pod, pods
from tests.support.waiting import until

ENOUGH = 8
TAG = "seeded"


class Endpoint:
    """A pod under a name."""

    def __init__(self, pod: Pod) -> None:
        self.name = "api"
        self.url = pod.url


async def forget(settings: Settings, reservation_id: str) -> None:
    """Remove a reservation from the database, as a lost write would."""
    scoped = parse_scoped(reservation_id)
    assert scoped is not None
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        done = await connection.execute(
            "DELETE FROM reservations WHERE schedule_id = $1 AND reservation_id = $2",
            scoped.schedule_id,
            scoped.own_id,
        )
    finally:
        await connection.close()
    assert done == "DELETE 1"


async def overprice(settings: Settings, reservation_id: str) -> None:
    """Make a reservation cost more than its seats and its payment."""
    scoped = parse_scoped(reservation_id)
    assert scoped is not None
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        done = await connection.execute(
            "UPDATE reservations SET amount_minor = amount_minor + 1"
            " WHERE schedule_id = $1 AND reservation_id = $2",
            scoped.schedule_id,
            scoped.own_id,
        )
    finally:
        await connection.close()
    assert done == "UPDATE 1"


async def test_a_seeded_loss_is_found_in_a_real_sale(settings: Settings, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    fixtures = await create_fixtures(
        settings, tmp_path, seats=400, users=60, hold_ttl_s=60, ticket_limit=1_000
    )
    with pods(settings, 1) as (pod,):
        load = LoadGenerator(
            fixtures, [Endpoint(pod)], random.Random(seed), WorkloadProfile(visits_per_s=40), TAG
        )
        async with load.selling():

            async def has_enough() -> bool:
                return min(len(load.record.payments), len(load.record.top_ups)) >= ENOUGH

            await until(has_enough, within_s=60)
        record = load.record
        assert record.unexcused() == []
        found = await check(settings, fixtures, record, TAG)
        assert (found.broken, found.lost, found.sold_twice, found.imbalance) == ([], 0, 0, 0)

        told = record.top_ups.pop()
        found = await check(settings, fixtures, record, TAG)
        assert any("unexplained_top_up 1 times" in one for one in found.broken), found
        record.top_ups.append(told)

        await overprice(settings, record.payments[1].reservation_id)
        found = await check(settings, fixtures, record, TAG)
        # Neither the price of its seats nor its payment.
        assert (found.imbalance, found.sold_twice, found.double_charges) == (2, 0, 0), found

        await forget(settings, record.payments[0].reservation_id)
        found = await check(settings, fixtures, record, TAG)
        assert found.lost >= 1
        assert any("phantom_hold 1 times" in one for one in found.broken), found
        assert any(one.startswith("audit: ") for one in found.broken), found
