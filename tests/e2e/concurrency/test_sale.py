"""The main job: two API processes, a thousand seats, four thousand people who all ask at once."""

import asyncio
import random
from pathlib import Path

import asyncpg
import pytest

from boxoffice.audit import audit
from boxoffice.platform.ids import parse_scoped
from boxoffice.settings import Settings
from faults.guards.markers import texts_without
from faults.workload.fixtures import Fixtures, create_fixtures
from tests.support.shop import Crowd, Record, Truth, pods, truth

SEATS = 1_000
PEOPLE = 4_000
ATTEMPTS_MIN = 3_800


async def _rush(fixtures: Fixtures, crowd: Crowd, seed: int) -> None:
    """All buyers ask for one seat at once; four buyers want each seat."""
    rng = random.Random(seed)
    seat_ids = [fixtures.seat_ids[at % SEATS] for at in range(PEOPLE)]
    rng.shuffle(seat_ids)
    pairs = zip(fixtures.people, seat_ids, strict=True)
    await asyncio.gather(
        *(crowd.hold(person, [seat], pod=at) for at, (person, seat) in enumerate(pairs))
    )


async def _rush_in_groups(fixtures: Fixtures, crowd: Crowd, seed: int) -> None:
    """Groups of one to four neighbours; what all-or-nothing leaves over is then asked for singly."""
    rng = random.Random(seed)

    def hold_command() -> list[str]:
        size = rng.randint(1, 4)
        start = rng.randrange(SEATS - size + 1)
        seats = list(fixtures.seat_ids[start : start + size])
        rng.shuffle(seats)
        return seats

    await asyncio.gather(
        *(crowd.hold(person, hold_command(), pod=at) for at, person in enumerate(fixtures.people))
    )
    gone = {seat["seat_id"] for _, hold in crowd.record.holds.values() for seat in hold["seats"]}
    left = [seat for seat in fixtures.seat_ids if seat not in gone]
    people = rng.sample(list(fixtures.people), len(left) * 2)
    await asyncio.gather(
        *(crowd.hold(person, [left[at // 2]], pod=at) for at, person in enumerate(people))
    )


async def _pay_all(crowd: Crowd) -> None:
    holds = list(crowd.record.holds.items())
    await asyncio.gather(
        *(crowd.pay(person, key, pod=at) for at, (key, (person, _)) in enumerate(holds))
    )


def _compare(record: Record, told: Truth) -> None:
    """The crowd's record and the database agree in both directions."""
    acknowledged = {
        seat["seat_id"]: person.user_id
        for person, hold in record.holds.values()
        for seat in hold["seats"]
    }
    assert acknowledged == told.held
    promised = {
        parse_scoped(key).own_id: (  # type: ignore[union-attr]
            person.user_id,
            tuple(seat["seat_id"] for seat in hold["seats"]),
        )
        for key, (person, hold) in record.holds.items()
    }
    assert promised == told.reservations


@pytest.mark.parametrize("rush", [_rush, _rush_in_groups])
async def test_a_thousand_seats_are_sold_once_each(
    settings: Settings, tmp_path: Path, rush: object, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    assert callable(rush)
    fixtures = await create_fixtures(settings, tmp_path, seats=SEATS, users=PEOPLE)
    with pods(settings, 2) as serving:
        async with Crowd([pod.url for pod in serving], fixtures.schedule_id) as crowd:
            await rush(fixtures, crowd, seed)
            record = crowd.record
            assert sum(record.answers.values()) > ATTEMPTS_MIN
            assert record.failures() == {}
            refused = {answer for answer in record.answers if answer[0] != 201}
            assert refused == {(409, "seat_taken")}
            assert record.oversold() == {}
            told = await truth(settings, fixtures.schedule_id)
            assert len(told.held) == SEATS
            _compare(record, told)
            report = await audit(settings)
            assert report.ok, report

            await _pay_all(crowd)
            assert record.failures() == {}
            assert record.payments.keys() == record.holds.keys()
    told = await truth(settings, fixtures.schedule_id)
    _compare(record, told)
    assert told.tickets == dict.fromkeys(fixtures.seat_ids, 1)
    tickets = [t["seat_id"] for paid in record.payments.values() for t in paid["tickets"]]
    assert sorted(tickets) == sorted(fixtures.seat_ids)
    report = await audit(settings)
    assert report.ok, report


_GUARDS = (
    "hold_only_free_seats",
    "hold_seats_are_locked",
    "hold_version_that_was_seen",
    "hold_state_that_was_seen",
    "hold_rows_that_were_changed_are_counted",
    "pay_nothing_that_was_taken_over",
    "pay_seats_that_were_changed_are_counted",
)


async def _take_the_guards_away(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database.database_url)
    for text in texts_without(_GUARDS).values():
        await connection.execute(text)
    await connection.execute("DROP INDEX tickets_one_live_per_seat")
    await connection.close()


async def test_without_the_guards_the_same_test_sees_overselling(
    settings: Settings, tmp_path: Path
) -> None:
    """The negative control: a checker that cannot fail proves nothing."""
    fixtures = await create_fixtures(settings, tmp_path, seats=SEATS, users=PEOPLE)
    await _take_the_guards_away(settings)
    # The seat lock would hide the damage: it is taken away too, by an address without a server.
    with pods(settings, 2, valkey_url="redis://127.0.0.1:1/0") as serving:
        async with Crowd([pod.url for pod in serving], fixtures.schedule_id) as crowd:
            await _rush(fixtures, crowd, seed=1)
            assert crowd.record.oversold() != {}
            await _pay_all(crowd)
    told = await truth(settings, fixtures.schedule_id)
    with pytest.raises(AssertionError):
        _compare(crowd.record, told)
    assert max(told.tickets.values()) > 1
    assert not (await audit(settings)).ok
