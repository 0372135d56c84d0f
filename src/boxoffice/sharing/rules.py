"""The head of a concert's page: Open Graph and schema.org. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from boxoffice.catalog.views import ConcertPage, ScheduleOnOffer
from boxoffice.listings.markdown import plain_text
from boxoffice.platform.currencies import DECIMALS
from boxoffice.platform.values import Money
from boxoffice.web.page_head import PageHead

DESCRIPTION_CHARS_MAX = 200
# Performances that the data of a page names.
PERFORMANCES_MAX = 20
# The widths of the poster as `components/concert-facts.js` shows it: a browser must not load two.
POSTER_SIZES = "(min-width: 720px) 320px, 60vw"


def page_head(concert: ConcertPage, schedules: Sequence[ScheduleOnOffer], base: str) -> PageHead:
    """Return the head of a concert's page; `base` is the address of the pages, or empty."""
    when, where = _when(schedules), _where(concert, schedules)
    summary = plain_text(concert.description)[:DESCRIPTION_CHARS_MAX]
    poster = concert.poster
    url = f"{base}/concerts/{concert.concert_id}" if base else ""
    image = f"{base}{poster.shared_url}" if base and poster else ""
    return PageHead(
        title=f"{concert.title} · {concert.artist}",
        description=" · ".join(part for part in (when, where, summary) if part),
        lines=tuple(part for part in (when, where) if part),
        url=url,
        image=image,
        image_alt=poster.alt if poster else "",
        preload={"imagesrcset": poster.srcset, "imagesizes": POSTER_SIZES} if poster else {},
        data={
            "@context": "https://schema.org",
            "@graph": [_event(concert, one, url, image) for one in schedules[:PERFORMANCES_MAX]],
        },
    )


def _when(schedules: Sequence[ScheduleOnOffer]) -> str:
    starts = [_local(one.starts_at, one) for one in schedules]
    if len(starts) == 1:
        return starts[0].strftime("%Y-%m-%d %H:%M %Z")
    days = [one.date().isoformat() for one in starts]
    return " – ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def _where(concert: ConcertPage, schedules: Sequence[ScheduleOnOffer]) -> str:
    venues = [one.venue for one in schedules if one.venue is not None]
    if not venues:
        return concert.venue
    return ", ".join(part for part in (venues[0].name, venues[0].city) if part)


def _event(concert: ConcertPage, one: ScheduleOnOffer, url: str, image: str) -> dict[str, Any]:
    event = {
        "@type": "Event",
        "name": concert.title,
        "description": plain_text(concert.description)[:DESCRIPTION_CHARS_MAX],
        "startDate": _local(one.starts_at, one).isoformat(),
        "endDate": _end(concert, one),
        "doorTime": _local(one.doors_at, one).isoformat() if one.doors_at else "",
        "eventStatus": f"https://schema.org/{_status(one)}",
        "previousStartDate": _previous(one),
        "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
        "location": _location(concert, one),
        "performer": {"@type": "PerformingGroup", "name": concert.artist},
        "image": [image] if image else "",
        "url": url,
        "offers": _offers(one, url),
    }
    return {name: value for name, value in event.items() if value}


def _local(at: datetime, one: ScheduleOnOffer) -> datetime:
    return at.astimezone(ZoneInfo(one.time_zone))


def _end(concert: ConcertPage, one: ScheduleOnOffer) -> str:
    if not concert.running_time_min:
        return ""
    return _local(one.starts_at + timedelta(minutes=concert.running_time_min), one).isoformat()


def _status(one: ScheduleOnOffer) -> str:
    if one.status == "CANCELLED":
        return "EventCancelled"
    return "EventRescheduled" if one.postponed_from else "EventScheduled"


def _previous(one: ScheduleOnOffer) -> str:
    return _local(one.postponed_from, one).isoformat() if one.postponed_from else ""


def _location(concert: ConcertPage, one: ScheduleOnOffer) -> dict[str, Any]:
    venue = one.venue
    if venue is None:
        return {"@type": "Place", "name": concert.venue, "address": concert.venue}
    address = {
        "@type": "PostalAddress",
        "streetAddress": venue.address,
        "addressLocality": venue.city,
        "addressCountry": venue.country,
    }
    return {"@type": "Place", "name": venue.name, "address": address}


def _offers(one: ScheduleOnOffer, url: str) -> dict[str, Any]:
    if one.price_min is None or one.price_max is None or one.status == "CANCELLED":
        return {}
    availability = "InStock" if one.seats_available else "SoldOut"
    offers = {
        "@type": "AggregateOffer",
        "lowPrice": _decimal(one.price_min),
        "highPrice": _decimal(one.price_max),
        "priceCurrency": one.currency,
        "availability": f"https://schema.org/{availability}",
        "validFrom": one.sale_opens_at.isoformat(),
        "url": url,
    }
    return {name: value for name, value in offers.items() if value}


def _decimal(price: Money) -> str:
    """Return an amount in the currency's own unit."""
    decimals = DECIMALS[price.currency]
    whole, minor = divmod(price.amount, 10**decimals)
    return f"{whole}.{minor:0{decimals}d}" if decimals else str(whole)
