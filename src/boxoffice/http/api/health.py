"""What operators and their machines ask: alive, ready, metrics, and the description of the API."""

import contextlib
import gzip
import os
import re
from collections.abc import Callable
from typing import Any

import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)

from boxoffice.errors import Draining, Forbidden, Unauthenticated, Unavailable
from boxoffice.http.api.headers import accepts_gzip
from boxoffice.http.api.operation import (
    Call,
    Reply,
    Request,
    RouteDependencies,
    operation,
)
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.observability.metrics_access import has_token
from boxoffice.platform.client_addresses import is_loopback

_MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
_COLLECT_ATTEMPTS = 3
# Headers with which a proxy forwards a request.
_FORWARDING_HEADERS = (
    *("Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host"),
    *("X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix"),
    *("X-Original-Forwarded-For", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "CF-Ray"),
)
_OWN_HOST = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)

# Returns the value of a header, None where there is none.
GetHeader = Callable[[str], str | None]


class Alive:
    """`GET /healthz`: this process answers."""

    def __init__(self, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies

    @operation("Whether the process answers", cached=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Answer."""
        return Reply(encoded=b'{"status":"ok"}')


class Ready:
    """`GET /readyz`: started and not draining."""

    def __init__(self, dependencies: RouteDependencies, in_flight: InFlight) -> None:
        self.dependencies = dependencies
        self._in_flight = in_flight

    @operation("Whether the process takes requests", cached=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Answer, or refuse with 503."""
        if self._in_flight.draining:
            raise Draining
        if not self._in_flight.started:
            raise Unavailable("This process is starting.")
        return Reply(encoded=b'{"status":"ready"}')


class Metrics:
    """`GET /metrics`: Prometheus text, summed over the workers of one address.

    Where there is a `token`, a request needs it. Else `is_open` says whether all may read them that
    reach the port, or only clients on this machine.
    """

    def __init__(
        self, dependencies: RouteDependencies, access_log: AccessLog, token: str, *, is_open: bool
    ) -> None:
        self.dependencies = dependencies
        self._access_log = access_log
        self._token = token
        self._is_open = is_open

    @operation("The metrics", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Collect them."""
        self._check(call.req)
        self._access_log.write()
        if os.environ.get(_MULTIPROCESS_DIR):
            return Reply(encoded=_of_all_workers(), media_type=CONTENT_TYPE_LATEST)
        return Reply(encoded=generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    def _check(self, request: Request) -> None:
        if self._token:
            if not has_token(self._token, request.get_header("Authorization")):
                raise Unauthenticated("The metrics need their token.")
        elif not self._is_open:
            client = request.client
            if not is_from_here(client[0] if client else None, request.get_header):
                raise Forbidden(
                    "From another machine the metrics need a token or a port of their own."
                )


def is_from_here(peer: str | None, header: GetHeader) -> bool:
    """Say whether a request comes from this machine, and not through a proxy.

    A local proxy that adds no header and sends a `Host` of this machine looks the same: set a token
    behind such a proxy.
    """
    if peer is None or not is_loopback(peer):
        return False
    if any(header(name) is not None for name in _FORWARDING_HEADERS):
        return False
    host = header("Host")
    return host is None or _OWN_HOST.fullmatch(host) is not None


def _of_all_workers() -> bytes:
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    for _ in range(_COLLECT_ATTEMPTS - 1):
        # The file of a worker that has died goes while the list of files is being worked through.
        with contextlib.suppress(FileNotFoundError):
            return generate_latest(registry)
    return generate_latest(registry)


class Document:
    """`GET /openapi.json`, kept compressed: it is large, and rarely requested."""

    def __init__(self, dependencies: RouteDependencies, document: dict[str, Any]) -> None:
        self.dependencies = dependencies
        self._packed = gzip.compress(msgspec.json.encode(document), 6, mtime=0)

    @operation("The description of the API", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the document."""
        headers = {"Vary": "Accept-Encoding"}
        if accepts_gzip(call.req.get_header("Accept-Encoding")):
            headers |= {"Content-Encoding": "gzip"}
            return Reply(encoded=self._packed, headers=headers)
        return Reply(encoded=gzip.decompress(self._packed), headers=headers)


def metrics_routes(
    dependencies: RouteDependencies, access_log: AccessLog, metrics_token: str, *, is_open: bool
) -> list[tuple[str, object]]:
    """Return what machines ask for; `is_open` on a port of its own."""
    return [
        ("/healthz", Alive(dependencies)),
        ("/readyz", Ready(dependencies, access_log.in_flight)),
        ("/metrics", Metrics(dependencies, access_log, metrics_token, is_open=is_open)),
    ]
