"""Client addresses as keys of rate limits: one key for all addresses of a subscriber."""

import ipaddress
from functools import lru_cache

# Longer than any address with a zone.
_UNPARSABLE_MAX_CHARS = 64
_SUBSCRIBER_PREFIX_BITS = 64
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_loopback(address: str) -> bool:
    """Say whether an address is one of this machine's own (RFC 1122, section 3.2.1.3; RFC 4291)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    inner = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (inner or parsed).is_loopback


@lru_cache(maxsize=8_192)
def address_bucket(address: str) -> str:
    """Return the key by which a client address is counted.

    An IPv4 address is its own key, also inside an IPv6 address (IPv4-mapped, RFC 4291,
    section 2.5.5.2; NAT64, RFC 6052). An IPv6 address is counted by its /64, because a subscriber has
    at least that much (RFC 6177). Other texts are their own key, cut to 64 characters.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:_UNPARSABLE_MAX_CHARS]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    inner = parsed.ipv4_mapped
    if inner is None and parsed in _NAT64:
        inner = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
    if inner is not None:
        return str(inner)
    return str(ipaddress.IPv6Network((int(parsed), _SUBSCRIBER_PREFIX_BITS), strict=False))
