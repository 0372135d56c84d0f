"""A sale that the cashier settles frees its place in the waiting room, in another process."""

from typing import Any
from uuid import UUID

from boxoffice.app import open_services
from boxoffice.cli.seeding import acting
from boxoffice.waiting_room.rules import Mode, WaitingRoomChange
from faults.workload.fixtures import SeededBuyer
from tests.support.till import Till


async def open_room(till: Till) -> None:
    """Have buyers wait for a place, of which there is one."""
    schedule_id = UUID(till.fixtures.schedule_id)
    organizer = await till.connection.fetchval("SELECT organizer_id FROM concerts")
    change = WaitingRoomChange(mode=Mode.FIFO, rate_per_s=1_000, inside_max=1)
    async with open_services(till.settings) as shop:
        actor = await acting(shop, organizer)
        await shop.services.waiting_room.service.configure(actor, schedule_id, change)


async def joined(till: Till, person: SeededBuyer) -> dict[str, Any]:
    """Join the queue as soon as a process leads it."""
    found: dict[str, Any] = {}

    async def is_in() -> bool:
        path = f"/v1/schedules/{till.fixtures.schedule_id}/queue"
        status, body = await till.call("POST", path, person)
        found.update(body or {})
        return status == 201

    await till.until(is_in, "the buyer is in the queue")
    return found


async def test_a_sale_of_the_cashier_lets_the_next_buyer_in(till: Till) -> None:
    await open_room(till)
    till.open_pod()
    await till.simulator("toss").set_notices(is_paused=True)
    first, second = till.fixtures.people[:2]
    tickets = {one.user_id: await joined(till, one) for one in (first, second)}
    path = f"{till.url}/v1/schedules/{till.fixtures.schedule_id}"

    async def place(person: SeededBuyer) -> dict[str, Any]:
        headers = {**person.headers(), "Queue-Ticket": tickets[person.user_id]["queue_ticket"]}
        async with till.session.get(f"{path}/queue", headers=headers) as answer:
            body: dict[str, Any] = await answer.json()
            return body

    async def is_admitted(person: SeededBuyer) -> bool:
        return (await place(person)).get("state") == "ADMITTED"

    await till.until(lambda: is_admitted(first), "the first buyer is admitted")
    assert (await place(second))["state"] == "WAITING"
    headers = {**first.headers("hold-1"), "Queue-Pass": (await place(first))["queue_pass"]}
    seats = {"seat_ids": [till.fixtures.seat_ids[0]]}
    async with till.session.post(f"{path}/reservations", json=seats, headers=headers) as answer:
        held = await answer.json()
        assert answer.status == 201, held
    intent = await till.open(first, held["reservation_id"], "toss")
    attempt = await till.authorize(first, intent, "toss")
    await till.simulator("toss").set_faults({"operation": "confirm", "fault": "drop_after"})
    status, _ = await till.confirm(attempt)
    assert status == 202
    till.start_cashier()
    await till.hurry()
    await till.until_status(attempt, "SUCCEEDED")
    await till.until(lambda: is_admitted(second), "the second buyer is admitted")
    ended = "SELECT ended_by FROM queue_admissions ORDER BY number"

    async def is_recorded() -> bool:
        rows = await till.connection.fetch(ended)
        return [row["ended_by"] for row in rows] == ["paid", None]

    await till.until(is_recorded, "the exit of the first buyer is recorded")
    await till.until_idle()
    await till.require_books_agree()
