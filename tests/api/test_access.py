"""Who may call what: every operation of the document, for everybody who may come along."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

import jwt
import pytest

from .client import Answer, Api, Person, Sale, expect, refused
from .conftest import hold, on_sale


class Rule(NamedTuple):
    """What the callers of an operation get; None where nobody's token matters."""

    nobody: int | None
    buyer: int
    other: int
    organizer: int


# The buyer owns the reservation and the payment of the matrix, the organizer the concert.
# 422 stands where the right caller gets past the gate and is refused for an empty body.
MATRIX = {
    "POST /v1/users": Rule(None, 422, 422, 422),
    "POST /v1/sessions": Rule(None, 422, 422, 422),
    "GET /v1/concerts": Rule(None, 200, 200, 200),
    "GET /v1/concerts/{concert_id}": Rule(None, 200, 200, 200),
    "GET /v1/concerts/{concert_id}/schedules": Rule(None, 200, 200, 200),
    "GET /v1/schedules/{schedule_id}/seats": Rule(None, 200, 200, 200),
    "POST /v1/schedules/{schedule_id}/queue": Rule(401, 409, 409, 409),
    "GET /v1/schedules/{schedule_id}/queue": Rule(None, 401, 401, 401),
    "DELETE /v1/schedules/{schedule_id}/queue": Rule(None, 401, 401, 401),
    "GET /v1/schedules/{schedule_id}/queue/draw": Rule(None, 404, 404, 404),
    "POST /v1/schedules/{schedule_id}/reservations": Rule(401, 422, 422, 422),
    "GET /v1/reservations/{reservation_id}": Rule(401, 200, 404, 404),
    "DELETE /v1/reservations/{reservation_id}": Rule(401, 409, 404, 404),
    "GET /v1/me/reservations": Rule(401, 200, 200, 200),
    "POST /v1/payments": Rule(401, 422, 422, 422),
    "GET /v1/payments/{payment_id}": Rule(401, 200, 404, 404),
    "GET /v1/me/wallet": Rule(401, 200, 200, 200),
    "GET /v1/me/wallet/entries": Rule(401, 200, 200, 200),
    "POST /v1/me/wallet/charges": Rule(401, 422, 422, 422),
    "GET /v1/clock": Rule(None, 200, 200, 200),
    "GET /v1/admin/concerts": Rule(401, 403, 403, 200),
    "GET /v1/admin/concerts/{concert_id}": Rule(401, 403, 403, 200),
    "GET /v1/admin/schedules/{schedule_id}": Rule(401, 403, 403, 200),
    "GET /v1/admin/logbook": Rule(401, 403, 403, 200),
    "GET /v1/admin/schedules/{schedule_id}/figures": Rule(401, 403, 403, 200),
    "GET /v1/admin/schedules/{schedule_id}/reservations": Rule(401, 403, 403, 200),
    "GET /v1/admin/reservations/{reservation_id}": Rule(401, 403, 403, 200),
    "GET /v1/admin/audit": Rule(401, 403, 403, 200),
    "POST /v1/admin/audit": Rule(401, 403, 403, 202),
    "POST /v1/admin/schedules/{schedule_id}/seats/preview": Rule(401, 403, 403, 415),
    "POST /v1/admin/concerts": Rule(401, 403, 403, 422),
    "POST /v1/admin/concerts/{concert_id}/schedules": Rule(401, 403, 403, 422),
    "POST /v1/admin/concerts/{concert_id}/publish": Rule(401, 403, 403, 409),
    "POST /v1/admin/schedules/{schedule_id}/seats": Rule(401, 403, 403, 422),
    "POST /v1/admin/schedules/{schedule_id}/open": Rule(401, 403, 403, 200),
    "POST /v1/admin/schedules/{schedule_id}/close": Rule(401, 403, 403, 200),
    "GET /v1/admin/schedules/{schedule_id}/queue": Rule(401, 403, 403, 200),
    "POST /v1/admin/schedules/{schedule_id}/queue": Rule(401, 403, 403, 200),
}

Ask = Callable[[str, Api], Answer]


@pytest.fixture(scope="module")
def ask(organizer: Person, buyer: Person) -> Ask:
    """Calls an operation about things that exist."""
    sale = on_sale(organizer, 3)
    sold = hold(buyer, sale, "A-1-1").json["reservation_id"]
    order = {"reservation_id": sold, "method": "wallet"}
    paid = expect(buyer.api.keyed("/v1/payments", order), 201).json["payment_id"]
    ids = {
        "concert_id": sale.concert_id,
        "schedule_id": sale.schedule_id,
        "reservation_id": sold,
        "payment_id": paid,
    }

    def call(operation: str, caller: Api) -> Answer:
        method, path = operation.format(**ids).split()
        if method == "POST":
            return caller.keyed(path, {})
        return caller.call(method, path)

    return call


def test_the_matrix_is_complete(api: Api) -> None:
    document = expect(api.get("/openapi.json"), 200).json
    described = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert described == set(MATRIX)
    for operation, rule in MATRIX.items():
        method, path = operation.split()
        item = document["paths"][path][method.lower()]
        assert ("security" in item) == (rule.nobody is not None), operation
        # A hold without a pass is 403 where the schedule has a waiting room.
        is_hold = path.endswith("/{schedule_id}/reservations")
        assert (rule.buyer == 403 or is_hold) == ("403" in item["responses"]), operation


@pytest.mark.parametrize("operation", MATRIX)
def test_everybody_gets_what_is_theirs(
    ask: Ask, api: Api, buyer: Person, other: Person, organizer: Person, operation: str
) -> None:
    rule = MATRIX[operation]
    nobody = ask(operation, api)
    if rule.nobody is None:
        assert nobody.status == rule.buyer
    else:
        refused(nobody, "unauthenticated")
        assert nobody.headers["www-authenticate"].startswith("Bearer")
    callers = ((buyer, rule.buyer), (other, rule.other), (organizer, rule.organizer))
    for person, status in callers:
        answer = ask(operation, person.api)
        assert answer.status == status, (operation, answer)
        if status == 403:
            refused(answer, "forbidden")


@pytest.mark.parametrize("operation", MATRIX)
def test_bad_tokens_are_401_and_open_calls_do_not_look(
    ask: Ask, api: Api, bad_tokens: dict[str, tuple[str, str]], operation: str
) -> None:
    rule = MATRIX[operation]
    for name, (token, code) in bad_tokens.items():
        answer = ask(operation, api.of(token))
        if rule.nobody is None:
            assert answer.status == rule.buyer, (operation, name)
        else:
            refused(answer, code)
            assert answer.headers["www-authenticate"].startswith("Bearer"), name


def part(data: object) -> str:
    """Encode a part of a token."""
    return urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


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


SCHEMES = ["Basic {}", "bearer", "Bearer", "Bearer ", "{}", "Token {}", "Bearer: {}", "Bearer,{}"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_schemes_are_401(api: Api, buyer: Person, scheme: str) -> None:
    header = {"Authorization": scheme.format(buyer.api.token)}
    refused(api.get("/v1/me/wallet", headers=header), "unauthenticated")


def test_the_scheme_may_be_in_any_case(api: Api, buyer: Person) -> None:
    header = {"Authorization": f"bEARER {buyer.api.token}"}
    expect(api.get("/v1/me/wallet", headers=header), 200)


def test_who_somebody_is_is_asked_before_what_they_send(api: Api, sale: Sale) -> None:
    refused(api.post(sale.holds, body=b"{"), "unauthenticated")
    refused(
        api.post("/v1/payments", body=b"\xff", headers={"Content-Type": "x"}), "unauthenticated"
    )
    refused(api.get("/v1/reservations/none"), "unauthenticated")


def test_a_role_is_not_to_be_had_by_asking(api: Api) -> None:
    wish = {"email": "x@example.test", "password": "12345678", "name": "X", "role": "organizer"}
    refused(api.post("/v1/users", wish), "invalid")
