"""The bytes of requests to the shop."""

from collections.abc import Sequence

import msgspec

# The code of schedules with offers.
OFFER_CODE = "BENCHMARK"

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
    "{more}"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n\r\n"
)

_NOTICE = (
    "POST /v1/webhooks/{provider} HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "User-Agent: boxoffice-bench\r\n"
    "Accept: */*\r\n"
    "Stripe-Signature: {signature}\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: {length}\r\n\r\n"
)


def get(path: str, token: str, *, gzip: bool = True, etag: str = "") -> bytes:
    """Return a lookup; with `etag` a conditional one."""
    more = "Accept-Encoding: gzip\r\n" if gzip else ""
    if etag:
        more += f"If-None-Match: {etag}\r\n"
    return _GET.format(path=path, token=token, more=more).encode()


def queue_position(schedule_id: str, ticket: str) -> bytes:
    """Return a poll of the queue position."""
    return _QUEUE_POSITION.format(path=f"/v1/schedules/{schedule_id}/queue", ticket=ticket).encode()


def join(schedule_id: str, token: str) -> bytes:
    """Return a request to join the waiting room."""
    return _JOIN.format(path=f"/v1/schedules/{schedule_id}/queue", token=token).encode()


def post(path: str, token: str, key: str, body: object, more: str = "") -> bytes:
    """Return a command with an idempotency key; `more` are further lines of its head."""
    encoded = msgspec.json.encode(body)
    head = _POST.format(path=path, token=token, key=key, more=more, length=len(encoded))
    return head.encode() + encoded


def hold(
    schedule_id: str, token: str, key: str, seat_ids: Sequence[str], queue_pass: str = ""
) -> bytes:
    """Return a hold of exactly these seats."""
    path = f"/v1/schedules/{schedule_id}/reservations"
    more = f"Queue-Pass: {queue_pass}\r\n" if queue_pass else ""
    return post(path, token, key, {"seat_ids": list(seat_ids)}, more)


def hold_with_offers(schedule_id: str, token: str, key: str, seat_ids: Sequence[str]) -> bytes:
    """Return a hold of exactly these seats, at another price and with the code of the benchmark."""
    path = f"/v1/schedules/{schedule_id}/reservations"
    types = dict.fromkeys(seat_ids, "youth")
    body = {"seat_ids": list(seat_ids), "price_types": types, "code": OFFER_CODE}
    return post(path, token, key, body)


def hold_best(schedule_id: str, token: str, key: str, quantity: int) -> bytes:
    """Return a hold of the best adjacent seats."""
    path = f"/v1/schedules/{schedule_id}/reservations"
    return post(path, token, key, {"quantity": quantity})


def notice(provider: str, body: bytes, signature: str) -> bytes:
    """Return a signed notice of a payment provider."""
    head = _NOTICE.format(provider=provider, signature=signature, length=len(body))
    return head.encode() + body


def open_intent(token: str, reservation_id: str) -> bytes:
    """Return a request for a payment intent at the simulated provider."""
    body = {"reservation_id": reservation_id, "method": "toss"}
    return post("/v1/payment-intents", token, f"intent-{reservation_id}", body)


def authorize(order_id: str, amount: int) -> bytes:
    """Return the command that lets a buyer finish at the simulator."""
    return post("/do/authorize", "", "-", {"order_id": order_id, "amount": amount})


def confirm_intent(token: str, intent_id: str, payment_key: str, amount: int) -> bytes:
    """Return the confirmation of an authorized payment."""
    body = {"payment_key": payment_key, "order_id": intent_id, "amount": amount}
    return post(f"/v1/payment-intents/{intent_id}/confirm", token, "-", body)


def pay(token: str, reservation_id: str) -> bytes:
    """Return a payment from the wallet."""
    body = {"reservation_id": reservation_id, "method": "wallet"}
    return post("/v1/payments", token, f"pay-{reservation_id}", body)
