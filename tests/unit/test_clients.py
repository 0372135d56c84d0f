"""The generated clients are up to date, and the samples of the reference are what they would send."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import boxoffice_client
import msgspec
import pytest

from boxoffice.app import describe
from boxoffice.web.reference.document import ApiDescription, Described, type_name
from boxoffice.web.reference.snippets import samples
from clients.generator.files import generated, stale

JSON = "application/json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document, without a server."""
    return describe()


def test_the_clients_are_up_to_date(document: dict[str, Any]) -> None:
    assert stale(document) == [], "run: python -m clients.generator"
    document["components"]["schemas"]["WalletOut"]["properties"]["more"] = {"type": "string"}
    changed = stale(document)
    del document["components"]["schemas"]["WalletOut"]["properties"]["more"]
    assert {path.name for path in changed} == {"types.py", "boxoffice.ts"}
    assert len(generated(document)) == 4


def test_every_example_is_a_value_of_the_clients_types(document: dict[str, Any]) -> None:
    for name, one in document["components"]["examples"].items():
        if not name.startswith("problem."):
            kind = getattr(boxoffice_client, type_name(name))
            value = msgspec.convert(one["value"], kind)
            assert msgspec.to_builtins(value).keys() <= one["value"].keys(), name


class _Recorded(Exception):
    """Ends a call when its request is known."""


class _Recorder:
    """A connection that keeps its request and answers nothing."""

    sock = None
    last: tuple[str, str, bytes | None, dict[str, str]]

    def request(self, method: str, target: str, body: bytes | None, headers: Any) -> None:
        """Keep the request."""
        _Recorder.last = (method, target, body, headers)
        raise _Recorded

    def close(self) -> None:
        """Nothing is open."""


def _described(document: dict[str, Any]) -> Iterator[tuple[ApiDescription, Described]]:
    found = ApiDescription(document)
    for operations in found.operations.values():
        for one in operations:
            yield found, one


def test_each_python_sample_sends_the_example_of_its_operation(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.client, "HTTPSConnection", lambda *_, **__: _Recorder())
    sent = 0
    for found, one in _described(document):
        program = dict(samples(found, one))["Python"]
        names: dict[str, Any] = {"token": "t", "picture": b"picture"}
        try:
            exec(compile(program, one.anchor, "exec"), names)  # noqa: S102 - what the reference shows
            for _ in names["answer"] or ():  # A stream sends its request when it is read.
                pass
        except _Recorded:
            sent += 1
        method, target, body, headers = _Recorder.last
        assert method == one.method
        assert target.partition("?")[0].count("/") == one.path.count("/")
        assert "{" not in target
        assert ("Authorization" in headers) == ("security" in one.item)
        content = one.item.get("requestBody", {}).get("content", {})
        if JSON in content:
            assert json.loads(body or b"") == found.example(content[JSON]), one.anchor
        elif content:
            assert headers["Content-Type"] in content
        for parameter in one.item["parameters"]:
            if parameter["in"] == "header" and parameter["required"]:
                assert headers[parameter["name"]] == parameter["example"]
    assert sent == sum(1 for _ in _described(document))


@contextmanager
def _serving(*answers: bytes) -> Iterator[str]:
    """A server that sends one answer to each connection and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


def test_a_client_goes_on_after_an_answer_that_was_cut() -> None:
    wallet = b'{"balance":68000,"currency":"KRW","can_top_up":true}'
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(wallet), wallet)
    with _serving(whole[:-1], whole) as url, boxoffice_client.Client(url, "t") as client:
        with pytest.raises(OSError, match="cut"):
            client.get_me_wallet()
        assert client.get_me_wallet().balance == 68_000
