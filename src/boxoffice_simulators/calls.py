"""How a simulator answers a call: authentication, idempotency, the effect, and the faults around it."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from aiohttp import web

from boxoffice_simulators.book import SimulatorBook
from boxoffice_simulators.errors import WireRefusal
from boxoffice_simulators.faults import CallPlan, FaultBoard
from boxoffice_simulators.notices import NoticeSender

_CALLS_KEPT = 10_000
_HUGE_BYTES = 1 << 20


class SimulatedCall(msgspec.Struct):
    """A call to the provider's API: its operation, path values, query, body and faults."""

    operation: str
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    plan: CallPlan
    key: str = ""


Effect = Callable[[SimulatedCall], object]


class WireFormat(Protocol):
    """What differs between providers in the answer to any call."""

    stores_failures: bool
    compares_requests: bool
    keys_valid_s: float
    key_max: int

    def authorize(self, header: str) -> None:
        """Raise `WireRefusal` unless the Authorization header has the secret key."""

    def parse(self, body: bytes, content_type: str) -> dict[str, Any]:
        """Return the parameters of a body; raise `WireRefusal`."""

    def order_of(self, call: SimulatedCall) -> str:
        """Return the order that a call is about, or an empty text."""

    def error(self, status: int, code: str) -> WireRefusal:
        """Return an error in the provider's form."""

    def spoil(self, answer: Any, what: str) -> Any:
        """Return the answer with a wrong currency or amount."""


class CallServer:
    """Answers the calls of one provider; `recent` lists them for the tests."""

    def __init__(
        self, book: SimulatorBook, wire: WireFormat, faults: FaultBoard, notices: NoticeSender
    ) -> None:
        self._book = book
        self._wire = wire
        self._faults = faults
        self._notices = notices
        self._in_progress: set[str] = set()
        self.recent: deque[dict[str, str]] = deque(maxlen=_CALLS_KEPT)

    def route(self, method: str, path: str, operation: str, effect: Effect) -> web.RouteDef:
        """Return a route of the API."""

        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._respond(request, operation, effect)

        return web.route(method, path, answer)

    async def _respond(
        self, request: web.Request, operation: str, effect: Effect
    ) -> web.StreamResponse:
        raw = await request.read()
        key = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
        self.recent.append(
            {"operation": operation, "method": request.method, "path": request.path, "key": key}
        )
        try:
            self._wire.authorize(request.headers.get("Authorization", ""))
            call = self._call(request, raw, operation, key)
        except WireRefusal as refused:
            return web.json_response(refused.body, status=refused.status)
        plan = call.plan
        in_progress = f"{request.path} {key}"
        if key and in_progress in self._in_progress:
            body = self._wire.error(409, "processing").body
            return web.json_response(body, status=409)
        self._in_progress.add(in_progress)
        try:
            await plan.delay("delay_before")
            if plan.has("drop_before"):
                return _dropped(request)
            status, text, is_replay = self._decide(call, request, raw, effect)
            self._notices.wake()
            if plan.has("notice_first"):
                await self._notices.send_due()
            await plan.delay("delay_after")
        finally:
            self._in_progress.discard(in_progress)
        if plan.has("drop_after"):
            return _dropped(request)
        return await _spoiled(request, plan, status, text, is_replay=is_replay)

    def _call(self, request: web.Request, raw: bytes, operation: str, key: str) -> SimulatedCall:
        if len(key) > self._wire.key_max:
            raise self._wire.error(400, "INVALID_IDEMPOTENCY_KEY")
        body = self._wire.parse(raw, request.content_type) if raw else {}
        unplanned = CallPlan([], asyncio.Event())
        call = SimulatedCall(
            operation, dict(request.match_info), dict(request.query), body, unplanned, key
        )
        call.plan = self._faults.plan(operation, self._wire.order_of(call))
        return call

    def _decide(
        self, call: SimulatedCall, request: web.Request, raw: bytes, effect: Effect
    ) -> tuple[int, str, bool]:
        """Return status, body and whether it is a stored answer; effect and answer commit as one."""
        scope = f"{request.method} {request.path} {call.key}"
        asked = hashlib.sha256(raw).hexdigest()
        with self._book.transaction():
            stored = self._book.answer(scope) if call.key else None
            if stored and self._book.now() - stored.answered_at < self._wire.keys_valid_s:
                if self._wire.compares_requests and stored.request != asked:
                    refused = self._wire.error(400, "idempotency_error")
                    return refused.status, _encoded(refused.body), False
                return stored.status, stored.body, True
        status, body = self._effected(call, effect, scope, asked)
        return status, body, False

    def _effected(
        self, call: SimulatedCall, effect: Effect, scope: str, asked: str
    ) -> tuple[int, str]:
        with self._book.transaction():
            status, body = self._outcome(call, effect)
            if call.key and (status < 500 or self._wire.stores_failures) and status != 429:
                self._book.store_answer(scope, asked, status, body)
        return status, body

    def _outcome(self, call: SimulatedCall, effect: Effect) -> tuple[int, str]:
        plan = call.plan
        failed = plan.of("error_before") or plan.of("too_many")
        try:
            if failed is not None:
                status = 429 if plan.has("too_many") else failed.status
                raise self._wire.error(status, failed.code)
            answer = effect(call)
            for what in ("wrong_currency", "wrong_amount"):
                answer = self._wire.spoil(answer, what) if plan.has(what) else answer
            after = plan.of("error_after")
            if after is not None:
                raise self._wire.error(after.status, after.code)
        except WireRefusal as refused:
            return refused.status, _encoded(refused.body)
        return 200, _encoded(answer)


def _encoded(body: object) -> str:
    return msgspec.json.encode(body).decode()


def _dropped(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _spoiled(
    request: web.Request, plan: CallPlan, status: int, text: str, *, is_replay: bool
) -> web.StreamResponse:
    """Return the answer, or what a fault makes of it."""
    if plan.has("redirect"):
        return web.Response(status=302, headers={"Location": "https://example.com/elsewhere"})
    if plan.has("malformed"):
        text = text[: len(text) // 2] + "\x00{"
    if plan.has("huge"):
        text = text.rstrip()[:-1] + f',"padding":"{"x" * _HUGE_BYTES}"}}'
    headers = {"Idempotent-Replayed": "true"} if is_replay else {}
    raw = text.encode()
    if not plan.has("cut"):
        return web.Response(
            status=status, body=raw, content_type="application/json", headers=headers
        )
    response = web.StreamResponse(status=status, headers={"Content-Length": str(len(raw))})
    await response.prepare(request)
    await response.write(raw[: len(raw) // 2])
    return _dropped(request)
