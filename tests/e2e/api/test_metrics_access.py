"""Who may read the metrics."""

import http.client
import subprocess
import sys
from collections.abc import Mapping

import pytest

from boxoffice.http.api.health import is_from_here
from boxoffice.observability.metrics_access import has_token
from boxoffice.platform.client_addresses import is_loopback
from tests.support.shop import free_port

from .client import Answer, Api, refused
from .conftest import Running, Start

TOKEN = "a-token-of-32-characters-or-more"


def ask(api: Api, headers: Mapping[str, str] | None = None, path: str = "/metrics") -> Answer:
    """Ask; a `Host` among the headers is sent instead of the right one."""
    return api.call("GET", path, headers=headers or {})


def test_who_asks_on_this_machine_may(api: Api) -> None:
    for headers in ({}, {"Host": "localhost"}, {"Host": "127.0.0.1:9"}, {"Host": "[::1]:8000"}):
        assert ask(api, headers).raw.startswith(b"# HELP")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", ""),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("CF-Connecting-IP", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("Via", "1.1 proxy"),
        ("Host", "shop.example"),
        ("Host", "localhost.example"),
        ("Host", "127.0.0.1.example"),
    ],
)
def test_who_asks_through_a_proxy_may_not(api: Api, name: str, value: str) -> None:
    refusal = refused(ask(api, {name: value}), "forbidden")
    assert b"# HELP" not in refusal.raw
    assert ask(api, {name: value}, "/healthz").status == 200


@pytest.mark.parametrize(
    ("peer", "is_here"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True),
     ("192.0.2.7", False), ("10.0.0.1", False), ("::ffff:10.0.0.1", False), ("x", False),
     (None, False)],
)  # fmt: skip
def test_only_loopback_is_here(peer: str | None, is_here: bool) -> None:
    assert is_from_here(peer, {"Host": "localhost"}.get) == is_here
    assert peer is None or is_loopback(peer) == is_here


def test_a_token_is_asked_for_everywhere(start: Start) -> None:
    port = free_port()
    api = start(metrics_token=TOKEN, metrics_port=str(port)).api
    for place in (api, Api("127.0.0.1", port)):
        for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
            refusal = refused(ask(place, {"Authorization": f"Bearer {wrong}"}), "unauthenticated")
            assert refusal.headers["www-authenticate"] == "Bearer"
        refused(ask(place), "unauthenticated")
        refused(ask(place, {"Authorization": f"Basic {TOKEN}"}), "unauthenticated")
        for more in ({}, {"X-Forwarded-For": "192.0.2.7", "Host": "shop.example"}):
            answer = ask(place, {"Authorization": f"Bearer {TOKEN}", **more})
            assert answer.raw.startswith(b"# HELP")


def test_a_port_of_its_own_has_nothing_else(start: Start) -> None:
    port = free_port()
    shop = start(metrics_port=str(port))
    apart = Api("127.0.0.1", port)
    answer = ask(apart, {"X-Forwarded-For": "192.0.2.7", "Host": "shop.example"})
    assert answer.raw.startswith(b"# HELP")
    for path in ("/healthz", "/readyz"):
        assert ask(apart, path=path).status == 200
    for path in ("/", "/v1/concerts", "/v1/clock", "/docs", "/openapi.json", "/favicon.ico"):
        refused(ask(apart, path=path), "not_found")
        assert ask(shop.api, path=path).status == 200
    assert shop.stop() == 0
    with pytest.raises(ConnectionError):
        ask(apart)


def test_a_port_that_is_taken_is_named(server: Running) -> None:
    port = server.api.port
    env = {"BOXOFFICE_DATABASE_URL": "postgresql://x", "BOXOFFICE_VALKEY_URL": "redis://x"}
    for workers in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "boxoffice", "serve", "--port", str(free_port())],
            env={**env, "BOXOFFICE_METRICS_PORT": str(port), "BOXOFFICE_WORKERS": workers},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "BOXOFFICE_METRICS_PORT" in done.stdout + done.stderr


def test_an_empty_token_is_no_token() -> None:
    assert not has_token("", "Bearer ")
    assert not has_token("", None)
    assert has_token(TOKEN, f"bearer {TOKEN}")
    assert not has_token(TOKEN, "Bearer ü")


def test_one_connection_may_ask_again(start: Start) -> None:
    port = free_port()
    start(metrics_port=str(port))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        for _ in range(3):
            connection.request("GET", "/metrics")
            assert connection.getresponse().read().startswith(b"# HELP")
    finally:
        connection.close()
