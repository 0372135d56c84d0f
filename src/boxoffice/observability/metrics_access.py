"""Access to the metrics, which reveal the course of a sale."""

import hmac
import re
from collections.abc import Callable

from boxoffice.platform.client_addresses import is_loopback

# Headers with which a proxy forwards a request.
FORWARDING_HEADERS = (
    *("Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host"),
    *("X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix"),
    *("X-Original-Forwarded-For", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "CF-Ray"),
)
_OWN_HOST = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)

# Returns the value of a header, None where there is none.
GetHeader = Callable[[str], str | None]


def has_token(token: str, authorization: str | None) -> bool:
    """Say whether an `Authorization` header has this bearer token, in constant time."""
    scheme, _, given = (authorization or "").partition(" ")
    is_same = hmac.compare_digest(given.strip().encode(), token.encode())
    return bool(token) and scheme.lower() == "bearer" and is_same


def is_from_here(peer: str | None, header: GetHeader) -> bool:
    """Say whether a request comes from this machine, and not through a proxy.

    A local proxy that adds no header and sends a `Host` of this machine looks the same: set a token
    behind such a proxy.
    """
    if peer is None or not is_loopback(peer):
        return False
    if any(header(name) is not None for name in FORWARDING_HEADERS):
        return False
    host = header("Host")
    return host is None or _OWN_HOST.fullmatch(host) is not None
