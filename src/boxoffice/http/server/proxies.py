"""The client of a request: the connected one, or the one that a trusted proxy names."""

import ipaddress
import os
from collections.abc import Sequence
from functools import lru_cache

Address = tuple[str, int]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_EVERYBODY = "*"
_LOOPBACK = "127.0.0.1,::1"
# Longer than any name (RFC 1035); such a value would only fill the cache.
_HOST_MAX_CHARS = 253


class TrustedProxies:
    """The addresses, networks and names whose `X-Forwarded-For` is believed; `*` is all of them."""

    def __init__(self, allowed: str | Sequence[str]) -> None:
        parts = allowed.split(",") if isinstance(allowed, str) else allowed
        names = [part.strip() for part in parts]
        self._is_everybody = names == [_EVERYBODY]
        self._networks: list[Network] = []
        self._names: set[str] = set()
        for name in names:
            try:
                self._networks.append(ipaddress.ip_network(name))
            except ValueError:
                self._names.add(name)
        self._is_listed = lru_cache(maxsize=4_096)(self._look_up)

    def trusts(self, host: str) -> bool:
        """Return whether `host` is a trusted proxy, which sends the requests of many clients."""
        if self._is_everybody:
            return True
        return 0 < len(host) <= _HOST_MAX_CHARS and self._is_listed(host)

    def client_of(self, peer: Address | None, forwarded_for: bytes) -> Address | None:
        """Return the client of a request that `peer` has sent with this `X-Forwarded-For`.

        Every proxy appends the address that sent it the request, so the client is the last address
        that is not a trusted proxy.
        """
        if not self.trusts(peer[0] if peer else ""):
            return peer
        values = [value.strip() for value in forwarded_for.decode("latin-1").split(",")]
        hops = [_parsed(value) for value in values]
        client = hops[0]
        if not self._is_everybody:
            client = next((hop for hop in reversed(hops) if not self.trusts(hop[0])), hops[0])
        return client if client[0] else peer

    def _look_up(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host in self._names
        # A socket for both families shows clients of IPv4 so (RFC 4291, section 2.5.5.2).
        inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        names = (address, inner or address)
        return any(name in network for name in names for network in self._networks)


def trusted_proxies() -> TrustedProxies:
    """Return those that `FORWARDED_ALLOW_IPS` names; without it, this machine."""
    return TrustedProxies(os.environ.get("FORWARDED_ALLOW_IPS", _LOOPBACK))


def _parsed(value: str) -> Address:
    """Return host and port of `host`, `host:port` or `[host]:port`; port 0 if it is invalid."""
    if value.startswith("["):
        host, bracket, rest = value[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return value, 0
        return host, _port(rest[1:])
    host, colon, port = value.partition(":")
    try:
        return (host, int(port)) if colon else (value, 0)
    except ValueError:
        return value, 0  # An address of IPv6 has several.


def _port(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
