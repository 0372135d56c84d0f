"""The main job over HTTP, and every member that the contract names."""

import re
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from .client import PASSWORD, Api, Person, Sale, expect, refused, sign_up
from .conftest import Start, hold, on_sale, rich

ORDER_NUMBER = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]")
RFC3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

HOLD_MEMBERS = {
    "reservation_id", "schedule_id", "status", "seats", "amount", "currency", "created_at",
    "expires_at", "expires_in_seconds",
}  # fmt: skip
PAYMENT_MEMBERS = {
    "payment_id", "reservation_id", "order_number", "schedule_id", "status", "method", "amount",
    "currency", "created_at", "tickets",
}  # fmt: skip


@pytest.fixture(scope="module")
def sale(organizer: Person) -> Sale:
    """A concert of this file's own."""
    return on_sale(organizer, 60, ticket_limit=20, hold_ttl_s=120)


def statuses(api: Api, sale: Sale) -> dict[str, str]:
    """The status of every seat."""
    return {seat["seat_id"]: seat["status"] for seat in api.get(sale.seats).json["seats"]}


def test_sign_up_and_session(api: Api) -> None:
    email = f"{uuid4().hex}@example.test"
    account = {"email": email, "password": PASSWORD, "name": "이서연"}
    made = expect(api.post("/v1/users", account), 201)
    assert set(made.json) == {"user_id"}
    assert UUID(made.json["user_id"]).version == 7
    session = expect(api.post("/v1/sessions", {"email": email, "password": PASSWORD}), 201)
    assert set(session.json) == {"access_token", "expires_in", "token_type"}
    assert session.json["expires_in"] == 3600
    wallet = expect(api.of(session.json["access_token"]).get("/v1/me/wallet"), 200)
    assert wallet.json == {"balance": 0, "currency": "KRW", "can_top_up": True}
    again = expect(api.post("/v1/users", account), 409, "email_taken")
    assert email not in again.raw.decode()


def test_the_catalog_shows_what_is_on_sale(api: Api, sale: Sale) -> None:
    listed = expect(api.get("/v1/concerts?limit=100"), 200).json
    assert set(listed) == {"items", "next_cursor"}
    (item,) = [one for one in listed["items"] if one["concert_id"] == sale.concert_id]
    concert = expect(api.get(f"/v1/concerts/{sale.concert_id}"), 200).json
    for shown in (item, concert):
        assert shown["title"] == "봄의 노래"
        assert (shown["artist"], shown["venue"]) == ("The Encores", "Hall 1")
    schedules = expect(api.get(f"/v1/concerts/{sale.concert_id}/schedules"), 200).json
    (schedule,) = schedules["items"]
    assert schedule["schedule_id"] == sale.schedule_id
    assert RFC3339_UTC.fullmatch(schedule["starts_at"])
    assert RFC3339_UTC.fullmatch(schedule["sale_opens_at"])
    assert schedule["seats_total"] == 60
    assert 0 <= schedule["seats_available"] <= 60
    assert schedule["price_min"] == {"amount": 88_000, "currency": "KRW"}
    assert schedule["price_max"] == {"amount": 110_000, "currency": "KRW"}


def test_concerts_are_paged(api: Api, organizer: Person) -> None:
    made = {on_sale(organizer, 1).concert_id for _ in range(3)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = expect(api.get(f"/v1/concerts?limit=2&cursor={cursor}"), 200).json
        assert len(page["items"]) <= 2
        seen += [item["concert_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen))
    assert made <= set(seen)


def test_the_seat_map(api: Api, sale: Sale) -> None:
    found = expect(api.get(sale.seats), 200).json
    assert isinstance(found["version"], int)
    assert [seat["seat_id"] for seat in found["seats"]] == sale.seat_ids
    first = found["seats"][0]
    assert {name: first[name] for name in ("section", "row", "number", "grade", "price")} == {
        "section": "A",
        "row": "1",
        "number": 1,
        "grade": "VIP",
        "price": {"amount": 110_000, "currency": "KRW"},
    }
    assert {seat["status"] for seat in found["seats"]} <= {"AVAILABLE", "HELD", "SOLD", "BLOCKED"}


def test_hold_pay_and_get_tickets(api: Api, sale: Sale) -> None:
    person = rich(api, 500_000)
    key = str(uuid4())
    hold_body = {"seat_ids": ["A-1-2", "A-1-1"]}
    held = expect(person.api.post(sale.holds, hold_body, key=key), 201)
    body = held.json
    assert set(body) == HOLD_MEMBERS
    assert (body["status"], body["amount"], body["currency"]) == ("HELD", 220_000, "KRW")
    assert body["expires_in_seconds"] == 120
    assert RFC3339_UTC.fullmatch(body["expires_at"])
    assert sorted(seat["seat_id"] for seat in body["seats"]) == ["A-1-1", "A-1-2"]
    assert set(body["seats"][0]) == {"seat_id", "section", "row", "number", "grade", "price"}
    where = held.headers["location"]
    assert where == f"/v1/reservations/{body['reservation_id']}"
    assert person.api.post(sale.holds, hold_body, key=key).raw == held.raw

    looked = expect(person.api.get(where), 200).json
    assert 0 < looked["expires_in_seconds"] <= 120
    same = HOLD_MEMBERS - {"expires_in_seconds"}
    assert {name: looked[name] for name in same} == {name: body[name] for name in same}
    assert (looked["payment_id"], looked["order_number"]) == (None, None)

    order = {"reservation_id": body["reservation_id"], "method": "wallet"}
    paid = expect(person.api.post("/v1/payments", order, key=key), 201)
    payment = paid.json
    assert set(payment) == PAYMENT_MEMBERS
    assert payment["reservation_id"] == body["reservation_id"]
    assert (payment["status"], payment["amount"], payment["currency"]) == (
        "SUCCEEDED",
        220_000,
        "KRW",
    )
    assert sorted(ticket["seat_id"] for ticket in payment["tickets"]) == ["A-1-1", "A-1-2"]
    assert len({ticket["ticket_id"] for ticket in payment["tickets"]}) == 2
    assert paid.headers["location"] == f"/v1/payments/{payment['payment_id']}"
    assert person.api.post("/v1/payments", order, key=key).raw == paid.raw
    assert expect(person.api.get(paid.headers["location"]), 200).json == payment
    # The hold's own answer stays what it was, whatever has become of it.
    assert person.api.post(sale.holds, hold_body, key=key).raw == held.raw

    confirmed = expect(person.api.get(where), 200).json
    assert (confirmed["status"], confirmed["payment_id"]) == ("CONFIRMED", payment["payment_id"])
    assert confirmed["order_number"] == payment["order_number"]
    assert ORDER_NUMBER.fullmatch(payment["order_number"])
    assert confirmed["expires_in_seconds"] == 0
    expect(person.api.keyed("/v1/payments", order), 409, "already_paid")
    expect(person.api.delete(where), 409, "not_held")
    assert expect(person.api.get("/v1/me/wallet"), 200).json["balance"] == 280_000


def test_the_wallet_and_its_entries(api: Api, sale: Sale) -> None:
    person = sign_up(api)
    key = str(uuid4())
    topped_up = expect(person.api.post("/v1/me/wallet/top-ups", {"amount": 300_000}, key=key), 201)
    assert {name: topped_up.json[name] for name in ("amount", "balance", "currency")} == {
        "amount": 300_000,
        "balance": 300_000,
        "currency": "KRW",
    }
    held = hold(person, sale, "A-3-1").json
    order = {"reservation_id": held["reservation_id"], "method": "wallet"}
    paid = expect(person.api.keyed("/v1/payments", order), 201).json
    # Money has moved since: the top-up's answer does not show it.
    again = person.api.post("/v1/me/wallet/top-ups", {"amount": 300_000}, key=key)
    assert (again.status, again.raw) == (201, topped_up.raw)
    first = expect(person.api.get("/v1/me/wallet/entries?limit=1"), 200).json
    rest = expect(
        person.api.get(f"/v1/me/wallet/entries?limit=1&cursor={first['next_cursor']}"), 200
    ).json
    assert rest["next_cursor"] is None
    entries: list[dict[str, Any]] = first["items"] + rest["items"]
    shown = [(one["kind"], one["amount"], one["currency"], one["payment_id"]) for one in entries]
    assert shown == [
        ("payment", -110_000, "KRW", paid["payment_id"]),
        ("top_up", 300_000, "KRW", None),
    ]
    assert all(RFC3339_UTC.fullmatch(one["created_at"]) for one in entries)


def test_the_best_adjacent_seats(api: Api, buyer: Person, organizer: Person) -> None:
    sale = on_sale(organizer, 40)
    best = expect(buyer.api.keyed(sale.holds, {"quantity": 3}), 201).json
    assert [seat["seat_id"] for seat in best["seats"]] == ["A-1-1", "A-1-2", "A-1-3"]
    graded = expect(buyer.api.keyed(sale.holds, {"quantity": 2, "grade": "R"}), 201).json
    assert [seat["seat_id"] for seat in graded["seats"]] == ["A-3-1", "A-3-2"]
    assert graded["amount"] == 176_000
    expect(buyer.api.keyed(sale.holds, {"quantity": 1, "grade": "none"}), 409, "sold_out")


def test_a_released_hold_is_back_on_sale_at_once(api: Api, buyer: Person, sale: Sale) -> None:
    held = hold(buyer, sale, "A-4-1", "A-4-2")
    where = held.headers["location"]
    # The map is remembered for a moment; what was released must not be.
    assert statuses(api, sale)["A-4-1"] in ("HELD", "AVAILABLE")
    gone = expect(buyer.api.delete(where), 204)
    assert gone.raw == b""
    assert statuses(api, sale)["A-4-1"] == "AVAILABLE"
    expect(buyer.api.delete(where), 409, "not_held")
    assert expect(buyer.api.get(where), 200).json["status"] == "CANCELLED"
    taker = rich(api)
    hold(taker, sale, "A-4-1", "A-4-2")


def test_a_taken_seat_is_named(buyer: Person, other: Person, sale: Sale) -> None:
    hold(buyer, sale, "A-5-1")
    hold_body = {"seat_ids": ["A-5-1", "A-5-2"]}
    refused = expect(other.api.keyed(sale.holds, hold_body), 409, "seat_taken")
    assert refused.json["seat_ids"] == ["A-5-1"]
    hold(other, sale, "A-5-2")


def test_my_reservations_are_mine_and_newest_first(api: Api, sale: Sale, other: Person) -> None:
    person = rich(api)
    made = [hold(person, sale, f"A-6-{n}").json["reservation_id"] for n in (1, 2, 3)]
    hold(other, sale, "A-6-4")
    first = expect(person.api.get("/v1/me/reservations?limit=2"), 200).json
    cursor = first["next_cursor"]
    rest = expect(person.api.get(f"/v1/me/reservations?limit=2&cursor={cursor}"), 200).json
    listed = [one["reservation_id"] for one in first["items"] + rest["items"]]
    assert listed == made[::-1]
    assert rest["next_cursor"] is None
    assert set(first["items"][0]) == HOLD_MEMBERS | {
        "order_number",
        "payment_id",
        "payment_intent_id",
    }


def test_refusals_that_say_what_is_missing(api: Api, organizer: Person) -> None:
    sale = on_sale(organizer, 4, ticket_limit=2)
    poor = sign_up(api)
    held = hold(poor, sale, "A-1-1", "A-1-2").json
    order = {"reservation_id": held["reservation_id"], "method": "wallet"}
    expect(poor.api.keyed("/v1/payments", order), 402, "insufficient_balance")
    expect(poor.api.keyed(sale.holds, {"seat_ids": ["A-1-3"]}), 409, "ticket_limit")
    rest = rich(api)
    hold(rest, sale, "A-1-3", "A-1-4")
    expect(sign_up(api).api.keyed(sale.holds, {"quantity": 1}), 409, "sold_out")
    expect(organizer.api.post(f"/v1/admin/schedules/{sale.schedule_id}/close"), 200)
    expect(sign_up(api).api.keyed(sale.holds, {"quantity": 1}), 409, "not_on_sale")


def test_a_lapsed_hold_cannot_be_paid(api: Api, organizer: Person) -> None:
    sale = on_sale(organizer, 2, hold_ttl_s=1)
    person = rich(api)
    held = hold(person, sale, "A-1-1")
    next_person = rich(api)
    # No sweeper runs here: the first request after the end of the hold takes the seat over.
    end = time.monotonic() + 15
    taken = next_person.api.keyed(sale.holds, {"seat_ids": ["A-1-1"]})
    while taken.status == 409 and time.monotonic() < end:
        assert taken.code == "seat_taken"
        time.sleep(0.02)
        taken = next_person.api.keyed(sale.holds, {"seat_ids": ["A-1-1"]})
    expect(taken, 201)
    order = {"reservation_id": held.json["reservation_id"], "method": "wallet"}
    expect(person.api.keyed("/v1/payments", order), 410, "hold_expired")
    shown = expect(person.api.get(held.headers["location"]), 200).json
    assert (shown["status"], shown["expires_in_seconds"]) == ("EXPIRED", 0)


def test_one_key_names_one_request(buyer: Person, sale: Sale) -> None:
    key = str(uuid4())
    expect(buyer.api.post("/v1/me/wallet/top-ups", {"amount": 10}, key=key), 201)
    other_body = buyer.api.post("/v1/me/wallet/top-ups", {"amount": 11}, key=key)
    expect(other_body, 422, "idempotency_key_reused")
    # A key is one within its kind of call: the same text names a hold, too.
    expect(buyer.api.post(sale.holds, {"seat_ids": ["A-2-9"]}, key=key), 201)
    expect(
        buyer.api.post(sale.holds, {"seat_ids": ["A-2-10"]}, key=key), 422, "idempotency_key_reused"
    )


def test_the_request_id_is_echoed_or_made(api: Api) -> None:
    given = {"X-Request-Id": "a-request_1.2"}
    assert api.get("/v1/concerts", headers=given).headers["x-request-id"] == "a-request_1.2"
    refused = api.get("/v1/concerts/none", headers=given)
    assert refused.json["request_id"] == refused.headers["x-request-id"] == "a-request_1.2"
    for unusable in ("short", "x" * 65, "with blanks in it", "nul\x00inside"):
        made = api.get("/v1/concerts/none", headers={"X-Request-Id": unusable})
        assert made.headers.get("x-request-id") != unusable


def test_a_shop_that_is_no_demo_says_so_and_tops_nothing_up(start: Start) -> None:
    person = sign_up(start(wallet_top_up_free="false").api)
    assert expect(person.api.get("/v1/me/wallet"), 200).json["can_top_up"] is False
    refused(person.api.keyed("/v1/me/wallet/top-ups", {"amount": 10}), "top_up_unavailable")
    assert expect(person.api.get("/v1/me/wallet"), 200).json["balance"] == 0
