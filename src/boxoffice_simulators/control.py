"""The control port of a simulator: JSON in, JSON out, for the tests and for curious people."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp import web

from boxoffice_simulators.book import DueNotice, SimulatorBook
from boxoffice_simulators.calls import CallServer
from boxoffice_simulators.errors import WireRefusal
from boxoffice_simulators.faults import FaultBoard, FaultMix, FaultRule
from boxoffice_simulators.notices import NoticeSender, NoticeStyle
from boxoffice_simulators.port import Port


class SimulatedProvider(Protocol):
    """A provider that the control port steers."""

    faults: FaultBoard
    notices: NoticeSender
    calls: CallServer

    def routes(self) -> list[web.RouteDef]:
        """Return what the shop and the buyer's browser reach."""

    def commands(self) -> Mapping[str, Callable[[dict[str, Any]], object]]:
        """Return what the control port can do at the provider, by name."""

    def payments(self) -> list[dict[str, Any]]:
        """Return every payment."""


class ControlServer:
    """The routes of the control port."""

    def __init__(
        self, book: SimulatorBook, provider: SimulatedProvider, webhook_url: str, api: Port
    ) -> None:
        self._api = api
        self._book = book
        self._provider = provider
        self._webhook_url = webhook_url
        self._provider.notices.style = NoticeStyle(url=webhook_url)

    def routes(self) -> list[web.RouteDef]:
        """Return them."""
        return [
            web.get("/book", self._get_book),
            web.get("/calls", self._get_calls),
            web.get("/notices", self._get_notices),
            web.post("/reset", self._reset),
            web.post("/faults", self._set_faults),
            web.get("/mix", self._get_mix),
            web.post("/mix", self._set_mix),
            web.post("/clock", self._advance),
            web.post("/statement", self._set_statement),
            web.post("/notices/style", self._set_style),
            web.post("/notices/flush", self._flush),
            web.post("/notices/post", self._post),
            web.post("/away", self._set_away),
            web.post("/do/{command}", self._do),
        ]

    async def _get_book(self, request: web.Request) -> web.Response:
        """Return every movement and every payment."""
        del request
        return _json(
            {
                "now": self._book.now(),
                "movements": self._book.movements(),
                "payments": self._provider.payments(),
            }
        )

    async def _get_calls(self, request: web.Request) -> web.Response:
        del request
        return _json(list(self._provider.calls.recent))

    async def _get_notices(self, request: web.Request) -> web.Response:
        del request
        return _json(self._book.notices())

    async def _reset(self, request: web.Request) -> web.Response:
        del request
        self._book.clear()
        self._provider.faults.clear()
        self._provider.calls.recent.clear()
        self._provider.notices.style = NoticeStyle(url=self._webhook_url)
        return _json({})

    async def _set_faults(self, request: web.Request) -> web.Response:
        """Set the faults in place of those before; an empty list lets everything go well at once."""
        self._provider.faults.replace(await _body(request, list[FaultRule]))
        return _json({})

    async def _get_mix(self, request: web.Request) -> web.Response:
        """Return how often the mix has struck since the last reset, by its names."""
        del request
        return _json(dict(self._provider.faults.drawn))

    async def _set_mix(self, request: web.Request) -> web.Response:
        self._provider.faults.mix = await _body(request, FaultMix)
        return _json({})

    async def _advance(self, request: web.Request) -> web.Response:
        asked = await _body(request, dict[str, float])
        self._book.advance(asked["advance_s"])
        return _json({"now": self._book.now()})

    async def _set_statement(self, request: web.Request) -> web.Response:
        asked = await _body(request, dict[str, float])
        self._book.set_statement_lag(asked["lag_s"])
        return _json({})

    async def _set_style(self, request: web.Request) -> web.Response:
        """Set where notices go and what is wrong with them; without a url, the one of the start."""
        style = await _body(request, NoticeStyle)
        style.url = style.url or self._webhook_url
        self._provider.notices.style = style
        return _json({})

    async def _flush(self, request: web.Request) -> web.Response:
        """Send all notices that wait, also early ones, and return the receiver's statuses."""
        del request
        return _json(await self._provider.notices.send_due(is_early=True))

    async def _post(self, request: web.Request) -> web.Response:
        """Send a body of the test's own, signed as the style says; return the receiver's status."""
        asked = await _body(request, dict[str, str])
        notice = DueNotice(0, asked.get("id", "forged"), asked["body"], 0)
        async with aiohttp.ClientSession() as session:
            return _json(await self._provider.notices.post(session, notice))

    async def _set_away(self, request: web.Request) -> web.Response:
        """Close the address of the provider's API, or open it again."""
        asked = await _body(request, dict[str, bool])
        await (self._api.close() if asked["is_away"] else self._api.open())
        return _json({})

    async def _do(self, request: web.Request) -> web.Response:
        command = self._provider.commands().get(request.match_info["command"])
        if command is None:
            raise web.HTTPNotFound(text="no such command")
        asked = await _body(request, dict[str, Any])
        try:
            with self._book.transaction():
                done = command(asked)
        except WireRefusal as refused:
            return web.json_response(refused.body, status=400)
        self._provider.notices.wake()
        return _json(done)


async def _body(request: web.Request, shape: Any) -> Any:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=shape)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
