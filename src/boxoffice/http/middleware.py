"""Around every request: its id, its log line, its metrics, and the count of those in flight."""

import re
import time
from typing import Any

import falcon.asgi
from prometheus_client import Counter, Histogram

from boxoffice.platform import telemetry
from boxoffice.platform.ids import new_text_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


_counters: dict[tuple[str, str, str, str], Counter] = {}
_timers: dict[str, Histogram] = {}


class InFlight:
    """How many requests are being answered, and whether new ones are still welcome."""

    def __init__(self) -> None:
        self.count = 0
        self.draining = False
        self.started = False


class RequestLog:
    """Falcon middleware: one structured line and two metrics per request."""

    def __init__(self, in_flight: InFlight, *, log_requests: bool) -> None:
        self._in_flight = in_flight
        self._log_requests = log_requests

    async def process_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Give the request its id: the caller's `X-Request-Id` where it is usable, else a new one."""
        given = req.get_header("X-Request-Id")
        context = req.context
        context.request_id = given if given and _REQUEST_ID.match(given) else new_text_id()
        context.started_at = time.perf_counter()
        resp.context.code = "ok"
        self._in_flight.count += 1

    async def process_response(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        _resource: Any,
        _succeeded: bool,
    ) -> None:
        """Count and log the answer."""
        self._in_flight.count -= 1
        context = req.context
        seconds = time.perf_counter() - context.started_at
        resp.set_header("X-Request-Id", context.request_id)
        resp.set_header("X-Content-Type-Options", "nosniff")
        route = req.uri_template or "unknown"
        status = str(resp.status)[:3]
        code = resp.context.code
        _count(req.method, route, status, code, seconds)
        if self._log_requests and route not in _QUIET:
            telemetry.log.info(
                "request",
                request_id=context.request_id,
                method=req.method,
                route=route,
                status=int(status),
                code=code,
                ms=round(seconds * 1000, 2),
            )


def _count(method: str, route: str, status: str, code: str, seconds: float) -> None:
    """Count an answer. Looking a labelled metric up costs more than counting, so they are kept."""
    answer = (method, route, status, code)
    counter = _counters.get(answer)
    if counter is None:
        counter = _counters[answer] = telemetry.REQUESTS.labels(*answer)
    counter.inc()
    timer = _timers.get(route)
    if timer is None:
        timer = _timers[route] = telemetry.REQUEST_SECONDS.labels(route)
    timer.observe(seconds)
