"""Posters whose files are in an S3-compatible store, which checks signatures as such a store does."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from boxoffice.errors import Unavailable
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.storage.signature import AccessKey, signed_headers
from boxoffice.posters.files import object_store_of
from boxoffice.settings import PosterSettings, Settings
from tests.support.hall import Hall
from tests.unit.posters.pictures import picture

from .conftest import Make
from .test_posters import call, put

KEY = AccessKey("key-id", "secret/key+", "eu-central-1")


class Bucket:
    """The objects of a store that refuses wrong signatures, and may be out of order."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.is_broken = False

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a request for one object."""
        body = await request.read()
        if self.is_broken:
            return web.Response(status=500)
        if not self._is_signed(request, body):
            return web.Response(status=403)
        if request.method == "PUT":
            self.objects[request.path] = body, request.content_type
        elif request.method == "DELETE":
            self.objects.pop(request.path, None)
        elif request.path not in self.objects:
            return web.Response(status=404)
        else:
            return web.Response(body=self.objects[request.path][0])
        return web.Response(status=200)

    @staticmethod
    def _is_signed(request: web.Request, body: bytes) -> bool:
        given = request.headers["authorization"]
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        headers = {name: request.headers[name] for name in names}
        host = headers.pop("host")
        for name in ("x-amz-date", "x-amz-content-sha256"):
            headers.pop(name)
        wanted = signed_headers(KEY, request.method, host, request.path, headers, body, at)
        return wanted["authorization"] == given


@pytest.fixture
async def bucket() -> AsyncIterator[tuple[Bucket, str]]:
    """A store and its address."""
    made = Bucket()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", made.answer)
    server = TestServer(application)
    await server.start_server()
    yield made, str(server.make_url("")).rstrip("/")
    await server.close()


def settings_of(url: str, secret: str = KEY.secret) -> PosterSettings:
    """The settings of a process that uses the store."""
    return Settings.of(
        poster_storage="s3", s3_url=url, s3_bucket="pictures", s3_region=KEY.region,
        s3_access_key=KEY.key_id, s3_secret_key=secret, s3_timeout_ms=2_000,
    ).posters  # fmt: skip


async def test_files_are_in_the_store_and_not_in_postgresql(
    bucket: tuple[Bucket, str], make_http: Make, mine: Hall, db: Database
) -> None:
    store, url = bucket
    http = make_http(object_store_of(settings_of(url), time.time))
    poster = (await put(http, mine, picture())).json
    assert f"/pictures{poster['url']}" in store.objects
    assert store.objects[f"/pictures{poster['shared_url']}"][1] == "image/jpeg"
    rows = await db.fetch("SELECT content FROM poster_files")
    assert len(rows) == len(store.objects) == 4
    assert {row["content"] for row in rows} == {None}
    answer = await http.get(poster["url"])
    assert answer.content == store.objects[f"/pictures{poster['url']}"][0]


async def test_a_forgotten_file_leaves_the_store(
    bucket: tuple[Bucket, str], make_http: Make, mine: Hall, db: Database
) -> None:
    store, url = bucket
    http = make_http(object_store_of(settings_of(url), time.time))
    first = (await put(http, mine, picture())).json
    await call(http, "DELETE", mine.schedule_id)
    await db.fetch("UPDATE poster_files SET stored_at = stored_at - interval '25 hours'")
    second = (await put(http, mine, picture(mode="L"))).json
    assert f"/pictures{first['url']}" not in store.objects
    assert f"/pictures{second['url']}" in store.objects


async def test_a_store_that_fails_changes_nothing(
    bucket: tuple[Bucket, str], make_http: Make, mine: Hall, db: Database
) -> None:
    store, url = bucket
    store.is_broken = True
    answer = await put(make_http(object_store_of(settings_of(url), time.time)), mine, picture())
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert not await db.fetch("SELECT FROM posters")


async def test_a_wrong_key_is_refused_by_the_store(bucket: tuple[Bucket, str]) -> None:
    """The control: the store does look at signatures."""
    store = object_store_of(settings_of(bucket[1], "another"), time.time)
    with pytest.raises(Unavailable, match="403"):
        await store.put("posters/x", b"x", "image/webp")


async def test_a_store_that_is_away_is_unavailable() -> None:
    store = object_store_of(settings_of("http://127.0.0.1:1"), time.time)
    with pytest.raises(Unavailable):
        await store.get("posters/x")
