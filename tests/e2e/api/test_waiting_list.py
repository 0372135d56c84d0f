"""A waiting list over HTTP: an organizer switches it on, a buyer joins, is offered seats, and pays."""

import asyncio
from typing import Any
from uuid import UUID

from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.waiting_list.store import WaitingListStore
from boxoffice.waiting_list.worker import TurnLimits, serve_once

from .client import Answer, Person, Sale, expect, sign_up
from .conftest import Running, Start, hold, make_organizer, on_sale, rich


def _serve(server: Running) -> int:
    """Give the lines their turn, as the role `sweep` does."""

    async def serve() -> int:
        db = Database(Settings.of(database_url=server.database_url))
        await db.open()
        try:
            return await serve_once(WaitingListStore(db), TurnLimits(900, 100, 10))
        finally:
            await db.close()

    return asyncio.run(serve())


def _switch(organizer: Person, sale: Sale, *, is_on: bool) -> dict[str, Any]:
    path = f"/v1/admin/schedules/{sale.schedule_id}/waiting-list"
    found: dict[str, Any] = expect(
        organizer.api.call("PUT", path, json_body={"is_on": is_on}), 200
    ).json
    return found


def _join(person: Person, sale: Sale, key: str = "k", **wanted: object) -> Answer:
    path = f"/v1/schedules/{sale.schedule_id}/waiting-list/entries"
    return person.api.post(path, json_body=wanted, key=key)


def _mine(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = expect(person.api.get("/v1/me/waiting-list-entries"), 200).json[
        "items"
    ]
    return found


def test_a_buyer_joins_is_offered_what_returns_and_pays(start: Start) -> None:
    server = start()
    organizer, holder, buyer, second = (
        make_organizer(server),
        rich(server.api),
        rich(server.api),
        sign_up(server.api),
    )
    sale = on_sale(organizer, 2)
    shown = f"/v1/schedules/{sale.schedule_id}/waiting-list"
    assert not expect(holder.api.get(shown), 200).json["is_on"]
    assert (refused := _join(buyer, sale, quantity=1)).code == "seats_available", refused.json
    assert _switch(organizer, sale, is_on=True)["waiting"] == 0
    assert expect(buyer.api.get(shown), 200).json["is_on"]
    reservation = hold(holder, sale, *sale.seat_ids).json["reservation_id"]

    assert _join(buyer, sale, quantity=1, grade="NONE").status == 422
    assert _join(buyer, sale, quantity=65).status == 422
    entry = expect(_join(buyer, sale, quantity=2), 201).json
    assert (entry["status"], entry["position"], entry["quantity"]) == ("WAITING", 1, 2)
    assert expect(_join(buyer, sale, quantity=2), 201).json == entry
    assert (_join(buyer, sale, quantity=1)).code == "idempotency_key_reused"
    assert _join(buyer, sale, key="another", quantity=1).code == "already_waiting"
    left = expect(_join(second, sale, quantity=1), 201).json
    assert left["position"] == 2
    for _ in range(2):
        expect(second.api.call("DELETE", f"/v1/waiting-list-entries/{left['entry_id']}"), 204)
    theirs = buyer.api.call("DELETE", f"/v1/waiting-list-entries/{left['entry_id']}")
    assert theirs.code == "waiting_list_entry_not_found"

    expect(holder.api.call("DELETE", f"/v1/reservations/{reservation}"), 204)
    assert holder.api.keyed(sale.holds, {"seat_ids": sale.seat_ids[:1]}).code == "seat_taken"
    assert _serve(server) == 1
    [offered] = _mine(buyer)
    assert offered["status"] == "OFFERED"
    gone = buyer.api.call("DELETE", f"/v1/waiting-list-entries/{entry['entry_id']}")
    assert gone.code == "offer_made"
    held = expect(buyer.api.get(f"/v1/reservations/{offered['reservation_id']}"), 200).json
    assert (held["status"], held["expires_at"]) == ("HELD", offered["offer_expires_at"])
    order = {"reservation_id": offered["reservation_id"], "method": "wallet"}
    expect(buyer.api.keyed("/v1/payments", order), 201)
    assert [one["status"] for one in _mine(buyer)] == ["TAKEN"]
    assert UUID(offered["schedule_id"]) == UUID(str(sale.schedule_id))
    # A repetition of the first request is answered with the entry.
    assert expect(_join(buyer, sale, quantity=2), 201).json["status"] == "TAKEN"
    summary = _switch(organizer, sale, is_on=False)
    assert (summary["is_on"], summary["waiting"]) == (False, 0)
    assert _join(second, sale, key="later", quantity=1).code == "waiting_list_off"
