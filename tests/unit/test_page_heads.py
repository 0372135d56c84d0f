"""The head of a concert's page: escaped, whole, and valid for programs that read it."""

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from boxoffice.catalog.views import ConcertPage, ScheduleOnOffer
from boxoffice.platform.values import Money
from boxoffice.posters.views import Poster
from boxoffice.sharing.rules import page_head
from boxoffice.venues.views import VenuePlace
from boxoffice.web.page_head import head_of, without_scripts

NASTY = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"
STARTS_AT = datetime(2026, 12, 18, 8, tzinfo=UTC)
NONE = dict.fromkeys(
    ("title_en", "title_ko", "artist_en", "artist_ko", "description_en", "description_ko", "genre",
     "intermission_min", "age_rating", "faq", "faq_en", "faq_ko", "notices", "notices_en",
     "notices_ko", "refund_notes", "refund_notes_en", "refund_notes_ko", "organizer_contact")
)  # fmt: skip
VENUE = VenuePlace(
    venue_id=UUID(int=2), name="Harbor Dome", name_en=None, name_ko=None, address="55 APEC-ro",
    address_en=None, address_ko=None, city="Busan", country="KR", time_zone="Asia/Seoul",
    directions="", directions_en=None, directions_ko=None, latitude=None, longitude=None,
)  # fmt: skip


def concert(**changed: Any) -> ConcertPage:
    """A concert with a poster."""
    poster = Poster(
        url="/posters/x/540.webp", srcset="/posters/x/320.webp 320w, /posters/x/540.webp 540w",
        shared_url="/posters/x/shared.jpg", width=540, height=720, colour="#000000", alt="A choir",
    )  # fmt: skip
    given: dict[str, Any] = {
        **NONE, "concert_id": UUID(int=1), "title": "Winter", "artist": "Choir", "venue": "Hall",
        "description": "One *evening*.", "status": "PUBLISHED", "published_at": None, "version": 1,
        "running_time_min": 90, "poster": poster,
    }  # fmt: skip
    return ConcertPage(**(given | changed))


def schedule(**changed: Any) -> ScheduleOnOffer:
    """A performance at five in the afternoon in Seoul."""
    given: dict[str, Any] = {
        "schedule_id": UUID(int=3), "concert_id": UUID(int=1), "starts_at": STARTS_AT,
        "sale_opens_at": STARTS_AT - timedelta(days=30), "sale_closes_at": None, "status": "OPEN",
        "currency": "USD", "hold_ttl_s": 300, "ticket_limit": 4, "seats_return_delay_max_s": 0,
        "doors_at": None, "venue": VENUE, "time_zone": "Asia/Seoul", "changed_at": None,
        "refundable_until": None, "postponed_from": None, "cancelled_at": None, "version": 1,
        "on_sale": True, "seats_total": 10, "seats_available": 3,
        "price_min": Money(1_050, "USD"), "price_max": Money(9_900, "USD"),
    }  # fmt: skip
    return ScheduleOnOffer(**(given | changed))


class Tags(HTMLParser):
    """The elements of a head, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.data.append(data)

    def meta(self, name: str) -> str | None:
        """The content of the element with this name or property."""
        for tag, attributes in self.found:
            if tag == "meta" and name in (attributes.get("name"), attributes.get("property")):
                return attributes["content"]
        return None

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the data block."""
        [block] = [text for text in self.data if text.lstrip().startswith('{"@context"')]
        events: list[dict[str, Any]] = json.loads(block)["@graph"]
        return events


def head(*schedules: ScheduleOnOffer, **changed: Any) -> Tags:
    """Return the head of a page of a shop at an address."""
    page = page_head(concert(**changed), schedules, "https://tickets.example.org")
    return Tags(head_of(page))


def test_a_link_has_a_preview() -> None:
    tags = head(schedule())
    assert tags.meta("og:title") == "Winter · Choir"
    assert tags.meta("og:description") == "2026-12-18 17:00 KST · Harbor Dome, Busan · One evening."
    assert tags.meta("og:image") == "https://tickets.example.org/posters/x/shared.jpg"
    url = f"https://tickets.example.org/concerts/{UUID(int=1)}"
    assert tags.meta("og:url") == url
    assert ("link", {"rel": "canonical", "href": url}) in tags.found
    [preload] = [attributes for _, attributes in tags.found if attributes.get("rel") == "preload"]
    assert preload["imagesrcset"] == "/posters/x/320.webp 320w, /posters/x/540.webp 540w"


def test_a_preview_of_several_performances_has_their_days() -> None:
    later = schedule(starts_at=STARTS_AT + timedelta(days=2))
    preview = head(schedule(), schedule(starts_at=STARTS_AT + timedelta(hours=3)), later)
    assert str(preview.meta("og:description")).startswith("2026-12-18 – 2026-12-20 · Harbor")


def test_search_engines_get_an_event_per_performance() -> None:
    first, second = head(schedule(), schedule(seats_available=0, status="CANCELLED")).events
    assert first["startDate"] == "2026-12-18T17:00:00+09:00"
    assert first["endDate"] == "2026-12-18T18:30:00+09:00"
    assert first["eventStatus"] == "https://schema.org/EventScheduled"
    assert first["location"]["address"]["addressLocality"] == "Busan"
    assert (first["offers"]["lowPrice"], first["offers"]["highPrice"]) == ("10.50", "99.00")
    assert first["offers"]["availability"] == "https://schema.org/InStock"
    assert second["eventStatus"] == "https://schema.org/EventCancelled"
    assert "offers" not in second


def test_other_states_are_told() -> None:
    moved, sold = head(
        schedule(postponed_from=STARTS_AT - timedelta(days=7), venue=None),
        schedule(seats_available=0, price_min=Money(9, "KRW"), price_max=Money(9, "KRW")),
    ).events
    assert moved["eventStatus"] == "https://schema.org/EventRescheduled"
    assert moved["previousStartDate"] == "2026-12-11T17:00:00+09:00"
    assert moved["location"]["name"] == "Hall"
    assert sold["offers"]["availability"] == "https://schema.org/SoldOut"
    assert sold["offers"]["lowPrice"] == "9"


def test_no_text_leaves_its_place() -> None:
    texts = dict.fromkeys(("title", "artist", "venue", "description"), NASTY)
    page = page_head(concert(**texts), [schedule(venue=None)], "")
    html = head_of(page)
    tags = Tags(html)
    scripts = [attributes for tag, attributes in tags.found if tag == "script"]
    assert scripts == [{"type": "application/ld+json"}]
    assert not [tag for tag, _ in tags.found if tag in ("img", "svg")]
    assert len(re.findall("</script", html)) == 1
    assert tags.events[0]["name"] == NASTY
    assert tags.meta("og:title") == f"{NASTY} · {NASTY}"
    shown = Tags(without_scripts(page))
    assert {tag for tag, _ in shown.found} == {"h1", "p"}


def test_without_an_address_there_are_no_absolute_links() -> None:
    tags = Tags(head_of(page_head(concert(), [schedule()], "")))
    assert tags.meta("og:url") is None
    assert tags.meta("og:image") is None
    assert "url" not in tags.events[0]


def test_a_concert_without_performances_has_a_head() -> None:
    tags = head(poster=None)
    assert tags.meta("og:description") == "Hall · One evening."
    assert tags.events == []
