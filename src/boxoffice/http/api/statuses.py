"""The HTTP status of every problem code, in one table (RFC 9110, RFC 6585)."""

from collections.abc import Iterator

from boxoffice.errors import Problem

STATUSES: dict[str, int] = {
    "malformed": 400,
    "idempotency_key_required": 400,
    "idempotency_key_invalid": 400,
    "cursor_invalid": 400,
    "last_event_id_invalid": 400,
    "body_too_slow": 408,
    "body_too_large": 413,
    "media_type_unsupported": 415,
    "method_not_allowed": 405,
    "unauthenticated": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "credentials_invalid": 401,
    "queue_ticket_invalid": 401,
    "insufficient_balance": 402,
    "payment_declined": 402,
    "forbidden": 403,
    "queue_pass_required": 403,
    "not_found": 404,
    "concert_not_found": 404,
    "schedule_not_found": 404,
    "seat_not_found": 404,
    "reservation_not_found": 404,
    "payment_not_found": 404,
    "email_taken": 409,
    "seat_taken": 409,
    "sold_out": 409,
    "no_adjacent_seats": 409,
    "not_on_sale": 409,
    "ticket_limit": 409,
    "not_held": 409,
    "already_paid": 409,
    "wallet_limit": 409,
    "top_up_unavailable": 403,
    "already_published": 409,
    "not_publishable": 409,
    "seat_map_locked": 409,
    "seat_exists": 409,
    "schedule_not_openable": 409,
    "schedule_limit": 409,
    "concert_taken_down": 409,
    "queue_closed": 409,
    "queue_drawn": 409,
    "queue_room_limit": 409,
    "idempotency_in_flight": 409,
    "hold_expired": 410,
    "queue_ticket_expired": 410,
    "invalid": 422,
    "idempotency_key_reused": 422,
    "password_common": 422,
    "amount_invalid": 422,
    "payment_method_unknown": 422,
    "seat_map_invalid": 422,
    "too_many_requests": 429,
    "hold_cooldown": 429,
    "unavailable": 503,
    "overloaded": 503,
    "outcome_unknown": 503,
    "draining": 503,
}


def every_problem(root: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Yield each problem class that has a code of its own."""
    if "code" in vars(root) and root.code:
        yield root
    for child in root.__subclasses__():
        yield from every_problem(child)
