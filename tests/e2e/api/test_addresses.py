"""What addresses mean: HEAD beside GET, encoded characters, addresses that lead nowhere, the icon."""

import http.client
import struct
from uuid import uuid4

import pytest

from .client import Answer, Api, Person, Sale, expect, refused
from .test_pipeline import PLAIN, SPECIAL, ask, shown

# What may differ from one answer to the next.
_OWN = {"date", "x-request-id"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def same_head(api: Api, path: str, headers: dict[str, str] | None = None) -> Answer:
    """Ask with GET and with HEAD; return what GET is answered, if HEAD is answered the same."""
    got = api.call("GET", path, headers=headers or {})
    for _ in range(10):
        head = api.call("HEAD", path, headers=headers or {})
        before, got = got, api.call("GET", path, headers=headers or {})
        # What is cached may be read anew between two requests.
        if _kept(before) == _kept(got):
            break
    assert head.raw == b""
    assert head.status == got.status
    assert _kept(got) == _kept(head), path
    return got


def _kept(answer: Answer) -> dict[str, str]:
    # The length of a problem has the length of the request's id in it.
    own = _OWN | ({"content-length"} if answer.status >= 400 else set())
    return {k: v for k, v in answer.headers.items() if k not in own}


OPEN = ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/payments", "/", "/login", "/me",
        "/concerts/any", "/organizer/anything", "/v1/concerts", "/v1/clock", "/assets/boot.js",
        "/favicon.ico"]  # fmt: skip


@pytest.mark.parametrize("path", OPEN)
def test_head_is_answered_wherever_get_is(api: Api, path: str) -> None:
    answer = same_head(api, path)
    assert answer.status == 200
    assert int(answer.headers["content-length"]) == len(answer.raw)


def test_head_is_answered_like_get_also_where_it_is_refused(
    api: Api, buyer: Person, sale: Sale
) -> None:
    seats = same_head(api, sale.seats, {"Accept-Encoding": "gzip"})
    same_head(api, sale.seats, {"If-None-Match": seats.headers["etag"]})
    same_head(api, f"/v1/concerts/{sale.concert_id}")
    same_head(buyer.api, "/v1/me/wallet")
    assert same_head(api, "/v1/me/wallet").code == "unauthenticated"
    assert same_head(api, f"/v1/concerts/{uuid4()}").code == "concert_not_found"
    assert same_head(api, "/nowhere").code == "not_found"
    assert api.call("HEAD", "/metrics").status == 200


def test_head_of_a_stream_ends(api: Api, sale: Sale) -> None:
    path = f"/v1/schedules/{sale.schedule_id}/seats/events"
    head = api.call("HEAD", path)
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in head.headers
    connection = http.client.HTTPConnection(api.host, api.port, timeout=20)
    try:
        connection.request("GET", path)
        got = {name.lower(): value for name, value in connection.getresponse().getheaders()}
    finally:
        connection.close()
    assert {k: v for k, v in got.items() if k not in _OWN} == {
        k: v for k, v in head.headers.items() if k not in _OWN
    }
    assert api.call("HEAD", f"/v1/schedules/{uuid4()}/seats/events").status == 404


@pytest.mark.parametrize("path", ["/healthz", "/v1/concerts", "/favicon.ico", "/docs"])
def test_what_is_allowed_names_head(api: Api, path: str) -> None:
    for method in ("DELETE", "PUT"):
        refusal = refused(api.call(method, path), "method_not_allowed")
        assert {"GET", "HEAD"} <= set(refusal.headers["allow"].split(", "))
    assert {"GET", "HEAD"} <= set(api.call("OPTIONS", path).headers["allow"].split(", "))


# Each is one character apart from an address that is known.
ENCODED = [
    "/v1%2Fconcerts", "/v1%2fconcerts", "/v1/concerts%2F{concert_id}",
    "/v1/concerts/{concert_id}%2Fschedules", "/v1/concerts/{concert_id}%3Fa=b", "/v1/concerts%00",
    "/v1/concerts%20", "/v1/concerts%23", "/v1/concerts;a=b", "/v1/./concerts", "/v1/x/../concerts",
    "//v1/concerts", "/v1//concerts", "/v1/concerts/", "/v1/concerts//schedules", "/v1/concerts%",
    "/v1/concerts%zz", "/v1/concerts%f", "/v1/concerts%ff", "/v1/concerts%c0%af", "/V1/concerts",
    "/v1%5Cconcerts", "/v1/%2e%2e/healthz", "/docs%2Fstart.js", "/docs/..%2Fstart.js",
]  # fmt: skip


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
@pytest.mark.parametrize("path", ENCODED)
def test_what_only_resembles_an_address_leads_nowhere(
    api: Api, sale: Sale, path: str, way: tuple[bytes, ...]
) -> None:
    answer = ask(api, "GET", path.format(concert_id=sale.concert_id), way)
    assert answer.status == 404
    assert answer.code in ("not_found", "concert_not_found")


@pytest.mark.parametrize("way", [PLAIN, SPECIAL], ids=["plain", "repeated field"])
def test_an_encoded_slash_is_part_of_its_segment(
    api: Api, sale: Sale, way: tuple[bytes, ...]
) -> None:
    assert ask(api, "GET", "/v1/concerts/a%2Fb", way).code == "concert_not_found"
    assert ask(api, "GET", "/v1/concerts/a/b", way).code == "not_found"
    assert ask(api, "GET", "/concerts/a%2Fb", way).status == 200  # A page; its script finds out.


def test_what_means_the_same_is_the_same(api: Api, sale: Sale) -> None:
    plain = ask(api, "GET", "/v1/concerts", PLAIN)
    for path in ("/v1/%63oncerts", "/%761/concert%73"):
        for way in (PLAIN, SPECIAL):
            assert shown(ask(api, "GET", path, way)) == shown(plain)
    dashed = sale.concert_id.replace("-", "%2D")
    for way in (PLAIN, SPECIAL):
        assert ask(api, "GET", f"/v1/concerts/{dashed}", way).status == 200


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nowhere", "/concerts", "/a%2Fb", "/%zz"])
def test_people_who_are_lost_see_a_page(api: Api, path: str) -> None:
    page = api.call("GET", path, headers={"Accept": BROWSER})
    assert page.status == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert set(page.headers["vary"].split(", ")) == {"Accept", "Accept-Encoding"}
    text = page.raw.decode()
    assert "There is no page at this address" in text
    assert "이 주소에는 페이지가 없습니다" in text
    assert 'href="/"' in text
    assert 'id="app"' in text
    assert "<title>Page not found · 페이지를 찾을 수 없습니다</title>" in text
    assert 'name="robots" content="noindex"' in text
    assert page.headers["cache-control"] == "no-store"
    assert "nowhere" not in text  # Nothing of the address is in the page.
    head = api.call("HEAD", path, headers={"Accept": BROWSER})
    assert (head.status, head.raw) == (404, b"")
    assert head.headers["content-length"] == str(len(page.raw))
    assert expect(api.get("/"), 200).raw.decode().count("There is no page") == 0


def test_people_at_an_address_of_programs_see_a_page(api: Api) -> None:
    page = api.call("GET", "/v1/sessions", headers={"Accept": BROWSER})
    assert page.status == 405
    assert page.headers["allow"] == "DELETE, POST, OPTIONS"
    assert "This address is for programs" in page.raw.decode()
    refused(api.get("/v1/sessions"), "method_not_allowed")


@pytest.mark.parametrize(
    "accept",
    [None, "*/*", "application/json", "application/json, text/plain, */*", "text/*",
     "application/json, text/html;q=0.9", "text/html;q=0, */*", "application/problem+json"],
)  # fmt: skip
def test_programs_that_are_lost_get_a_problem(api: Api, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    for path in ("/nowhere", "/v1/nowhere"):
        refused(api.call("GET", path, headers=headers), "not_found")
    # What a program does is never answered with a page.
    refused(api.call("POST", "/v1/nowhere", body=b"{}", headers={"Accept": BROWSER}), "not_found")


def test_what_is_no_address_problem_stays_a_problem(api: Api) -> None:
    headers = {"Accept": BROWSER}
    refused(api.call("GET", f"/v1/concerts/{uuid4()}", headers=headers), "concert_not_found")
    refused(api.call("DELETE", "/v1/concerts", headers=headers), "method_not_allowed")


def test_the_icon_is_one(api: Api) -> None:
    icon = expect(api.get("/favicon.ico"), 200)
    assert icon.headers["content-type"] == "image/x-icon"
    reserved, kind, count = struct.unpack_from("<HHH", icon.raw)
    assert (reserved, kind) == (0, 1)
    sizes = set()
    for at in range(count):
        width, height, *_, size, begin = struct.unpack_from("<BBBBHHII", icon.raw, 6 + 16 * at)
        image = icon.raw[begin : begin + size]
        assert len(image) == size
        assert width == height
        sizes.add(width)
        if image.startswith(b"\x89PNG"):
            assert struct.unpack_from(">II", image, 16) == (width, height)
    assert {16, 32} <= sizes
