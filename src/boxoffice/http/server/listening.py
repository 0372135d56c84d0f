"""The sockets that a process, or a group of them, listens on."""

import socket

from boxoffice.errors import CannotListen
from boxoffice.settings import Settings


def listen(settings: Settings, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; raise `CannotListen` where the port is taken.

    `shared` lets several sockets of one user listen on the port, each with its own connections.
    """
    remedy = "another port is chosen with --port or BOXOFFICE_PORT"
    return _listen(settings, settings.server.port, remedy, shared=shared)


def listen_for_metrics(settings: Settings, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens on the port of the metrics; raise `CannotListen` likewise."""
    remedy = "another port is chosen with BOXOFFICE_METRICS_PORT"
    return _listen(settings, settings.observability.metrics_port, remedy, shared=shared)


def _listen(settings: Settings, port: int, remedy: str, *, shared: bool) -> socket.socket:
    is_ipv6 = ":" in settings.server.host
    sock = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    if is_ipv6:
        # `::` takes connections of IPv4 as well, whatever the system's default is.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if settings.server.send_buffer_bytes:
        # Connections inherit it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.server.send_buffer_bytes)
    try:
        sock.bind((settings.server.host, port))
        sock.listen(settings.server.backlog_max)
    except (OSError, OverflowError) as error:
        sock.close()
        raise CannotListen(
            f"cannot listen on {settings.server.authority(port)}: {error}; {remedy}"
        ) from error
    return sock
