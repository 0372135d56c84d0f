"""Offers over HTTP: an organizer sets them, a buyer holds, pays and returns under them."""

import time
from datetime import UTC, datetime, timedelta

from .client import Answer, Person, Sale, expect, sign_up
from .conftest import Start, make_organizer, on_sale

_YOUTH = {"code": "youth", "name": "Youth", "name_ko": "청소년", "percent_off": 50}


def _offers(organizer: Person, sale: Sale, **terms: object) -> Answer:
    path = f"/v1/admin/schedules/{sale.schedule_id}/offers"
    tag = {"If-Match": expect(organizer.api.get(path), 200).headers["etag"]}
    return expect(organizer.api.call("PUT", path, json_body=terms, headers=tag), 200)


def _codes(organizer: Person, sale: Sale, **terms: object) -> Answer:
    path = f"/v1/admin/schedules/{sale.schedule_id}/offers/codes"
    return organizer.api.keyed(path, {"name": "Friends", **terms})


def _shown(buyer: Person, sale: Sale, version: int) -> Answer:
    """Return what buyers are shown once it has this version."""
    until = time.monotonic() + 10
    while True:
        found = expect(buyer.api.get(f"/v1/schedules/{sale.schedule_id}/offers"), 200)
        if found.json["version"] >= version or time.monotonic() > until:
            return found
        time.sleep(0.05)


def test_a_buyer_pays_the_price_that_was_shown_and_gets_it_back(start: Start) -> None:
    server = start()
    organizer, buyer = make_organizer(server), sign_up(server.api)
    sale = on_sale(organizer, 6)
    offers = _offers(organizer, sale, price_types=[_YOUTH], booking_fee=1_000)
    made = expect(_codes(organizer, sale, count=2, percent_off=10), 201).json
    [code, _] = made["codes"]
    shown = _shown(buyer, sale, offers.json["version"]).json
    [standard, youth] = shown["price_types"]
    assert (standard["code"], youth["name_ko"], shown["booking_fee"]) == ("", "청소년", 1_000)
    full = standard["prices"][0]["full"]
    assert youth["prices"][0]["price"] == full // 2

    granted = expect(
        buyer.api.post(
            f"/v1/schedules/{sale.schedule_id}/offers/code", json_body={"code": code.lower()}
        ),
        200,
    ).json
    assert (granted["name"], granted["percent_off"]) == ("Friends", 10)
    wrong = buyer.api.post(
        f"/v1/schedules/{sale.schedule_id}/offers/code", json_body={"code": "NOSUCHCODE"}
    )
    assert (wrong.status, wrong.code) == (409, "code_invalid")

    seats = sale.seat_ids[:2]
    body = {"seat_ids": seats, "price_types": {seats[1]: "youth"}, "code": code}
    held = expect(buyer.api.post(sale.holds, json_body=body, key="h"), 201)
    assert [
        (one["price"]["amount"], one.get("discount", 0), one.get("booking_fee", 0))
        for one in held.json["seats"]
    ] == [(full, full // 10, 1_000), (full // 2, full // 20, 1_000)]
    amount = full - full // 10 + full // 2 - full // 20 + 2_000
    assert held.json["amount"] == amount
    expect(
        organizer.api.call(
            "PUT",
            f"/v1/admin/schedules/{sale.schedule_id}/offers/codes/{made['batch_id']}/disabled",
            json_body={},
        ),
        204,
    )
    assert expect(buyer.api.post(sale.holds, json_body=body, key="h"), 201).json == held.json
    _pay_and_return(buyer, held, amount)
    listed = expect(
        organizer.api.get(
            f"/v1/admin/schedules/{sale.schedule_id}/offers/codes/{made['batch_id']}/export"
        ),
        200,
    )
    lines = listed.raw.decode().splitlines()
    assert lines[0] == "code_ends_with,uses,uses_max,is_disabled"
    assert sorted(lines[1:]) == sorted(f"{one[-4:]},0,1,true" for one in made["codes"])


def _pay_and_return(buyer: Person, held: Answer, amount: int) -> None:
    """Pay a hold, and return its tickets for all that was paid."""
    expect(buyer.api.keyed("/v1/me/wallet/top-ups", {"amount": amount}), 201)
    order = {"reservation_id": held.json["reservation_id"], "method": "wallet"}
    paid = expect(buyer.api.keyed("/v1/payments", order), 201).json
    assert paid["amount"] == amount
    found = expect(buyer.api.get(f"/v1/reservations/{order['reservation_id']}"), 200).json
    assert found["seats"] == held.json["seats"]
    quote = expect(buyer.api.get(f"/v1/payments/{paid['payment_id']}/refund-quote"), 200).json
    assert quote["refund"] + quote["fee"] == amount
    body = {"expected_refund": quote["refund"], "to": "wallet"}
    expect(buyer.api.keyed(f"/v1/payments/{paid['payment_id']}/refunds", body), 201)


def _hold(buyer: Person, sale: Sale, body: dict[str, object]) -> Answer:
    """Hold under one key."""
    return buyer.api.post(sale.holds, json_body=body, key="k")


def test_a_key_is_for_one_choice_of_prices_and_one_code(start: Start) -> None:
    server = start()
    organizer, buyer = make_organizer(server), sign_up(server.api)
    sale = on_sale(organizer, 6)
    _offers(organizer, sale, price_types=[_YOUTH])
    expect(_codes(organizer, sale, code="FRIENDS"), 201)
    [seat] = sale.seat_ids[:1]
    plain: dict[str, object] = {"seat_ids": [seat]}
    first = expect(_hold(buyer, sale, {**plain, "code": "FRIENDS"}), 201)
    for other in (plain, {**plain, "code": "FRIENDS", "price_types": {seat: "youth"}}):
        refused = _hold(buyer, sale, other)
        assert (refused.status, refused.code) == (422, "idempotency_key_reused")
    same = _hold(buyer, sale, {**plain, "code": "FRIENDS"})
    assert expect(same, 201).json == first.json


def test_a_presale_a_quota_and_a_pair_of_seats_refuse_by_their_names(start: Start) -> None:
    server = start(code_failures_per_account_max="2")
    organizer, buyer, guesser = make_organizer(server), sign_up(server.api), sign_up(server.api)
    sale = on_sale(organizer, 8)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    set_terms = _offers(
        organizer,
        sale,
        public_from=later,
        channels=[{"code": "fans", "name": "Fans", "quota": 2}],
    )
    a, b, c, d = sale.seat_ids[:4]
    body = {
        "pairs": [{"accessible": a, "companion": b}],
        "notes": [{"note": "Behind a pillar", "note_ko": "기둥 뒤", "seat_ids": [d]}],
    }
    path = f"/v1/admin/schedules/{sale.schedule_id}/offers/seats"
    tag = {"If-Match": set_terms.headers["etag"]}
    saved = expect(organizer.api.call("PUT", path, json_body=body, headers=tag), 200).json
    assert (saved["pairs"], saved["notes"]) == (body["pairs"], body["notes"])
    expect(_codes(organizer, sale, code="FANCLUB", is_presale=True, channel="fans"), 201)

    def refused(**asked: object) -> str:
        return buyer.api.keyed(sale.holds, asked).code

    assert refused(seat_ids=[c]) == "presale_only"
    assert refused(seat_ids=[a], code="FANCLUB") == "companion_required"
    assert refused(seat_ids=[c], price_types={c: "child"}, code="FANCLUB") == "price_type_unknown"
    assert refused(seat_ids=[c], price_types={d: "child"}) == "invalid"
    assert refused(quantity=1, price_types={d: "child"}) == "invalid"
    best = expect(buyer.api.keyed(sale.holds, {"quantity": 1, "code": "fan-club"}), 201).json
    assert best["seats"][0]["seat_id"] == c
    expect(buyer.api.keyed(sale.holds, {"seat_ids": [d], "code": "FANCLUB"}), 201)
    assert refused(seat_ids=[a, b], code="FANCLUB") == "quota_exhausted"

    guesses = [
        guesser.api.keyed(sale.holds, {"seat_ids": [a, b], "code": f"GUESS{at}"}) for at in range(3)
    ]
    assert [one.code for one in guesses] == ["code_invalid", "code_invalid", "too_many_requests"]
    assert 0 < int(guesses[2].headers["retry-after"]) <= 900
