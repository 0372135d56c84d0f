"""The metrics of the roles that serve nothing else, on a port of their own."""

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from boxoffice.errors import CannotListen
from boxoffice.observability.metrics_access import has_token
from boxoffice.settings import Settings

_SILENT_S = 10.0
StartResponse = Callable[..., Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the base class names it so
        """Log nothing: the log is for the role's events."""


def serve_metrics(settings: Settings) -> None:
    """Serve them on `role_metrics_port` in a thread, for as long as the process lives.

    Every client may read them, unless `metrics_token` is set. Raises `CannotListen`.
    """
    metrics, token = make_wsgi_app(), settings.observability.metrics_token

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if token and not has_token(token, environ.get("HTTP_AUTHORIZATION")):
            line = f"{HTTPStatus.UNAUTHORIZED.value} {HTTPStatus.UNAUTHORIZED.phrase}"
            start_response(line, [("WWW-Authenticate", "Bearer"), ("Content-Length", "0")])
            return []
        answered: Iterable[bytes] = metrics(environ, start_response)
        return answered

    port = settings.observability.role_metrics_port
    try:
        server = make_server(settings.server.host, port, answer, _Server, _Handler)
    except (OSError, OverflowError) as error:
        raise CannotListen(
            f"cannot listen on {settings.server.host}:{port}: {error}; "
            "another port is chosen with BOXOFFICE_ROLE_METRICS_PORT"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
