"""Requests that show personal data of buyers are in the activity log, without that data."""

import json
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from .client import Person, Sale, expect, refused
from .conftest import Running, hold, make_organizer, on_sale, rich

GUEST: dict[str, Any] = {
    "seat_ids": ["A-1-5"],
    "name": "Ms Guest",
    "reason": "press",
    "email": "guest@example.test",
}


class Shop(NamedTuple):
    """A sale with a paid reservation and a guest, the people, and the reads of personal data.

    `reads` has the action, the filters and the number of rows by address.
    """

    organizer: Person
    buyer: Person
    sale: Sale
    issue_id: str
    reads: dict[str, tuple[str, list[str], int]]


@pytest.fixture(scope="module")
def shop(server: Running) -> Shop:
    organizer, buyer = make_organizer(server), rich(server.api)
    sale = on_sale(organizer, 10)
    paid = hold(buyer, sale, "A-1-1", "A-1-2").json["reservation_id"]
    order = {"reservation_id": paid, "method": "wallet"}
    payment = expect(buyer.api.keyed("/v1/payments", order), 201).json["payment_id"]
    schedule = f"/v1/admin/schedules/{sale.schedule_id}"
    guest = expect(organizer.api.keyed(f"{schedule}/complimentary-tickets", GUEST), 201).json
    found, issues = f"{schedule}/reservations", f"{schedule}/issues"
    payments = f"/v1/admin/payments?schedule_id={sale.schedule_id}"
    by_reservation = f"&method=wallet&status=SUCCEEDED&reservation_id={paid}"
    reads = {
        # The guest's reservation is one too.
        found: ("reservations.read", [], 2),
        f"{found}?limit=1": ("reservations.read", [], 1),
        f"{found}?email={buyer.email}": ("reservations.read", ["email"], 1),
        f"{found}?email=missing@example.test&seat_id=A-1-1": (
            "reservations.read",
            ["email", "seat_id"],
            0,
        ),
        f"{found}?reservation_id={paid}": ("reservations.read", ["reservation_id"], 1),
        f"/v1/admin/reservations/{paid}": ("reservation.read", [], 1),
        issues: ("issues.read", [], 1),
        f"{issues}?kind=COMPLIMENTARY": ("issues.read", ["kind"], 1),
        f"/v1/admin/issues/{guest['issue_id']}": ("issue.read", [], 1),
        payments: ("payments.read", ["schedule_id"], 1),
        payments + by_reservation: (
            "payments.read",
            ["schedule_id", "method", "status", "reservation_id"],
            1,
        ),
        f"/v1/admin/payments/{payment}": ("payment.read", [], 1),
        f"/v1/admin/orders?q={buyer.email}": ("orders.read", ["text"], 1),
    }
    return Shop(organizer, buyer, sale, guest["issue_id"], reads)


def entries(person: Person, query: str = "") -> list[dict[str, Any]]:
    """The newest entries of the activity log."""
    path = f"/v1/admin/activity?limit=100&{query}"
    items: list[dict[str, Any]] = expect(person.api.get(path), 200).json["items"]
    return items


@pytest.mark.parametrize("reader", ["organizer", "operator"])
def test_each_read_has_one_entry_without_personal_data(
    shop: Shop, operator: Person, reader: str
) -> None:
    person = operator if reader == "operator" else shop.organizer
    for path, (action, filters, rows) in shop.reads.items():
        before, request_id = entries(shop.organizer), f"read-{uuid4()}"
        expect(person.api.get(path, headers={"X-Request-Id": request_id}), 200)
        entry, *rest = entries(shop.organizer)
        assert rest == before[: len(rest)], path
        assert (entry["action"], entry["actor_id"]) == (action, person.user_id), path
        assert entry["details"] == {"rows": rows, "filters": filters}, path
        assert entry["request_id"] == request_id
        assert entry["concert_id"] == shop.sale.concert_id
        assert entry["schedule_id"] == shop.sale.schedule_id
        text = json.dumps(entry)
        for secret in (shop.buyer.email, shop.buyer.user_id, "Ms Guest", "example.test", "A-1-1"):
            assert secret not in text, (path, secret)


def test_a_repeated_command_that_shows_a_guest_is_a_read(shop: Shop) -> None:
    organizer, key = shop.organizer, str(uuid4())
    path = f"/v1/admin/schedules/{shop.sale.schedule_id}/complimentary-tickets"
    other = {**GUEST, "seat_ids": ["A-1-6"]}
    issue_id = expect(organizer.api.post(path, other, key=key), 201).json["issue_id"]
    expect(organizer.api.post(path, other, key=key), 201)
    for _ in range(2):
        expect(organizer.api.post(f"/v1/admin/issues/{issue_id}/void"), 200)
    newest = entries(organizer)[:4]
    assert GUEST["name"] not in json.dumps(newest)
    actions = [entry["action"] for entry in newest]
    assert actions == ["issue.read", "tickets.voided", "issue.read", "tickets.given"]


def test_who_is_refused_or_shown_nothing_leaves_no_entry(
    shop: Shop, second_organizer: Person
) -> None:
    logs = entries(shop.organizer), entries(second_organizer)
    for path in shop.reads:
        refused(shop.buyer.api.get(path), "forbidden")
        answer = second_organizer.api.get(path)
        assert answer.status == 404 or answer.json["items"] == [], path
    assert (entries(shop.organizer), entries(second_organizer)) == logs
