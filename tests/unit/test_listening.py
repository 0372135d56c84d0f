"""Where a process listens: on one address, of either family, or on all of them."""

import re
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from boxoffice.errors import CannotListen
from boxoffice.http.server.listening import listen
from boxoffice.observability.role_health import RoleHealth
from boxoffice.observability.role_metrics import serve_metrics
from boxoffice.settings import Settings
from tests.support.shop import free_port


@pytest.fixture(autouse=True)
def _has_ipv6() -> Iterator[None]:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            yield
    except OSError as error:
        pytest.skip(f"this machine has no address of IPv6: {error}")


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("0.0.0.0", {"127.0.0.1"}),  # noqa: S104 — the point of the test
        ("::1", {"::1"}),
        ("::", {"127.0.0.1", "::1"}),
    ],
)
def test_a_socket_is_reached_by_its_own_addresses(host: str, reached: set[str]) -> None:
    port = free_port()
    with listen(Settings.of(host=host, port=port)):
        assert {one for one in ("127.0.0.1", "::1") if _answers(one, port)} == reached


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "shown"), [("::1", "[::1]:"), ("127.0.0.1", "127.0.0.1:"), ("no.invalid", "no.inv")]
)
def test_an_address_in_use_is_named(host: str, shown: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host if shown.endswith(":") else "", 0), family=family) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"cannot listen on {re.escape(shown)}"):
            listen(Settings.of(host=host, port=port))


@pytest.mark.parametrize(("host", "authority"), [("::1", "[::1]"), ("127.0.0.1", "127.0.0.1")])
def test_a_role_has_its_metrics_on_the_same_address(host: str, authority: str) -> None:
    port = free_port()
    serve_metrics(Settings.of(host=host, role_metrics_port=port), RoleHealth())
    with urllib.request.urlopen(f"http://{authority}:{port}/metrics", timeout=5) as answer:
        assert b"process_" in answer.read()
