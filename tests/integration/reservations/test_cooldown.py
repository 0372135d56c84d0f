"""Who lets holds end without paying waits for the next one, longer each time; others never notice."""

from datetime import timedelta
from uuid import UUID

import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import Cooldown, HoldOutcome, ReservationStore
from tests.support.hall import Hall, open_hall

_COOLDOWN = Cooldown(free_max=3, first_s=60, max_s=200)


async def _hold(hall: Hall, person: UUID, seat: str, key: str = "") -> HoldOutcome:
    command = hall.hold_command(person, seat, key=key)
    [outcome] = await ReservationStore(hall.db, _COOLDOWN).hold(hall.schedule_id, [command])
    return outcome


async def _end(hall: Hall, person: UUID, how: str) -> None:
    outcome = await hall.hold(person, "S001")
    assert outcome.held is not None
    if how == "release":
        await hall.release(person, outcome.held.reservation_id)
        return
    await hall.lapse(outcome.held.reservation_id)
    await hall.db.fetch(
        # A moment ago, and not a day.
        "UPDATE reservations SET expires_at = clock_timestamp() - interval '1 s'"
        " WHERE reservation_id = $1",
        outcome.held.reservation_id,
    )
    if how == "sweep":
        await hall.expire()


@pytest.mark.parametrize("how", ["release", "lapse", "sweep"])
async def test_after_too_many_ends_the_next_hold_has_to_wait(db: Database, how: str) -> None:
    hall = await open_hall(db)
    buyer, other = hall.people[:2]
    for _ in range(3):
        await _end(hall, buyer, how)
    assert (await _hold(hall, buyer, "S002")).name == "held", "three unpaid ends cost nothing"
    await _end(hall, buyer, how)
    refused = await _hold(hall, buyer, "S003")
    assert refused.name == "hold_cooldown"
    assert refused.cooldown is not None
    assert 0 < refused.cooldown[0] <= 60
    assert (await _hold(hall, other, "S003")).name == "held"


async def test_the_wait_grows_to_its_limit_and_ends_by_itself(db: Database) -> None:
    hall = await open_hall(db)
    buyer = hall.people[0]
    waits = []
    for _ in range(7):
        await _end(hall, buyer, "release")
        # Without seats, so that nothing is held where there is no wait.
        refused = await _hold(hall, buyer, "X")
        waits.append(round(refused.cooldown[0], -1) if refused.cooldown else 0)
    assert waits == [0, 0, 0, 60, 120, 200, 200]
    age = "UPDATE schedule_buyers SET struck_at = struck_at - $2::interval WHERE user_id = $1"
    await hall.db.fetch(age, buyer, timedelta(seconds=201))
    assert (await _hold(hall, buyer, "S003")).name == "held"


async def test_paying_forgives(db: Database) -> None:
    hall = await open_hall(db, balance_minor=5_000)
    buyer = hall.people[0]
    kept = await hall.held(buyer, "S002")
    for _ in range(4):
        await _end(hall, buyer, "release")
    assert (await _hold(hall, buyer, "S003")).name == "hold_cooldown"
    await hall.pay(buyer, kept)
    assert (await _hold(hall, buyer, "S003")).name == "held"


async def test_a_repetition_is_answered_during_a_cooldown(db: Database) -> None:
    hall = await open_hall(db)
    buyer = hall.people[0]
    before = await _hold(hall, buyer, "S002", key="k")
    for _ in range(4):
        await _end(hall, buyer, "release")
    again = await _hold(hall, buyer, "S002", key="k")
    assert (again.name, again.held) == ("replayed", before.held)


async def test_a_cooldown_does_not_apply_to_other_schedules(db: Database) -> None:
    hall, elsewhere = await open_hall(db), await open_hall(db)
    await _end(elsewhere, hall.people[0], "release")
    for _ in range(4):
        await _end(hall, hall.people[0], "release")
    assert (await _hold(hall, hall.people[0], "S002")).name == "hold_cooldown"
    assert (await _hold(elsewhere, hall.people[0], "S002")).name == "held"
