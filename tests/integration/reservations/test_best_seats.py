"""Best seats through the service: whole rows are sold, and no request is refused too early."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.errors import (
    IdempotencyKeyReused,
    Invalid,
    NoAdjacentSeats,
    NotHeld,
    ReservationNotFound,
    ScheduleNotFound,
    SeatNotFound,
    SeatTaken,
    SoldOut,
    TicketLimit,
)
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.handlers import HoldHandler, ReleaseHandler
from boxoffice.reservations.routes import present_held
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.service import HoldLimits, Reservations
from boxoffice.reservations.store import ReservationStore
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.refusals import SeatRefusals
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Maps that are old for a while, as those of a busy shop are."""
    return settings.replace(seats_cache_ms=60_000, catalog_cache_ms=60_000)


@pytest.fixture
async def service(db: Database, valkey: Valkey, settings: Settings) -> AsyncIterator[Reservations]:
    """The service of one pod."""
    background, group_commit = Background(), GroupCommit(GroupCommitLimits(retry_for_s=10))
    seat_lock = SeatLock(valkey, settings.holds.seat_lock_ttl_ms)
    entries = ScheduleEntries(settings.seats, SeatStore(db))
    seats, refusals = SeatReadModel(entries), SeatRefusals(entries)
    applier = SeatChangeApplier(entries)
    publisher = SeatChangePublisher(applier, seats, SeatChangeBus(valkey, applier))
    yield Reservations(
        ReservationStore(db),
        group_commit,
        HoldHandler(ReservationStore(db), seat_lock, background, publisher, refusals),
        ReleaseHandler(ReservationStore(db), seat_lock, publisher),
        seats,
        refusals,
        HoldLimits(seats_per_hold_max=10),
    )
    await group_commit.close()
    await background.finish()


async def _best(
    service: Reservations, hall: Hall, person: int, quantity: int, key: str = ""
) -> tuple[str, ...]:
    held = await service.hold_best(
        hall.people[person], hall.schedule_id, key or str(uuid4()), quantity, None
    )
    return held.seat_ids


async def test_the_best_first_then_the_next_then_none(service: Reservations, db: Database) -> None:
    hall = await open_hall(db, seats=5)
    assert await _best(service, hall, 0, 2) == ("S001", "S002")
    assert await _best(service, hall, 1, 2) == ("S003", "S004")
    with pytest.raises(NoAdjacentSeats) as refusal:
        await _best(service, hall, 2, 2)
    assert refusal.value.extra == {"seats_left": 1}
    assert await _best(service, hall, 2, 1) == ("S005",)
    with pytest.raises(SoldOut):
        await _best(service, hall, 3, 1)


async def test_a_repetition_gets_the_first_seats_even_of_a_full_house(
    service: Reservations, db: Database
) -> None:
    hall = await open_hall(db, seats=4)
    first = await _best(service, hall, 0, 2, "k")
    assert await _best(service, hall, 0, 2, "k") == first
    await _best(service, hall, 1, 2)
    assert await _best(service, hall, 0, 2, "k") == first
    with pytest.raises(IdempotencyKeyReused):
        await _best(service, hall, 0, 1, "k")


async def test_a_grade_is_kept_to(service: Reservations, hall: Hall) -> None:
    query = "UPDATE seats SET grade = 'VIP' WHERE schedule_id = $1 AND seat_id IN ('S005', 'S006')"
    await hall.db.fetch(query, hall.schedule_id)
    buyer = hall.people[0]
    held = await service.hold_best(buyer, hall.schedule_id, "k", 2, "VIP")
    assert held.seat_ids == ("S005", "S006")
    with pytest.raises(SoldOut):
        await service.hold_best(buyer, hall.schedule_id, "l", 1, "VIP")


async def test_a_grade_of_an_earlier_release_is_found_in_the_form_of_today(
    service: Reservations, hall: Hall
) -> None:
    query = "UPDATE seats SET grade = $2 WHERE schedule_id = $1 AND seat_id = 'S005'"
    await hall.db.fetch(query, hall.schedule_id, "\u1100\u1161")
    held = await service.hold_best(hall.people[0], hall.schedule_id, "k", 1, "가")
    assert held.seat_ids == ("S005",)


async def test_concurrent_requests_get_adjacent_seats_until_the_row_is_full(
    service: Reservations, db: Database
) -> None:
    hall = await open_hall(db, seats=60, people=36)
    results = await asyncio.gather(
        *(_best(service, hall, person, 2) for person in range(36)), return_exceptions=True
    )
    pairs = [one for one in results if not isinstance(one, BaseException)]
    refusals = {type(one) for one in results if isinstance(one, BaseException)}
    assert sorted(seat for pair in pairs for seat in pair) == sorted(
        {seat for pair in pairs for seat in pair}
    )
    assert all(int(pair[1][1:]) == int(pair[0][1:]) + 1 for pair in pairs)
    assert refusals <= {SoldOut, NoAdjacentSeats, SeatTaken}
    assert len(pairs) == 30, "requests of one pod do not run after each other's seats"
    assert not await broken(db, hall.schedule_id)


async def test_pending_holds_of_the_last_seats_are_not_sold_out(
    service: Reservations, db: Database
) -> None:
    """Most of them are over their limit: what they go after comes free again."""
    hall = await open_hall(db, seats=100, people=30, ticket_limit=2)
    results = await asyncio.gather(
        *(_best(service, hall, at % 30, 2) for at in range(360)), return_exceptions=True
    )
    pairs = [one for one in results if not isinstance(one, BaseException)]
    refusals = {type(one) for one in results if isinstance(one, BaseException)}
    assert len(pairs) == 30
    assert refusals <= {TicketLimit, SeatTaken}, "forty seats are free to the end"
    assert len({seat for pair in pairs for seat in pair}) == 60
    assert not await broken(db, hall.schedule_id)


async def test_what_comes_free_at_once_is_the_best_again(
    service: Reservations, db: Database
) -> None:
    hall = await open_hall(db, seats=6, ticket_limit=2)
    await _best(service, hall, 0, 2)
    with pytest.raises(TicketLimit):
        await _best(service, hall, 0, 2)
    assert await _best(service, hall, 1, 2) == ("S003", "S004")


async def test_invented_ids_do_not_queue(service: Reservations, hall: Hall) -> None:
    await service._group_commit.close()  # a command that gets there is refused with Draining
    with pytest.raises(ReservationNotFound):
        await service.release(hall.people[0], ScopedId(uuid4(), uuid4()))


async def test_a_draft_is_no_schedule_to_a_buyer(
    service: Reservations, hall: Hall, db: Database, settings: Settings
) -> None:
    await hall.change_schedule("status = 'DRAFT'")
    buyer = hall.people[0]
    with pytest.raises(ScheduleNotFound):
        await service.hold_best(buyer, hall.schedule_id, "k", 1, None)
    with pytest.raises(ScheduleNotFound):
        await service.hold(buyer, hall.schedule_id, "k", ["S001"])
    await hall.change_schedule("status = 'OPEN'")
    await asyncio.sleep(0.06)
    held = await service.hold(buyer, hall.schedule_id, "k", ["S001"])
    entries = ScheduleEntries(settings.seats, SeatStore(db))
    layout = await SeatReadModel(entries).layout(hall.schedule_id)
    assert present_held(hall.schedule_id, held, layout).seats[0].seat_id == "S001"


async def test_named_seats_are_held_and_given_back(service: Reservations, hall: Hall) -> None:
    buyer, stranger = hall.people[:2]
    held = await service.hold(buyer, hall.schedule_id, "k", ["S002", "S001"])
    assert held == await service.hold(buyer, hall.schedule_id, "k", ["S002", "S001"])
    with pytest.raises(SeatTaken) as refusal:
        await service.hold(stranger, hall.schedule_id, "k", ["S001", "S003"])
    assert refusal.value.extra == {"seat_ids": ["S001"]}
    with pytest.raises(SeatNotFound):
        await service.hold(stranger, hall.schedule_id, "l", ["S003", "S999"])
    with pytest.raises(Invalid):
        await service.hold(stranger, hall.schedule_id, "l", [])
    with pytest.raises(TicketLimit):
        await service.hold(buyer, hall.schedule_id, "m", hall.seat_ids[2:12])
    reservation = ScopedId(hall.schedule_id, held.reservation_id)
    for act in (service.get, service.release):
        with pytest.raises(ReservationNotFound):
            await act(stranger, reservation)
    await service.release(buyer, reservation)
    with pytest.raises(NotHeld):
        await service.release(buyer, reservation)
    assert (await service.get(buyer, reservation)).status == "CANCELLED"
    assert [one.reservation_id for one in await service.of_user(buyer, None, 9)] == [
        held.reservation_id
    ]
    await service.hold(stranger, hall.schedule_id, "n", ["S001", "S002"])
