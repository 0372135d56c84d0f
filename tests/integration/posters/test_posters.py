"""Posters over HTTP: whose they are, what is refused, and how their files are served."""

from io import BytesIO
from uuid import UUID, uuid4

from PIL import Image

from boxoffice.platform.postgres.database import Database
from tests.support.connection import Client, Result
from tests.support.hall import Hall
from tests.unit.posters.pictures import SVG, bomb, picture

from .conftest import Make


async def call(
    http: Client, method: str, concert_id: UUID, who: str = "mine", kind: str = "", **given: object
) -> Result:
    """Call the operation on a concert's poster."""
    headers = {"Authorization": f"Bearer {who}"} | ({"Content-Type": kind} if kind else {})
    path = f"/v1/admin/concerts/{concert_id}/poster"
    return await http.request(method, path, headers=headers, **given)  # type: ignore[arg-type]


async def put(
    http: Client, hall: Hall, raw: bytes, kind: str = "image/jpeg", who: str = "mine"
) -> Result:
    """Upload a poster."""
    return await call(http, "PUT", hall.schedule_id, who, kind, body=raw)


async def test_an_upload_is_served_in_sizes_that_never_change(http: Client, mine: Hall) -> None:
    made = await put(http, mine, picture(800, 1000))
    assert made.status_code == 200
    poster = made.json
    assert (poster["width"], poster["height"]) == (800, 1000)
    sources = [one.split() for one in poster["srcset"].split(", ")]
    assert [size for _, size in sources] == ["320w", "480w", "720w", "800w"]
    assert sources[-1][0] == poster["url"]
    for path in [*(path for path, _ in sources), poster["shared_url"]]:
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        served = Image.open(BytesIO(answer.content))
        assert answer.headers["content-type"] == f"image/{str(served.format).lower()}"
        etag = answer.headers["etag"]
        again = await http.get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")


async def test_another_picture_has_another_address_and_keeps_its_texts(
    http: Client, mine: Hall
) -> None:
    first = (await put(http, mine, picture())).json
    texts = {"alt": "Ein Chor", "alt_ko": "합창단"}
    described = await call(http, "PATCH", mine.schedule_id, json=texts)
    assert described.status_code == 200
    assert (described.json["alt"], described.json["alt_en"]) == ("Ein Chor", None)
    second = (await put(http, mine, picture(mode="L"))).json
    assert second["url"] != first["url"]
    assert (second["alt"], second["alt_ko"]) == ("Ein Chor", "합창단")
    # Pages that were loaded before still show the first one.
    assert (await http.get(first["url"])).status_code == 200
    same = (await put(http, mine, picture(mode="L"), "image/png")).json
    assert same["url"] == second["url"]


async def test_a_file_without_a_poster_is_forgotten_after_a_day(
    http: Client, make_http: Make, mine: Hall, other: Hall, db: Database
) -> None:
    first = (await put(http, mine, picture())).json
    kept = (await put(http, other, picture(mode="L"), who="other")).json
    await put(http, mine, picture(700, 900))
    await db.fetch("UPDATE poster_files SET stored_at = stored_at - interval '25 hours'")
    last = (await put(http, mine, picture(500, 700))).json
    fresh = make_http()
    assert (await fresh.get(first["url"])).status_code == 404
    assert (await fresh.get(kept["url"])).status_code == 200
    assert (await fresh.get(last["url"])).status_code == 200


async def test_a_poster_is_its_organizers(http: Client, mine: Hall, other: Hall) -> None:
    for who, concert_id in (("other", mine.schedule_id), ("mine", uuid4())):
        for method, given in (
            ("GET", {}),
            ("PUT", {"kind": "image/jpeg", "body": picture()}),
            ("PATCH", {"json": {"alt": "x"}}),
            ("DELETE", {}),
        ):
            answer = await call(http, method, concert_id, who, **given)
            assert (answer.status_code, answer.json["code"]) == (404, "concert_not_found")


async def test_an_organizer_and_an_operator_look_at_the_poster_of_a_draft(
    http: Client, mine: Hall, other: Hall, db: Database
) -> None:
    draft = "UPDATE concerts SET status = 'DRAFT', published_at = NULL WHERE concert_id = $1"
    await db.fetch(draft, mine.schedule_id)
    await put(http, other, picture(400, 500), who="other")
    assert (await call(http, "GET", mine.schedule_id)).json == {"poster": None}
    made = (await put(http, mine, picture())).json
    for who in ("mine", "operator"):
        assert (await call(http, "GET", mine.schedule_id, who)).json == {"poster": made}


async def test_what_is_missing_is_not_found(http: Client, mine: Hall, other: Hall) -> None:
    answer = await call(http, "PATCH", mine.schedule_id, json={"alt": "x"})
    assert (answer.status_code, answer.json["code"]) == (404, "poster_not_found")
    poster = (await put(http, mine, picture())).json
    await put(http, other, picture(), who="other")
    assert (await call(http, "DELETE", mine.schedule_id)).status_code == 204
    assert (await call(http, "DELETE", mine.schedule_id)).status_code == 204
    texts = {"alt": "Still there"}
    left = await call(http, "PATCH", other.schedule_id, "other", json=texts)
    assert left.json["url"] == poster["url"]
    assert (await call(http, "PATCH", mine.schedule_id, json=texts)).status_code == 404
    folder = poster["url"].rpartition("/")[0]
    for path in (
        f"{folder}/481.webp", f"{folder}/x.webp", f"{folder}/..%2f320.webp", f"{folder}/0320.webp",
        "/posters/" + "0" * 32 + "/320.webp", "/posters/x/320.webp",
    ):  # fmt: skip
        assert (await http.get(path)).status_code == 404, path


REFUSED = [
    (SVG, "image/svg+xml", 415, "media_type_unsupported"),
    (SVG, "image/png", 422, "poster_invalid"),
    (b"GIF89a", "image/gif", 415, "media_type_unsupported"),
    (b"{}", "application/json", 415, "media_type_unsupported"),
    (b"<html>", "image/jpeg", 422, "poster_invalid"),
    (bomb(), "image/png", 422, "poster_invalid"),
    (b"\0" * 20_000_000, "image/jpeg", 413, "body_too_large"),
]


async def test_what_is_no_poster_is_refused(http: Client, mine: Hall, db: Database) -> None:
    for raw, kind, status, code in REFUSED:
        answer = await put(http, mine, raw, kind)
        assert (answer.status_code, answer.json["code"]) == (status, code), (kind, raw[:20])
    assert not await db.fetch("SELECT FROM poster_files")


async def test_actions_are_logged(http: Client, mine: Hall, db: Database) -> None:
    await put(http, mine, picture())
    await call(http, "PATCH", mine.schedule_id, json={"alt": "x"})
    await call(http, "DELETE", mine.schedule_id)
    rows = await db.fetch("SELECT action FROM logbook ORDER BY entry_id")
    actions = [row["action"] for row in rows]
    assert actions == ["poster.uploaded", "poster.described", "poster.removed"]
