"""Around every request that the framework handles: its id, and what is told of its answer."""

import re
import time
from itertools import count
from secrets import token_hex
from typing import Any

import falcon.asgi

from boxoffice.http.api.routing import path_of
from boxoffice.observability.access_log import AccessLog, Kind

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
# Unique on every pod, and a tenth of the price of a UUID.
_PROCESS = token_hex(8)
_NOT_FOUND = 404
_numbers = count(1)


def request_id_of(given: str | None) -> str:
    """Return the id of a request: the caller's `X-Request-Id` where it is usable, else a new one."""
    if given and _REQUEST_ID.match(given):
        return given
    return f"{_PROCESS}-{next(_numbers):x}"


def counted_scope(status: int, scope: str) -> str:
    """Return by what an answer is counted apart.

    Not by what is not there, or anybody could fill the memory.
    """
    return "" if status == _NOT_FOUND else scope


class RequestLog:
    """Falcon middleware: gives requests their ids and tells the access log of the answers."""

    def __init__(self, access_log: AccessLog) -> None:
        self._access_log = access_log

    async def process_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Give the request its id, and the path by which it is routed."""
        context = req.context
        context.request_id = request_id_of(req.get_header("X-Request-Id"))
        context.started_at = time.perf_counter()
        resp.context.code = "ok"
        resp.context.scope = ""
        self._access_log.in_flight.count += 1
        req.path = path_of(req.scope["raw_path"])

    async def process_response(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        _resource: Any,
        _succeeded: bool,
    ) -> None:
        """Tell of the answer."""
        self._access_log.in_flight.count -= 1
        context = req.context
        resp.set_header("X-Request-Id", context.request_id)
        resp.set_header("X-Content-Type-Options", "nosniff")
        status = int(str(resp.status)[:3])
        kind = Kind(
            req.method,
            req.uri_template or "unknown",
            status,
            resp.context.code,
            counted_scope(status, resp.context.scope),
        )
        self._access_log.answered(kind, context.request_id, context.started_at)
