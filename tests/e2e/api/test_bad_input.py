"""Bad input gets a clear 4xx with a code, and changes nothing."""

import json
from typing import Any
from uuid import uuid4

import pytest

from .client import PASSWORD, Answer, Api, Person, Sale, check_problem, expect, refused

pytestmark = pytest.mark.usefixtures("unchanged")

DEEP = 100_000


@pytest.fixture(scope="module")
def bodies(sale: Sale, organizer: Person) -> dict[str, dict[str, Any]]:
    """A good body for every call that takes one, by path."""
    schedules = f"/v1/admin/concerts/{sale.concert_id}/schedules"
    return {
        "/v1/users": {"email": "a@b.example", "password": PASSWORD, "name": "A"},
        "/v1/sessions": {"email": "a@b.example", "password": PASSWORD},
        sale.holds: {"seat_ids": ["A-1-1"]},
        "/v1/payments": {"reservation_id": "A" * 43, "method": "wallet"},
        "/v1/me/wallet/top-ups": {"amount": 1000},
        "/v1/admin/concerts": {"title": "T", "artist": "A", "venue": "V"},
        schedules: {"starts_at": "2030-01-01T00:00:00Z", "sale_opens_at": "2029-01-01T00:00:00Z"},
        f"/v1/admin/schedules/{sale.schedule_id}/seats": {
            "seats": [{"section": "A", "row": "1", "number": 1, "grade": "R", "price": 1}]
        },
    }


def send(organizer: Person, path: str, body: bytes, **headers: str) -> Answer:
    """Post raw bytes as a user who may call everything."""
    return organizer.api.keyed(path, body=body, headers=headers)


RAW_BODIES = {
    "empty": b"",
    "cut off": b'{"email": ',
    "two documents": b"{} {}",
    "trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "NaN": b'{"amount": NaN}',
    "Infinity": b'{"amount": -Infinity}',
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "overlong UTF-8": b'{"name": "\xc0\x80"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "raw NUL": b'{"name": "a\x00b"}',
    "NUL only": b"\x00",
    "lone high surrogate": b'{"name": "\\ud800"}',
    "lone low surrogate": b'{"name": "\\udc00"}',
    "surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "deep lists": b"[" * DEEP,
    "deep objects": b'{"a":' * (DEEP // 10),
    "deep and closed": b"[" * 20_000 + b"]" * 20_000,
}
WELL_FORMED_BUT_WRONG = {"deep and closed"}


@pytest.mark.parametrize("name", RAW_BODIES)
def test_what_is_not_json_is_malformed(
    organizer: Person, bodies: dict[str, Any], name: str
) -> None:
    for path in bodies:
        answer = send(organizer, path, RAW_BODIES[name])
        check_problem(answer)
        assert answer.code in ("malformed", "body_too_large", "invalid", "seat_map_invalid"), path
        wrong_shape = answer.code in ("invalid", "seat_map_invalid")
        assert not wrong_shape or name in WELL_FORMED_BUT_WRONG, (path, answer)
        assert answer.code != "body_too_large" or len(RAW_BODIES[name]) > 65_536


def test_a_repeated_member_is_malformed(organizer: Person, bodies: dict[str, Any]) -> None:
    for path, body in bodies.items():
        for name in body:
            twice = json.dumps(body)[:-1] + f", {json.dumps(name)}: {json.dumps(body[name])}}}"
            refused(send(organizer, path, twice.encode()), "malformed")
    escaped = b'{"amount": 5, "am\\u006funt": 500}'
    refused(send(organizer, "/v1/me/wallet/top-ups", escaped), "malformed")
    seat = b'{"section": "A", "row": "1", "number": 1, "grade": "R", "price": 1, "price": 2}'
    nested = b'{"seats": [' + seat + b"]}"
    seats = next(path for path in bodies if path.endswith("/seats"))
    refused(send(organizer, seats, nested), "malformed")


def test_wrong_types_unknown_and_missing_members_are_invalid(
    organizer: Person, bodies: dict[str, Any]
) -> None:
    for path, body in bodies.items():
        wrong: list[object] = [[], None, 7, "text", True, [body], {**body, "surplus": 1}]
        wrong += [{**body, name: {"an": "object"}} for name in body]
        wrong += [{**body, name: True} for name in body]
        wrong += [{**body, name: [[]]} for name in body]
        if path.endswith("/reservations"):
            wrong.append({})
        else:
            wrong += [{k: v for k, v in body.items() if k != name} for name in body]
        for one in wrong:
            answer = organizer.api.keyed(path, one)
            check_problem(answer)
            assert answer.status == 422, (path, one, answer)
            assert answer.code in ("invalid", "amount_invalid", "seat_map_invalid")
            assert "Traceback" not in answer.raw.decode()


AMOUNTS = [
    b"-1", b"0", b"-0", b"0.5", b"1.5", b"1e400", b'"100"', b'"NaN"', b"null", b"true", b"[]", b"{}",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809",
    b"18446744073709551616", b"1" + b"0" * 4000, b"9007199254740992", b"10000001", b'"\\u0000"',
]  # fmt: skip


def test_amounts_that_are_no_amounts(buyer: Person) -> None:
    for amount in AMOUNTS:
        body = b'{"amount": ' + amount + b"}"
        answer = buyer.api.keyed("/v1/me/wallet/top-ups", body=body)
        if amount == b"1e400":
            check_problem(answer)
            assert answer.status in (400, 422)
        else:
            refused(answer, "amount_invalid")
    refused(buyer.api.keyed("/v1/me/wallet/top-ups", {}), "amount_invalid")
    # NaN is not JSON (RFC 8259, section 6), so the body as a whole is refused.
    for amount in (b"NaN", b"Infinity", b"01", b"1_000", b"+1", b".5", b"0x10"):
        body = b'{"amount": ' + amount + b"}"
        refused(buyer.api.keyed("/v1/me/wallet/top-ups", body=body), "malformed")


def test_prices_and_numbers_of_a_seat_map(organizer: Person, bodies: dict[str, Any]) -> None:
    path = next(path for path in bodies if path.endswith("/seats"))
    good = {"section": "A", "row": "1", "number": 1, "grade": "R", "price": 1}
    wrong: list[dict[str, object]] = [
        {"price": -1}, {"price": 1.5}, {"price": 2**63}, {"price": "1"}, {"number": 0},
        {"number": 2**63}, {"section": ""}, {"section": "x" * 41}, {"row": "\u0000"},
        {"grade": "a\nb"}, {"seat_id": "with blank"}, {"seat_id": "x" * 129}, {"seat_id": "\u0000"},
    ]  # fmt: skip
    for changed in wrong:
        answer = organizer.api.post(path, {"seats": [good | {"number": 2}, good | changed]})
        refused(answer, "seat_map_invalid")
        assert answer.json["index"] == 1, changed
    refused(organizer.api.post(path, {"seats": [good, good]}), "seat_map_invalid")
    refused(organizer.api.post(path, {"seats": []}), "seat_map_invalid")


def test_lists_of_seats(buyer: Person, sale: Sale, organizer: Person) -> None:
    empty: list[str] = []
    for hold_body in (
        {"seat_ids": empty},
        {"seat_ids": ["A-1-1", "A-1-1"]},
        {"seat_ids": [f"A-1-{n}" for n in range(1, 12)]},
        {"seat_ids": [f"A-1-{n}" for n in range(65)]},
        {"seat_ids": ["A-1-1", ""]},
        {"seat_ids": ["A-1-1", "a\u0000b"]},
        {"seat_ids": ["a b"]},
        {"seat_ids": ["x" * 129]},
        {"seat_ids": ["A-1-1", 7]},
        {"seat_ids": ["A-1-1", None]},
        {"seat_ids": "A-1-1"},
        {"seat_ids": ["A-1-1"], "quantity": 1},
        {"seat_ids": ["A-1-1"], "grade": "VIP"},
        {"seat_ids": None, "quantity": None},
        {"grade": "VIP"},
        {},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": "1"},
        {"quantity": 11},
        {"quantity": 2**63},
        {"quantity": True},
        {"quantity": 1, "grade": ""},
        {"quantity": 1, "grade": "a\u0000b"},
    ):
        refused(buyer.api.keyed(sale.holds, hold_body), "invalid")
    for unknown in ("Z-9-9", "a-1-1", "좌석", "';--", "x" * 128):
        answer = refused(
            buyer.api.keyed(sale.holds, {"seat_ids": ["A-1-1", unknown]}), "seat_not_found"
        )
        assert answer.json["seat_ids"] == [unknown]


KEYS = {"x" * 129: "idempotency_key_invalid", "a b": "idempotency_key_invalid"}
KEYS |= {"a\tb": "idempotency_key_invalid", "schlüssel": "idempotency_key_invalid"}
KEYS |= {"": "idempotency_key_required"}


def test_idempotency_keys(buyer: Person, sale: Sale) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        (sale.holds, {"seat_ids": ["A-1-1"]}),
        ("/v1/payments", {"reservation_id": "A" * 43, "method": "wallet"}),
        ("/v1/me/wallet/top-ups", {"amount": 1000}),
    ]
    for path, body in calls:
        refused(buyer.api.post(path, body), "idempotency_key_required")
        for key, code in KEYS.items():
            refused(buyer.api.post(path, body, key=key), code)


def test_an_optional_key_is_not_empty(organizer: Person) -> None:
    body = {"title": "Winter Light", "artist": "Han River Quartet", "venue": "Sejong Hall"}
    asked = organizer.api.post("/v1/admin/concerts", body, headers={"Idempotency-Key": ""})
    refused(asked, "idempotency_key_invalid")


def test_media_types(organizer: Person, bodies: dict[str, Any]) -> None:
    for path, body in bodies.items():
        raw = json.dumps(body).encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json",
                     "multipart/form-data; boundary=x", "", "application/xml", "*/*"):  # fmt: skip
            refused(
                organizer.api.keyed(path, body=raw, headers={"Content-Type": kind}),
                "media_type_unsupported",
            )
    assert organizer.api.keyed("/v1/me/wallet/top-ups").code == "media_type_unsupported"


def test_a_media_type_may_have_parameters(buyer: Person) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = buyer.api.keyed("/v1/me/wallet/top-ups", {"amount": 0}, headers=headers)
    refused(answer, "amount_invalid")


def test_bodies_that_are_too_large(organizer: Person, bodies: dict[str, Any]) -> None:
    large = b'{"name": "' + b"x" * 1_000_000 + b'"}'
    for path in bodies:
        if path.endswith("/seats"):
            continue
        answer = refused(organizer.api.keyed(path, body=large), "body_too_large")
        assert answer.json["max_bytes"] == 65_536
        chunks = (large[at : at + 50_000] for at in range(0, len(large), 50_000))
        refused(organizer.api.keyed(path, body=chunks), "body_too_large")
    seats = next(path for path in bodies if path.endswith("/seats"))
    huge = (b" " * 1_048_576 for _ in range(17))
    refused(organizer.api.post(seats, body=huge), "body_too_large")


UNKNOWN_UUIDS = [
    "00000000-0000-0000-0000-000000000000", "01a203b0-d342-7154-8045-4c78501e0cbb", "none", "1", "-1",
    "%00", "a%00b", "%ff", "%ed%a0%80", "%2e%2e", "01A203B0-D342-7154-8045-4C78501E0CBB",
    "{01a203b0-d342-7154-8045-4c78501e0cbb}", "01a203b0d34271548045" + "4c78501e0cbb", "x" * 2000,
    "'%20OR%201=1", "%EC%A2%8C%EC%84%9D", "urn:uuid:01a203b0-d342-7154-8045-4c78501e0cbb",
]  # fmt: skip


@pytest.mark.parametrize("unknown", UNKNOWN_UUIDS)
def test_unknown_ids(buyer: Person, organizer: Person, sale: Sale, unknown: str) -> None:
    hold_body = {"seat_ids": ["A-1-1"]}
    order = {"reservation_id": unknown[:128], "method": "wallet"}
    schedule = {"starts_at": "2030-01-01T00:00:00Z", "sale_opens_at": "2029-01-01T00:00:00Z"}
    seats = {"seats": [{"section": "A", "row": "1", "number": 1, "grade": "R", "price": 1}]}
    api, admin = buyer.api, organizer.api
    refused(api.get(f"/v1/concerts/{unknown}"), "concert_not_found")
    refused(api.get(f"/v1/concerts/{unknown}/schedules"), "concert_not_found")
    refused(api.get(f"/v1/schedules/{unknown}/seats"), "schedule_not_found")
    refused(api.keyed(f"/v1/schedules/{unknown}/reservations", hold_body), "schedule_not_found")
    refused(api.get(f"/v1/reservations/{unknown}"), "reservation_not_found")
    refused(api.delete(f"/v1/reservations/{unknown}"), "reservation_not_found")
    refused(api.get(f"/v1/payments/{unknown}"), "payment_not_found")
    refused(api.keyed("/v1/payments", order), "reservation_not_found")
    refused(admin.post(f"/v1/admin/concerts/{unknown}/schedules", schedule), "concert_not_found")
    refused(admin.post(f"/v1/admin/concerts/{unknown}/publish"), "concert_not_found")
    refused(admin.post(f"/v1/admin/schedules/{unknown}/seats", seats), "schedule_not_found")
    refused(admin.post(f"/v1/admin/schedules/{unknown}/open"), "schedule_not_found")
    refused(admin.post(f"/v1/admin/schedules/{unknown}/close"), "schedule_not_found")


def test_ids_that_look_like_ours(buyer: Person, sale: Sale) -> None:
    for unknown in (
        "A" * 43,
        "A" * 42 + "B",
        "_" * 43,
        "A" * 44,
        "A" * 42,
        "=" * 43,
        "A" * 41 + "==",
    ):
        refused(buyer.api.get(f"/v1/reservations/{unknown}"), "reservation_not_found")
        refused(buyer.api.delete(f"/v1/reservations/{unknown}"), "reservation_not_found")
        refused(buyer.api.get(f"/v1/payments/{unknown}"), "payment_not_found")
        order = {"reservation_id": unknown, "method": "wallet"}
        refused(buyer.api.keyed("/v1/payments", order), "reservation_not_found")


def test_ways_of_payment(buyer: Person) -> None:
    for method in ("card", "wallets", "x" * 40, "wallet\n"):
        order = {"reservation_id": "A" * 43, "method": method}
        refused(buyer.api.keyed("/v1/payments", order), "payment_method_unknown")
    wrong_methods: list[object] = ["", "Wallet", "wal let", "wallet\u0000", "x" * 41, 1, None]
    for wrong_method in wrong_methods:
        wrong = {"reservation_id": "A" * 43, "method": wrong_method}
        refused(buyer.api.keyed("/v1/payments", wrong), "invalid")


LISTS = ["/v1/concerts", "/v1/me/reservations", "/v1/me/wallet/entries"]


def test_cursors_and_limits(buyer: Person) -> None:
    for path in LISTS:
        for limit in ("0", "-1", "101", "1.5", "x", "", "9223372036854775808", "%00", "1&limit=2"):
            refused(buyer.api.get(f"{path}?limit={limit}"), "invalid")
        for cursor in ("x", "AAAA", "%00", "%ff", "W10", "bnVsbA", "MQ", "Ii0i", "e30", "좌석"):
            quoted = cursor.encode().decode("latin-1") if cursor.isascii() else "%EC%A2%8C"
            refused(buyer.api.get(f"{path}?cursor={quoted}"), "cursor_invalid")
        refused(buyer.api.get(f"{path}?cursor={'A' * 513}"), "invalid")


def test_times_of_a_schedule(organizer: Person, sale: Sale) -> None:
    good = {"starts_at": "2030-01-01T00:00:00Z", "sale_opens_at": "2029-01-01T00:00:00Z"}
    for changed in (
        {"starts_at": "2030-01-01T00:00:00"},
        {"starts_at": "2030-13-01T00:00:00Z"},
        {"starts_at": "0001-01-01T00:00:00+23:59"},
        {"starts_at": "9999-12-31T23:59:59-23:59"},
        {"starts_at": 1893456000},
        {"starts_at": "tomorrow"},
        {"sale_closes_at": "2028-12-31T00:00:00Z"},
        {"currency": "krw"},
        {"currency": "KRWW"},
        {"currency": "KR\u0000"},
        {"currency": "KRW\n"},
        {"hold_ttl_s": 0},
        {"hold_ttl_s": 2**63},
        {"hold_ttl_s": 1.5},
        {"ticket_limit": 0},
        {"ticket_limit": 1001},
    ):
        path = f"/v1/admin/concerts/{sale.concert_id}/schedules"
        refused(organizer.api.post(path, {**good, **changed}), "invalid")


def test_texts_of_a_concert(organizer: Person) -> None:
    good = {"title": "T", "artist": "A", "venue": "V"}
    for changed in (
        {"title": ""},
        {"title": "   "},
        {"title": "x" * 201},
        {"title": "a\u0000b"},
        {"artist": "a\nb"},
        {"venue": "\u007f"},
        {"title": "\u00a0"},
        {"title": "\u0085"},
        {"title": "\u200b\u200d"},
        {"title": "\u3164"},
        {"title": "Gala \u202e"},
        {"venue": "Hall\ufeff"},
        {"artist": "A\u200d"},
        {"description": "a\u2066b"},
        {"description": "a\u0000b"},
        {"description": "x" * 10_001},
    ):
        refused(organizer.api.post("/v1/admin/concerts", {**good, **changed}), "invalid")


def test_methods_that_a_resource_does_not_have(api: Api, sale: Sale) -> None:
    for path, allowed in (
        ("/v1/users", {"POST"}),
        ("/v1/concerts", {"GET", "HEAD"}),
        (sale.seats, {"GET", "HEAD"}),
        (sale.holds, {"POST"}),
        ("/v1/reservations/x", {"DELETE", "GET", "HEAD"}),
        ("/healthz", {"GET", "HEAD"}),
    ):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE"} - allowed:
            answer = api.call(method, path)
            assert answer.status == 405, (method, path)
            assert {one.strip() for one in answer.headers["allow"].split(",")} - {
                "OPTIONS"
            } == allowed
            if method != "HEAD":
                refused(answer, "method_not_allowed")
            else:
                assert answer.raw == b""
        options = api.call("OPTIONS", path)
        assert options.status in (200, 204)
        assert options.raw == b""


def test_addresses_at_which_there_is_nothing(api: Api) -> None:
    for path in ("/nothing", "/v1", "/v2/concerts", "/v1//concerts", "/v1/concerts/x/",
                 "/docs/../etc/passwd", "/docs/%2e%2e%2fhealth.py", "/docs/none", "/%00",
                 "/%ff"):  # fmt: skip
        refused(api.get(path), "not_found")
    refused(api.post("/v1/nothing", {"a": 1}), "not_found")


def test_nul_and_garbage_in_queries_and_headers(buyer: Person) -> None:
    for query in ("%00=%00", "a=%ff", "%", "&&&", "=", "a[]=1", "limit=1;cursor=2", "%u0041"):
        answer = buyer.api.get(f"/v1/concerts?{query}")
        assert answer.status in (200, 400, 422)
    expect(buyer.api.get("/v1/concerts", headers={"If-None-Match": b"\xff\xfe"}), 200)
    expect(
        buyer.api.get("/v1/concerts", headers={"Accept": "text/html", "Accept-Encoding": "\xff"}),
        200,
    )


def test_logins_that_fail(api: Api, buyer: Person) -> None:
    answers = [
        api.post("/v1/sessions", {"email": email, "password": "wrong password"})
        for email in (buyer.email, f"{uuid4().hex}@example.test")
    ]
    for answer in answers:
        refused(answer, "credentials_invalid")
    assert answers[0].json["detail"] == answers[1].json["detail"]
