"""What operators and their machines ask: alive, ready, metrics, and the description of the API."""

import contextlib
import os
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)

from boxoffice.errors import Draining, Forbidden, NotFound, Unauthenticated, Unavailable
from boxoffice.http.api.operation import (
    Call,
    PathId,
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
_YEAR_S = 31_536_000
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# The viewer sets styles from scripts; nothing else from inside the page, and nothing from outside.
_CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
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
    """`GET /openapi.json`."""

    def __init__(self, dependencies: RouteDependencies, document: dict[str, Any]) -> None:
        self.dependencies = dependencies
        self._encoded = msgspec.json.encode(document)

    @operation("The description of the API", cached=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Return the document."""
        return Reply(encoded=self._encoded)


def _own_files() -> Any:
    return files("boxoffice.http.api").joinpath("docs")


class Docs:
    """`GET /docs`: the document for people; every asset comes from this process."""

    def __init__(self, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._page = _own_files().joinpath("index.html").read_bytes()

    @operation("The description of the API, for people", cached=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Return the page."""
        return Reply(
            encoded=self._page,
            media_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": _CSP},
        )


class DocsAsset:
    """`GET /docs/{name}`: a part of the page."""

    def __init__(self, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        own = _own_files()
        self._assets = {"start.js": ("text/javascript", own.joinpath("start.js").read_bytes())}
        theirs = own.joinpath("swagger-ui")
        for name, kind in _ASSETS.items():
            self._assets[name] = (kind, theirs.joinpath(name).read_bytes())

    @operation(
        "A part of the page",
        cached=True,
        path={"name": PathId(str, NotFound, "The name of a file.")},
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return it."""
        name = call.ids["name"]
        if name not in self._assets:
            raise NotFound
        media_type, encoded = self._assets[name]
        return Reply(
            encoded=encoded,
            media_type=media_type,
            headers={"Cache-Control": f"public, max-age={_YEAR_S // 365}"},
        )


def metrics_routes(
    dependencies: RouteDependencies, access_log: AccessLog, metrics_token: str, *, is_open: bool
) -> list[tuple[str, object]]:
    """Return what machines ask for; `is_open` on a port of its own."""
    return [
        ("/healthz", Alive(dependencies)),
        ("/readyz", Ready(dependencies, access_log.in_flight)),
        ("/metrics", Metrics(dependencies, access_log, metrics_token, is_open=is_open)),
    ]


def document_routes(
    dependencies: RouteDependencies, document: dict[str, Any]
) -> list[tuple[str, object]]:
    """Return the description of the API, for programs and for people."""
    return [
        ("/openapi.json", Document(dependencies, document)),
        ("/docs", Docs(dependencies)),
        ("/docs/{name}", DocsAsset(dependencies)),
    ]
