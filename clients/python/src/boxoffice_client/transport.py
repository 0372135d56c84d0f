"""Sends requests over one connection, and turns refusals into `ApiError`."""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

T = TypeVar("T")

_JSON = "application/json"


class ApiError(Exception):
    """A refusal. `code` is stable; `problem` has all members of the answer.

    `retry_after_s` is how long to wait before the next try, None where it makes no sense.
    """

    def __init__(
        self, status: int, code: str, problem: Mapping[str, Any], retry_after_s: float | None
    ) -> None:
        super().__init__(f"{status} {code}: {problem.get('detail', '')}")
        self.status = status
        self.code = code
        self.problem = problem
        self.retry_after_s = retry_after_s


class ServerEvent(NamedTuple):
    """An event of a stream; `data` is the text of its data, in JSON."""

    id: str
    event: str
    data: str


class Transport:
    """A connection to the API, kept open between calls; not for several threads at once."""

    def __init__(self, base_url: str, token: str = "", *, timeout_s: float = 30.0) -> None:
        self._parts = urlsplit(base_url)
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise ValueError("base_url begins with http:// or https:// and a host")
        self._timeout_s = timeout_s
        self._connection = self._connect()
        self.token = token

    def __enter__(self) -> Self:
        """Return this client."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        self._connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)

    def call(self, method: str, template: str, *, answer: type[T], **parts: Any) -> T:
        """Return the decoded answer of an operation."""
        return msgspec.json.decode(self.read(method, template, **parts), type=answer)

    def read(self, method: str, template: str, **parts: Any) -> bytes:
        """Return the body of an answer."""
        try:
            return self._sent(self._connection, method, template, **parts).read()
        except ApiError:
            raise
        except BaseException as error:
            # The next request needs a connection without a part of this answer.
            self.close()
            if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
                raise ConnectionError(f"the answer was cut: {error!r}") from error
            raise

    def stream(self, method: str, template: str, **parts: Any) -> Iterator[ServerEvent]:
        """Yield the events of a stream, over a connection of its own, until the server ends it."""
        connection = self._connect()
        try:
            yield from _events(self._sent(connection, method, template, **parts))
        finally:
            connection.close()

    def _sent(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        template: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        header: Mapping[str, str | None] | None = None,
        body: Any = None,
        media_type: str = _JSON,
    ) -> http.client.HTTPResponse:
        target = self._parts.path.rstrip("/") + _target(template, path or {}, query or {})
        headers = {name: value for name, value in (header or {}).items() if value is not None}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        encoded = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        if encoded is not None:
            headers["Content-Type"] = media_type
        response = _exchange(connection, method, target, encoded, headers)
        if response.status >= 400:
            raise _refusal(response)
        return response


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None,
    headers: dict[str, str],
) -> http.client.HTTPResponse:
    """Send a request; once more where it may be repeated and the server had closed the connection."""
    is_reused = connection.sock is not None
    try:
        connection.request(method, target, body, headers)
        return connection.getresponse()
    except (http.client.RemoteDisconnected, ConnectionError):
        connection.close()
        if not is_reused or not (method == "GET" or "Idempotency-Key" in headers):
            raise
        connection.request(method, target, body, headers)
        return connection.getresponse()


def _target(template: str, path: Mapping[str, str], query: Mapping[str, Any]) -> str:
    for name, value in path.items():
        template = template.replace(f"{{{name}}}", quote(value, safe=""))
    given = {name: _shown(value) for name, value in query.items() if value is not None}
    return f"{template}?{urlencode(given, doseq=True)}" if given else template


def _shown(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _refusal(response: http.client.HTTPResponse) -> ApiError:
    raw = response.read()
    try:
        problem = json.loads(raw)
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    wait = response.headers.get("Retry-After", "")
    retry_after_s = float(wait) if wait.isdigit() else None
    return ApiError(response.status, str(problem.get("code", "")), problem, retry_after_s)


def _events(lines: http.client.HTTPResponse) -> Iterator[ServerEvent]:
    """Parse `text/event-stream` (the HTML standard, section 9.2)."""
    found: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if "data" in found:
                yield ServerEvent(found.get("id", ""), found.get("event", "message"), found["data"])
            found = {"id": found["id"]} if "id" in found else {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        found[name] = f"{found['data']}\n{value}" if name == "data" and "data" in found else value
