"""What belongs to another person, or is not shown, does not exist; asking changes nothing."""

import pytest

from .client import Person, Sale, expect, refused
from .conftest import draft, hold, on_sale

pytestmark = pytest.mark.usefixtures("unchanged")


@pytest.fixture(scope="module")
def theirs(other: Person, organizer: Person) -> dict[str, str]:
    """A hold and a payment of another person."""
    sale = on_sale(organizer, 4)
    held = hold(other, sale, "A-1-1").json
    sold = hold(other, sale, "A-1-2").json
    order = {"reservation_id": sold["reservation_id"], "method": "wallet"}
    paid = expect(other.api.keyed("/v1/payments", order), 201).json
    return {"reservation_id": held["reservation_id"], "payment_id": paid["payment_id"]}


@pytest.fixture(scope="module")
def small(organizer: Person) -> Sale:
    """A schedule on sale with few seats."""
    return on_sale(organizer, 3)


@pytest.fixture(scope="module")
def hidden(organizer: Person) -> Sale:
    """A schedule that was never opened, of a concert that is a draft."""
    return draft(organizer, 3)


@pytest.fixture
def unchanged(theirs: object, small: object, hidden: object, unchanged: None) -> None:
    """Look at the database after all that was made."""


def test_reservations_and_payments(buyer: Person, theirs: dict[str, str]) -> None:
    reservation, payment = theirs["reservation_id"], theirs["payment_id"]
    refused(buyer.api.get(f"/v1/reservations/{reservation}"), "reservation_not_found")
    refused(buyer.api.delete(f"/v1/reservations/{reservation}"), "reservation_not_found")
    refused(buyer.api.get(f"/v1/payments/{payment}"), "payment_not_found")
    order = {"reservation_id": reservation, "method": "wallet"}
    refused(buyer.api.keyed("/v1/payments", order), "reservation_not_found")
    mine = expect(buyer.api.get("/v1/me/reservations?limit=100"), 200).json["items"]
    assert reservation not in {one["reservation_id"] for one in mine}


def test_an_id_of_one_kind_is_none_of_another(other: Person, theirs: dict[str, str]) -> None:
    reservation, payment = theirs["reservation_id"], theirs["payment_id"]
    refused(other.api.get(f"/v1/reservations/{payment}"), "reservation_not_found")
    refused(other.api.get(f"/v1/payments/{reservation}"), "payment_not_found")


def test_another_persons_cursor_shows_nothing_of_theirs(
    buyer: Person, other: Person, theirs: dict[str, str]
) -> None:
    for path in ("/v1/me/reservations", "/v1/me/wallet/entries"):
        page = expect(other.api.get(f"{path}?limit=1"), 200).json
        answer = expect(buyer.api.get(f"{path}?cursor={page['next_cursor']}&limit=100"), 200)
        assert theirs["reservation_id"] not in answer.raw.decode()
        assert theirs["payment_id"] not in answer.raw.decode()


def test_seats_of_another_schedule(buyer: Person, small: Sale) -> None:
    body = {"seat_ids": ["A-1-1", "A-5-5"]}
    answer = refused(buyer.api.keyed(small.holds, body), "seat_not_found")
    assert answer.json["seat_ids"] == ["A-5-5"]


def test_a_draft_does_not_exist(buyer: Person, hidden: Sale) -> None:
    body = {"seat_ids": ["A-1-1"]}
    refused(buyer.api.get(hidden.seats), "schedule_not_found")
    refused(buyer.api.get(f"/v1/concerts/{hidden.concert_id}"), "concert_not_found")
    refused(buyer.api.get(f"/v1/concerts/{hidden.concert_id}/schedules"), "concert_not_found")
    refused(buyer.api.keyed(hidden.holds, body), "schedule_not_found")


def test_another_organizers_concert_does_not_exist(
    second_organizer: Person, hidden: Sale, small: Sale
) -> None:
    admin = second_organizer.api
    schedule = {"starts_at": "2030-01-01T00:00:00Z", "sale_opens_at": "2029-01-01T00:00:00Z"}
    seat = {"section": "Z", "row": "1", "number": 1, "grade": "R", "price": 1}
    for sale in (hidden, small):
        concert = f"/v1/admin/concerts/{sale.concert_id}"
        mine = f"/v1/admin/schedules/{sale.schedule_id}"
        refused(admin.post(f"{concert}/schedules", schedule), "concert_not_found")
        refused(admin.post(f"{concert}/publish"), "concert_not_found")
        refused(admin.post(f"{mine}/seats", {"seats": [seat]}), "schedule_not_found")
        refused(admin.post(f"{mine}/open"), "schedule_not_found")
        refused(admin.post(f"{mine}/close"), "schedule_not_found")


def test_steps_out_of_order(organizer: Person, hidden: Sale, small: Sale) -> None:
    admin, path = organizer.api, f"/v1/admin/schedules/{hidden.schedule_id}"
    seat = {"section": "A", "row": "1", "number": 1, "grade": "R", "price": 1}
    refused(admin.post(f"{path}/open"), "schedule_not_openable")
    refused(admin.post(f"{path}/close"), "not_on_sale")
    answer = refused(admin.post(f"{path}/seats", {"seats": [seat]}), "seat_exists")
    assert answer.json["seat_ids"] == ["A-1-1"]
    refused(admin.post(f"/v1/admin/concerts/{small.concert_id}/publish"), "already_published")
    seats = f"/v1/admin/schedules/{small.schedule_id}/seats"
    refused(admin.post(seats, {"seats": [seat | {"row": "9"}]}), "seat_map_locked")
