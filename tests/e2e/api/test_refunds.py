"""A refund over HTTP: what the quote says, what the answer promises, and what is shown afterwards."""

from typing import Any

import pytest

from .client import Person, Sale, expect
from .conftest import Running, draft, hold, on_sale, rich


@pytest.fixture
def buyer(server: Running) -> Person:
    """A user with money."""
    return rich(server.api)


def paid(buyer: Person, sale: Sale, *seat_ids: str) -> dict[str, Any]:
    """Hold and pay seats."""
    held = hold(buyer, sale, *seat_ids).json["reservation_id"]
    order = {"reservation_id": held, "method": "wallet"}
    answer: dict[str, Any] = expect(buyer.api.keyed("/v1/payments", order), 201).json
    return answer


def test_a_ticket_is_returned(buyer: Person, organizer: Person) -> None:
    sale = on_sale(organizer, 4)
    payment = paid(buyer, sale, "A-1-1", "A-1-2")
    path = f"/v1/payments/{payment['payment_id']}"
    first, second = (ticket["ticket_id"] for ticket in payment["tickets"])

    quote = expect(buyer.api.get(f"{path}/refund-quote?ticket_ids={first}"), 200).json
    assert (quote["is_refundable"], quote["fee"]) == (True, 0)
    assert quote["refund"] == payment["amount"] // 2
    assert quote["policy"]["name"] == "kr_standard"
    assert quote["policy"]["time_zone"] == "Asia/Seoul"

    body = {"ticket_ids": [first], "expected_refund": quote["refund"]}
    refund = expect(buyer.api.keyed(f"{path}/refunds", body), 201)
    assert refund.json["status"] == "DONE"
    assert refund.json["seat_ids"] == ["A-1-1"]
    shown = expect(buyer.api.get(refund.headers["location"]), 200).json
    assert shown == refund.json
    assert expect(buyer.api.get("/v1/me/refunds"), 200).json["items"] == [shown]

    now = expect(buyer.api.get(path), 200).json
    assert now["status"] == "PARTLY_REFUNDED"
    assert [ticket["status"] for ticket in now["tickets"]] == ["VOID", "VALID"]
    codes = expect(buyer.api.get(f"{path}/codes"), 200).json["items"]
    assert [code["ticket_id"] for code in codes] == [second]
    entries = expect(buyer.api.get("/v1/me/wallet/entries"), 200).json["items"]
    assert [entry["kind"] for entry in entries] == ["refund", "payment", "top_up"]
    hold(buyer, sale, "A-1-1")

    rest = {"expected_refund": quote["refund"]}
    expect(buyer.api.keyed(f"{path}/refunds", rest), 201)
    assert expect(buyer.api.get(path), 200).json["status"] == "REFUNDED"
    assert expect(buyer.api.get(f"{path}/codes"), 200).json["items"] == []
    reservation = f"/v1/reservations/{payment['reservation_id']}"
    assert expect(buyer.api.get(reservation), 200).json["status"] == "REFUNDED"


def test_another_amount_than_expected_is_refused(buyer: Person, organizer: Person) -> None:
    payment = paid(buyer, on_sale(organizer, 2), "A-1-1")
    path = f"/v1/payments/{payment['payment_id']}/refunds"
    answer = buyer.api.keyed(path, {"expected_refund": payment["amount"] + 1})
    expect(answer, 409, "refund_quote_changed")
    assert answer.json["refund"] == payment["amount"]


def test_a_policy_of_ones_own(buyer: Person, organizer: Person) -> None:
    sale = draft(organizer, 2)
    path = f"/v1/admin/schedules/{sale.schedule_id}/refund-policy"
    own = {
        "steps": [{"days_before": 10, "percent": 5}, {"days_before": 1, "percent": 50}],
        "grace": [],
    }
    wrong = {"steps": [{"days_before": 10, "percent": 5}, {"days_before": 1, "percent": 4}]}
    expect(organizer.api.call("PUT", path, json_body=wrong), 422, "refund_policy_invalid")
    expect(organizer.api.call("PUT", path, json_body={}), 422, "refund_policy_invalid")
    shown = expect(organizer.api.call("PUT", path, json_body=own), 200).json
    expect(organizer.api.post(f"/v1/admin/concerts/{sale.concert_id}/publish"), 200)
    expect(organizer.api.post(f"/v1/admin/schedules/{sale.schedule_id}/open"), 200)
    public = f"/v1/schedules/{sale.schedule_id}/refund-policy"
    assert expect(buyer.api.get(public), 200).json == shown
    payment = paid(buyer, sale, "A-1-1")
    quote = expect(buyer.api.get(f"/v1/payments/{payment['payment_id']}/refund-quote"), 200).json
    assert quote["fee"] == payment["amount"] * 5 // 100
    assert quote["policy"] == shown


def test_an_organizer_returns_what_was_paid(buyer: Person, organizer: Person) -> None:
    sale = on_sale(organizer, 2)
    payment = paid(buyer, sale, "A-1-1")
    body = {"expected_refund": payment["amount"]}
    path = f"/v1/admin/payments/{payment['payment_id']}/refunds"
    refund = expect(organizer.api.keyed(path, body), 201).json
    assert (refund["reason"], refund["fee"]) == ("organizer", 0)
    listed = expect(organizer.api.get(f"/v1/admin/schedules/{sale.schedule_id}/refunds"), 200).json
    assert listed["items"] == [refund]


def test_a_whole_schedule_is_refunded_after_its_sale(buyer: Person, organizer: Person) -> None:
    sale = on_sale(organizer, 2)
    paid(buyer, sale, "A-1-1")
    path = f"/v1/admin/schedules/{sale.schedule_id}"
    expect(organizer.api.keyed(f"{path}/refund-jobs", {}), 409, "sale_open")
    expect(organizer.api.post(f"{path}/close"), 200)
    job = expect(organizer.api.keyed(f"{path}/refund-jobs", {}), 202)
    assert job.json["finished_at"] is None
    assert expect(organizer.api.get(job.headers["location"]), 200).json == job.json
    expect(organizer.api.keyed(f"{path}/refund-jobs", {}), 409, "refund_job_running")
