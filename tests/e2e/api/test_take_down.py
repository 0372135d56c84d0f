"""An operator takes a concert down: buyers find nothing of it, holders keep what they have."""

import time
from collections.abc import Callable
from uuid import uuid4

from .client import Answer, Api, Person, Sale, expect, refused
from .conftest import Start, hold, join, make_organizer, on_sale, open_room, rich, room_of

# A process believes what it has read of seats for two seconds at the most, and of concerts for one.
PATIENCE_S = 10.0


def until(ask: Callable[[], Answer], status: int) -> Answer:
    """Return the first answer with this status."""
    deadline = time.monotonic() + PATIENCE_S
    while (answer := ask()).status != status:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return answer


def take_down(operator: Person, sale: Sale, reason: str = "Not theirs to sell") -> Answer:
    """Take a concert down."""
    path = f"/v1/admin/concerts/{sale.concert_id}/take-down"
    return operator.api.post(path, {"reason": reason})


def public(sale: Sale) -> list[str]:
    """Addresses at which buyers find a concert."""
    concert = f"/v1/concerts/{sale.concert_id}"
    schedule = f"/v1/schedules/{sale.schedule_id}"
    return [concert, f"{concert}/schedules", schedule, f"{schedule}/seats"]


def listed(api: Api, sale: Sale) -> bool:
    """Say whether the list of concerts has it."""
    items = expect(api.get("/v1/concerts?limit=100"), 200).json["items"]
    return sale.concert_id in [one["concert_id"] for one in items]


def test_a_concert_is_taken_down_on_every_pod_and_given_back(start: Start) -> None:
    one, two = start(), start()
    organizer, operator = make_organizer(one), make_organizer(one, "operator")
    buyer = rich(one.api)
    there = Person(buyer.user_id, buyer.email, two.api.of(buyer.api.token))
    sale, other = on_sale(organizer, 5), on_sale(organizer, 2)
    paid, payment = _paid(buyer, sale)
    held = hold(buyer, sale, "A-1-2").json["reservation_id"]
    for api in (one.api, two.api):
        for path in public(sale):
            expect(api.get(path), 200)

    seen = expect(take_down(operator, sale), 200).json
    assert seen["taken_down_reason"] == "Not theirs to sell"
    assert [each["status"] for each in seen["schedules"]] == ["CLOSED"]

    for path in public(sale):
        assert one.api.get(path).status == 404, "the process that did it knows at once"
        until(lambda path=path: two.api.get(path), 404)  # type: ignore[misc]
    assert not listed(one.api, sale)
    assert listed(one.api, other)
    _assert_nothing_is_sold(buyer, there, sale)
    refused(two.api.get(f"/v1/schedules/{sale.schedule_id}/seats/events"), "schedule_not_found")

    # What people have they keep: tickets, and the right to pay what they hold. Also on a process that
    # has never seen the schedule.
    fresh = Person(buyer.user_id, "", start().api.of(buyer.api.token))
    for person in (buyer, there, fresh):
        assert expect(person.api.get(f"/v1/reservations/{paid}"), 200).json["status"] == "CONFIRMED"
        assert expect(person.api.get(f"/v1/payments/{payment}"), 200).json["tickets"]
        expect(person.api.get(f"/v1/payments/{payment}/codes"), 200)
        assert len(expect(person.api.get("/v1/me/reservations"), 200).json["items"]) == 2
    expect(there.api.keyed("/v1/payments", {"reservation_id": held, "method": "wallet"}), 201)

    _assert_its_organizer_cannot_sell_it(organizer, make_organizer(one), sale)
    again = expect(take_down(operator, sale, "Another reason"), 200).json
    assert again["taken_down_at"] == seen["taken_down_at"]
    assert again["taken_down_reason"] == "Not theirs to sell"

    _restore(operator, sale)
    for path in public(sale):
        expect(one.api.get(path), 200)
        until(lambda path=path: two.api.get(path), 200)  # type: ignore[misc]
    body = {"seat_ids": ["A-1-3"]}
    refused(buyer.api.keyed(sale.holds, body), "not_on_sale")
    expect(organizer.api.post(f"/v1/admin/schedules/{sale.schedule_id}/open"), 200)
    until(lambda: there.api.keyed(sale.holds, body), 201)
    _assert_both_are_in_the_activity_log(organizer, operator, sale)


def _paid(buyer: Person, sale: Sale) -> tuple[str, str]:
    """Hold and pay a seat; return the ids of reservation and payment."""
    paid = hold(buyer, sale, "A-1-1").json["reservation_id"]
    order = {"reservation_id": paid, "method": "wallet"}
    return paid, expect(buyer.api.keyed("/v1/payments", order), 201).json["payment_id"]


def _assert_nothing_is_sold(buyer: Person, there: Person, sale: Sale) -> None:
    """PostgreSQL refuses at once; a process that knows answers that there is no such schedule."""
    body = {"seat_ids": ["A-1-3"]}
    assert there.api.keyed(sale.holds, body).status in (404, 409)
    until(lambda: there.api.keyed(sale.holds, body), 404)
    until(lambda: buyer.api.keyed(sale.holds, body), 404)
    assert buyer.api.keyed(sale.holds, {"quantity": 1}).status == 404


def _assert_its_organizer_cannot_sell_it(
    organizer: Person, another_organizer: Person, sale: Sale
) -> None:
    own = expect(organizer.api.get(f"/v1/admin/concerts/{sale.concert_id}"), 200).json
    assert own["taken_down_reason"] == "Not theirs to sell"
    schedule = f"/v1/admin/schedules/{sale.schedule_id}"
    refused(organizer.api.post(f"{schedule}/open"), "concert_taken_down")
    refused(another_organizer.api.post(f"{schedule}/open"), "schedule_not_found")


def _restore(operator: Person, sale: Sale) -> None:
    path = f"/v1/admin/concerts/{sale.concert_id}/restore"
    restored = expect(operator.api.post(path), 200).json
    assert (restored["taken_down_at"], restored["taken_down_reason"]) == (None, None)
    expect(operator.api.post(path), 200)


def _assert_both_are_in_the_activity_log(organizer: Person, operator: Person, sale: Sale) -> None:
    log = expect(organizer.api.get(f"/v1/admin/activity?concert_id={sale.concert_id}"), 200).json
    actions = [
        (entry["action"], entry["details"])
        for entry in log["items"]
        if entry["actor_id"] == operator.user_id
    ]
    reason = {"reason": "Not theirs to sell", "sales_closed": 1}
    assert actions == [("concert.restored", {}), ("concert.taken_down", reason)]


def test_a_lost_answer_is_told_again_after_the_concert_was_taken_down(start: Start) -> None:
    one, two = start(), start()
    operator, buyer = make_organizer(one, "operator"), rich(one.api)
    sale = on_sale(make_organizer(one), 5)
    hold_bodies = ({"seat_ids": ["A-1-1"]}, {"quantity": 2})
    before = [buyer.api.post(sale.holds, body, key=f"k{at}") for at, body in enumerate(hold_bodies)]
    order = {"reservation_id": before[0].json["reservation_id"], "method": "wallet"}
    paid = expect(buyer.api.post("/v1/payments", order, key="p"), 201)
    expect(take_down(operator, sale), 200)
    for api in (buyer.api, two.api.of(buyer.api.token)):
        until(lambda api=api: api.keyed(sale.holds, {"seat_ids": ["A-1-5"]}), 404)  # type: ignore[misc]
        for at, body in enumerate(hold_bodies):
            again = expect(api.post(sale.holds, body, key=f"k{at}"), 201)
            assert again.json == before[at].json
        refused(api.post(sale.holds, {"quantity": 3}, key="k0"), "idempotency_key_reused")
        assert expect(api.post("/v1/payments", order, key="p"), 201).json == paid.json


def test_its_waiting_room_ends(organizer: Person, operator: Person, buyer: Person) -> None:
    sale = on_sale(organizer, 2)
    open_room(organizer, sale)
    join(buyer, sale)
    expect(take_down(operator, sale), 200)
    until(lambda: buyer.api.post(room_of(sale)), 404)


def test_a_draft_that_was_taken_down_is_not_published(organizer: Person, operator: Person) -> None:
    concert = {"title": "T", "artist": "A", "venue": "V"}
    concert_id = expect(organizer.api.post("/v1/admin/concerts", concert), 201).json["concert_id"]
    expect(take_down(operator, Sale(concert_id, "")), 200)
    publish = f"/v1/admin/concerts/{concert_id}/publish"
    refused(organizer.api.post(publish), "concert_taken_down")
    expect(operator.api.post(f"/v1/admin/concerts/{concert_id}/restore"), 200)
    refused(organizer.api.post(publish), "not_publishable")


def test_who_may_take_what_down(organizer: Person, operator: Person, buyer: Person) -> None:
    sale = on_sale(organizer, 1)
    for person in (organizer, buyer):
        refused(take_down(person, sale), "forbidden")
        refused(person.api.post(f"/v1/admin/concerts/{sale.concert_id}/restore"), "forbidden")
    refused(take_down(operator, Sale(str(uuid4()), "")), "concert_not_found")
    refused(take_down(operator, Sale("none", "")), "concert_not_found")
    for reason in ("", " ", "\u200b", "x" * 201):
        refused(take_down(operator, sale, reason), "invalid")
    refused(
        operator.api.post("/v1/admin/concerts", {"title": "T", "artist": "A", "venue": "V"}),
        "forbidden",
    )
