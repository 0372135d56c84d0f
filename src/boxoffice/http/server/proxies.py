"""Whom a request is from: where a trusted proxy speaks for somebody, that one.

The framework's way has uvicorn's middleware for it. The fast path asks the same rules, so that a
client has one address however its request is answered.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from uvicorn import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Address = tuple[str, int]


def client_of(config: Config, peer: Address | None, forwarded_for: bytes) -> Address | None:
    """Return who a request is from that `peer` has sent with this `X-Forwarded-For`.

    It is believed from the addresses in `FORWARDED_ALLOW_IPS`, as uvicorn reads it.
    """
    trusted = _trusted_by(config)
    if (peer[0] if peer else None) not in trusted:
        return peer
    host, port = trusted.get_trusted_client_address(forwarded_for.decode("latin-1"))
    return (host, port) if host else peer


def speaks_for_others(config: Config, peer: Address) -> bool:
    """Say whether a peer is a proxy that is believed: what it sends is not one client's."""
    return peer[0] in _trusted_by(config)


def _trusted_by(config: Config) -> Any:
    allowed = config.forwarded_allow_ips
    return _trusted(allowed if isinstance(allowed, str) else tuple(allowed))


@lru_cache(maxsize=8)
def _trusted(allowed: str | Sequence[str]) -> Any:
    hosts = allowed if isinstance(allowed, str) else list(allowed)
    return ProxyHeadersMiddleware(_nobody, hosts).trusted_hosts


async def _nobody(_scope: object, _receive: object, _send: object) -> None:
    """Stand in for the application that the middleware would have behind it."""
