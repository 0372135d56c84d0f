"""Who may call what: every operation of the document, for every kind of caller."""

import asyncio
import hmac
import http.client
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import asyncpg
import jwt
import pytest

from boxoffice.app import compose
from boxoffice.settings import Settings

from .access import MATRIX, OPERATORS, STREAMS, Ask, about
from .access_rules import MEMBER_ROLES, check, unauthenticated
from .client import Api, Person, Sale, expect, refused, sign_up
from .conftest import Running

People = dict[str, Person]


@pytest.fixture(scope="module")
def people(
    buyer: Person,
    other: Person,
    organizer: Person,
    second_organizer: Person,
    operator: Person,
) -> People:
    """Every kind of caller with a token."""
    return {
        "buyer": buyer,
        "other": other,
        "organizer": organizer,
        "stranger": second_organizer,
        "operator": operator,
    }


@pytest.fixture(scope="module")
def ask(organizer: Person, buyer: Person) -> Ask:
    """Calls an operation about things that exist."""
    return about(buyer, organizer)


def routes() -> set[str]:
    """Return every method and path that the application answers to."""
    settings = Settings.of(database_url="postgresql://", valkey_url="redis://")
    application = compose(settings)
    return {f"{method} {path}" for method, path in application.http.router.routes()}


# A hold without a pass where the schedule has a waiting room, a top-up without a payment, and a change
# without the present password.
FORBIDDEN_TO_BUYERS = {
    "PUT /v1/me/email",
    "PUT /v1/me/password",
    "GET /v1/schedules/{schedule_id}/queue",
    "POST /v1/schedules/{schedule_id}/reservations",
    "POST /v1/schedules/{schedule_id}/waiting-list/entries",
    "POST /v1/me/wallet/top-ups",
}


def test_the_matrix_is_complete(api: Api) -> None:
    document = expect(api.get("/openapi.json"), 200).json
    described = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert described - STREAMS == set(MATRIX)
    found = {route for route in routes() if "/v1/" in route}
    operations = {route for route in found if not route.startswith("HEAD ")}
    assert operations == set(MATRIX) | STREAMS
    looks = {route.replace("GET ", "HEAD ") for route in operations if route.startswith("GET ")}
    assert found - operations == looks
    # Outside of them there is nothing to be changed: pages, and what operators ask.
    outside = routes() - found
    assert outside >= OPERATORS
    assert {route.split()[0] for route in outside} == {"GET", "HEAD"}
    for operation, rule in MATRIX.items():
        method, path = operation.split()
        item = document["paths"][path][method.lower()]
        assert ("security" in item) != rule.is_open, operation
        assert (rule.is_for_organizers or operation in FORBIDDEN_TO_BUYERS) == (
            "403" in item["responses"]
        ), operation


@pytest.mark.parametrize("operation", MATRIX)
def test_every_caller_gets_what_is_theirs(
    ask: Ask, api: Api, people: People, operation: str
) -> None:
    rule = MATRIX[operation]
    nobody = ask(operation, api)
    if rule.is_open:
        check(nobody, rule.buyer, "nobody")
    else:
        unauthenticated(nobody, "unauthenticated", "nobody")
    for name, wanted in rule.callers.items():
        check(ask(operation, people[name].api), wanted, name)


@pytest.fixture(scope="module")
def members(server: Running, organizer: Person) -> People:
    """A member of the organizer's organization with each role but owner."""
    found = {role: sign_up(server.api, role) for role in MEMBER_ROLES}

    async def join() -> None:
        connection = await asyncpg.connect(server.database_url)
        try:
            await connection.executemany(
                "INSERT INTO organization_members (organization_id, user_id, role)"
                " VALUES ($1, $2, $3)",
                [(organizer.user_id, one.user_id, role) for role, one in found.items()],
            )
        finally:
            await connection.close()

    asyncio.run(join())
    return found


@pytest.mark.parametrize("operation", [one for one in MATRIX if MATRIX[one].is_for_organizers])
def test_a_member_gets_what_the_role_allows(ask: Ask, members: People, operation: str) -> None:
    rule = MATRIX[operation]
    for role, person in members.items():
        wanted = rule.organizer if role in rule.roles else "forbidden"
        check(ask(operation, person.api), wanted, role)


@pytest.mark.parametrize("operation", MATRIX)
def test_bad_tokens_are_401_and_open_calls_do_not_look(
    ask: Ask, api: Api, bad_tokens: dict[str, tuple[str, str]], operation: str
) -> None:
    rule = MATRIX[operation]
    for name, (token, code) in bad_tokens.items():
        answer = ask(operation, api.of(token))
        if rule.is_open:
            check(answer, rule.buyer, name)
        else:
            unauthenticated(answer, code, name)


@pytest.mark.parametrize("operation", sorted(OPERATORS))
def test_operators_need_no_token(ask: Ask, api: Api, buyer: Person, operation: str) -> None:
    # From this machine; tests/e2e/api/test_metrics_access.py has the others.
    for caller in (api, buyer.api, api.of("garbage")):
        assert ask(operation, caller).status == 200


def head_of(operation: str, caller: Api, sale: Sale) -> tuple[int, str]:
    """Return the status and the type of an answer without an end, which is not read."""
    path = operation.split()[1].format(schedule_id=sale.schedule_id)
    connection = http.client.HTTPConnection(caller.host, caller.port, timeout=20)
    try:
        sent = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"].partition(";")[0]
    finally:
        connection.close()


@pytest.mark.parametrize("operation", sorted(STREAMS))
def test_streams_read_no_token(
    api: Api, people: People, bad_tokens: dict[str, tuple[str, str]], sale: Sale, operation: str
) -> None:
    callers = {"nobody": api, **{name: person.api for name, person in people.items()}}
    callers |= {name: api.of(token) for name, (token, _) in bad_tokens.items()}
    shown = {name: head_of(operation, caller, sale) for name, caller in callers.items()}
    assert shown == dict.fromkeys(callers, (200, "text/event-stream"))
    # The control: what is no schedule is 404 for every caller.
    nowhere = Sale("", "01890000-0000-7000-8000-000000000000")
    for caller in callers.values():
        assert head_of(operation, caller, nowhere) == (404, "application/problem+json")


@pytest.mark.parametrize("operation", sorted(set(MATRIX) | OPERATORS))
def test_other_methods_are_refused_for_every_caller(
    ask: Ask, people: People, operation: str
) -> None:
    path = operation.split()[1]
    known = {route.split()[0] for route in routes() if route.split()[1] == path}
    for method in {"PUT", "PATCH", "DELETE", "POST", "GET"} - known:
        for person in people.values():
            answer = ask(f"{method} {path}", person.api)
            assert answer.status == 405, (method, path, answer)
            assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == known


def spelt(data: bytes) -> str:
    """Encode bytes as tokens do."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def part(data: object) -> str:
    """Encode a part of a token."""
    return spelt(json.dumps(data).encode())


def decoded(text: str) -> Any:
    """Decode a part of a token."""
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.fixture(scope="module")
def bad_tokens(
    buyer: Person, organizer: Person, signing_key: tuple[str, bytes]
) -> dict[str, tuple[str, str]]:
    """Tokens that prove nothing, each with the code of its refusal."""
    head, claims, signature = buyer.api.token.split(".")
    kid, secret = signing_key
    said = decoded(claims)
    now = int(time.time())

    def signed(changed: dict[str, object], key: bytes = secret, kid: str = kid) -> str:
        return jwt.encode(said | changed, key, "HS256", headers={"kid": kid})

    raised = part(said | {"role": "organizer"})
    unsigned = part({"alg": "none", "kid": kid, "typ": "JWT"})
    tokens = {
        "expired": (signed({"iat": now - 7200, "exp": now - 60}), "token_expired"),
        "just expired": (signed({"exp": now - 1}), "token_expired"),
        "another secret": (signed({}, key=b"k" * 32), "token_invalid"),
        "another key's name": (signed({}, kid="none"), "token_invalid"),
        "a raised role": (f"{head}.{raised}.{signature}", "token_invalid"),
        "another's signature": (
            f"{head}.{claims}.{organizer.api.token.split('.')[2]}",
            "token_invalid",
        ),
        "no signature": (f"{head}.{claims}.", "token_invalid"),
        "alg none": (f"{unsigned}.{raised}.", "token_invalid"),
        "alg none, signed": (f"{unsigned}.{claims}.{signature}", "token_invalid"),
        "another algorithm": (
            jwt.encode(said, secret + secret, "HS512", headers={"kid": kid}),
            "token_invalid",
        ),
        "another audience": (signed({"aud": "elsewhere"}), "token_invalid"),
        "another issuer": (signed({"iss": "elsewhere"}), "token_invalid"),
        "no such role": (signed({"role": "root"}), "token_invalid"),
        "no person": (signed({"sub": "me"}), "token_invalid"),
        "no expiry": (
            jwt.encode({k: v for k, v in said.items() if k != "exp"}, secret, headers={"kid": kid}),
            "token_invalid",
        ),
        "two parts": (f"{head}.{claims}", "token_invalid"),
        "garbage": ("garbage", "token_invalid"),
        "dots": ("..", "token_invalid"),
        "long": ("x" * 5000, "token_invalid"),
        "not ASCII": ("t\u00f6ken", "token_invalid"),
        "deep head": (f"{part([[]])[:-2]}.{claims}.{signature}", "token_invalid"),
    }
    for alg in ("none", "None", "NONE", "HS384", "HS512", "RS256", "ES256", "hs256", "", None, 7):
        # Signed with the right secret: what is wrong is what the head says of it.
        named = part({"alg": alg, "kid": kid, "typ": "JWT"})
        digest = hmac.digest(secret, f"{named}.{claims}".encode(), "sha256")
        tokens[f"alg {alg!r}"] = (f"{named}.{claims}.{spelt(digest)}", "token_invalid")
    refused(buyer.api.of(tokens["garbage"][0]).get("/v1/me/wallet"), "token_invalid")
    return tokens


def test_the_key_of_these_tests_is_the_servers(
    api: Api, buyer: Person, signing_key: tuple[str, bytes]
) -> None:
    # Else the refusals above would prove nothing: with the right claims this key opens the door.
    kid, secret = signing_key
    said = decoded(buyer.api.token.split(".")[1])
    good = jwt.encode(said, secret, "HS256", headers={"kid": kid})
    expect(api.of(good).get("/v1/me/wallet"), 200)
    by_hand = f"{part({'alg': 'HS256', 'kid': kid, 'typ': 'JWT'})}.{part(said)}"
    by_hand += "." + spelt(hmac.digest(secret, by_hand.encode(), "sha256"))
    expect(api.of(by_hand).get("/v1/me/wallet"), 200)


SCHEMES = ["Basic {}", "bearer", "Bearer", "Bearer ", "{}", "Token {}", "Bearer: {}", "Bearer,{}"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_schemes_are_401(api: Api, buyer: Person, scheme: str) -> None:
    header = {"Authorization": scheme.format(buyer.api.token)}
    refused(api.get("/v1/me/wallet", headers=header), "unauthenticated")


def test_the_scheme_may_be_in_any_case(api: Api, buyer: Person) -> None:
    header = {"Authorization": f"bEARER {buyer.api.token}"}
    expect(api.get("/v1/me/wallet", headers=header), 200)


def test_the_caller_is_identified_before_the_body_is_read(api: Api, sale: Sale) -> None:
    refused(api.post(sale.holds, body=b"{"), "unauthenticated")
    refused(
        api.post("/v1/payments", body=b"\xff", headers={"Content-Type": "x"}), "unauthenticated"
    )
    refused(api.get("/v1/reservations/none"), "unauthenticated")


def test_a_role_is_not_to_be_had_by_asking(api: Api) -> None:
    sign_up = {
        "email": "x@example.test",
        "password": "open sesame 8",
        "name": "X",
        "role": "organizer",
    }
    refused(api.post("/v1/users", sign_up), "invalid")
