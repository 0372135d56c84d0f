"""The format of a webhook, and where one may be sent. Pure.

The format is Standard Webhooks 1.0 (https://www.standardwebhooks.com): `webhook-id`,
`webhook-timestamp` and `webhook-signature`, an HMAC-SHA256 of id, timestamp and body per secret.
"""

import hashlib
import hmac
import ipaddress
from base64 import b64encode
from collections.abc import Collection, Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from boxoffice.errors import Invalid, WebhookUrlInvalid
from boxoffice.outbox.topics import TOPICS, Scope

SECRET_BYTES = 32
ALL_TOPICS = "*"
TEST_TOPIC = "webhook.test"
# Events of a person's wallet belong to no organizer.
TOPIC_NAMES = tuple(
    sorted(topic.name for topic in TOPICS.values() if topic.scope is Scope.SCHEDULE)
)

_GONE = 410
# The column has the same limit.
_EXCERPT_BYTES = 4_096
# In no list of Python 3.11: protocol assignments, and relays of tunnels.
_V4_SPECIAL = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
_V6_PUBLIC = ipaddress.IPv6Network("2000::/3")
# In the range above, and no place of its own: tunnels that carry an IPv4 address, protocol assignments,
# and documentation (IANA IPv6 Special-Purpose Address Registry).
_V6_SPECIAL = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


class Judgement(StrEnum):
    """What an answer means for a delivery."""

    DELIVERED = "delivered"
    GONE = "gone"
    FAILED = "failed"


def judged(status: int) -> Judgement:
    """Return what an HTTP status means: 2xx is success, 410 ends the endpoint, all else is a failure.

    A redirect is a failure: it would lead to an address that the organizer did not enter.
    """
    # guard: webhook_success_is_2xx => if status < 500:
    if 200 <= status < 300:
        return Judgement.DELIVERED
    # guard: webhook_gone_ends_endpoint => return Judgement.FAILED
    return Judgement.GONE if status == _GONE else Judgement.FAILED


def signature(secrets: Sequence[bytes], message_id: str, timestamp_s: int, body: str) -> str:
    """Return the value of `webhook-signature`: one signature per secret, with a blank between them."""
    signed = f"{message_id}.{timestamp_s}.{body}".encode()
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests)


def headers(
    secrets: Sequence[bytes], message_id: str, timestamp_s: int, body: str
) -> dict[str, str]:
    """Return the headers of a delivery."""
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature(secrets, message_id, timestamp_s, body),
    }


def excerpt(answer: bytes) -> str:
    """Return the beginning of an answer as a text that PostgreSQL stores: printable, bounded."""
    text = "".join(
        char if char.isprintable() else " " for char in answer.decode("utf-8", "replace")
    )
    return text.encode()[:_EXCERPT_BYTES].decode("utf-8", "ignore")


def shown_secret(secret: bytes) -> str:
    """Return a secret in the form that receivers configure."""
    return f"whsec_{b64encode(secret).decode()}"


def checked_topics(topics: Collection[str] | None) -> list[str]:
    """Return the topics that an endpoint wants, sorted; None is all of them. Raises `Invalid`."""
    if topics is None:
        return [ALL_TOPICS]
    unknown = sorted(set(topics) - set(TOPIC_NAMES))
    if unknown or not topics:
        what = f"There is no topic '{unknown[0]}'." if unknown else "Topics are missing."
        raise Invalid(f"{what} The topics are {', '.join(TOPIC_NAMES)}.")
    return sorted(set(topics))


def shown_topics(topics: Collection[str]) -> list[str] | None:
    """Return the topics of an endpoint; None for all."""
    return None if ALL_TOPICS in topics else list(topics)


def checked_url(url: str, *, is_loopback_allowed: bool) -> str:
    """Return the address of an endpoint; raise `WebhookUrlInvalid` for one that nothing is sent to.

    It is https, without user, password and fragment. An address in numbers must be public; a name is
    resolved and checked at each delivery.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WebhookUrlInvalid("The address cannot be read.") from error
    if not url.isascii() or not url.isprintable() or any(sign in url for sign in ' "<>\\^`{|}'):
        raise WebhookUrlInvalid("The address has a character that is not allowed in one.")
    # guard: webhook_url_is_https => schemes = ("https", "http")
    schemes = ("https", "http") if is_loopback_allowed else ("https",)
    if parts.scheme not in schemes or not host or port == 0:
        raise WebhookUrlInvalid("The address must begin with https:// and a host.")
    if parts.username is not None or parts.password is not None or "#" in url:
        raise WebhookUrlInvalid("The address must have no user, password or fragment.")
    # guard: webhook_url_in_numbers_is_public
    require_public_literal(host, is_loopback_allowed=is_loopback_allowed)
    return url


def require_public_literal(host: str, *, is_loopback_allowed: bool) -> None:
    """Raise `WebhookUrlInvalid` where a host is an address in numbers that is not public."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    if not is_public(host, is_loopback_allowed=is_loopback_allowed):
        raise WebhookUrlInvalid("The address must be reachable in the public internet.")


def is_public(address: str, *, is_loopback_allowed: bool = False) -> bool:
    """Say whether an IP address is one of the public internet: not private, local, shared or special.

    IPv6 addresses that carry an IPv4 address are refused, also IPv4-mapped ones.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if found.is_loopback:
        # guard: webhook_no_loopback => return True
        return is_loopback_allowed
    if isinstance(found, ipaddress.IPv4Address):
        # guard: webhook_no_private_ipv4 => return True
        return not (
            not found.is_global
            or found.is_multicast
            or found.is_reserved
            or any(found in special for special in _V4_SPECIAL)
        )
    # guard: webhook_no_special_ipv6 => return True
    return found in _V6_PUBLIC and not any(found in special for special in _V6_SPECIAL)
