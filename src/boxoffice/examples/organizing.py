"""What an organizer sets up: organization, team, brand, concert, schedule, venue and seats."""

from typing import Any

from boxoffice.examples import story
from boxoffice.examples.story import at

_ORGANIZER = {"name": "Ji-ho Park", "email": "jiho@namsan.example"}
_CONCERT: dict[str, Any] = {
    "status": "PUBLISHED",
    "description_en": None,
    "requires_verified_email": False,
}
_OWN: dict[str, Any] = {
    **_CONCERT,
    "created_at": at(-1_209_600),
    "taken_down_at": None,
    "taken_down_reason": None,
    "schedules_total": 1,
    "schedules_open": 1,
    "schedules_on_sale": 1,
}
_VENUE: dict[str, Any] = {"name": story.PLACE, "created_at": at(-1_209_600)}
_STATE: dict[str, Any] = {"status": "OPEN"}

TYPES: dict[str, dict[str, Any]] = {
    "MyOrganization": {
        "name": story.ORGANIZER,
        "role": "owner",
        "permissions": ["events_read", "events_write", "sales_write", "orders_read"],
    },
    "Organization": {"name": story.ORGANIZER},
    "OrganizationBody": {"name": story.ORGANIZER},
    "Member": {**_ORGANIZER, "user_id": story.OTHER_USER, "role": "owner"},
    "RoleBody": {"role": "box_office"},
    "Invitation": {
        "email": "door@namsan.example",
        "role": "door",
        "created_at": at(-86_400),
        "expires_at": at(518_400),
    },
    "InvitationBody": {"email": "door@namsan.example", "role": "door"},
    "ApplicationBody": {"note": "We organize chamber music in Seoul."},
    "OrganizerApplication": {
        **_ORGANIZER,
        "user_id": story.OTHER_USER,
        "note": "We organize chamber music in Seoul.",
        "created_at": at(-2_000_000),
        "state": "APPROVED",
        "decided_at": at(-1_900_000),
    },
    "RejectionBody": {"reason": "The name is that of another organizer."},
    "OwnBrand": {
        "name": story.ORGANIZER,
        "name_ko": "남산콘서트",
        "terms": "Doors open one hour before the start.",
        "terms_en": None,
        "terms_ko": "공연 시작 1시간 전부터 입장합니다.",
        "widget_origins": ["https://namsan.example"],
    },
    "BrandEdit": {
        "name_ko": "남산콘서트",
        "accent": "#1f6f78",
        "widget_origins": ["https://namsan.example"],
    },
    "Concert": _CONCERT,
    "ConcertBody": {},
    "ConcertEdit": {"description_ko": story.KOREAN},
    "OwnConcert": _OWN,
    "OwnConcertInFull": _OWN,
    "Schedule": {"status": "DRAFT"},
    "OwnSchedule": _STATE,
    "ScheduleState": _STATE,
    "ScheduleEdit": {"ticket_limit": 2},
    "ScheduleChange": {
        "change_id": story.an_id(0x71),
        "kind": "POSTPONED",
        "reason": "The quartet is ill.",
        "starts_before": story.STARTS,
        "starts_after": "2027-04-24T09:00:00Z",
        "venue_before": story.PLACE,
        "venue_after": story.PLACE,
        "refundable_until": "2027-04-10T15:00:00Z",
        "refund_job_id": None,
        "mails": 1,
        "released": 0,
        "created_at": story.RETURNED,
        "notified_at": None,
        "finished_at": None,
    },
    "PostponeBody": {
        "starts_at": "2027-04-24T09:00:00Z",
        "doors_at": "2027-04-24T08:00:00Z",
        "sale_closes_at": "2027-04-24T08:30:00Z",
        "reason": "The quartet is ill.",
    },
    "CancelBody": {"reason": "The quartet is ill.", "with_compensation": True},
    "TakeDownBody": {"reason": "The organizer asked for it."},
    "Venue": _VENUE,
    "VenuePlace": {"name": story.PLACE},
    "VenueBody": {"name": story.PLACE},
    "VenueEdit": {"directions": "Line 5, Gwanghwamun, exit 8 or 1."},
    "SeatsAdded": {"seats_added": 1_200},
    "SeatsTotalOut": {"seats_added": 1, "seats_total": 1_201},
    "AddedSeatBody": {"row": "4", "number": 1, "seat_id": "A-4-1"},
    "AdditionBody": {"blocked": False},
    "SeatMapPreview": {
        "acceptable": True,
        "seats_read": 1_200,
        "errors": [],
        "ended_early": False,
        "sections_total": 1,
        "grades_total": 1,
    },
    "SectionPreview": {"rows": 40, "seats": 1_200},
    "GradePreview": {"seats": 1_200},
    "SeatMapAssumed": {
        "encoding": "utf-8",
        "delimiter": ",",
        "ignored_rows": 0,
        "ignored_columns": 0,
    },
    "BlockBody": {"reason": "camera", "note": "Camera 2"},
    "BlockedSeatOut": {
        "reason": "camera",
        "note": "Camera 2",
        "blocked_at": at(-7_200),
        "blocked_by": story.OTHER_USER,
    },
    "RepriceBody": {"price": 60_000},
    "SeatsChangedOut": {"changed": list(story.SEATS), "unchanged": []},
    "EndpointBody": {"url": "https://namsan.example/hooks/boxoffice"},
    "EndpointChanges": {"url": "https://namsan.example/hooks/boxoffice"},
}

MEMBERS: dict[str, tuple[str, ...]] = {
    "BlockBody": ("seat_ids", "reason", "note"),
    "BrandEdit": ("name_ko", "accent", "widget_origins"),
    "ConcertBody": ("title", "artist", "venue", "description"),
    "ConcertEdit": ("title_ko", "description_ko", "genre", "age_rating"),
    "EndpointBody": ("url", "topics"),
    "EndpointChanges": ("url", "topics"),
    "RepriceBody": ("seat_ids", "price"),
    "ScheduleBody": (
        "starts_at",
        "sale_opens_at",
        "sale_closes_at",
        "doors_at",
        "currency",
        "hold_ttl_s",
        "ticket_limit",
    ),
    "ScheduleEdit": ("doors_at", "ticket_limit"),
    "PostponeBody": ("starts_at", "doors_at", "sale_closes_at", "reason"),
    "UnblockBody": ("seat_ids",),
    "VenueBody": ("name", "country", "time_zone", "name_ko", "address", "city"),
    "VenueEdit": ("directions",),
}
