"""Two serve processes behind HAProxy and nginx, both with the configurations of `deploy/`."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from drills.edge.proxies import EdgeCertificate, EdgeProxy, haproxy, make_certificate, nginx
from tests.conftest import Servers
from tests.e2e.api.client import Person, Sale
from tests.e2e.api.conftest import (
    Running,
    check_books,
    make_organizer,
    on_sale,
    running,
)
from tests.programs import debian_program
from tests.support.database import copied_database

from .clients import EdgeClient

NAMES = ("haproxy", "nginx")
# The edge gives an idle connection up after this; streams live longer by their signs of life.
IDLE_S = 2.5
SLOW_S = 2.0
REQUESTS_MAX = 250
POD_SETTINGS = {
    "stream_heartbeat_ms": "300",
    # A third stream of one address is refused, whichever pod has the other two.
    "streams_per_address_max": "1",
    "drain_delay_ms": "1200",
}
HAPROXY = {
    "EDGE_TIMEOUT": f"{1000 * IDLE_S:.0f}ms",
    "EDGE_SLOW": f"{SLOW_S:.0f}s",
    "EDGE_CHECK": "150ms",
    "EDGE_ADDRESS_REQUESTS": str(REQUESTS_MAX),
    "EDGE_TRUSTED_PROXIES": "127.0.1.99",
}
NGINX = {
    "EDGE_TIMEOUT": f"{1000 * IDLE_S:.0f}ms",
    "EDGE_SLOW": f"{SLOW_S:.0f}s",
    "EDGE_ADDRESS_REQUESTS": "20r/s",
    "EDGE_ADDRESS_BURST": str(REQUESTS_MAX),
    "EDGE_REAL_IP": "set_real_ip_from 127.0.2.99; real_ip_header X-Forwarded-For;",
}


def address_of(name: str, number: int) -> str:
    """Return a loopback address that only clients of one proxy have; 99 is a load balancer in front."""
    return f"127.0.{1 + NAMES.index(name)}.{number}"


@dataclass(frozen=True)
class Edges:
    """Both proxies, in front of the same two pods."""

    pods: tuple[Running, Running]
    proxies: dict[str, EdgeProxy]
    organizer: Person

    def client(self, name: str, number: int, token: str = "") -> EdgeClient:
        """Return a client of one of them, at an address of its own."""
        proxy = self.proxies[name]
        address = address_of(name, number)
        return EdgeClient(proxy.https_port, proxy.certificate.trusted(), address, token)

    def asked(self, method: str, route: str) -> list[int]:
        """How many requests each pod has answered so far; its log follows in a tenth of a second."""
        for pod in self.pods:
            pod.api.get("/metrics")  # It writes the log first.
        return [
            sum((line["method"], line["route"]) == (method, route) for line in pod.requests())
            for pod in self.pods
        ]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> EdgeCertificate:
    """A certificate of this machine."""
    debian_program("openssl")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def edges(
    servers: Servers,
    template: str,
    certificate: EdgeCertificate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Edges]:
    """Two pods and two proxies; the books must balance at the end."""
    for name in NAMES:
        debian_program(name)
    folder = tmp_path_factory.mktemp("edge")
    with copied_database(servers.database_url, template) as database_url, ExitStack() as stack:
        first, second = (
            stack.enter_context(
                running(database_url, servers.valkey_url, folder / f"{name}.log", **POD_SETTINGS)
            )
            for name in ("first", "second")
        )
        addresses = [f"127.0.0.1:{pod.api.port}" for pod in (first, second)]
        proxies = {
            "haproxy": stack.enter_context(haproxy(addresses, certificate, folder, **HAPROXY)),
            "nginx": stack.enter_context(nginx(addresses, certificate, folder, **NGINX)),
        }
        yield Edges((first, second), proxies, make_organizer(first))
        check_books(database_url)


@pytest.fixture(scope="session")
def sale(edges: Edges) -> Sale:
    """A concert on sale."""
    return on_sale(edges.organizer, 100)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each of the proxies."""
    return str(request.param)
