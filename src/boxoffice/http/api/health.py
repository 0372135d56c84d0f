"""What operators and their machines ask: alive, ready, metrics, and the description of the API."""

import contextlib
import os
from importlib.resources import files
from typing import Any

import falcon
import falcon.asgi
import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)

from boxoffice.errors import Draining, Forbidden, NotFound, Unauthenticated, Unavailable
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.observability.metrics_access import has_token, is_from_here

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


class Alive:
    """`GET /healthz`: this process answers."""

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Say so."""
        resp.data = b'{"status":"ok"}'


class Ready:
    """`GET /readyz`: started and not draining."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Say so, or refuse with 503."""
        if self._in_flight.draining:
            raise Draining
        if not self._in_flight.started:
            raise Unavailable("This process is starting.")
        resp.data = b'{"status":"ready"}'


class Metrics:
    """`GET /metrics`: Prometheus text, summed over the workers of one address.

    Where there is a `token`, whoever has it may read them. Else `is_open` says whether all may that
    reach the port, or those alone who ask on this machine.
    """

    def __init__(self, access_log: AccessLog, token: str, *, is_open: bool) -> None:
        self._access_log = access_log
        self._token = token
        self._is_open = is_open

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Collect them."""
        self._check(req)
        self._access_log.write()
        resp.content_type = CONTENT_TYPE_LATEST
        if os.environ.get(_MULTIPROCESS_DIR):
            resp.data = _of_all_workers()
        else:
            resp.data = generate_latest(REGISTRY)

    def _check(self, req: falcon.asgi.Request) -> None:
        if self._token:
            if not has_token(self._token, req.get_header("Authorization")):
                raise Unauthenticated("The metrics are for those who have their token.")
        elif not self._is_open:
            client = req.scope.get("client")
            if not is_from_here(client[0] if client else None, req.get_header):
                raise Forbidden(
                    "From another machine the metrics need a token or a port of their own."
                )


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

    def __init__(self, document: dict[str, Any]) -> None:
        self._encoded = msgspec.json.encode(document)

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Return the document."""
        resp.data = self._encoded


class Docs:
    """`GET /docs`: the document for people; every asset comes from this process."""

    def __init__(self) -> None:
        own = files("boxoffice.http.api").joinpath("docs")
        self._page = own.joinpath("index.html").read_bytes()
        self._assets = {"start.js": ("text/javascript", own.joinpath("start.js").read_bytes())}
        theirs = own.joinpath("swagger-ui")
        for name, kind in _ASSETS.items():
            self._assets[name] = (kind, theirs.joinpath(name).read_bytes())

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Return the page."""
        resp.content_type = "text/html; charset=utf-8"
        resp.set_header("Content-Security-Policy", _CSP)
        resp.data = self._page

    async def on_get_asset(
        self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, name: str
    ) -> None:
        """Return a part of the page."""
        if name not in self._assets:
            raise NotFound
        resp.content_type, resp.data = self._assets[name]
        resp.set_header("Cache-Control", f"public, max-age={_YEAR_S // 365}")


def install_metrics(
    app: "falcon.asgi.App[Any, Any]", access_log: AccessLog, metrics_token: str, *, is_open: bool
) -> None:
    """Add what machines ask for; `is_open` on a port of its own."""
    app.add_route("/healthz", Alive())
    app.add_route("/readyz", Ready(access_log.in_flight))
    app.add_route("/metrics", Metrics(access_log, metrics_token, is_open=is_open))


def install_document(app: "falcon.asgi.App[Any, Any]", document: dict[str, Any]) -> None:
    """Add the description of the API, for programs and for people."""
    docs = Docs()
    app.add_route("/openapi.json", Document(document))
    app.add_route("/docs", docs)
    app.add_route("/docs/{name}", docs, suffix="asset")
