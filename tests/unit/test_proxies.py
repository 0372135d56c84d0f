"""Which client a request is from, against what uvicorn's middleware says."""

import asyncio
import random
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from boxoffice.http.server.proxies import Address, TrustedProxies

PEERS: list[Address | None] = [
    ("127.0.0.1", 9),
    ("192.0.2.7", 9),
    ("10.1.2.3", 9),
    ("::1", 9),
    None,
]
ALLOWED: list[str | list[str]] = ["127.0.0.1,::1", "*", "10.0.0.0/8, 127.0.0.1", ["10.1.2.3"], ""]
PARTS = [
    "198.51.100.1",
    "127.0.0.1",
    "10.1.2.3",
    "[2001:db8::1]:80",
    "1.2.3.4:5",
    "x",
    "",
    "é",
    " ",
]


def said_by_the_middleware(
    allowed: str | list[str], peer: Address | None, header: bytes
) -> Address | None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: object, _send: object) -> None:
        seen.append(scope["client"])

    scope: Any = {"type": "http", "client": peer, "headers": [(b"x-forwarded-for", header)]}
    asyncio.run(ProxyHeadersMiddleware(app, allowed)(scope, None, None))  # type: ignore[arg-type]
    (client,) = seen
    found: Address | None = client
    return found


@pytest.mark.parametrize("allowed", ALLOWED, ids=str)
def test_the_middleware_names_the_same_client(allowed: str | list[str]) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    own = TrustedProxies(allowed)
    for _ in range(60):
        header = ",".join(rng.choices(PARTS, k=rng.randrange(1, 4))).encode("latin-1")
        for peer in PEERS:
            assert own.client_of(peer, header) == said_by_the_middleware(allowed, peer, header)


def test_an_untrusted_peer_forwards_no_address() -> None:
    own = TrustedProxies("127.0.0.1")
    assert own.client_of(("127.0.0.1", 9), b"198.51.100.1") == ("198.51.100.1", 0)
    assert own.client_of(("192.0.2.7", 9), b"198.51.100.1") == ("192.0.2.7", 9)


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.0/104"])
def test_a_proxy_of_ipv4_is_trusted_on_a_socket_for_both_families(allowed: str) -> None:
    own = TrustedProxies(allowed)
    assert own.client_of(("::ffff:127.0.0.1", 9), b"198.51.100.1") == ("198.51.100.1", 0)
    assert own.client_of(("::ffff:192.0.2.7", 9), b"198.51.100.1") == ("::ffff:192.0.2.7", 9)
