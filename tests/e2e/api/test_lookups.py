"""What is looked up again and again: ETags, 304, compression, and how long it may be kept."""

import gzip

import pytest

from .client import Answer, Api, Person, Sale, expect
from .conftest import hold, on_sale


@pytest.fixture(scope="module")
def paths(sale: Sale, organizer: Person) -> dict[str, str]:
    """Every lookup that has an ETag."""
    return {
        "/v1/concerts": "/v1/concerts?limit=3",
        "/v1/concerts/ranking": "/v1/concerts/ranking",
        "/v1/concerts/{concert_id}": f"/v1/concerts/{sale.concert_id}",
        "/v1/concerts/{concert_id}/schedules": f"/v1/concerts/{sale.concert_id}/schedules",
        "/v1/schedules/{schedule_id}": f"/v1/schedules/{sale.schedule_id}",
        "/v1/schedules/{schedule_id}/offers": f"/v1/schedules/{sale.schedule_id}/offers",
        "/v1/schedules/{schedule_id}/queue/board": f"/v1/schedules/{sale.schedule_id}/queue/board",
        "/v1/board-keys": "/v1/board-keys",
        "/v1/schedules/{schedule_id}/seats": sale.seats,
        "/v1/schedules/{schedule_id}/waiting-list": f"/v1/schedules/{sale.schedule_id}/waiting-list",
        "/v1/organizations/{organization_id}/brand": f"/v1/organizations/{organizer.user_id}/brand",
    }


def test_every_cached_lookup_is_tried_here(api: Api, paths: dict[str, str]) -> None:
    document = api.get("/openapi.json").json
    cached = {
        path
        for path, item in document["paths"].items()
        if "304" in item.get("get", {}).get("responses", {})
    }
    assert cached == set(paths)


def _asked(api: Api, path: str, *tags: str) -> list[Answer]:
    """Ask without a tag, and with each; once more where what is cached was read anew meanwhile."""
    for _ in range(10):
        found = expect(api.get(path), 200)
        known = [tag.format(etag=found.headers["etag"]) for tag in tags]
        answers = [api.get(path, headers={"If-None-Match": tag}) for tag in known]
        if expect(api.get(path), 200).raw == found.raw:
            break
    return [found, *answers]


def test_a_known_etag_is_answered_with_304(api: Api, paths: dict[str, str]) -> None:
    for path in paths.values():
        found, *same = _asked(api, path, "{etag}", '"other", W/{etag}', "*")
        etag = found.headers["etag"]
        assert etag.startswith('"')
        assert "max-age" in found.headers["cache-control"]
        for one in same:
            expect(one, 304)
            assert (one.raw, one.headers["etag"]) == (b"", etag)
            assert one.headers["cache-control"] == found.headers["cache-control"]
        found, *others = _asked(api, path, '"other"', "", found.headers["etag"].strip('"'))
        for one in others:
            assert expect(one, 200).raw == found.raw


def test_the_seat_map_is_compressed_for_who_wants_it(api: Api, sale: Sale) -> None:
    plain = expect(api.get(sale.seats), 200)
    packed = expect(api.get(sale.seats, headers={"Accept-Encoding": "gzip"}), 200)
    assert packed.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert packed.headers["etag"] != plain.headers["etag"]
    assert gzip.decompress(packed.raw) == plain.raw
    assert len(packed.raw) < len(plain.raw) / 3


def test_a_change_of_a_seat_changes_version_and_etag(
    api: Api, organizer: Person, buyer: Person
) -> None:
    sale = on_sale(organizer, 3)
    before = expect(api.get(sale.seats), 200)
    where = hold(buyer, sale, "A-1-1").headers["location"]
    expect(buyer.api.delete(where), 204)
    after = expect(api.get(sale.seats, headers={"If-None-Match": before.headers["etag"]}), 200)
    assert after.json["version"] > before.json["version"]


def test_answers_about_people_are_not_kept(buyer: Person) -> None:
    for path in ("/v1/me/wallet", "/v1/me/wallet/entries", "/v1/me/reservations"):
        assert expect(buyer.api.get(path), 200).headers["cache-control"] == "no-store"
    assert buyer.api.get("/v1/reservations/none").headers["cache-control"] == "no-store"
