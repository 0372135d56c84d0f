"""The catalog over HTTP: what is declared, cached, compressed, and refused."""

import gzip
import json
from base64 import urlsafe_b64encode
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from boxoffice.catalog.organizer_routes import SeatMapBody
from boxoffice.catalog.routes import routes
from boxoffice.catalog.rules import hall
from boxoffice.http.api import openapi
from boxoffice.http.api.headers import accepts_gzip
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.http.streams import Streams, limits_of
from boxoffice.seats import routes as seat_routes
from tests.support.connection import Client, Result

from .support import Shop

Http = Client
CONCERT = {"title": "T", "artist": "A", "venue": "V"}
SCHEDULE = {"starts_at": "2031-01-01T19:00:00+09:00", "sale_opens_at": "2020-01-01T00:00:00Z"}
CSV = "section,row,number,grade,price\nA,1,1,R,1000\nA,1,2,R,1000\n"


async def post(
    http: Http, path: str, who: str = "organizer", kind: str = "application/json", **given: Any
) -> Result:
    headers = {"Authorization": f"Bearer {who}"} if who else {}
    if given:
        headers["Content-Type"] = kind
    if "json" in given:
        given["body"] = json.dumps(given.pop("json"))
    return await http.post(path, headers=headers, **given)


async def draft(http: Http) -> tuple[str, str]:
    concert_id = (await post(http, "/v1/admin/concerts", json=CONCERT)).json["concert_id"]
    made = await post(http, f"/v1/admin/concerts/{concert_id}/schedules", json=SCHEDULE)
    assert made.status_code == 201
    return concert_id, made.json["schedule_id"]


async def test_the_whole_way_of_an_organizer(http: Http) -> None:
    made = await post(http, "/v1/admin/concerts", json={**CONCERT, "description": "a\nb"})
    assert made.status_code == 201
    assert made.json["status"] == "DRAFT"
    assert made.headers["cache-control"] == "no-store"
    concert = f"/v1/concerts/{made.json['concert_id']}"
    admin_concert = f"/v1/admin/concerts/{made.json['concert_id']}"

    scheduled = await post(http, f"{admin_concert}/schedules", json=SCHEDULE)
    assert scheduled.status_code == 201
    assert scheduled.json["starts_at"] == "2031-01-01T10:00:00Z"
    assert scheduled.json["currency"] == "KRW"
    assert (scheduled.json["hold_ttl_s"], scheduled.json["ticket_limit"]) == (300, 10)
    schedule_id = scheduled.json["schedule_id"]
    admin_schedule = f"/v1/admin/schedules/{schedule_id}"

    csv = await post(http, f"{admin_schedule}/seats", kind="text/csv; charset=utf-8", body=CSV)
    assert csv.status_code == 201
    assert csv.json == {"schedule_id": schedule_id, "seats_added": 2, "seats_total": 2}
    entry = {"section": "B", "row": "1", "number": 1, "grade": "S", "price": 0}
    added = await post(http, f"{admin_schedule}/seats", json={"seats": [entry]})
    assert added.json["seats_total"] == 3

    assert (await http.get(concert)).json["code"] == "concert_not_found"
    assert (await http.get(f"{concert}/schedules")).status_code == 404
    assert (await http.get(f"/v1/schedules/{schedule_id}/seats")).status_code == 404
    assert (await post(http, f"{admin_concert}/publish")).json["status"] == "PUBLISHED"
    opened = await post(http, f"{admin_schedule}/open")
    assert opened.json == {"schedule_id": schedule_id, "status": "OPEN"}

    assert (await http.get(concert)).json["description"] == "a\nb"
    (item,) = (await http.get("/v1/concerts")).json["items"]
    assert item["first_starts_at"] == "2031-01-01T10:00:00Z"
    (listed,) = (await http.get(f"{concert}/schedules")).json["items"]
    assert listed["on_sale"] is True
    assert listed["price_max"] == {"amount": 1000, "currency": "KRW"}
    seats = (await http.get(f"/v1/schedules/{schedule_id}/seats")).json["seats"]
    assert [one["seat_id"] for one in seats] == ["A-1-1", "A-1-2", "B-1-1"]
    assert (await post(http, f"{admin_schedule}/close")).json["status"] == "CLOSED"


async def test_pages_have_cursors(http: Http, shop: Shop) -> None:
    made = [str((await shop.on_sale(1)).concert_id) for _ in range(3)]
    first = (await http.get("/v1/concerts?limit=2")).json
    assert [one["concert_id"] for one in first["items"]] == made[:0:-1]
    second = await http.get(f"/v1/concerts?limit=2&cursor={first['next_cursor']}")
    assert [one["concert_id"] for one in second.json["items"]] == made[:1]
    assert second.json["next_cursor"] is None


async def test_a_foreign_cursor_is_refused(http: Http) -> None:
    nil = b'"00000000-0000-0000-0000-000000000000"'
    for place in (b"x", b"[1]", b"[-1,%b]" % nil, b"[99999999999999999999,%b]" % nil,
                  b'["2020-01-01T00:00:00Z",%b]' % nil, b"\xff"):  # fmt: skip
        cursor = urlsafe_b64encode(place).decode().rstrip("=")
        answer = await http.get("/v1/concerts", params={"cursor": cursor})
        assert (answer.status_code, answer.json["code"]) == (400, "cursor_invalid"), place


async def test_lookups_carry_an_etag(http: Http, shop: Shop) -> None:
    sold = await shop.on_sale(3)
    paths = ("/v1/concerts", f"/v1/concerts/{sold.concert_id}",
             f"/v1/concerts/{sold.concert_id}/schedules")  # fmt: skip
    for path in (*paths, f"/v1/schedules/{sold.schedule_id}/seats"):
        first = await http.get(path)
        etag = first.headers["etag"]
        assert etag.startswith('"')
        kept = first.headers["cache-control"]
        assert "public" in kept.split(", ")
        assert "max-age=" in kept
        again = await http.get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == kept
        other = await http.get(path, headers={"If-None-Match": '"other"'})
        assert other.content == first.content


async def test_a_seat_that_is_taken_changes_the_etag(http: Http, shop: Shop) -> None:
    sold = await shop.on_sale(3)
    path = f"/v1/schedules/{sold.schedule_id}/seats"
    etag = (await http.get(path)).headers["etag"]
    await shop.hold(sold.schedule_id, [hall(3)[0].seat_id], uuid4())
    shop.clock.advance(shop.settings.seats.seats_cache_ms / 1000)
    answer = await http.get(path, headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert [one["status"] for one in answer.json["seats"]] == ["HELD", "AVAILABLE", "AVAILABLE"]


async def test_seat_maps_are_compressed_on_request(http: Http, shop: Shop) -> None:
    sold = await shop.on_sale(200)
    path = f"/v1/schedules/{sold.schedule_id}/seats"
    plain = await http.get(path)
    packed = await http.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 4
    assert packed.headers["etag"] != plain.headers["etag"]
    again = await http.get(
        path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("header", "accepted"),
    [(None, False), ("", False), ("gzip", True), ("GZIP ; q=1", True), ("gzip;q=0", False),
     ("gzip;q=0.000", False), ("gzip;q=0.001", True), ("*", True), ("*;q=0", False),
     ("*, gzip;q=0", False), ("br, deflate", False), ("identity", False)],
)  # fmt: skip
def test_accept_encoding(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


async def test_unknown_ids(http: Http) -> None:
    for bad in ("x", "00000000-0000-0000-0000-000000000000", "%00", "가"):
        for path, code in [
            (f"/v1/concerts/{bad}", "concert_not_found"),
            (f"/v1/concerts/{bad}/schedules", "concert_not_found"),
            (f"/v1/schedules/{bad}/seats", "schedule_not_found"),
        ]:
            answer = await http.get(path)
            assert (answer.status_code, answer.json["code"]) == (404, code), path
        for path in (f"/v1/admin/schedules/{bad}/open", f"/v1/admin/schedules/{bad}/close"):
            assert (await post(http, path)).json["code"] == "schedule_not_found", path
        publish = await post(http, f"/v1/admin/concerts/{bad}/publish")
        assert publish.json["code"] == "concert_not_found"


async def test_commands_are_for_organizers(http: Http) -> None:
    some = "00000000-0000-0000-0000-000000000000"
    for path in ("concerts", f"concerts/{some}/schedules", f"concerts/{some}/publish",
                 f"schedules/{some}/seats", f"schedules/{some}/open",
                 f"schedules/{some}/close"):  # fmt: skip
        for who, status in (("", 401), ("forged", 401), ("buyer", 403)):
            answer = await post(http, f"/v1/admin/{path}", who=who, json={})
            assert answer.status_code == status, path


async def test_another_organizers_concert_is_not_found(http: Http) -> None:
    concert_id, schedule_id = await draft(http)
    commands: list[tuple[str, dict[str, Any]]] = [
        (f"concerts/{concert_id}/schedules", {"json": SCHEDULE}),
        (f"concerts/{concert_id}/publish", {}),
        (f"schedules/{schedule_id}/seats", {"kind": "text/csv", "body": CSV}),
        (f"schedules/{schedule_id}/open", {}),
        (f"schedules/{schedule_id}/close", {}),
    ]
    for path, given in commands:
        answer = await post(http, f"/v1/admin/{path}", who="other", **given)
        assert answer.status_code == 404, path


ENTRY = {"section": "A", "row": "1", "number": 1, "grade": "R", "price": 1}
REPEATED = json.dumps({"seats": [ENTRY]}).replace('"row"', '"section": "B", "row"')
BAD_MAPS: list[tuple[Any, int, dict[str, Any]]] = [
    ({"seats": []}, 422, {}),
    ({}, 422, {}),
    ({"seats": [ENTRY], "more": 1}, 422, {}),
    ({"seats": [1]}, 422, {"index": 0}),
    ([], 422, {}),
    ("{", 400, {}),
    ("", 400, {}),
    ("[" * 100_000, 400, {}),
    ('{"seats": ' + "[" * 100_000, 400, {}),
    ('{"seats": [], "seats": []}', 422, {}),
    (REPEATED, 400, {}),
    ('{"seats": [{"section": "\\ud800"}]}', 400, {}),
    (b'{"seats": [{"section": "\xff"}]}', 400, {}),
    ({"seats": [{**ENTRY, "price": 1.5}]}, 422, {"index": 0}),
    ({"seats": [{**ENTRY, "price": "1"}]}, 422, {"index": 0}),
    ({"seats": [{**ENTRY, "price": -1}]}, 422, {"index": 0}),
    ({"seats": [ENTRY, {**ENTRY, "number": 2, "price": 2**63}]}, 422, {"index": 1}),
    ({"seats": [ENTRY, {**ENTRY, "number": 0}]}, 422, {"index": 1}),
    ({"seats": [{**ENTRY, "section": "A\x00"}]}, 422, {"index": 0}),
    ({"seats": [{**ENTRY, "section": "A\n"}]}, 422, {"index": 0}),
    ({"seats": [{**ENTRY, "seat_id": "a b"}]}, 422, {"index": 0}),
    ({"seats": [{**ENTRY, "color": 1}]}, 422, {"index": 0}),
    ({"seats": [{}]}, 422, {"index": 0}),
    ({"seats": [ENTRY, ENTRY]}, 422, {"index": 1, "first_index": 0}),
]


async def test_json_maps_that_are_refused_name_their_index(http: Http) -> None:
    _, schedule_id = await draft(http)
    path = f"/v1/admin/schedules/{schedule_id}/seats"
    for body, status, extra in BAD_MAPS:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        answer = await post(http, path, body=text)
        assert answer.status_code == status, text[:200]
        assert extra.items() <= answer.json.items(), text[:200]
    good = await post(http, path, kind="text/csv", body=CSV)
    assert good.json["seats_total"] == 2


async def test_csv_maps_that_are_refused_name_their_line(http: Http) -> None:
    _, schedule_id = await draft(http)
    path = f"/v1/admin/schedules/{schedule_id}/seats"
    answer = await post(http, path, kind="text/csv", body=CSV + "A,1,2,R,1\n")
    assert answer.status_code == 422
    assert answer.json["code"] == "seat_map_invalid"
    assert (answer.json["line"], answer.json["first_line"]) == (4, 3)
    await post(http, path, kind="text/csv", body=b"\xef\xbb\xbf" + CSV.encode())
    again = await post(http, path, kind="text/csv", body=CSV)
    assert (again.status_code, again.json["code"]) == (409, "seat_exists")
    assert sorted(again.json["seat_ids"]) == ["A-1-1", "A-1-2"]


async def test_media_types_and_sizes(http: Http, shop: Shop) -> None:
    _, schedule_id = await draft(http)
    path = f"/v1/admin/schedules/{schedule_id}/seats"
    for kind in ("text/plain", "application/xml", "multipart/form-data"):
        answer = await post(http, path, kind=kind, body=CSV)
        assert (answer.status_code, answer.json["code"]) == (415, "media_type_unsupported")
    large = b"x" * (shop.settings.catalog.seat_map_max_bytes + 1)
    assert (await post(http, path, kind="text/csv", body=large)).status_code == 413


BAD_SCHEDULES: list[dict[str, Any]] = [
    {"starts_at": "2031-01-01T19:00:00"},
    {"starts_at": "2031-01-01"},
    {"starts_at": 0},
    {"starts_at": "0001-01-01T00:00:00+09:00"},
    {"starts_at": "9999-12-31T23:59:59-09:00"},
    {"starts_at": "2031-02-30T00:00:00Z"},
    {"starts_at": None},
    {"sale_closes_at": "2020-01-01T00:00:00Z"},
    {"currency": "krw"},
    {"currency": "KRW\n"},
    {"currency": ""},
    {"hold_ttl_s": 0},
    {"hold_ttl_s": 86_401},
    {"hold_ttl_s": 1.5},
    {"ticket_limit": 0},
    {"ticket_limit": 1001},
    {"ticket_limit": 2**63},
    {"unknown": 1},
]


async def test_schedules_that_are_refused(http: Http) -> None:
    concert_id, _ = await draft(http)
    path = f"/v1/admin/concerts/{concert_id}/schedules"
    for changed in BAD_SCHEDULES:
        answer = await post(http, path, json={**SCHEDULE, **changed})
        assert (answer.status_code, answer.json["code"]) == (422, "invalid"), changed
        assert answer.json["errors"]


BAD_CONCERTS: list[dict[str, Any]] = [
    {"title": ""},
    {"title": " "},
    {"title": "a\x00"},
    {"title": "a\nb"},
    {"title": "a\n"},
    {"title": "x" * 201},
    {"title": 1},
    {"venue": None},
    {"description": "\x00"},
    {"more": 1},
]


async def test_concerts_that_are_refused(http: Http) -> None:
    for changed in BAD_CONCERTS:
        answer = await post(http, "/v1/admin/concerts", json={**CONCERT, **changed})
        assert (answer.status_code, answer.json["code"]) == (422, "invalid"), changed


async def test_states_that_refuse(http: Http) -> None:
    concert_id, schedule_id = await draft(http)
    concert, admin = f"/v1/admin/concerts/{concert_id}", f"/v1/admin/schedules/{schedule_id}"

    async def code(path: str, **given: Any) -> tuple[int, str]:
        answer = await post(http, path, **given)
        return answer.status_code, answer.json["code"]

    assert await code(f"{concert}/publish") == (409, "not_publishable")
    assert await code(f"{admin}/open") == (409, "schedule_not_openable")
    assert await code(f"{admin}/close") == (409, "not_on_sale")
    await post(http, f"{admin}/seats", kind="text/csv", body=CSV)
    await post(http, f"{concert}/publish")
    assert await code(f"{concert}/publish") == (409, "already_published")
    await post(http, f"{admin}/open")
    refused = await code(f"{admin}/seats", kind="text/csv", body=CSV)
    assert refused == (409, "seat_map_locked")


async def test_the_routes_describe_themselves(shop: Shop) -> None:
    dependencies = RouteDependencies(lambda _: shop, 1, 1)  # type: ignore[arg-type, return-value]
    streams = Streams(limits_of(shop.settings.streams))
    made = [
        *routes(shop.catalog, dependencies, shop.settings),
        *seat_routes.routes(shop.seats, dependencies, shop.settings.seats, streams),
    ]
    described = openapi.document(made, "0")
    upload = described["paths"]["/v1/admin/schedules/{schedule_id}/seats"]["post"]
    assert set(upload["requestBody"]["content"]) == {"application/json", "text/csv"}
    assert {"401", "403", "404", "409", "413", "415", "422"} <= set(upload["responses"])
    assert len(described["paths"]) == 15
    assert msgspec.json.schema(SeatMapBody)
