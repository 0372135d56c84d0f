"""Who may call what: the rule of every operation, and requests about things that exist.

A new operation gets a row in `MATRIX`, and a body in `about` where it takes one: one that the right
caller could send, so that a wrong caller is refused for who they are and for nothing else.
"""

from collections.abc import Callable
from uuid import uuid4

from tests.unit.posters.pictures import picture

from .access_bodies import OTHER_BODIES
from .access_reports import REPORTS
from .access_rules import Rule, anybody, everybody, looked_at, operators, owned, sellers
from .client import PASSWORD, Answer, Api, Person, Sale, expect, sign_up
from .conftest import hold, on_sale, schedule_body, seat_bodies

MATRIX = {
    "POST /v1/users": everybody("email_taken"),
    "POST /v1/sessions": everybody(201),
    "DELETE /v1/sessions": anybody(204),
    "DELETE /v1/me/sessions": anybody(204),
    "GET /v1/me": anybody(200),
    "GET /v1/me/sessions": anybody(200),
    "DELETE /v1/me/sessions/{session_id}": anybody("session_not_found"),
    "PUT /v1/me/password": anybody("password_wrong"),
    "PUT /v1/me/email": anybody("password_wrong"),
    "POST /v1/me/email/verification": anybody(202),
    "POST /v1/password-resets": everybody(202),
    "POST /v1/password-resets/confirm": everybody("link_ended"),
    "POST /v1/email-confirmations": everybody("link_ended"),
    "GET /v1/clock": everybody(200),
    # No provider has a key here.
    "POST /v1/webhooks/{provider}": everybody("not_found"),
    "GET /v1/concerts": everybody(200),
    "GET /v1/concerts/{concert_id}": everybody(200),
    "GET /v1/concerts/ranking": everybody(200),
    "GET /v1/concerts/{concert_id}/schedules": everybody(200),
    "GET /v1/schedules/{schedule_id}": everybody(200),
    "GET /v1/schedules/{schedule_id}/seats": everybody(200),
    "POST /v1/schedules/{schedule_id}/queue": anybody("queue_closed"),
    "GET /v1/schedules/{schedule_id}/queue": everybody("queue_ticket_invalid"),
    "DELETE /v1/schedules/{schedule_id}/queue": everybody("queue_ticket_invalid"),
    "GET /v1/schedules/{schedule_id}/queue/events": everybody("queue_ticket_invalid"),
    "GET /v1/schedules/{schedule_id}/queue/board": everybody(200),
    "GET /v1/board-keys": everybody(200),
    "GET /v1/schedules/{schedule_id}/queue/draw": everybody("schedule_not_found"),
    "POST /v1/schedules/{schedule_id}/reservations": anybody("seat_not_found"),
    "GET /v1/schedules/{schedule_id}/offers": everybody(200),
    "POST /v1/schedules/{schedule_id}/offers/code": anybody("code_invalid"),
    "GET /v1/admin/schedules/{schedule_id}/offers": looked_at("schedule_not_found"),
    # Without their ETag nothing is changed.
    "PUT /v1/admin/schedules/{schedule_id}/offers": sellers(
        "precondition_failed", "schedule_not_found"
    ),
    "PUT /v1/admin/schedules/{schedule_id}/offers/seats": sellers(
        "precondition_failed", "schedule_not_found"
    ),
    "GET /v1/admin/schedules/{schedule_id}/offers/codes": sellers(200, 200),
    "POST /v1/admin/schedules/{schedule_id}/offers/codes": sellers(201, "schedule_not_found"),
    "GET /v1/admin/schedules/{schedule_id}/offers/codes/{batch_id}/export": sellers(
        "code_batch_not_found", "code_batch_not_found"
    ),
    "PUT /v1/admin/schedules/{schedule_id}/offers/codes/{batch_id}/disabled": sellers(
        "code_batch_not_found", "schedule_not_found"
    ),
    "GET /v1/schedules/{schedule_id}/waiting-list": everybody(200),
    # Two of the three seats are on sale.
    "POST /v1/schedules/{schedule_id}/waiting-list/entries": anybody("seats_available"),
    "DELETE /v1/waiting-list-entries/{entry_id}": anybody("waiting_list_entry_not_found"),
    "GET /v1/me/waiting-list-entries": anybody(200),
    "GET /v1/admin/schedules/{schedule_id}/waiting-list": looked_at("schedule_not_found"),
    "PUT /v1/admin/schedules/{schedule_id}/waiting-list": sellers(200, "schedule_not_found"),
    "GET /v1/reservations/{reservation_id}": owned(200, "reservation_not_found"),
    "DELETE /v1/reservations/{reservation_id}": owned("not_held", "reservation_not_found"),
    "GET /v1/me/reservations": anybody(200),
    "POST /v1/payments": owned("already_paid", "reservation_not_found"),
    "GET /v1/payment-methods": everybody(200),
    # No provider has a key here; tests/integration/payments/intents has intents of other people.
    "POST /v1/payment-intents": anybody("payment_method_unknown"),
    "GET /v1/payment-intents/{intent_id}": anybody("payment_intent_not_found"),
    "DELETE /v1/payment-intents/{intent_id}": anybody("payment_intent_not_found"),
    "POST /v1/payment-intents/{intent_id}/confirm": anybody("payment_intent_not_found"),
    "GET /v1/payments/{payment_id}": owned(200, "payment_not_found"),
    "GET /v1/payments/{payment_id}/codes": owned(200, "payment_not_found"),
    "GET /v1/schedules/{schedule_id}/refund-policy": everybody(200),
    "GET /v1/payments/{payment_id}/refund-quote": owned(200, "payment_not_found"),
    "POST /v1/payments/{payment_id}/refunds": owned("refund_quote_changed", "payment_not_found"),
    "GET /v1/refunds/{refund_id}": owned(200, "refund_not_found"),
    "GET /v1/me/refunds": anybody(200),
    "GET /v1/me/payments": anybody(200),
    "GET /v1/admin/payments": looked_at(roles="manager box_office read_only"),
    "GET /v1/admin/orders": looked_at(roles="manager box_office read_only"),
    "GET /v1/admin/payments/{payment_id}": looked_at(
        "payment_not_found", "manager box_office read_only"
    ),
    "GET /v1/admin/payments/{payment_id}/refund-quote": sellers(
        200, "payment_not_found", roles="manager box_office"
    ),
    "GET /v1/admin/schedules/{schedule_id}/refund-policy": looked_at("schedule_not_found"),
    "PUT /v1/admin/schedules/{schedule_id}/refund-policy": sellers(
        "refund_policy_locked", "schedule_not_found"
    ),
    "GET /v1/admin/schedules/{schedule_id}/refunds": looked_at(
        roles="manager box_office read_only"
    ),
    "POST /v1/admin/schedules/{schedule_id}/refund-jobs": sellers(
        "sale_open", "schedule_not_found"
    ),
    "GET /v1/admin/schedules/{schedule_id}/refund-jobs": looked_at(),
    "GET /v1/admin/schedules/{schedule_id}/refund-jobs/{job_id}": sellers(
        "schedule_not_found",
        "schedule_not_found",
        "schedule_not_found",
        "manager box_office door read_only",
    ),
    "POST /v1/admin/payments/{payment_id}/refunds": sellers(
        "refund_quote_changed", "payment_not_found", roles="manager box_office"
    ),
    "GET /v1/admin/refunds": operators(200),
    "PUT /v1/admin/refunds/{refund_id}/resolution": operators("refund_not_found"),
    "GET /v1/me/mail-language": anybody(200),
    "PUT /v1/me/mail-language": anybody(200),
    "GET /v1/admin/disputes": operators(200),
    "POST /v1/admin/disputes": operators("invalid"),
    "PUT /v1/admin/disputes/{dispute_id}/outcome": operators("dispute_not_found"),
    "GET /v1/admin/statements": operators(200),
    "GET /v1/admin/statements/{provider}/days/{day}": operators("statement_not_found"),
    "POST /v1/admin/statements/{provider}/days/{day}": operators("statement_not_found"),
    "GET /v1/admin/statements/{provider}/days/{day}/csv": operators("statement_not_found"),
    "GET /v1/admin/findings": operators(200),
    "PUT /v1/admin/findings/{finding_id}/resolution": operators("finding_not_found"),
    "GET /v1/me/wallet": anybody(200),
    "GET /v1/me/wallet/entries": anybody(200),
    "POST /v1/me/wallet/top-ups": anybody("amount_invalid"),
    "PATCH /v1/admin/concerts/{concert_id}": sellers("precondition_failed", "concert_not_found"),
    "DELETE /v1/admin/concerts/{concert_id}": sellers("precondition_failed", "concert_not_found"),
    "POST /v1/admin/concerts/{concert_id}/unpublish": sellers(
        "precondition_failed", "concert_not_found"
    ),
    "PATCH /v1/admin/schedules/{schedule_id}": sellers("precondition_failed", "schedule_not_found"),
    "DELETE /v1/admin/schedules/{schedule_id}": sellers(
        "precondition_failed", "schedule_not_found"
    ),
    # Without a reason and a future date nothing is changed.
    "POST /v1/admin/schedules/{schedule_id}/postpone": sellers("invalid", "schedule_not_found"),
    "POST /v1/admin/schedules/{schedule_id}/cancel": sellers("invalid", "invalid"),
    "GET /v1/admin/schedules/{schedule_id}/changes": looked_at(),
    "GET /v1/admin/venues": looked_at(),
    "POST /v1/admin/venues": sellers(201, 201),
    "GET /v1/admin/venues/{venue_id}": looked_at("venue_not_found"),
    # Without its ETag nothing is changed.
    "PATCH /v1/admin/venues/{venue_id}": sellers("precondition_failed", "venue_not_found"),
    "DELETE /v1/admin/venues/{venue_id}": sellers("precondition_failed", "venue_not_found"),
    "GET /v1/me/organizations": anybody(200),
    "DELETE /v1/me/organizations/{organization_id}": Rule(
        "organization_not_found",
        "organization_not_found",
        "last_owner",
        "organization_not_found",
        "organization_not_found",
    ),
    "PATCH /v1/admin/organizations/{organization_id}": sellers(
        200, "organization_not_found", roles=""
    ),
    "GET /v1/organizations/{organization_id}/brand": everybody(200),
    "GET /v1/admin/organizations/{organization_id}/brand": looked_at(
        "organization_not_found", "manager read_only"
    ),
    # Without their ETag nothing is changed.
    "PATCH /v1/admin/organizations/{organization_id}/brand": sellers(
        "precondition_failed", "organization_not_found", roles=""
    ),
    "PUT /v1/admin/organizations/{organization_id}/brand/logo": sellers(
        "precondition_failed", "organization_not_found", roles=""
    ),
    "DELETE /v1/admin/organizations/{organization_id}/brand/logo": sellers(
        "precondition_failed", "organization_not_found", roles=""
    ),
    "GET /v1/admin/organizations/{organization_id}/members": looked_at(
        "organization_not_found", "manager read_only"
    ),
    # The owner is the member in question.
    "PATCH /v1/admin/organizations/{organization_id}/members/{user_id}": sellers(
        "last_owner", "organization_not_found", roles=""
    ),
    "DELETE /v1/admin/organizations/{organization_id}/members/{user_id}": sellers(
        "last_owner", "organization_not_found", roles=""
    ),
    "GET /v1/admin/organizations/{organization_id}/invitations": looked_at(
        "organization_not_found", "manager read_only"
    ),
    "POST /v1/admin/organizations/{organization_id}/invitations": sellers(
        201, "organization_not_found", roles=""
    ),
    "DELETE /v1/admin/organizations/{organization_id}/invitations/{invitation_id}": sellers(
        "invitation_not_found", "organization_not_found", roles=""
    ),
    "POST /v1/invitations/accept": anybody("invitation_ended"),
    # A name without anything to be seen: an account has one application that waits.
    "POST /v1/organizer-applications": anybody("invalid"),
    "GET /v1/organizer-applications": anybody(200),
    "GET /v1/admin/organizer-applications": operators(200),
    "POST /v1/admin/organizer-applications/{application_id}/approve": operators(
        "application_not_found"
    ),
    "POST /v1/admin/organizer-applications/{application_id}/reject": operators(
        "application_not_found"
    ),
    "GET /v1/admin/concerts": looked_at(),
    "GET /v1/admin/concerts/{concert_id}": looked_at("concert_not_found"),
    "GET /v1/admin/schedules/{schedule_id}": looked_at("schedule_not_found"),
    "GET /v1/admin/activity": looked_at(roles="manager read_only"),
    **REPORTS,
    "GET /v1/admin/schedules/{schedule_id}/stats": looked_at(
        "schedule_not_found", "manager read_only"
    ),
    "GET /v1/admin/schedules/{schedule_id}/reservations": looked_at(
        "schedule_not_found", "manager box_office read_only"
    ),
    "GET /v1/admin/reservations/{reservation_id}": looked_at(
        "reservation_not_found", "manager box_office read_only"
    ),
    "GET /v1/admin/webhooks": looked_at(roles="manager read_only"),
    "POST /v1/admin/webhooks": sellers(201, 201),
    "GET /v1/admin/webhooks/{endpoint_id}": looked_at(
        "webhook_endpoint_not_found", "manager read_only"
    ),
    "PATCH /v1/admin/webhooks/{endpoint_id}": sellers(200, "webhook_endpoint_not_found"),
    "POST /v1/admin/webhooks/{endpoint_id}/rotate-secret": sellers(
        200, "webhook_endpoint_not_found"
    ),
    "POST /v1/admin/webhooks/{endpoint_id}/test": sellers(202, "webhook_endpoint_not_found"),
    "GET /v1/admin/webhooks/{endpoint_id}/deliveries": looked_at(
        "webhook_endpoint_not_found", "manager read_only"
    ),
    "POST /v1/admin/webhooks/{endpoint_id}/deliveries/{event_id}/replay": sellers(
        202, "webhook_endpoint_not_found"
    ),
    # Deleting it would take it from the other rows: a request that was sent with an unknown id.
    "DELETE /v1/admin/webhooks/{endpoint_id}": sellers(
        "webhook_endpoint_not_found", "webhook_endpoint_not_found"
    ),
    "GET /v1/admin/featured-concert": operators(200),
    "PUT /v1/admin/featured-concert": operators("concert_not_found"),
    "DELETE /v1/admin/featured-concert": operators(204),
    "GET /v1/admin/audit": operators(200),
    "POST /v1/admin/audit": operators(202),
    # The map of a schedule that is on sale is its owner's to know, and to find locked.
    "POST /v1/admin/schedules/{schedule_id}/seats/preview": sellers(
        "seat_map_locked", "schedule_not_found"
    ),
    "GET /v1/admin/schedules/{schedule_id}/queue": looked_at("schedule_not_found"),
    "POST /v1/admin/schedules/{schedule_id}/queue": sellers(200, "schedule_not_found"),
    "POST /v1/admin/concerts": sellers(201, 201),
    "GET /v1/admin/concerts/{concert_id}/poster": looked_at("concert_not_found"),
    "PUT /v1/admin/concerts/{concert_id}/poster": sellers(200, "concert_not_found"),
    "PATCH /v1/admin/concerts/{concert_id}/poster": sellers(200, "concert_not_found"),
    "DELETE /v1/admin/concerts/{concert_id}/poster": sellers(204, "concert_not_found"),
    "POST /v1/admin/concerts/{concert_id}/schedules": sellers(201, "concert_not_found"),
    "POST /v1/admin/concerts/{concert_id}/restore": operators(200),
    "POST /v1/admin/concerts/{concert_id}/take-down": operators("invalid"),
    "POST /v1/admin/concerts/{concert_id}/publish": sellers(
        "already_published", "concert_not_found"
    ),
    "POST /v1/admin/schedules/{schedule_id}/seats": sellers(
        "seat_map_locked", "schedule_not_found"
    ),
    "GET /v1/admin/schedules/{schedule_id}/seats/block": looked_at(),
    "POST /v1/admin/schedules/{schedule_id}/seats/block": sellers(200, "schedule_not_found"),
    "POST /v1/admin/schedules/{schedule_id}/seats/release": sellers(200, "schedule_not_found"),
    "POST /v1/admin/schedules/{schedule_id}/seats/reprice": sellers(200, "schedule_not_found"),
    # The seat is sold.
    "POST /v1/admin/schedules/{schedule_id}/complimentary-tickets": sellers(
        "seat_taken", "schedule_not_found", roles="manager box_office"
    ),
    "POST /v1/admin/schedules/{schedule_id}/box-office-sales": sellers(
        "seat_taken", "schedule_not_found", roles="manager box_office"
    ),
    "GET /v1/admin/schedules/{schedule_id}/issues": looked_at(roles="manager box_office read_only"),
    "GET /v1/admin/issues/{issue_id}": looked_at(
        "issue_not_found", roles="manager box_office read_only"
    ),
    "POST /v1/admin/issues/{issue_id}/void": sellers(
        200, "issue_not_found", roles="manager box_office"
    ),
    # The owner finds that the seat exists.
    "POST /v1/admin/schedules/{schedule_id}/seats/add": sellers(
        "seat_exists", "schedule_not_found"
    ),
    "POST /v1/admin/schedules/{schedule_id}/open": sellers(200, "schedule_not_found"),
    "POST /v1/admin/schedules/{schedule_id}/close": sellers(200, "schedule_not_found"),
}

# Operations without an end: they take no token, and the document describes them apart.
STREAMS = {"GET /v1/schedules/{schedule_id}/seats/events"}

# What operators and their machines ask; it is no operation of the document.
OPERATORS = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /docs",
}

# These end the caller's token, so the users of other tests do not call them.
ENDS = {"DELETE /v1/sessions", "DELETE /v1/me/sessions"}

_PICTURE = picture(320, 320, "PNG")
_KIND = {"Content-Type": "image/png"}
_POSTER = "PUT /v1/admin/concerts/{concert_id}/poster"
_LOGO = "PUT /v1/admin/organizations/{organization_id}/brand/logo"
_SEAT_MAP = b"section,row,number,grade,price\nFLOOR,A,1,VIP,150000\n"

# A seat that is sold stays as it is.
_SOLD = {"seat_ids": ["A-1-1"]}
_VENUE = {"name": "V", "country": "KR", "time_zone": "Asia/Seoul"}
# An ETag that no version has.
_OLD = {"If-Match": '"999999999"'}
_GIVEN = {**_SOLD, "name": "Guest", "reason": "press"}

_DELETE_ENDPOINT = "DELETE /v1/admin/webhooks/{endpoint_id}"
_NO_ENDPOINT = "00000000-0000-7000-8000-000000000000"

Ask = Callable[[str, Api], Answer]


def _webhook(organizer: Person) -> dict[str, str]:
    """Create an endpoint with a delivery that can be replayed; return their ids."""
    body = {"url": "https://example.org/hook"}
    made = expect(organizer.api.keyed("/v1/admin/webhooks", body), 201).json["endpoint_id"]
    tested = expect(organizer.api.keyed(f"/v1/admin/webhooks/{made}/test", {}), 202).json
    return {"endpoint_id": made, "event_id": tested["event_id"]}


def _bodies(buyer: Person, order: object, paid: str) -> dict[str, object]:
    """Return the bodies of operations that take one."""
    login = {"email": buyer.email, "password": PASSWORD}
    return {
        "POST /v1/users": {**login, "name": "Somebody"},
        "POST /v1/sessions": login,
        "POST /v1/schedules/{schedule_id}/reservations": {"seat_ids": ["Z-9-9"]},
        "POST /v1/schedules/{schedule_id}/offers/code": {"code": "NOSUCHCODE"},
        "POST /v1/admin/schedules/{schedule_id}/offers/codes": {"name": "Friends", "count": 1},
        "POST /v1/payments": order,
        "POST /v1/payment-intents": {"top_up_amount": 1_000, "method": "toss"},
        "POST /v1/payment-intents/{intent_id}/confirm": {
            "payment_key": "p",
            "order_id": "o",
            "amount": 1,
        },
        "POST /v1/me/wallet/top-ups": {"amount": 0},
        "POST /v1/payments/{payment_id}/refunds": {"expected_refund": 1},
        "PUT /v1/admin/schedules/{schedule_id}/refund-policy": {"preset": "none"},
        "POST /v1/admin/schedules/{schedule_id}/refund-jobs": {},
        "POST /v1/admin/payments/{payment_id}/refunds": {"expected_refund": 1},
        "PUT /v1/me/mail-language": {"language": "en"},
        "PUT /v1/admin/refunds/{refund_id}/resolution": {"to": "wallet", "note": "Because"},
        # The payment was made from the wallet.
        "POST /v1/admin/disputes": {
            "payment_id": paid,
            "amount": 1,
            "reason": "Fraud",
            "happened_at": "2026-01-01T00:00:00Z",
        },
        "PUT /v1/admin/disputes/{dispute_id}/outcome": {
            "outcome": "won",
            "happened_at": "2026-01-01T00:00:00Z",
        },
        "PUT /v1/admin/findings/{finding_id}/resolution": {"note": "Because"},
        "PATCH /v1/admin/concerts/{concert_id}/poster": {"alt": "A choir"},
        **OTHER_BODIES,
        "POST /v1/admin/webhooks": {"url": "https://example.org/hook"},
        "PATCH /v1/admin/webhooks/{endpoint_id}": {"is_active": True},
        "PATCH /v1/admin/concerts/{concert_id}": {"title": "U"},
        "PATCH /v1/admin/schedules/{schedule_id}": {"ticket_limit": 3},
        "POST /v1/admin/schedules/{schedule_id}/postpone": {"starts_at": "2026-01-01T00:00:00Z"},
        "POST /v1/admin/schedules/{schedule_id}/cancel": {"reason": " "},
        "POST /v1/admin/venues": _VENUE,
        "PATCH /v1/admin/venues/{venue_id}": {"name": "W"},
        "POST /v1/admin/concerts": {"title": "T", "artist": "A", "venue": "V"},
        "POST /v1/admin/schedules/{schedule_id}/seats": {"seats": seat_bodies(1)},
        "POST /v1/admin/schedules/{schedule_id}/seats/block": {**_SOLD, "reason": "house"},
        "POST /v1/admin/schedules/{schedule_id}/seats/release": _SOLD,
        "POST /v1/admin/schedules/{schedule_id}/complimentary-tickets": _GIVEN,
        "POST /v1/admin/schedules/{schedule_id}/box-office-sales": {
            **_SOLD,
            "method": "cash",
            "expected_amount": 1,
        },
        "POST /v1/admin/schedules/{schedule_id}/seats/reprice": {**_SOLD, "price": 1},
        "POST /v1/admin/schedules/{schedule_id}/seats/add": {"seats": seat_bodies(1)},
    }


def _team(organizer: Person) -> dict[str, str]:
    """Return the ids of the organizer's organization, of its owner, and of what does not exist."""
    own, none = organizer.user_id, "00000000-0000-7000-8000-000000000000"
    return {"organization_id": own, "user_id": own, "invitation_id": none, "application_id": none}


def about(buyer: Person, organizer: Person) -> Ask:
    """Return what calls an operation about things of these two."""
    sale = on_sale(organizer, 3)
    sold = hold(buyer, sale, "A-1-1").json["reservation_id"]
    order = {"reservation_id": sold, "method": "wallet"}
    paid = expect(buyer.api.keyed("/v1/payments", order), 201).json["payment_id"]
    ids = {
        "concert_id": sale.concert_id,
        "schedule_id": sale.schedule_id,
        "reservation_id": sold,
        "payment_id": paid,
        "refund_id": _refunded(buyer, sale),
        "batch_id": "00000000-0000-7000-8000-000000000000",
        "session_id": "00000000-0000-7000-8000-000000000000",
        "issue_id": _issued(organizer, sale),
        "entry_id": sold,
        "job_id": "00000000-0000-7000-8000-000000000000",
        "dispute_id": "00000000-0000-7000-8000-000000000000",
        "finding_id": "00000000-0000-7000-8000-000000000000",
        "day": "2026-01-01",
        # The scope of an intent is its person: a payment's id names none of the callers.
        "intent_id": paid,
        "name": "start.js",
        "provider": "toss",
        **_team(organizer),
        "venue_id": expect(organizer.api.keyed("/v1/admin/venues", _VENUE), 201).json["venue_id"],
        **_webhook(organizer),
    }
    bodies = _bodies(buyer, order, paid)
    preview = "POST /v1/admin/schedules/{schedule_id}/seats/preview"
    schedules = "POST /v1/admin/concerts/{concert_id}/schedules"
    with_poster = {_POSTER.replace("PUT", other) for other in ("GET", "PATCH", "DELETE")}
    refund_jobs = "POST /v1/admin/schedules/{schedule_id}/refund-jobs"

    def ask(operation: str, caller: Api) -> Answer:
        named = ids | {"endpoint_id": _NO_ENDPOINT} if operation == _DELETE_ENDPOINT else ids
        method, path = operation.format(**named).split()
        if operation in ENDS and caller.get("/v1/me/wallet").status == 200:
            caller = sign_up(caller.of("")).api
        if operation == preview:
            return caller.post(path, body=_SEAT_MAP, headers={"Content-Type": "text/csv"})
        if operation == refund_jobs:
            # An earlier round over the table has closed the sale.
            caller.keyed(f"/v1/admin/schedules/{sale.schedule_id}/open", {})
        if operation in (_POSTER, _LOGO):
            return caller.call("PUT", path, body=_PICTURE, headers=_KIND | _OLD)
        if operation in with_poster:
            organizer.api.call("PUT", path, body=_PICTURE, headers=_KIND)
        if operation == schedules:
            # A concert has one schedule at an instant: each one is at another.
            return caller.keyed(path, schedule_body())
        if method == "POST":
            body, key = bodies.get(operation, {}), uuid4().hex
            return caller.call(method, path, json_body=body, headers=_OLD, key=key)
        if method in ("PUT", "PATCH"):
            body = bodies.get(operation, {})
            return caller.call(method, path, json_body=body, headers=_OLD)
        return caller.call(method, path, headers=_OLD if method == "DELETE" else None)

    return ask


def _issued(organizer: Person, sale: Sale) -> str:
    """Return complimentary tickets."""
    place = f"/v1/admin/schedules/{sale.schedule_id}/complimentary-tickets"
    given = {**_GIVEN, "seat_ids": ["A-1-3"]}
    return str(expect(organizer.api.keyed(place, given), 201).json["issue_id"])


def _refunded(buyer: Person, sale: Sale) -> str:
    """Return a refund of another seat of this buyer."""
    held = hold(buyer, sale, "A-1-2").json["reservation_id"]
    paid = expect(
        buyer.api.keyed("/v1/payments", {"reservation_id": held, "method": "wallet"}), 201
    ).json
    wanted = {"expected_refund": paid["amount"]}
    answer = buyer.api.keyed(f"/v1/payments/{paid['payment_id']}/refunds", wanted)
    return str(expect(answer, 201).json["refund_id"])
