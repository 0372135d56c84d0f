"""The waiting room over HTTP, from the settings to a hold with a pass."""

import time
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.streams.stand import Reader
from tests.support.waiting import until

from .client import Answer, Api, Person, Sale, expect
from .conftest import admin_of, join, on_sale, rich, room_of

PATIENCE_S = 20.0


@pytest.fixture
def sale(organizer: Person) -> Sale:
    """A sale with a waiting room with a cap of ten."""
    made = on_sale(organizer, 10)
    body = {"mode": "fifo", "inside_max": 10, "rate_per_s": 1000, "inside_s": 600, "grace_s": 30}
    shown = expect(organizer.api.post(admin_of(made), body), 200).json
    assert {name: shown[name] for name in body} == body
    assert (shown["paused"], shown["closed"], shown["waiting"]) == (False, False, 0)
    return made


def try_hold(person: Person, sale: Sale, seat_id: str) -> Answer:
    """Try to hold a seat without a pass."""
    return person.api.keyed(sale.holds, {"seat_ids": [seat_id]})


def ask(api: Api, sale: Sale, ticket: str) -> Answer:
    """Get the queue position."""
    return api.get(room_of(sale), headers={"Queue-Ticket": ticket})


async def admitted(person: Person, sale: Sale, ticket: str) -> dict[str, Any]:
    """Wait until the user is admitted."""
    said: dict[str, Any] = {}

    async def is_in() -> bool:
        said.update(expect(ask(person.api, sale, ticket), 200).json)
        return bool(said["state"] == "ADMITTED")

    await until(is_in, PATIENCE_S)
    return said


async def test_from_joining_to_a_hold_and_its_payment(api: Api, sale: Sale) -> None:
    person = rich(api)
    expect(try_hold(person, sale, "A-1-1"), 403, "queue_pass_required")
    joined = join(person, sale)
    assert joined["state"] == "WAITING"
    assert join(person, sale)["number"] == joined["number"]
    said = await admitted(person, sale, joined["queue_ticket"])
    assert said["expires_at"].endswith("Z")
    assert 1 <= said["poll_after_s"] <= 10
    path = f"/v1/schedules/{sale.schedule_id}/reservations"
    held = person.api.keyed(
        path, {"seat_ids": ["A-1-1"]}, headers={"Queue-Pass": said["queue_pass"]}
    )
    made = expect(held, 201).json
    order = {"reservation_id": made["reservation_id"], "method": "wallet"}
    expect(person.api.keyed("/v1/payments", order), 201)

    async def is_out() -> bool:
        return ask(person.api, sale, joined["queue_ticket"]).code == "queue_ticket_expired"

    await until(is_out, PATIENCE_S)


async def test_a_pass_is_for_one_person_in_one_schedule(
    api: Api, organizer: Person, sale: Sale
) -> None:
    person, thief = rich(api), rich(api)
    said = await admitted(person, sale, join(person, sale)["queue_ticket"])
    headers = {"Queue-Pass": said["queue_pass"]}
    path = f"/v1/schedules/{sale.schedule_id}/reservations"
    stolen = thief.api.keyed(path, {"seat_ids": ["A-1-2"]}, headers=headers)
    expect(stolen, 403, "queue_pass_required")
    other = on_sale(organizer, 3)
    expect(organizer.api.post(admin_of(other), {"mode": "fifo"}), 200)

    async def is_known() -> bool:
        return try_hold(person, other, "A-1-1").status == 403

    await until(is_known, PATIENCE_S)
    elsewhere = f"/v1/schedules/{other.schedule_id}/reservations"
    foreign = person.api.keyed(elsewhere, {"seat_ids": ["A-1-1"]}, headers=headers)
    expect(foreign, 403, "queue_pass_required")


@pytest.mark.parametrize(
    "hold_body", [{"seat_ids": ["A-1-3"]}, {"quantity": 2}], ids=["seats", "best"]
)
async def test_a_hold_whose_answer_was_lost_is_told_after_its_pass(
    api: Api, sale: Sale, organizer: Person, hold_body: dict[str, Any]
) -> None:
    expect(organizer.api.post(admin_of(sale), {"grace_s": 5, "inside_s": 5}), 200)
    person = rich(api)
    said = await admitted(person, sale, join(person, sale)["queue_ticket"])
    headers, key = {"Queue-Pass": said["queue_pass"]}, str(uuid4())
    path = f"/v1/schedules/{sale.schedule_id}/reservations"
    made = expect(person.api.post(path, hold_body, key=key, headers=headers), 201).json

    async def is_over() -> bool:
        asked = person.api.keyed(path, {"seat_ids": ["A-1-3"]}, headers=headers)
        return asked.code == "queue_pass_required"

    await until(is_over, PATIENCE_S)
    again = expect(person.api.post(path, hold_body, key=key, headers=headers), 201).json
    assert again["reservation_id"] == made["reservation_id"]
    expect(person.api.post(path, hold_body, key=key), 403, "queue_pass_required")
    other = {"seat_ids": ["A-1-9"]}
    expect(person.api.post(path, other, key=key, headers=headers), 422, "idempotency_key_reused")


async def test_tickets_that_are_none(api: Api, buyer: Person, other: Person, sale: Sale) -> None:
    ticket = join(buyer, sale)["queue_ticket"]
    expect(api.get(room_of(sale)), 401, "queue_ticket_invalid")
    for forged in ("", "x", ticket[:-1], ticket + "A", ticket.replace(".", "", 1), "é"):
        answer = ask(api, sale, forged)
        expect(answer, 401, "queue_ticket_invalid")
    expect(ask(other.api, sale, ticket), 401, "queue_ticket_invalid")
    # Without an access token, and with one that is over, the ticket speaks for itself.
    expect(ask(api, sale, ticket), 200)
    expect(ask(api.of("no.good.token"), sale, ticket), 200)
    expect(buyer.api.delete(room_of(sale), headers={"Queue-Ticket": ticket}), 204)
    expect(buyer.api.delete(room_of(sale), headers={"Queue-Ticket": ticket}), 204)

    async def is_over() -> bool:
        return ask(buyer.api, sale, ticket).code == "queue_ticket_expired"

    await until(is_over, PATIENCE_S)


def test_a_secret_stands_in_for_an_access_token_where_it_may(
    api: Api, organizer: Person, buyer: Person, sale: Sale
) -> None:
    headers = {"Queue-Secret": uuid4().hex}
    expect(api.post(room_of(sale), headers=headers), 401, "unauthenticated")
    shown = expect(organizer.api.post(admin_of(sale), {"anonymous": True}), 200).json
    assert shown["anonymous"] is True
    expect(api.post(room_of(sale)), 401, "unauthenticated")
    # A token that is over is not passed over: its user has a place of their own.
    expect(api.of("no.good.token").post(room_of(sale), headers=headers), 401, "token_invalid")
    for bad in ("x" * 31, "x" * 129, "x" * 32 + "."):
        expect(api.post(room_of(sale), headers={"Queue-Secret": bad}), 422, "invalid")
    join(buyer, sale)
    ticket = expect(api.post(room_of(sale), headers=headers), 201).json["queue_ticket"]
    expect(ask(api, sale, ticket), 401, "queue_ticket_invalid")
    expect(ask(buyer.api, sale, ticket), 401, "queue_ticket_invalid")


def test_what_an_organizer_may_not_set(organizer: Person, sale: Sale) -> None:
    for body in (
        {"mode": "vip"},
        {"rate_per_s": 0},
        {"rate_per_s": 1e308},
        {"inside_max": 0},
        {"grace_s": 601},
        {"opens_at": "2026-01-01T00:00:00"},
        {"opens_at": "0001-01-01T00:00:00+23:59"},
        {"opens_at": "9999-12-31T23:59:59-23:59"},
        {"unknown": 1},
    ):
        expect(organizer.api.post(admin_of(sale), body), 422, "invalid")
    path = f"/v1/admin/schedules/{uuid4()}/queue"
    expect(organizer.api.post(path, {}), 404, "schedule_not_found")


async def test_changes_act_at_once_and_a_closed_room_admits_no_user(
    organizer: Person, buyer: Person, sale: Sale
) -> None:
    join(buyer, sale)
    expect(organizer.api.post(admin_of(sale), {"closed": True}), 200)
    began = time.monotonic()

    async def is_closed() -> bool:
        return buyer.api.post(room_of(sale)).code == "queue_closed"

    await until(is_closed, PATIENCE_S)
    assert time.monotonic() - began < 10
    expect(organizer.api.post(admin_of(sale), {"mode": "off", "closed": False}), 200)

    async def is_off() -> bool:
        return try_hold(buyer, sale, "A-1-3").status == 201

    await until(is_off, PATIENCE_S)


async def test_a_stream_tells_the_place_the_line_and_the_turn(
    api: Api, organizer: Person, sale: Sale
) -> None:
    expect(organizer.api.post(admin_of(sale), {"inside_max": 1}), 200)
    first, second = rich(api), rich(api)
    ahead = join(first, sale)["queue_ticket"]
    await admitted(first, sale, ahead)
    ticket = join(second, sale)["queue_ticket"]
    stream = await Reader.connect(
        api.port, room_of(sale) + "/events", more=f"Queue-Ticket: {ticket}\r\n"
    )
    assert stream.status == 200
    position = await stream.next()
    assert position is not None
    assert position.name == "position"
    assert position.data["position"] == position.data["place"] - position.data["called"] == 1
    expect(first.api.delete(room_of(sale), headers={"Queue-Ticket": ahead}), 204)
    told: set[tuple[str, int | None]] = set()
    # Their order is not specified.
    while not {("turn", None), ("progress", 2)} <= told:
        one = await stream.next()
        assert one is not None
        told.add((one.name, one.data.get("called")))
    assert (await admitted(second, sale, ticket))["number"] == 2
    await stream.close()
    refused = await Reader.connect(api.port, room_of(sale) + "/events")
    assert refused.status == 401
    await refused.close()
