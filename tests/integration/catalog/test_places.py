"""Performances at venues: whose zone their times have, and the local times of new ones."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from boxoffice.accounts.tokens import Caller
from boxoffice.notifications.mail.store import MailQueue
from boxoffice.venues.errors import LocalTimeAmbiguous, LocalTimeSkipped, VenueNotFound
from boxoffice.venues.rules import LocalTime
from boxoffice.venues.service import Venues
from boxoffice.venues.store import VenueStore
from boxoffice.venues.views import Venue, VenueBody
from tests.support.hall import open_hall

from .support import CONCERT, Shop, schedule

YEAR = datetime.now(UTC).year + 1


async def venue_of(shop: Shop, organizer: Caller, zone: str = "America/New_York") -> Venue:
    body = VenueBody(
        name="Hall", name_en="The Hall", country="US", time_zone=zone, address="5th Ave"
    )
    return await Venues(VenueStore(shop.db)).create(organizer, body, uuid4().hex)


async def test_local_times_are_those_of_the_venue(shop: Shop) -> None:
    venue, theirs = await venue_of(shop, shop.organizer), await venue_of(shop, shop.other)
    concert = await shop.catalog.create_concert(shop.organizer, CONCERT)

    async def add(starts: str, venue_id: UUID | None = venue.venue_id) -> object:
        given = schedule(
            starts_at=LocalTime(local=starts),
            sale_opens_at=datetime.now(UTC) - timedelta(hours=1),
            doors_at=LocalTime(local=starts),
            venue_id=venue_id,
        )
        return await shop.catalog.create_schedule(shop.organizer, concert.concert_id, given)

    made = await add(f"{YEAR}-07-04T19:00")
    assert made.starts_at == made.doors_at == datetime(YEAR, 7, 4, 23, tzinfo=UTC)  # type: ignore[attr-defined]
    assert (made.time_zone, made.venue.name) == ("America/New_York", "Hall")  # type: ignore[attr-defined]
    at_home = await add(f"{YEAR}-07-04T19:00", None)
    assert at_home.starts_at == datetime(YEAR, 7, 4, 10, tzinfo=UTC)  # type: ignore[attr-defined]
    assert (at_home.time_zone, at_home.venue) == ("Asia/Seoul", None)  # type: ignore[attr-defined]
    # Daylight saving time begins on the second Sunday of March, and ends on the first one of November.
    gap, fold = _sunday(3, 2), _sunday(11, 1)
    with pytest.raises(LocalTimeSkipped):
        await add(f"{gap:%Y-%m-%d}T02:30")
    with pytest.raises(LocalTimeAmbiguous):
        await add(f"{fold:%Y-%m-%d}T01:30")
    for unknown in (theirs.venue_id, concert.concert_id):
        with pytest.raises(VenueNotFound):
            await add(f"{YEAR}-08-04T19:00", unknown)


def _sunday(month: int, nth: int) -> datetime:
    first = datetime(YEAR, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))


async def test_every_look_up_shows_the_venue_of_its_schedule(shop: Shop) -> None:
    await venue_of(shop, shop.organizer, "Asia/Tokyo")
    venue = await venue_of(shop, shop.organizer)
    here = await shop.on_sale(venue_id=venue.venue_id)
    there = await shop.on_sale()
    for sale, zone in ((here, "America/New_York"), (there, "Asia/Seoul")):
        one = await shop.store.published_schedule(sale.schedule_id)
        [listed] = await shop.store.schedules(sale.concert_id)
        assert one is not None
        assert one.time_zone == listed.time_zone == zone
        assert one.venue == listed.venue
        assert (one.venue is None) == (sale is there)
    zones = {item.concert_id: item for item in await shop.store.published_concerts(None, 9)}
    assert zones[here.concert_id].time_zone == "America/New_York"
    assert zones[there.concert_id].time_zone == "Asia/Seoul"
    assert zones[here.concert_id].first_starts_at is not None
    async with shop.db.writing() as connection:
        await connection.execute(
            "UPDATE schedules SET status = 'CANCELLED', cancelled_at = now() WHERE schedule_id = $1",
            here.schedule_id,
        )
    [_, cancelled] = await shop.store.published_concerts(None, 9)
    assert cancelled.first_starts_at is None


async def test_a_receipt_names_the_venue_and_its_zone(shop: Shop) -> None:
    await venue_of(shop, shop.organizer, "Asia/Tokyo")
    venue = await venue_of(shop, shop.organizer)
    hall = await open_hall(shop.db, balance_minor=100_000)
    async with shop.db.writing() as connection:
        await connection.execute(
            "UPDATE schedules SET venue_id = $2 WHERE schedule_id = $1",
            hall.schedule_id,
            venue.venue_id,
        )
    person = hall.people[0]
    await hall.pay(person, await hall.held(person, "S001"))
    [row] = await shop.db.fetch("SELECT payment_id FROM payments")
    for language, name in (("en", "The Hall"), ("ko", "Hall")):
        facts = await MailQueue(shop.db).receipt(hall.schedule_id, row["payment_id"], language)
        assert facts is not None
        assert (facts.venue, facts.address) == (name, "5th Ave")
        assert facts.time_zone == "America/New_York"
