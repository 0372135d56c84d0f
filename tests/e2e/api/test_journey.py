"""The journey that drills walk: here on one server, and through a proxy that spoils an answer."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from boxoffice.app import open_services
from boxoffice.settings import Settings
from tests.journey import JourneyFailed, OnSale, set_up, walk
from tests.support.shop import free_port

from .client import Person, Sale
from .conftest import Running, on_sale

_PADDING = itertools.count()
Spoil = Callable[[str, str, web.Response], web.Response]


async def test_a_buyer_walks_from_the_first_look_to_the_ticket(server: Running) -> None:
    async def grant(email: str) -> None:
        settings = Settings.of(database_url=server.database_url, valkey_url="redis://127.0.0.1:1")
        async with open_services(settings) as application:
            await application.services.accounts.grant_role(email, "organizer")

    sale = await set_up(server.api.url, grant)
    walked = await walk(server.api.url, sale)
    assert {"look up", "queue", "release", "hold", "pay", "ticket"} < set(walked.seconds)
    # The next buyer gets another seat.
    assert (await walk(server.api.url, sale)).seat_id != walked.seat_id


@pytest.fixture(scope="module")
def sale(organizer: Person) -> Sale:
    """A concert of this file's own, without a waiting room."""
    return on_sale(organizer, 20)


def without_etag(_method: str, _path: str, answer: web.Response) -> web.Response:
    """Lose the header by which look-ups are cached."""
    answer.headers.pop("ETag", None)
    return answer


def without_rest(_method: str, path: str, answer: web.Response) -> web.Response:
    """Refuse what follows a payment."""
    return web.Response(status=502) if path.endswith("/codes") else answer


def with_other_bytes(method: str, path: str, answer: web.Response) -> web.Response:
    """Answer each hold differently, as a service without idempotency does."""
    if method == "POST" and path.endswith("/reservations") and isinstance(answer.body, bytes):
        answer.headers["X-Request-Id"] = "another-one"
        answer.body = answer.body.replace(b"{", b"{" + b" " * next(_PADDING), 1)
    return answer


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_etag, "no ETag"),
        (without_rest, "/codes answered 502"),
        (with_other_bytes, "not the first answer"),
    ],
)
async def test_the_journey_fails_where_an_edge_spoils_an_answer(
    server: Running, sale: Sale, spoil: Spoil, sentence: str
) -> None:
    async with _edge(server.api.url, spoil) as url:
        with pytest.raises(JourneyFailed, match=sentence):
            await walk(url, OnSale(sale.concert_id, sale.schedule_id))


async def test_an_address_without_a_server_is_named() -> None:
    with pytest.raises(JourneyFailed, match="GET /v1/concerts/c had no answer"):
        await walk(f"http://127.0.0.1:{free_port()}", OnSale("c", "s"))


@asynccontextmanager
async def _edge(upstream: str, spoil: Spoil) -> AsyncIterator[str]:
    """Run a proxy that passes every request on, and every answer through `spoil`."""
    async with ClientSession(upstream, auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.Response:
            body = await request.read()
            async with session.request(
                request.method, request.path_qs, data=body or None, headers=request.headers
            ) as answer:
                headers = answer.headers.copy()
                headers.popall("Content-Length", None)
                headers.popall("Transfer-Encoding", None)
                headers.popall("Date", None)
                passed = web.Response(
                    status=answer.status, headers=headers, body=await answer.read()
                )
            return spoil(request.method, request.path, passed)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(application)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()
