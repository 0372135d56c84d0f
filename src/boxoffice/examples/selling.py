"""What an organizer watches and does during a sale: offers, box office, reports, webhooks, audit."""

from typing import Any

from boxoffice.examples import story
from boxoffice.examples.buying import TICKETS
from boxoffice.examples.story import at

_BATCH = {
    "name": "Friends",
    "is_presale": False,
    "valid_from": None,
    "valid_until": None,
    "percent_off": 10,
    "uses_max": 200,
    "seats_max": None,
    "person_uses_max": 1,
    "channel": None,
}
_STUDENT = {
    "code": "student",
    "name": "Student",
    "name_ko": "학생",
    "note": "Bring your student card.",
    "note_ko": "학생증을 지참하세요.",
    "percent_off": 20,
    "grades": None,
}
_ONLINE = {"code": "online", "name": "Online", "quota": None, "is_default": True}
_FOUND: dict[str, Any] = {"status": "CONFIRMED", "amount": story.AMOUNT}
_ISSUE: dict[str, Any] = {
    "order_number": story.ORDER_NUMBER,
    "kind": "COMPLIMENTARY",
    "status": "VALID",
    "name": "So-yeon Lee",
    "email": "soyeon@press.example",
    "reason": "press",
    "note": "",
    "list_name": "Press",
    "amount": 0,
    "method": None,
    "reference": None,
    "issued_by": story.OTHER_USER,
    "voided_at": None,
    "tickets": [{k: v for k, v in TICKETS[0].items() if k != "status"}],
}
_SALES = {
    "seats_sold": 2,
    "discounts": 0,
    "booking_fees": 0,
    "seats_returned": 0,
    "refunds": 0,
    "cancellation_fees": 0,
    "compensation": 0,
    "disputes_lost": 0,
    "complimentary": 0,
    "complimentary_returned": 0,
    "net": story.AMOUNT,
}
_SETTLED = {
    "opening": 0,
    "sales": story.AMOUNT,
    "booking_fees": 0,
    "refunds": 0,
    "cancellation_fees": 0,
    "compensation": 0,
    "disputes_withdrawn": 0,
    "disputes_returned": 0,
    "collected_at_box_office": 0,
    "closing": story.AMOUNT,
    "disputes_lost": 0,
}
_ENDPOINT = {
    "url": "https://namsan.example/hooks/boxoffice",
    "state": "ACTIVE",
    "disabled_reason": None,
    "created_at": at(-86_400),
    "previous_secret_until": None,
}

TYPES: dict[str, dict[str, Any]] = {
    "OwnOffersOut": {"public_from": None, "pairs": [], "notes": []},
    "PriceTypeValue": _STUDENT,
    "ChannelValue": _ONLINE,
    "PresaleOut": {"name": "Members", "opens_at": at(-3_600), "closes_at": story.OPENS},
    "SeatNoteOut": {"note": "Restricted view.", "note_ko": "시야 제한."},
    "SeatNoteValue": {"note": "Restricted view.", "note_ko": "시야 제한."},
    "PairValue": {"accessible": story.SEATS[0], "companion": story.SEATS[1]},
    "TermsBody": {"public_from": None},
    "SeatsBody": {"pairs": []},
    "CodesBody": {**_BATCH, "code": "FRIENDS"},
    "CodeBatchOut": {
        **_BATCH,
        "codes": 1,
        "uses": 12,
        "is_shared": True,
        "created_at": at(-86_400),
        "disabled_at": None,
    },
    "MadeCodesOut": {"codes": ["FRIENDS"]},
    "DisableBody": {"code": "FRIENDS"},
    "ListSummaryOut": {
        "turn_s": 600,
        "waiting": 41,
        "seats_wanted": 87,
        "offered": 2,
        "taken": 5,
        "lapsed": 1,
    },
    "GuestTicketsBody": {
        "seat_ids": [story.SEATS[0]],
        "name": "So-yeon Lee",
        "reason": "press",
        "email": "soyeon@press.example",
        "list_name": "Press",
    },
    "BoxOfficeSaleBody": {"method": "card_terminal", "expected_amount": story.AMOUNT},
    "IssueOut": _ISSUE,
    "IssueToPrintOut": _ISSUE,
    "SalesReport": {"by": "day"},
    "SalesFigures": _SALES,
    "SalesRow": {**_SALES, "key": "2027-03-02"},
    "SettlementFigures": _SETTLED,
    "SettledPerformance": _SETTLED,
    "AttendeeOut": {"price_type": "", "source": "online", "status": "VALID"},
    "ReportMailBody": {"report": "sales"},
    "ReportMailOut": {"report": "sales", "next_day": "2027-03-03", "next_at": at(46_800)},
    "FoundReservation": {**_FOUND, "closed_at": story.PAID},
    "ReservationHistory": {
        **_FOUND,
        "closed_at": story.PAID,
        "events": [
            {"at": story.HELD, "what": "HELD", "details": {}},
            {"at": story.PAID, "what": "PAID", "details": {}},
        ],
    },
    "HistoryEvent": {"at": story.HELD, "what": "HELD"},
    "FoundOrderOut": _FOUND,
    "SearchOut": {"has_more": False, "is_similar": False},
    "ActivityEntry": {"entry_id": "184467440737", "at": story.OPENS},
    "AuditOut": {
        "ok": True,
        "invariants": 1,
        "broken": 0,
        "failure": None,
        "requested_at": None,
    },
    "CheckResult": {
        "name": "sold_seats_have_one_live_ticket",
        "description": "A sold seat has exactly one live ticket.",
        "violations": 0,
    },
    "EndpointOut": _ENDPOINT,
    "EndpointWithSecret": _ENDPOINT,
    "DeliveryOut": {
        "queued_at": story.PAID,
        "state": "DELIVERED",
        "tries": 1,
        "next_try_at": None,
        "last_tried_at": at(61.3),
        "last_status": 204,
        "last_error": None,
        "last_answer": "",
        "body": '{"type":"payment.succeeded","timestamp":"2027-03-02T11:01:01.070000Z","data":{}}',
    },
    "SeatCounts": {"available": 1_198, "held": 0, "sold": 2, "blocked": 0},
    "SalesStatsOut": {
        "at": at(65),
        "status": "OPEN",
        "sales": 1,
        "revenue": {"amount": story.AMOUNT, "currency": story.CURRENCY},
    },
    "Traffic": {"requests": 5_120.5, "p95_ms": 8.2},
    "Point": {
        "at": at(60),
        "requests": 5_120.5,
        "p95_ms": 8.2,
        "refusals": {"seat_taken": 212},
        "holds": 1,
        "sales": 1,
        "revenue": story.AMOUNT,
    },
    "WaitingRoomBody": {"mode": "fifo", "rate_per_s": 13.2, "inside_max": 800, "inside_s": 420},
    "WaitingRoomOut": {
        "mode": "fifo",
        "rate_per_s": 13.2,
        "inside_max": 800,
        "inside_s": 420,
        "grace_s": 120,
        "paused": False,
        "closed": False,
        "notice": None,
        "waiting": 412,
        "inside": 640,
        "called": 877,
        "measured_rate_per_s": 13.1,
    },
}

MEMBERS: dict[str, tuple[str, ...]] = {
    "BoxOfficeSaleBody": ("seat_ids", "method", "expected_amount"),
    "CodesBody": ("name", "code", "percent_off", "uses_max", "person_uses_max"),
    "GuestTicketsBody": ("seat_ids", "name", "reason", "email", "language", "list_name"),
    "SeatNoteValue": ("note", "note_ko", "seat_ids"),
    "WaitingRoomBody": ("mode", "rate_per_s", "inside_max", "inside_s"),
}

# Answers that are text, by operation.
_SALES_CSV = "day,currency,seats_sold,gross\r\n2027-03-02,KRW,2,132000\r\n"
TEXTS = {
    "GET /v1/admin/reports/sales/export": _SALES_CSV,
    "GET /v1/admin/reports/settlement/export": "title,currency,closing\r\nWinter Light,KRW,132000\r\n",
    "GET /v1/admin/schedules/{schedule_id}/attendees/export": (
        f"order_number,name,section,row,number\r\n{story.ORDER_NUMBER},{story.BUYER},A,3,11\r\n"
    ),
    "GET /v1/admin/schedules/{schedule_id}/offers/codes/{batch_id}/export": "code\r\nFRIENDS\r\n",
    "GET /v1/admin/statements/{provider}/days/{day}/csv": (
        "transaction_key,movement,currency,there,here\r\n"
        f"txrd_20270302200101Qw3e5,capture,KRW,{story.AMOUNT},{story.AMOUNT}\r\n"
    ),
}
