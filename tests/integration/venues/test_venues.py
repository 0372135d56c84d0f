"""Venues of organizers: what is whose, versions, zones, and two editors."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import UNSET

from boxoffice.errors import IdempotencyKeyReused, Invalid
from boxoffice.permissions import Actor
from boxoffice.platform.conditional import PreconditionFailed
from boxoffice.platform.postgres.database import Database
from boxoffice.venues.errors import TimeZoneUnknown, VenueInUse, VenueNotFound
from boxoffice.venues.service import Venues
from boxoffice.venues.store import VenueStore
from boxoffice.venues.views import Venue, VenueBody, VenueEdit
from tests.integration.catalog.support import add_user
from tests.support.hall import Hall, open_hall
from tests.support.members import member

HALL = VenueBody(name="Olympic Hall", country="KR", time_zone="Asia/Seoul", city="Seoul")


@pytest.fixture
def venues(db: Database) -> Venues:
    """The use cases."""
    return Venues(VenueStore(db))


async def added(venues: Venues, actor: Actor, body: VenueBody = HALL) -> Venue:
    """Return a venue that a request of its own has added."""
    return await venues.create(actor, body, uuid4().hex)


async def held_at(db: Database, venue_id: UUID, **changed: Any) -> Hall:
    """Return a hall on sale at a venue."""
    hall = await open_hall(db, seats=1, people=1, balance_minor=1)
    sets = ", ".join(f"{name} = {value}" for name, value in changed.items())
    async with db.writing() as connection:
        query = "UPDATE schedules SET venue_id = $2 WHERE schedule_id = $1"
        await connection.execute(query, hall.schedule_id, venue_id)
        if sets:
            query = f"UPDATE schedules SET {sets} WHERE schedule_id = $1"  # noqa: S608
            await connection.execute(query, hall.schedule_id)
    return hall


async def test_a_venue_is_its_organizers_and_operators_read_it(
    db: Database, venues: Venues
) -> None:
    me, other = member(await add_user(db, "organizer")), member(await add_user(db, "organizer"))
    first, theirs, second = [await added(venues, who) for who in (me, other, me)]
    assert await venues.list_of_organizer(me.organization_ids, None, 9) == [second, first]
    assert await venues.list_of_organizer(me.organization_ids, second.venue_id, 9) == [first]
    assert await venues.list_of_organizer(None, None, 2) == [second, theirs]
    assert await venues.get(None, theirs.venue_id) == theirs
    with pytest.raises(VenueNotFound):
        await venues.get(me.organization_ids, theirs.venue_id)
    with pytest.raises(VenueNotFound):
        await venues.edit(me, theirs.venue_id, VenueEdit(name="Mine"), 1)
    with pytest.raises(VenueNotFound):
        await venues.delete(me, theirs.venue_id, 1)


async def test_a_repeated_request_finds_the_venue_that_it_added(
    db: Database, venues: Venues
) -> None:
    me, other = member(await add_user(db, "organizer")), member(await add_user(db, "organizer"))
    asked = [venues.create(me, HALL, "a") for _ in range(6)]
    [first, *repeated] = await asyncio.gather(*asked)
    assert repeated == [first] * 5
    second = await venues.create(me, HALL, "b")
    theirs = await venues.create(other, HALL, "a")
    assert await venues.create(other, HALL, "a") == theirs
    assert await venues.create(me, HALL, "b") == second
    assert await venues.list_of_organizer(None, None, 9) == [theirs, second, first]
    actions = "SELECT action FROM logbook WHERE action = 'venue.created'"
    assert len(await db.read(actions, *())) == 3
    # The same key for another hall, and for one that was changed since.
    with pytest.raises(IdempotencyKeyReused):
        await venues.create(me, msgspec.structs.replace(HALL, city="Busan"), "a")
    await venues.edit(me, first.venue_id, VenueEdit(city="Busan"), 1)
    with pytest.raises(IdempotencyKeyReused):
        await venues.create(me, HALL, "a")


async def test_a_change_needs_the_version_and_is_recorded(db: Database, venues: Venues) -> None:
    me = member(await add_user(db, "organizer"))
    made, untouched = await added(venues, me), await added(venues, me)
    edit = VenueEdit(name="Hall 2", city=None, latitude=37.5, longitude=127.1)
    after = await venues.edit(me, made.venue_id, edit, made.version)
    assert after == msgspec.structs.replace(
        made, name="Hall 2", city="", latitude=37.5, longitude=127.1, version=2
    )
    assert await venues.get(me.organization_ids, untouched.venue_id) == untouched
    with pytest.raises(PreconditionFailed):
        await venues.edit(me, made.venue_id, VenueEdit(name="Hall 3"), 1)
    assert await venues.edit(me, made.venue_id, VenueEdit(name="Hall 2"), 2) == after
    with pytest.raises(Invalid):
        await venues.edit(me, made.venue_id, VenueEdit(latitude=None), 2)
    rows = await db.read("SELECT action, details FROM logbook ORDER BY entry_id", *())
    assert [row["action"] for row in rows] == ["venue.created", "venue.created", "venue.changed"]
    changed = msgspec.json.decode(rows[-1]["details"])["changed"]
    assert changed["name"] == ["Olympic Hall", "Hall 2"]
    assert UNSET not in changed.values()


async def test_of_two_editors_one_is_refused(db: Database, venues: Venues) -> None:
    me = member(await add_user(db, "organizer"))
    made = await added(venues, me)
    edits = [VenueEdit(name=f"Hall {n}") for n in range(8)]
    tried = [venues.edit(me, made.venue_id, edit, 1) for edit in edits]
    done = await asyncio.gather(*tried, return_exceptions=True)
    won = [one for one in done if not isinstance(one, BaseException)]
    assert [type(one) for one in done].count(PreconditionFailed) == 7
    assert await venues.get(me.organization_ids, made.venue_id) == won[0]


async def test_the_zone_of_a_venue_on_show_stays(db: Database, venues: Venues) -> None:
    me = member(await add_user(db, "organizer"))
    with pytest.raises(TimeZoneUnknown):
        await added(venues, me, msgspec.structs.replace(HALL, time_zone="Asia/Nowhere"))
    shown, drafted, past, unused = [await added(venues, me) for _ in range(4)]
    await held_at(db, shown.venue_id)
    await held_at(db, drafted.venue_id, status="'DRAFT'")
    begun = "clock_timestamp() - interval '1 hour'"
    await held_at(db, past.venue_id, starts_at=begun, sale_opens_at=f"{begun} - interval '1 day'")
    zone = VenueEdit(time_zone="Asia/Tokyo")
    for one in (drafted, past, unused):
        assert (await venues.edit(me, one.venue_id, zone, 1)).time_zone == "Asia/Tokyo"
    with pytest.raises(VenueInUse):
        await venues.edit(me, shown.venue_id, zone, 1)
    with pytest.raises(VenueInUse):
        await venues.delete(me, shown.venue_id, 1)
    await venues.delete(me, unused.venue_id, 2)
    with pytest.raises(VenueNotFound):
        await venues.get(me.organization_ids, unused.venue_id)
    assert await venues.get(me.organization_ids, shown.venue_id) == shown
