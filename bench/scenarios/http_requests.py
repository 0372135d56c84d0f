"""The bytes of requests, as a client of the shop sends them."""

from collections.abc import Sequence

import msgspec

_GET = (
    "GET {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "User-Agent: boxoffice-bench\r\n"
    "Accept: application/json\r\n"
    "{more}"
    "Authorization: Bearer {token}\r\n\r\n"
)
_QUEUE_POSITION = (
    "GET {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "User-Agent: boxoffice-bench\r\n"
    "Accept: application/json\r\n"
    "Queue-Ticket: {ticket}\r\n\r\n"
)
_JOIN = (
    "POST {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "User-Agent: boxoffice-bench\r\n"
    "Accept: application/json\r\n"
    "Authorization: Bearer {token}\r\n"
    "Content-Length: 0\r\n\r\n"
)
_POST = (
    "POST {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "User-Agent: boxoffice-bench\r\n"
    "Accept: application/json\r\n"
    "Accept-Encoding: gzip\r\n"
    "Authorization: Bearer {token}\r\n"
    "Idempotency-Key: {key}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n\r\n"
)


def get(path: str, token: str, *, gzip: bool = True, etag: str = "") -> bytes:
    """Return a lookup; with an `etag` it asks only for what has changed."""
    more = "Accept-Encoding: gzip\r\n" if gzip else ""
    if etag:
        more += f"If-None-Match: {etag}\r\n"
    return _GET.format(path=path, token=token, more=more).encode()


def queue_position(schedule_id: str, ticket: str) -> bytes:
    """Return a question for one's place in the waiting room."""
    return _QUEUE_POSITION.format(path=f"/v1/schedules/{schedule_id}/queue", ticket=ticket).encode()


def join(schedule_id: str, token: str) -> bytes:
    """Return a wish for a place in the waiting room."""
    return _JOIN.format(path=f"/v1/schedules/{schedule_id}/queue", token=token).encode()


def post(path: str, token: str, key: str, body: object) -> bytes:
    """Return a command under an idempotency key."""
    encoded = msgspec.json.encode(body)
    head = _POST.format(path=path, token=token, key=key, length=len(encoded))
    return head.encode() + encoded


def hold(schedule_id: str, token: str, key: str, seat_ids: Sequence[str]) -> bytes:
    """Return a hold of exactly these seats."""
    path = f"/v1/schedules/{schedule_id}/reservations"
    return post(path, token, key, {"seat_ids": list(seat_ids)})


def hold_best(schedule_id: str, token: str, key: str, quantity: int) -> bytes:
    """Return a hold of the best adjacent seats."""
    path = f"/v1/schedules/{schedule_id}/reservations"
    return post(path, token, key, {"quantity": quantity})


def pay(token: str, reservation_id: str) -> bytes:
    """Return a payment from the wallet."""
    body = {"reservation_id": reservation_id, "method": "wallet"}
    return post("/v1/payments", token, f"pay-{reservation_id}", body)
