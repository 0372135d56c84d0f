"""Who buys what: values by the name of a field, wherever a field of this name has this meaning.

Min-seo Kim buys two seats of a concert in Seoul for 132,000 won from the wallet, in the first minute
of the sale. Times are in UTC; ids have the forms of real ones.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from boxoffice.order_numbers import rules as order_numbers
from boxoffice.platform.ids import ScopedId

_OPENS = datetime(2027, 3, 2, 11, 0, tzinfo=UTC)
_STARTS = datetime(2027, 4, 17, 9, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """Return a time, counted from the opening of the sale."""
    return _shown(_OPENS + timedelta(seconds=seconds))


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="auto").replace("+00:00", "Z")


def an_id(number: int) -> str:
    """Return the id of something of the story: a UUIDv7 of the morning before the sale."""
    morning_ms = int((_OPENS - timedelta(hours=3)).timestamp()) * 1_000
    return str(UUID(int=(morning_ms << 80) | (7 << 76) | (2 << 62) | number))


def within(scope: str, number: int) -> str:
    """Return the public id of a part of a schedule, or of what a person has."""
    return str(ScopedId(UUID(scope), UUID(an_id(number))))


USER, OTHER_USER = an_id(0x11), an_id(0x12)
ORGANIZATION, CONCERT, VENUE, SCHEDULE = an_id(0x21), an_id(0x22), an_id(0x23), an_id(0x24)
RESERVATION, PAYMENT = within(SCHEDULE, 0x31), within(SCHEDULE, 0x32)
TICKETS = (an_id(0x33), an_id(0x34))
SEATS = ("A-3-11", "A-3-12")
GRADE, PRICE = "R", 66_000
AMOUNT = PRICE * len(SEATS)
REFUND_FEE = 6_600
CURRENCY = "KRW"
TOP_UP = an_id(0x36)
INTENT = within(USER, 0x37)
REFUND = an_id(0x38)
ENTRY_OF_LIST = within(SCHEDULE, 0x41)
ENDPOINT, EVENT = an_id(0x51), 7_241_335_046_144
STARTS, DOORS = _shown(_STARTS), _shown(_STARTS - timedelta(hours=1))
CLOSES = _shown(_STARTS - timedelta(minutes=30))
OPENS = at(0)
HELD, EXPIRES, PAID, RETURNED = at(2.418), at(302.418), at(61.07), at(86_400)
ORDER_NUMBER = order_numbers.shown("4KX792MQ" + order_numbers.check_sign("4KX792MQ")) or ""
TITLE, TITLE_KO = "Winter Light", "겨울빛"
ARTIST, ARTIST_KO = "Han River Quartet", "한강 사중주단"
PLACE, PLACE_KO = "Sejong Hall", "세종홀"
ORGANIZER = "Namsan Concerts"
BUYER, BUYER_EMAIL = "Min-seo Kim", "minseo@example.com"
TOKEN = "bxt1.eyJzdWIiOiIwMTk1ODAwMCJ9.Zm9yIGV4YW1wbGU"  # noqa: S105 - an example
QUEUE_TICKET = "q1.AZWAAAAAcAC.1289.c2lnbmVk"
QUEUE_PASS = "p1.AZWAAAAAcAC.1289.c2lnbmVk"  # noqa: S105 - an example
ENGLISH = "Four strings, one winter evening."
KOREAN = "네 대의 현악기와 겨울 저녁."
MONEY = {"amount": PRICE, "currency": CURRENCY}

FIELDS: dict[str, Any] = {
    "access_token": TOKEN,
    "accent": {"colour": "#1f6f78", "light": "#1f6f78", "dark": "#7cc7cf"},
    "action": "schedule.opened",
    "actor_id": OTHER_USER,
    "actor_name": "Ji-ho Park",
    "address": "175 Sejong-daero, Jongno-gu, Seoul",
    "address_en": None,
    "address_ko": "서울 종로구 세종대로 175",
    "age_rating": "7",
    "alt": "Four musicians in front of a snowy river",
    "amount": AMOUNT,
    "amount_off": 0,
    "application_id": an_id(0x61),
    "artist": ARTIST,
    "artist_en": None,
    "artist_ko": ARTIST_KO,
    "balance": 68_000,
    "batch_id": an_id(0x62),
    "booking_fee": 0,
    "can_top_up": True,
    "change_id": within(SCHEDULE, 0x71),
    "cities": ["Seoul"],
    "city": "Seoul",
    "closed_at": None,
    "colour": "#27405c",
    "come_within_s": 118,
    "concert_id": CONCERT,
    "concert_title": TITLE,
    "contact": "hello@namsan.example",
    "country": "KR",
    "created_at": HELD,
    "currency": CURRENCY,
    "description": ENGLISH,
    "description_ko": KOREAN,
    "details": {},
    "directions": "Line 5, Gwanghwamun, exit 8.",
    "directions_ko": "5호선 광화문역 8번 출구.",
    "dispute_id": an_id(0x63),
    "doors_at": DOORS,
    "draw_seed_hash": None,
    "email": BUYER_EMAIL,
    "email_verified": True,
    "endpoint_id": ENDPOINT,
    "event_id": str(EVENT),
    "expires_at": EXPIRES,
    "expires_in": 3_600,
    "expires_in_seconds": 300,
    "faq": None,
    "fee": 0,
    "finding_id": an_id(0x64),
    "finished_at": at(7_301.4),
    "frequency": "daily",
    "genre": "classical",
    "grade": GRADE,
    "grace": [],
    "gross": AMOUNT,
    "ground": "#ffffff",
    "happened_at": RETURNED,
    "has_terms": True,
    "height": 1_600,
    "here": AMOUNT,
    "hold_ttl_s": 300,
    "hour": 9,
    "intent_id": INTENT,
    "intermission_min": 15,
    "invitation_id": an_id(0x65),
    "is_active": True,
    "is_available": True,
    "is_on": True,
    "is_refundable": True,
    "issue_id": within(SCHEDULE, 0x66),
    "issued_at": PAID,
    "issued_by": OTHER_USER,
    "job_id": an_id(0x67),
    "joined_at": at(600),
    "key": CURRENCY,
    "label": "2027-03-02",
    "language": "ko",
    "latitude": 37.5725,
    "longitude": 126.9757,
    "layout_version": 1,
    "method": "wallet",
    "name": BUYER,
    "name_en": None,
    "name_ko": PLACE_KO,
    "new_password": "correct horse battery",
    "next_cursor": None,
    "note": "",
    "notices": None,
    "now": HELD,
    "number": 11,
    "on_sale": True,
    "opened_at": RETURNED,
    "opens_at": OPENS,
    "order_id": INTENT,
    "order_number": ORDER_NUMBER,
    "organization_id": ORGANIZATION,
    "organization_name": ORGANIZER,
    "organizer_contact": "hello@namsan.example",
    "organizer_name": ORGANIZER,
    "password": "a long password of my own",
    "payment_id": PAYMENT,
    "payment_key": "tgen_20270302200100Xy7k1",
    "png_url": "/logos/5c1f0a9e77d2b843/logo.png",
    "price": PRICE,
    "price_max": MONEY,
    "price_min": MONEY,
    "provider": "toss",
    "published_at": at(-604_800),
    "quantity": len(SEATS),
    "queue_ticket": QUEUE_TICKET,
    "reason": "",
    "refund": AMOUNT,
    "refund_id": REFUND,
    "refund_notes": None,
    "request_id": "0195800000007000a1f3",
    "reservation_id": RESERVATION,
    "row": "3",
    "running_time_min": 110,
    "sale_closes_at": CLOSES,
    "sale_opens_at": OPENS,
    "schedule_id": SCHEDULE,
    "seat_id": SEATS[0],
    "seat_ids": list(SEATS),
    "seats_available": 1_198,
    "seats_per_hold_max": 10,
    "seats_return_delay_max_s": 0,
    "seats_total": 1_200,
    "secret": "whsec_Zm9yIHRoZSBleGFtcGxlIG9ubHksIG5vdCBhIHJlYWwgb25l",
    "section": "A",
    "session_id": an_id(0x68),
    "shared_url": "/posters/9b3f6a1c0d52e478/shared.jpg",
    "since": "2027-03-02",
    "srcset": "/posters/9b3f6a1c0d52e478/640.webp 640w, /posters/9b3f6a1c0d52e478/1280.webp 1280w",
    "started_at": at(7_300),
    "starts_at": STARTS,
    "status": "CONFIRMED",
    "step_s": 5,
    "text": f"BX1.{an_id(0x33)}.c2lnbmVk",
    "there": AMOUNT,
    "ticket_id": TICKETS[0],
    "ticket_ids": list(TICKETS),
    "ticket_limit": 4,
    "time_zone": "Asia/Seoul",
    "title": TITLE,
    "title_en": None,
    "title_ko": TITLE_KO,
    "token": "nHn2mYl5Xk8Vb3q0rT7cWg",
    "token_type": "Bearer",
    "top_up_id": TOP_UP,
    "topic": "payment.succeeded",
    "topics": ["payment.succeeded", "payment.refunded"],
    "transaction_key": "txrd_20270302200101Qw3e5",
    "until": "2027-03-08",
    "url": "/posters/9b3f6a1c0d52e478/1280.webp",
    "user_id": USER,
    "venue": PLACE,
    "venue_id": VENUE,
    "version": 1,
    "width": 1_200,
}

# Values of path parameters and required headers that are no field of a type.
PARAMETERS: dict[str, Any] = {
    "day": "2027-03-02",
    "entry_id": ENTRY_OF_LIST,
    "Idempotency-Key": "b7a4f4f6-2c53-4d0e-9a0e-0c1d7a5f3b21",
    "If-Match": '"1"',
    "Queue-Ticket": QUEUE_TICKET,
    "timestamp": PAID,
    "webhook-id": str(EVENT),
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "webhook-timestamp": str(int((_OPENS + timedelta(seconds=62)).timestamp())),
}

# Values of the query by operation: only those that a first call would have.
QUERIES: dict[str, dict[str, Any]] = {
    "GET /v1/admin/orders": {"q": ORDER_NUMBER},
    "GET /v1/admin/payments": {"order_number": ORDER_NUMBER},
    "GET /v1/admin/reports/sales": {"since": "2027-03-02", "until": "2027-03-08", "by": "day"},
    "GET /v1/admin/reports/sales/export": {"since": "2027-03-02", "until": "2027-03-08"},
    "GET /v1/admin/reports/settlement": {"since": "2027-03-02", "until": "2027-03-08"},
    "GET /v1/admin/reports/settlement/export": {"since": "2027-03-02", "until": "2027-03-08"},
    "GET /v1/admin/schedules/{schedule_id}/attendees/export": {"format": "csv"},
    "GET /v1/admin/schedules/{schedule_id}/reservations": {"order_number": ORDER_NUMBER},
    "GET /v1/admin/schedules/{schedule_id}/stats": {"window_s": 300},
    "GET /v1/me/reservations": {"status": "CONFIRMED"},
}
