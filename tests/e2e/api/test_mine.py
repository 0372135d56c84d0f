"""What a person has of a schedule, and how the ticket limit tells it."""

from typing import Any

import pytest

from .client import Person, expect
from .conftest import Running, hold, on_sale, rich


@pytest.fixture
def person(server: Running) -> Person:
    """A user who has nothing yet."""
    return rich(server.api)


def mine(person: Person, query: str) -> list[str]:
    """The reservations of a list, by id."""
    found = expect(person.api.get(f"/v1/me/reservations?{query}"), 200).json["items"]
    return [one["reservation_id"] for one in found]


def test_what_counts_can_be_asked_for(organizer: Person, person: Person) -> None:
    here, there = on_sale(organizer), on_sale(organizer)
    held = [hold(person, sale, "A-1-1").json["reservation_id"] for sale in (here, there)]
    given_back = hold(person, here, "A-1-2").json["reservation_id"]
    expect(person.api.delete(f"/v1/reservations/{given_back}"), 204)
    paid = hold(person, here, "A-1-3").json["reservation_id"]
    order = {"reservation_id": paid, "method": "wallet"}
    expect(person.api.keyed("/v1/payments", order), 201)
    assert mine(person, "status=HELD") == held[::-1]
    assert mine(person, f"status=HELD&schedule_id={here.schedule_id}") == held[:1]
    assert mine(person, f"status=CONFIRMED&schedule_id={here.schedule_id}") == [paid]
    assert mine(person, f"status=CONFIRMED&schedule_id={there.schedule_id}") == []
    assert mine(person, "limit=2") == [paid, given_back]
    first = expect(person.api.get("/v1/me/reservations?status=HELD&limit=1"), 200).json
    rest = mine(person, f"status=HELD&cursor={first['next_cursor']}")
    assert [first["items"][0]["reservation_id"], *rest] == held[::-1]


@pytest.mark.parametrize(
    "query",
    ["status=EXPIRED", "status=held", "status=HELD&schedule_id=x", f"schedule_id={'0' * 32}"],
)
def test_what_cannot_be_asked_for(person: Person, query: str) -> None:
    expect(person.api.get(f"/v1/me/reservations?{query}"), 422, "invalid")


@pytest.mark.parametrize("body", [{"seat_ids": ["A-1-3", "A-1-4"]}, {"quantity": 2}])
def test_the_ticket_limit_says_its_numbers(
    organizer: Person, person: Person, body: dict[str, Any]
) -> None:
    sale = on_sale(organizer, ticket_limit=3)
    hold(person, sale, "A-1-1", "A-1-2")
    refused = expect(person.api.keyed(sale.holds, body), 409, "ticket_limit").json
    assert (refused["limit"], refused["held"], refused["remaining"]) == (3, 2, 1)
    assert "3" in refused["detail"]


def test_a_schedule_says_what_one_may_ask_for(organizer: Person, server: Running) -> None:
    sale = on_sale(organizer, ticket_limit=3)
    one = expect(server.api.get(f"/v1/schedules/{sale.schedule_id}"), 200).json
    assert (one["ticket_limit"], one["seats_per_hold_max"]) == (3, 10)
    path = f"/v1/concerts/{sale.concert_id}/schedules"
    [listed] = expect(server.api.get(path), 200).json["items"]
    assert listed["ticket_limit"] == 3
