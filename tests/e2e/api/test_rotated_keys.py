"""Tokens and boards of an older key: good until the key is retired, and then never again."""

import asyncio
import time
from collections.abc import Callable, Iterator

import asyncpg
import jwt
import pytest

from boxoffice.app import open_application
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.board_signature import is_verified
from tests.support.board_signature import kid_of as board_kid
from tests.support.database import copied_database

from .access import MATRIX, about
from .access_rules import check, unauthenticated
from .client import Answer, Api, Person, expect, log_in, sign_up
from .conftest import Running, make_organizer, on_sale, rich, running

REFRESH_S = "0.2"
KEYS = "/v1/board-keys"


@pytest.fixture(scope="module")
def hasty(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A server that looks at the keys often."""
    log = tmp_path_factory.mktemp("keys") / "serve.log"
    with (
        copied_database(servers.database_url, template) as database_url,
        running(database_url, servers.valkey_url, log, token_key_refresh_s=REFRESH_S) as server,
    ):
        yield server


def kid_of(api: Api) -> str:
    """Return the name of the key that signed a token."""
    return str(jwt.get_unverified_header(api.token)["kid"])


def rotate(server: Running) -> None:
    """Rotate the keys as an operator does."""

    async def run() -> None:
        settings = Settings.of(database_url=server.database_url, valkey_url="redis://127.0.0.1:1")
        async with open_application(settings) as application:
            await application.services.accounts.rotate_keys(3_600)

    asyncio.run(run())


def forget(server: Running, kid: str) -> None:
    """Take a key away at once, as after a leak."""

    async def run() -> None:
        connection = await asyncpg.connect(server.database_url)
        try:
            await connection.execute("DELETE FROM token_keys WHERE kid = $1", kid)
        finally:
            await connection.close()

    asyncio.run(run())


def test_tokens_of_a_rotated_key_on_every_operation(hasty: Running) -> None:
    buyer, organizer = rich(hasty.api), make_organizer(hasty)
    ask = about(buyer, organizer)
    old = {"buyer": buyer.api, "organizer": organizer.api}
    rotate(hasty)
    new = {
        name: newer(hasty, person) for name, person in (("buyer", buyer), ("organizer", organizer))
    }
    for operation, rule in MATRIX.items():
        for who in ("buyer", "organizer"):
            for caller in (old[who], new[who]):
                check(ask(operation, caller), rule.callers[who], (operation, who))
    forget(hasty, kid_of(buyer.api))
    eventually(lambda: old["buyer"].get("/v1/me/wallet").status == 401)
    for operation, rule in MATRIX.items():
        for who in ("buyer", "organizer"):
            check(ask(operation, new[who]), rule.callers[who], (operation, who))
            if not rule.is_open:
                unauthenticated(ask(operation, old[who]), "token_invalid", (operation, who))


def test_boards_are_signed_by_the_new_key_and_the_old_one_is_published_until_it_ends(
    hasty: Running,
) -> None:
    api = hasty.api
    sale = on_sale(make_organizer(hasty), 10)
    path = f"/v1/schedules/{sale.schedule_id}/queue/board"
    before = expect(api.get(path), 200)
    signature = before.headers["jws-signature"]
    old = kid_of(log_in_again(hasty))
    rotate(hasty)
    found: list[Answer] = []

    def is_signed_anew() -> bool:
        # Whenever it changes, the key is among the published ones.
        found.append(expect(api.get(path), 200))
        keys = expect(api.get(KEYS), 200).json
        assert is_verified(found[-1].raw, found[-1].headers["jws-signature"], keys)
        return board_kid(found[-1].headers["jws-signature"]) != board_kid(signature)

    eventually(is_signed_anew)
    assert is_verified(before.raw, signature, expect(api.get(KEYS), 200).json)
    forget(hasty, old)
    eventually(lambda: not is_verified(before.raw, signature, expect(api.get(KEYS), 200).json))
    keys = expect(api.get(KEYS), 200).json
    assert is_verified(found[-1].raw, found[-1].headers["jws-signature"], keys)


def log_in_again(server: Running) -> Api:
    """Return a new user, whose token is of the key that signs now."""
    return sign_up(server.api).api


def eventually(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Return as soon as `holds` is true; fail after `within_s`."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, f"not within {within_s} s"
        time.sleep(0.05)


def newer(server: Running, person: Person) -> Api:
    """Log in until the token is of another key."""
    found: list[Api] = []

    def logged_in() -> bool:
        found.append(server.api.of(log_in(server.api, person.email)))
        return kid_of(found[-1]) != kid_of(person.api)

    eventually(logged_in)
    return found[-1]
