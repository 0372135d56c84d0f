"""Further concerts of the demo: genres, cities, months and sales, with posters and sold seats."""

from datetime import datetime, timedelta, timezone
from importlib.resources import files
from uuid import UUID

import msgspec

from boxoffice.app import Application
from boxoffice.brands.views import BrandEdit
from boxoffice.catalog import rules as catalog_rules
from boxoffice.catalog.rules import NewConcert, NewSchedule
from boxoffice.cli import seeding
from boxoffice.permissions import Actor, chosen
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.venues.views import VenueBody
from boxoffice_embedded.demo_posters import Palette, draw

_QUERIES = sql_files.load("boxoffice_embedded", "demo.sql")
_SEOUL = timezone(timedelta(hours=9))
_BUYERS, _BALANCE_MINOR = 12, 90_000_000
_SEATS_AT_ONCE = 10


class DemoVenue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A venue of the demo, in both languages."""

    name: str
    name_ko: str
    city: str
    address: str
    address_ko: str
    latitude: float
    longitude: float


class DemoConcert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A concert of the demo; `starts` are days from now and hours, `opens_in_hours` is from now too.

    Of the first performance so many seats are `sold`.
    """

    title: str
    title_ko: str
    artist: str
    artist_ko: str
    genre: str
    age_rating: str
    running_time_min: int
    about: str
    about_ko: str
    venue: str
    starts: list[tuple[int, int]]
    seats: int
    sold: int
    style: str
    palette: Palette
    opens_in_hours: int


class DemoCatalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All further concerts of the demo, the texts that they share, and the organizer's terms."""

    faq: str
    faq_ko: str
    notices: str
    notices_ko: str
    terms: str
    terms_ko: str
    venues: list[DemoVenue]
    concerts: list[DemoConcert]

    @property
    def shared_texts(self) -> tuple[str, str, str, str]:
        """The texts that all concerts have."""
        return self.faq, self.faq_ko, self.notices, self.notices_ko


_MAIN = Palette("#2b0f54", "#0b0620", "#ff5d8f", "#8a2be2")


def catalog() -> DemoCatalog:
    """Return the demo's further concerts."""
    raw = files("boxoffice_embedded").joinpath("demo_concerts.toml").read_bytes()
    return msgspec.toml.decode(raw, type=DemoCatalog)


async def add(
    application: Application, settings: Settings, db: Database, organizer: Actor, main_id: UUID
) -> None:
    """Add the concerts, and a poster for the concert `main_id`."""
    demo, posters = catalog(), application.services.storefront.posters
    venue_ids = {one.name: await _venue(application, organizer, one) for one in demo.venues}
    buyers = await seeding.people(application, _BUYERS, _BALANCE_MINOR, "demo")
    for show in demo.concerts:
        venue_id = venue_ids[show.venue]
        concert_id, schedule_ids = await _put_on_sale(
            application, settings, organizer, show, venue_id
        )
        await db.fetch(
            _QUERIES["fill_concert"], concert_id, show.title, show.title_ko, show.artist_ko, show.genre,
            show.age_rating, show.running_time_min, show.about_ko, *demo.shared_texts,
        )  # fmt: skip
        raw = draw(show.title, show.artist, show.style, show.palette)
        await posters.put(organizer, concert_id, raw)
        sold = [seat.seat_id for seat in catalog_rules.hall(show.seats)[: show.sold]]
        await _sell(application, buyers, schedule_ids[0], sold)
    raw = draw("Encore in Seoul", "The Encores", "rings", _MAIN)
    await posters.put(organizer, main_id, raw)
    await _brand(application, organizer, demo)
    await db.fetch(
        _QUERIES["fill_concert"], main_id, "Encore in Seoul", "앙코르 인 서울", "더 앙코르스",
        "concert",
        "all", 120, "하룻밤, 지정석으로 즐기는 공연입니다.", *demo.shared_texts,
    )  # fmt: skip
    # Scripts and newcomers take the first concert, and this one is on sale with all of its seats.
    await db.fetch(_QUERIES["show_first"], main_id)


async def _brand(application: Application, organizer: Actor, demo: DemoCatalog) -> None:
    brand = BrandEdit(
        name_en="Demo Concerts",
        name_ko="데모 공연기획",
        accent="#8a2be2",
        terms=demo.terms.strip(),
        terms_ko=demo.terms_ko.strip(),
    )
    own = chosen(organizer, None)
    await application.services.storefront.brands.edit(organizer, own, brand, 0)


async def _venue(application: Application, organizer: Actor, place: DemoVenue) -> UUID:
    venue = await application.services.venues.create(
        organizer,
        VenueBody(country="KR", time_zone="Asia/Seoul", **msgspec.structs.asdict(place)),
        f"demo {place.name}",
    )
    return venue.venue_id


async def _put_on_sale(
    application: Application,
    settings: Settings,
    organizer: Actor,
    show: DemoConcert,
    venue_id: UUID,
) -> tuple[UUID, list[UUID]]:
    """Create a concert and open its sale; return its id and those of its schedules."""
    service = application.services.catalog
    concert = NewConcert(
        title=show.title, artist=show.artist, venue=show.venue, description=show.about
    )
    concert_id = (await service.create_concert(organizer, concert)).concert_id
    schedule_ids = []
    for days, hour in show.starts:
        schedule = _schedule(settings, show, venue_id, days, hour)
        made = await service.create_schedule(organizer, concert_id, schedule)
        seats = catalog_rules.hall(show.seats)
        await service.add_seats(organizer, made.schedule_id, seats)
        schedule_ids.append(made.schedule_id)
    await service.publish(organizer, concert_id)
    for schedule_id in schedule_ids:
        await service.open(organizer, schedule_id)
    return concert_id, schedule_ids


def _schedule(
    settings: Settings, show: DemoConcert, venue_id: UUID, days: int, hour: int
) -> NewSchedule:
    today = datetime.now(_SEOUL).replace(minute=0, second=0, microsecond=0)
    starts_at = today.replace(hour=hour) + timedelta(days=days)
    return NewSchedule(
        starts_at=starts_at,
        sale_opens_at=today + timedelta(hours=show.opens_in_hours),
        sale_closes_at=None,
        currency=settings.payments.currency,
        hold_ttl_s=settings.holds.hold_ttl_default_s,
        ticket_limit=100,
        venue_id=venue_id,
        doors_at=starts_at - timedelta(hours=1),
    )


async def _sell(
    application: Application, buyers: list[UUID], schedule_id: UUID, seat_ids: list[str]
) -> None:
    """Sell these seats to buyers in turn."""
    reservations, payments = application.services.reservations, application.services.payments
    for at in range(0, len(seat_ids), _SEATS_AT_ONCE):
        buyer, key = buyers[at // _SEATS_AT_ONCE % len(buyers)], f"demo-{at}"
        wanted = seat_ids[at : at + _SEATS_AT_ONCE]
        held = await reservations.hold(buyer, schedule_id, key, wanted)
        await payments.pay(buyer, ScopedId(schedule_id, held.reservation_id), key, "wallet")
