"""What is counted for a list: seats, prices and cities of upcoming performances."""

from uuid import UUID, uuid4

from boxoffice.listings.rules import Performance
from boxoffice.listings.service import Listings
from boxoffice.listings.store import ListingStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.values import Money
from boxoffice.posters.files import PictureFiles
from boxoffice.posters.service import Posters
from boxoffice.posters.store import PosterStore
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall

_VENUE = """
    WITH venue AS (
        INSERT INTO venues (venue_id, organization_id, name, city, country, time_zone)
        SELECT $2, c.organization_id, 'Hall', $3, 'KR', 'Asia/Seoul'
          FROM concerts c WHERE c.concert_id = $1
    )
    UPDATE schedules SET venue_id = $2 WHERE schedule_id = $1
"""


async def one(db: Database, hall: Hall) -> Performance:
    """Return the only performance of a hall's concert."""
    [found] = (await ListingStore(db).performances([hall.schedule_id]))[hall.schedule_id]
    return found


async def test_seats_are_those_of_the_performance(db: Database) -> None:
    hall, other = await open_hall(db), await open_hall(db)
    await db.fetch(_VENUE, hall.schedule_id, uuid4(), "Busan")
    await db.fetch(_VENUE, other.schedule_id, uuid4(), "Seoul")
    total = len(hall.seat_ids)
    found = await one(db, hall)
    assert (found.seats_total, found.seats_available, found.city) == (total, total, "Busan")
    assert found.venue is not None
    held = await hall.held(hall.people[0], "S001", "S002")
    assert (await one(db, hall)).seats_available == total - 2
    await hall.lapse(held)
    assert (await one(db, hall)).seats_available == total
    await db.fetch(
        "UPDATE seats SET price_minor = 7 WHERE seat_id = 'S003' AND schedule_id = $1",
        hall.schedule_id,
    )
    assert (await one(db, hall)).price_from_minor == 7
    assert (await one(db, other)).price_from_minor != 7


async def test_drafts_and_past_performances_are_left_out(db: Database) -> None:
    shown, draft, past = [await open_hall(db) for _ in range(3)]
    await db.fetch(
        "UPDATE schedules SET status = 'DRAFT' WHERE schedule_id = $1", draft.schedule_id
    )
    await db.fetch(
        "UPDATE schedules SET starts_at = now() WHERE schedule_id = $1", past.schedule_id
    )
    ids = [hall.schedule_id for hall in (shown, draft, past)]
    assert set(await ListingStore(db).performances(ids)) == {shown.schedule_id}
    store = ListingStore(db)
    assert [bool(await store.prices(concert_id)) for concert_id in ids] == [True, False, False]
    assert set(await store.performances([draft.schedule_id])) == set()


async def test_prices_are_by_grade(db: Database) -> None:
    hall, other = await open_hall(db), await open_hall(db)
    for seat_id, grade, price in (("S001", "VIP", 900), ("S002", "VIP", 800), ("S003", "R", 5)):
        await db.fetch(
            "UPDATE seats SET grade = $2, price_minor = $3 WHERE schedule_id = $4 AND seat_id = $1",
            seat_id, grade, price, hall.schedule_id,
        )  # fmt: skip
    await db.fetch("UPDATE seats SET price_minor = 100 WHERE grade = 'R' AND seat_id > 'S003'")
    vip, rest = await ListingStore(db).prices(hall.schedule_id)
    assert (vip.grade, vip.price_min, vip.price_max) == (
        "VIP",
        Money(800, "KRW"),
        Money(900, "KRW"),
    )
    assert (rest.price_min, rest.price_max) == (Money(5, "KRW"), Money(100, "KRW"))
    [there] = await ListingStore(db).prices(other.schedule_id)
    assert there.grade == "R"


async def test_facts_are_those_of_each_concert(db: Database, settings: Settings) -> None:
    hall = await open_hall(db)
    posters = Posters(PosterStore(db), PictureFiles(settings.posters, PosterStore(db), None))
    listings = Listings(settings.listings, ListingStore(db), posters)
    facts = await listings.facts([hall.schedule_id, UUID(int=1)])
    sale = facts[hall.schedule_id].sale
    assert sale is not None
    assert sale.state == "on_sale"
    assert facts[UUID(int=1)].sale is None
