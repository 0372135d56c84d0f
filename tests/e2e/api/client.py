"""A small HTTP client that sends exactly what it is told, and the people of the tests."""

import http.client
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from boxoffice.http.api.statuses import STATUSES

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
PASSWORD = "열려라 참깨 8"

_UNSET: Any = object()


@dataclass(frozen=True)
class Answer:
    """One answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        """The code of a problem, empty where the answer is none."""
        if not self.headers.get("content-type", "").startswith(PROBLEM_TYPE):
            return ""
        return str(self.json["code"])


@dataclass(frozen=True)
class Api:
    """The address of a server; with a `token`, the person who calls."""

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://{self.host}:{self.port}"

    def of(self, token: str) -> "Api":
        """The same server, as another user."""
        return Api(self.host, self.port, token)

    def call(
        self,
        method: str,
        path: str,
        *,
        json_body: object = _UNSET,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        key: str | None = None,
    ) -> Answer:
        """Send one request on a connection of its own; an iterable body is sent in chunks."""
        sent: dict[str, str | bytes] = {}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if key is not None:
            sent["Idempotency-Key"] = key
        if json_body is not _UNSET:
            body = json.dumps(json_body).encode()
        if body is not None:
            sent["Content-Type"] = JSON_TYPE
        sent.update(headers or {})
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(
                method, path, body, sent, encode_chunked=not isinstance(body, bytes | None)
            )
            response = connection.getresponse()
            shown = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, shown, response.read())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        """Send a GET."""
        return self.call("GET", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """Send a DELETE."""
        return self.call("DELETE", path, **options)

    def post(self, path: str, json_body: object = _UNSET, **options: Any) -> Answer:
        """Send a POST."""
        return self.call("POST", path, json_body=json_body, **options)

    def keyed(self, path: str, json_body: object = _UNSET, **options: Any) -> Answer:
        """Send a POST under a new Idempotency-Key."""
        return self.post(path, json_body, key=str(uuid4()), **options)


@dataclass(frozen=True)
class Person:
    """A user with an account."""

    user_id: str
    email: str
    api: Api


@dataclass(frozen=True)
class Sale:
    """A concert with one schedule, and the ids of its seats in their order."""

    concert_id: str
    schedule_id: str
    seat_ids: list[str] = field(default_factory=list)

    @property
    def seats(self) -> str:
        """The path of the seat map."""
        return f"/v1/schedules/{self.schedule_id}/seats"

    @property
    def holds(self) -> str:
        """The path to which holds are posted."""
        return f"/v1/schedules/{self.schedule_id}/reservations"


def sign_up(api: Api, name: str = "김민수") -> Person:
    """Make an account and log in."""
    email = f"{secrets.token_hex(8)}@example.test"
    made = expect(api.post("/v1/users", {"email": email, "password": PASSWORD, "name": name}), 201)
    return Person(made.json["user_id"], email, api.of(log_in(api, email)))


def log_in(api: Api, email: str) -> str:
    """Return an access token of the account with this address."""
    session = api.post("/v1/sessions", {"email": email, "password": PASSWORD})
    return str(expect(session, 201).json["access_token"])


def expect(answer: Answer, status: int, code: str = "") -> Answer:
    """Return `answer` once its status and code are the expected ones."""
    assert (answer.status, answer.code) == (status, code), answer
    if code:
        check_problem(answer)
    return answer


def refused(answer: Answer, code: str) -> Answer:
    """Return `answer` once it is the problem `code`, with the status of the one table."""
    return expect(answer, STATUSES[code], code)


def check_problem(answer: Answer) -> None:
    """Check that a refusal has the shape of RFC 9457 and the members of ours."""
    body = answer.json
    assert answer.headers["content-type"] == PROBLEM_TYPE
    assert body["type"] == f"urn:boxoffice:problem:{body['code']}"
    assert body["status"] == answer.status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert all(isinstance(body[name], str) and body[name] for name in ("title", "detail"))
    assert (answer.status == 401) == ("www-authenticate" in answer.headers)
