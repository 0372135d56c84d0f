"""What a buyer sends and gets: account, look-ups, seats, hold, waiting room and waiting list."""

from typing import Any

from boxoffice.examples import story
from boxoffice.examples.story import at

_VENUE = {
    "venue_id": story.VENUE,
    "name": story.PLACE,
    "name_en": None,
    "name_ko": story.PLACE_KO,
    "address": "175 Sejong-daero, Jongno-gu, Seoul",
    "address_en": None,
    "address_ko": "서울 종로구 세종대로 175",
    "city": "Seoul",
    "country": "KR",
    "time_zone": "Asia/Seoul",
    "directions": "Line 5, Gwanghwamun, exit 8.",
    "directions_en": None,
    "directions_ko": "5호선 광화문역 8번 출구.",
    "latitude": 37.5725,
    "longitude": 126.9757,
}


def _ticket(index: int) -> dict[str, Any]:
    return {
        "ticket_id": story.TICKETS[index],
        "seat_id": story.SEATS[index],
        "section": "A",
        "row": "3",
        "number": 11 + index,
        "grade": story.GRADE,
        "status": "VALID",
    }


def _seat(number: int, price: object, **more: object) -> dict[str, Any]:
    seat_id = f"A-3-{number}"
    place = {"seat_id": seat_id, "section": "A", "row": "3", "number": number}
    return {**place, "grade": story.GRADE, "price": price, **more}


TICKETS = [_ticket(0), _ticket(1)]
HELD_SEATS = [_seat(11, story.MONEY), _seat(12, story.MONEY)]
MAP_SEATS = [
    _seat(10, story.MONEY, status="SOLD"),
    _seat(11, story.MONEY, status="AVAILABLE"),
    _seat(12, story.MONEY, status="AVAILABLE"),
    _seat(13, story.MONEY, status="HELD"),
]

# Values of fields that mean something of their own in one type.
TYPES: dict[str, dict[str, Any]] = {
    "AccountOut": {"role": "buyer"},
    "Brand": {"name": story.ORGANIZER, "name_ko": "남산콘서트"},
    "BrandInFull": {
        "name": story.ORGANIZER,
        "name_ko": "남산콘서트",
        "terms": "Doors open one hour before the start.",
        "terms_en": None,
        "terms_ko": "공연 시작 1시간 전부터 입장합니다.",
        "rich": {"terms": [{"tag": "p", "children": [{"tag": "text", "text": "Doors open."}]}]},
    },
    "Logo": {"url": "/logos/5c1f0a9e77d2b843/logo.webp", "width": 320, "height": 96},
    "ConcertItem": {
        "first_starts_at": story.STARTS,
        "last_starts_at": story.STARTS,
        "is_featured": False,
    },
    "ConcertPage": {
        "description_en": None,
        "requires_verified_email": False,
        "status": "PUBLISHED",
        "rich": {
            "description": [{"tag": "p", "children": [{"tag": "text", "text": story.ENGLISH}]}]
        },
    },
    "ConcertSale": {"state": "on_sale", "opens_at": None, "price_from": story.MONEY},
    "EmailConfirmed": {"outcome": "verified"},
    "HeldOut": {"status": "HELD", "seats": HELD_SEATS},
    "ListedVenue": {"name": story.PLACE},
    "Money": story.MONEY,
    "OneSchedule": {"status": "OPEN", "waiting_room": "off", "venue": _VENUE},
    "Poster": {"alt_en": None, "alt_ko": "눈 덮인 강 앞의 네 연주자"},
    "ReservationOut": {
        "status": "CONFIRMED",
        "seats": HELD_SEATS,
        "expires_in_seconds": 0,
        "payment_intent_id": None,
    },
    "ScheduleOnOffer": {"status": "OPEN", "venue": _VENUE},
    "Seat": MAP_SEATS[1],
    "SeatMap": {"version": 418, "seats": MAP_SEATS},
    "SeatsSnapshot": {"seq": 1, "version": 418, "states": "SAAH"},
    "SeatsChange": {"seq": 2, "version": 419, "seats": {"HELD": [1, 2]}},
    "SaleEvent": {"seq": 3, "version": 420, "seats_available": 0, "sold_out": True},
    "SeatsAlive": {"next_within_ms": 15_000},
    "SessionOut": {
        "browser": "Firefox",
        "system": "Android",
        "started_at": at(-120),
        "expires_at": at(3_480),
        "is_current": True,
    },
    "SignUp": {"language": "ko"},
    "QueuePositionOut": {
        "state": "ADMITTED",
        "number": 1_289,
        "epoch": 1,
        "position": 0,
        "eta_s": 0,
        "poll_after_s": 2,
        "notice": None,
        "queue_ticket": None,
        "queue_pass": story.QUEUE_PASS,
        "expires_at": at(420),
        "leaves_at": at(420),
        "opens_at": None,
    },
    "JoinedOut": {
        "state": "WAITING",
        "number": 1_289,
        "epoch": 1,
        "position": 412,
        "eta_s": 31,
        "poll_after_s": 3,
        "notice": None,
        "opens_at": None,
    },
    "StreamedPositionOut": {
        "state": "WAITING",
        "number": 1_289,
        "place": 1_289,
        "position": 412,
        "called": 877,
        "eta_s": 31,
        "notice": None,
        "opens_at": None,
    },
    "QueueProgressOut": {"called": 941, "rate_per_s": 13.2, "notice": None},
    "BoardOut": {
        "as_of": at(31),
        "state": "WAITING",
        "epoch": 1,
        "called": 877,
        "rate_per_s": 15.0,
        "measured_rate_per_s": 13.2,
        "places_free": 0,
        "lobby_size": 0,
        "draw_seed": None,
        "gaps": [],
        "notice": None,
        "opens_at": None,
        "grace_s": 60,
        "spread_s": 1,
        "ask_every_s": 21_600,
    },
    # The key and the thumbprint of RFC 8037, appendix A.
    "BoardKeyOut": {
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    },
    "DrawOut": {
        "algorithm": "boxoffice-draw-1",
        "seed_hash": "9d5a1b0f4e6c2d7785b1e6a0c3f49d2be8a74411c09d6f3a2b5e7c8d9f012345",
        "seed": None,
        "lobby_size": None,
    },
    "WaitingEntryOut": {
        "entry_id": story.ENTRY_OF_LIST,
        "status": "WAITING",
        "position": 17,
        "reservation_id": None,
        "offer_expires_at": None,
    },
    "ShownListOut": {"seats_max": 4},
    "RankedConcert": {"rank": 1},
    "RichNode": {"tag": "p", "children": [{"tag": "text", "text": story.ENGLISH}]},
    "QrCodeOut": {"rows": ["1110111", "1010101", "1110111"]},
    "OffersOut": {
        "public_from": None,
        "presales": [{"name": "Members", "opens_at": at(-3_600), "closes_at": story.OPENS}],
        "takes_codes": True,
        "pairs": [],
        "notes": [],
    },
    "PriceTypeOut": {
        "code": "student",
        "name": "Student",
        "name_ko": "학생",
        "note": "Bring your student card.",
        "note_ko": "학생증을 지참하세요.",
    },
    "PriceOut": {"full": story.PRICE, "price": 52_800},
    "CodeBody": {"code": "FRIENDS"},
    "GrantOut": {
        "name": "Friends",
        "percent_off": 10,
        "is_presale": False,
        "valid_from": None,
        "valid_until": None,
        "seats_max": None,
        "price_types": [],
    },
    "ProblemBody": {
        "type": "urn:boxoffice:problem:seat_taken",
        "title": "At least one of the seats is not available.",
        "status": 409,
        "detail": "At least one of the seats is not available.",
        "code": "seat_taken",
    },
    "TicketOut": TICKETS[0],
}

# The members that an example of a type has, where not all of them go together.
MEMBERS: dict[str, tuple[str, ...]] = {
    "HoldRequest": ("seat_ids",),
    "SeatOut": ("seat_id", "section", "row", "number", "grade", "price"),
    "ResetRequest": ("email", "language"),
    "RichNode": ("tag", "children"),
}


# What problems say beyond the members that all of them have.
PROBLEMS: dict[str, dict[str, Any]] = {
    "seat_taken": {"seat_ids": [story.SEATS[1]]},
    "seat_not_found": {"seat_ids": ["A-3-99"]},
    "no_adjacent_seats": {"seats_left": 3},
    "hold_cooldown": {"retry_after_s": 12, "available_at": at(14.4)},
    "price_changed": {"amount": story.AMOUNT},
    "too_many_requests": {"retry_after_s": 1},
}
