"""Sign-up and login over HTTP."""

import unicodedata
from typing import Literal
from uuid import uuid4

import pytest

from boxoffice.accounts.routes import routes
from boxoffice.accounts.service import Accounts
from boxoffice.http.api import openapi
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.platform.postgres.database import Database
from tests.support.connection import Client, Result

PASSWORD = "열려라 참깨 8"


@pytest.fixture
async def app(accounts: Accounts) -> Client:
    dependencies = RouteDependencies(accounts.tokens.verify, 65_536, 5.0)
    return Client(routes(accounts, dependencies), dependencies)


async def post(app: Client, path: str, **body: object) -> Result:
    return await app.post(path, json=body)


async def sign_up(app: Client, **changed: object) -> Result:
    body = {"email": f"{uuid4().hex}@example.test", "password": PASSWORD, "name": "김민수"}
    return await post(app, "/v1/users", **(body | changed))


async def test_sign_up_and_login(app: Client, accounts: Accounts) -> None:
    email = f"{uuid4().hex}@example.test"
    made = await sign_up(app, email=email)
    assert made.status_code == 201
    session = await post(app, "/v1/sessions", email=email.upper(), password=PASSWORD)
    assert session.status_code == 201
    assert session.headers["cache-control"] == "no-store"
    assert (session.json["expires_in"], session.json["token_type"]) == (3_600, "Bearer")
    caller = accounts.tokens.verify(session.json["access_token"])
    assert (str(caller.user_id), caller.role) == (made.json["user_id"], "buyer")


async def test_a_taken_address_is_409(app: Client) -> None:
    email = f"{uuid4().hex}@example.test"
    await sign_up(app, email=email)
    again = await sign_up(app, email=email.upper())
    assert (again.status_code, again.json["code"]) == (409, "email_taken")


async def test_a_failed_login_is_the_same_401_for_every_address(
    app: Client,
) -> None:
    email = f"{uuid4().hex}@example.test"
    await sign_up(app, email=email)
    answers = []
    for typed in (email, f"{uuid4().hex}@example.test"):
        answer = await post(app, "/v1/sessions", email=typed, password="wrong password")
        assert (answer.status_code, answer.json["code"]) == (401, "credentials_invalid")
        assert answer.headers["www-authenticate"] == "Bearer"
        answers.append({name: v for name, v in answer.json.items() if name != "request_id"})
    assert answers[0] == answers[1]


async def test_too_many_failures_are_429_with_a_time(
    app: Client,
) -> None:
    email = f"{uuid4().hex}@example.test"
    answers = [
        await post(app, "/v1/sessions", email=email, password="wrong password") for _ in range(11)
    ]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    last = answers[-1]
    assert last.json["code"] == "too_many_requests"
    assert 1 <= int(last.headers["retry-after"]) == last.json["retry_after_s"] <= 60


BAD_SIGN_UPS: list[tuple[dict[str, object], str]] = [
    ({"email": "nobody"}, "$.email"),
    ({"email": 7}, "$.email"),
    ({"email": "a" * 255 + "@b.example"}, "$.email"),
    ({"email": "a@b.example\x00"}, "$.email"),
    ({"password": "short"}, "$.password"),
    ({"password": "x" * 129}, "$.password"),
    ({"password": "nul\x00inside"}, "$.password"),
    ({"password": None}, "$.password"),
    ({"name": ""}, "$.name"),
    ({"name": "  "}, "$.name"),
    ({"name": "x" * 201}, "$.name"),
    ({"role": "organizer"}, "$"),
]


async def test_bad_sign_ups_are_422_and_name_the_member(app: Client) -> None:
    for changed, member in BAD_SIGN_UPS:
        answer = await sign_up(app, **changed)
        assert (answer.status_code, answer.json["code"]) == (422, "invalid"), changed
        assert [error["path"] for error in answer.json["errors"]] == [member], changed


@pytest.mark.parametrize(("first", "then"), [("NFC", "NFD"), ("NFD", "NFC")])
async def test_a_password_is_the_same_however_a_keyboard_composes_it(
    app: Client, first: Literal["NFC", "NFD"], then: Literal["NFC", "NFD"]
) -> None:
    email = f"{uuid4().hex}@example.test"
    password = "열려라참깨힣" * 10 + "\u3000끝"
    made = await sign_up(app, email=email, password=unicodedata.normalize(first, password))
    assert made.status_code == 201
    typed = unicodedata.normalize(then, password.replace("\u3000", " "))
    session = await post(app, "/v1/sessions", email=email, password=typed)
    assert session.status_code == 201


async def test_a_common_password_is_422_and_named(app: Client, db: Database) -> None:
    email = f"{uuid4().hex}@example.test"
    for password in ("PASSWORD1", "boxoffice", email):
        answer = await sign_up(app, email=email, password=password)
        assert (answer.status_code, answer.json["code"]) == (422, "password_common"), password
        assert [error["path"] for error in answer.json["errors"]] == ["$.password"]
    assert await db.read("SELECT FROM users") == []


async def test_line_ends_that_a_pattern_lets_through_are_422(app: Client) -> None:
    for changed in ({"email": "a@b.example\n"}, {"password": "12345678\n"}):
        answer = await sign_up(app, **changed)
        assert (answer.status_code, answer.json["code"]) == (422, "invalid"), changed


MALFORMED = [
    b"",
    b"{",
    b'{"email": "a@b.example", "password": "\\ud80012345678", "name": "A"}',
    b'{"email": "a@b.example", "password": "12345678", "name": "A", "name": "B"}',
]


async def test_malformed_bodies_are_400(app: Client) -> None:
    for raw in MALFORMED:
        headers = {"Content-Type": "application/json"}
        answer = await app.post("/v1/users", body=raw, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (400, "malformed"), raw[:80]


def test_the_calls_describe_themselves(accounts: Accounts) -> None:
    dependencies = RouteDependencies(accounts.tokens.verify, 1, 1)
    described = openapi.document(routes(accounts, dependencies), "0")
    answers = described["paths"]["/v1/sessions"]["post"]["responses"]
    assert {"201", "401", "422", "429", "503"} <= set(answers)
    assert "409" in described["paths"]["/v1/users"]["post"]["responses"]
    new = described["components"]["schemas"]["SignUp"]["properties"]["password"]
    assert (new["minLength"], new["maxLength"]) == (8, 128)
