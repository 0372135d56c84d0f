"""The metrics and health of the roles that serve nothing else, on a port of their own."""

import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from boxoffice.errors import CannotListen
from boxoffice.observability.metrics_access import has_token
from boxoffice.observability.role_health import RoleHealth
from boxoffice.settings import Settings

_SILENT_S = 10.0
StartResponse = Callable[..., Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the base class names it so
        """Log nothing: the log is for the role's events."""


def serve_metrics(settings: Settings, health: RoleHealth) -> None:
    """Serve them on `role_metrics_port` in a thread, for as long as the process lives.

    Every client may read them, unless `metrics_token` is set; probes need no token.
    Raises `CannotListen`.
    """
    host, port = settings.server.host, settings.observability.role_metrics_port
    kind = _ServerOfIPv6 if ":" in host else _Server
    answer = _answering(settings.observability.metrics_token, health)
    try:
        server = make_server(host, port, answer, kind, _Handler)
    except (OSError, OverflowError) as error:
        raise CannotListen(
            f"cannot listen on {settings.server.authority(port)}: {error}; "
            "another port is chosen with BOXOFFICE_ROLE_METRICS_PORT"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _answering(token: str, health: RoleHealth) -> Callable[..., Iterable[bytes]]:
    metrics = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if (probed := health.answer(environ.get("PATH_INFO", ""))) is not None:
            status, word = probed
            body = b'{"status":"%s"}' % word.encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response(_line(status), headers)
            return [body]
        if token and not has_token(token, environ.get("HTTP_AUTHORIZATION")):
            headers = [("WWW-Authenticate", "Bearer"), ("Content-Length", "0")]
            start_response(_line(HTTPStatus.UNAUTHORIZED), headers)
            return []
        answered: Iterable[bytes] = metrics(environ, start_response)
        return answered

    return answer


def _line(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"
