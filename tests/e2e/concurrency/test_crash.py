"""A process that is killed while it sells, and a Valkey that is not there."""

import asyncio
import random
from pathlib import Path

import pytest

from boxoffice.audit import audit
from boxoffice.settings import Settings
from faults.workload.fixtures import create_fixtures
from tests.support.shop import Crowd, Pod, pods, truth

SEATS = 600
KILL_AFTER_HOLDS = 150


@pytest.mark.parametrize("round_", range(2))
async def test_what_a_killed_process_promised_is_there(
    settings: Settings, tmp_path: Path, round_: int
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}, round {round_}")
    rng = random.Random(seed)
    fixtures = await create_fixtures(settings, tmp_path, seats=SEATS, users=SEATS)
    seat_ids = list(fixtures.seat_ids)
    rng.shuffle(seat_ids)
    victim = Pod(settings).wait_until_ready()
    async with Crowd([victim.url], fixtures.schedule_id) as crowd:
        rush = asyncio.gather(
            *(crowd.hold(p, [seat]) for p, seat in zip(fixtures.people, seat_ids, strict=True))
        )
        while len(crowd.record.holds) < KILL_AFTER_HOLDS and not rush.done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        victim.kill()
        await rush
    record = crowd.record
    assert record.lost, "the kill came too late to interrupt anything"
    assert record.failures() == {}

    told = await truth(settings, fixtures.schedule_id)
    promised = {hold["seats"][0]["seat_id"]: p.user_id for p, hold in record.holds.values()}
    assert promised.items() <= told.held.items()

    with pods(settings, 1) as serving:
        async with Crowd([serving[0].url], fixtures.schedule_id) as retry:
            retry.record.holds.update(record.holds)
            # A client without an answer repeats the request, and gets the seat exactly once.
            got = await asyncio.gather(
                *(retry.hold(person, seats, key) for person, key, seats in record.lost)
            )
            assert all(got)
            assert retry.record.failures() == {}
            assert retry.record.oversold() == {}
    told = await truth(settings, fixtures.schedule_id)
    assert len(told.held) == len(told.reservations) == SEATS
    report = await audit(settings)
    assert report.ok, report


async def test_selling_goes_on_without_valkey(settings: Settings, tmp_path: Path) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=200, users=600)
    with pods(settings, 2, valkey_url="redis://127.0.0.1:1/0") as serving:
        async with Crowd([pod.url for pod in serving], fixtures.schedule_id) as crowd:
            await asyncio.gather(
                *(
                    crowd.hold(person, [fixtures.seat_ids[at % 200]], pod=at)
                    for at, person in enumerate(fixtures.people)
                )
            )
            assert crowd.record.answers == {(201, "ok"): 200, (409, "seat_taken"): 400}
            assert crowd.record.oversold() == {}
    report = await audit(settings)
    assert report.ok, report
