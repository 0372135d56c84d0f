"""Who may read the metrics: they tell how a sale goes, and by which routes people come."""

import hmac
import re
from collections.abc import Callable

from boxoffice.platform.client_addresses import is_loopback

# By these a proxy says that it asks for somebody else.
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
    """Say whether a request was made on this machine, and not by a proxy for somebody elsewhere.

    A proxy on this machine that adds no header and sends a `Host` of this machine cannot be told from
    that; behind one, set a token.
    """
    if peer is None or not is_loopback(peer):
        return False
    if any(header(name) is not None for name in FORWARDING_HEADERS):
        return False
    host = header("Host")
    return host is None or _OWN_HOST.fullmatch(host) is not None
