"""The sockets that a process, or a group of them, listens on."""

import socket

from boxoffice.errors import CannotListen
from boxoffice.settings import Settings


def listen(settings: Settings, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; raise `CannotListen` where the port is taken.

    `shared` lets several sockets of one user listen on the port, each with its own connections.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if settings.send_buffer_bytes:
        # Connections inherit it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
    try:
        sock.bind((settings.host, settings.port))
        sock.listen(settings.backlog_max)
    except (OSError, OverflowError) as error:
        sock.close()
        raise CannotListen(
            f"cannot listen on {settings.host}:{settings.port}: {error}; "
            "another port is chosen with --port or BOXOFFICE_PORT"
        ) from error
    return sock
