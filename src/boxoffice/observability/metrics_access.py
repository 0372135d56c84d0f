"""Access to the metrics, which reveal the course of a sale."""

import hmac


def has_token(token: str, authorization: str | None) -> bool:
    """Say whether an `Authorization` header has this bearer token, in constant time."""
    scheme, _, given = (authorization or "").partition(" ")
    is_same = hmac.compare_digest(given.strip().encode(), token.encode())
    return bool(token) and scheme.lower() == "bearer" and is_same
