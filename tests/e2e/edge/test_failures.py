"""What the edge does when pods are away, cut answers or stop, and what it accepts as configuration."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from drills.edge.proxies import (
    EdgeCertificate,
    EdgeProxy,
    haproxy,
    haproxy_command,
    haproxy_variables,
    nginx,
    nginx_files,
)
from tests.e2e.api.client import Answer
from tests.programs import debian_program
from tests.support.shop import free_port

from .clients import EdgeClient, shown
from .conftest import Edges

HOLDS = f"/v1/schedules/{uuid4()}/reservations"
RUN = {"haproxy": haproxy, "nginx": nginx}


def client_of(proxy: EdgeProxy) -> EdgeClient:
    """Return a client of a proxy."""
    return EdgeClient(proxy.https_port, proxy.certificate.trusted(), "127.0.0.1")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"EDGE_PROXY_PROTOCOL": "1", "EDGE_TRUSTED_PROXIES": "10.0.0.0/8 2001:db8::/32"},
        {"EDGE_PODS_NAME": "localhost:8000", "EDGE_PODS_MAX": "20", "EDGE_BALANCE_FACTOR": "0"},
        {"EDGE_CONNECTIONS_MAX": "1000", "EDGE_HTTPS": ":8443,[::]:8443"},
    ],
    ids=lambda changed: " ".join(changed) or "defaults",
)
def test_haproxy_accepts_its_configuration(
    certificate: EdgeCertificate, tmp_path: Path, changed: dict[str, str]
) -> None:
    debian_program("haproxy")
    env = haproxy_variables(["127.0.0.1:1", "127.0.0.1:2"], certificate, tmp_path, **changed)
    check(haproxy_command("-c"), {"PATH": "/usr/bin", **env})


def test_haproxy_accepts_its_configuration_without_a_certificate() -> None:
    debian_program("haproxy")
    folder = str(Path(__file__).parents[3] / "deploy" / "edge")
    check(haproxy_command("-c"), {"EDGE_POD_1": "127.0.0.1:1", "EDGE_FOLDER": folder})


def test_nginx_accepts_its_configuration(certificate: EdgeCertificate, tmp_path: Path) -> None:
    debian_program("nginx")
    command, _ = nginx_files(["127.0.0.1:1"], certificate, tmp_path)
    check([*command, "-t"], {})


def check(command: list[str], env: Mapping[str, str]) -> None:
    """Run a check of a configuration; it has to find nothing, not even something to warn of."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    # nginx 1.25 and newer prefer a directive that 1.22 does not know.
    known = '"listen ... http2" directive is deprecated'
    warnings = [one for one in printed.splitlines() if "warn" in one.lower() and known not in one]
    assert warnings == [], printed


@pytest.mark.parametrize("name", RUN)
def test_without_a_pod_people_get_a_page_and_programs_a_problem(
    certificate: EdgeCertificate, tmp_path: Path, name: str
) -> None:
    debian_program(name)
    with RUN[name]([f"127.0.0.1:{free_port()}"], certificate, tmp_path) as proxy:
        client = client_of(proxy)
        problem = until_away(lambda: client.get("/v1/concerts"))
        assert (problem.status, problem.code) == (503, "unavailable")
        assert problem.json["request_id"] == problem.headers["x-request-id"]
        assert int(problem.headers["retry-after"]) > 0
        page = client.get("/", Accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
        assert page.status == 503
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-store"
        assert [page.raw.count(lang) for lang in (b'lang="ko"', b'lang="en"')] == [1, 1]
        assert "strict-transport-security" in page.headers
        if name == "haproxy":
            health = client.get("/edge-health")
            assert (health.status, health.code) == (503, "unavailable")


def until_away(ask: Callable[[], Answer]) -> Answer:
    """Ask until the proxy knows that the pod is away: until then the code is of a lost answer."""
    until = time.monotonic() + 10
    while (answer := ask()).code != "unavailable" and time.monotonic() < until:
        time.sleep(0.05)
    return answer


class CuttingPod:
    """A pod that is ready, and closes each other connection after it has read a request."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.cut: list[bytes] = []

    def run(self) -> None:
        """Serve until the socket is closed."""
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                head = connection.recv(65_536)
                if head.startswith(b"GET /readyz "):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                elif head:
                    self.cut.append(head.partition(b" HTTP/")[0])


@contextmanager
def cutting_pod() -> Iterator[CuttingPod]:
    """Run such a pod until the block is left."""
    pod = CuttingPod()
    thread = threading.Thread(target=pod.run)
    thread.start()
    try:
        yield pod
    finally:
        pod.socket.shutdown(socket.SHUT_RDWR)
        pod.socket.close()
        thread.join()


def test_haproxy_repeats_what_may_be_repeated_and_names_what_is_unknown(
    edges: Edges, certificate: EdgeCertificate, tmp_path: Path
) -> None:
    good = f"127.0.0.1:{edges.pods[0].api.port}"
    with (
        cutting_pod() as pod,
        haproxy([pod.address, good], certificate, tmp_path, EDGE_CHECK="100ms") as proxy,
    ):
        client = client_of(proxy)
        reads = [client.get("/v1/clock") for _ in range(8)]
        # Without a token each is refused by the good pod.
        keyed = [client.call("POST", HOLDS, {}, Idempotency_Key=f"k{n}") for n in range(8)]
        plain = [client.call("POST", "/v1/sessions", {}) for _ in range(8)]
    assert shown(reads) == {(200, ""): 8}
    assert shown(keyed) == {(401, "unauthenticated"): 8}
    cut = pod.cut.count(b"POST /v1/sessions")
    assert min(cut, pod.cut.count(b"GET /v1/clock")) > 0
    assert shown(plain) == {(422, "invalid"): 8 - cut, (503, "outcome_unknown"): cut}


def test_haproxy_takes_the_client_of_the_proxy_protocol(
    edges: Edges, certificate: EdgeCertificate, tmp_path: Path
) -> None:
    pod = f"127.0.0.1:{edges.pods[0].api.port}"
    changed = {"EDGE_PROXY_PROTOCOL": "1", "EDGE_CERTIFICATE": ""}
    with haproxy([pod], certificate, tmp_path, **changed) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.http_port), timeout=20) as connection:
            connection.sendall(b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 80\r\n")
            connection.sendall(b"GET /v1/clock HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        until = time.monotonic() + 20
        while b"203.0.113.7" not in proxy.log.read_bytes() and time.monotonic() < until:
            time.sleep(0.02)
        assert b"203.0.113.7 [" in proxy.log.read_bytes()


def test_a_pod_stops_without_a_failed_request(edges: Edges) -> None:
    is_over = threading.Event()

    def ask(number: int) -> list[Answer]:
        client, answers = edges.client("haproxy", 30 + number), []
        with closing(client.connection()) as connection:
            while not is_over.is_set():
                answers.append(client.call("GET", "/v1/clock", on=connection))
                key = str(uuid4())
                answers.append(client.call("POST", HOLDS, {}, on=connection, Idempotency_Key=key))
                answers.append(client.call("POST", "/v1/sessions", {}))
                time.sleep(0.02)
        return answers

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, number) for number in range(4)]
        try:
            assert edges.pods[1].stop() == 0
        finally:
            is_over.set()
        answers = [answer for future in asking for answer in future.result()]
    counts = shown(answers)
    assert set(counts) == {(200, ""), (401, "unauthenticated"), (422, "invalid")}, counts
    assert edges.client("haproxy", 40).get("/v1/concerts").status == 200
