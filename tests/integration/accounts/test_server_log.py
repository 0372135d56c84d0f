"""PostgreSQL's own log contains no e-mail address, whatever it refuses."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from boxoffice.accounts.service import Accounts
from boxoffice.accounts.store import AccountStore
from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.errors import EmailTaken
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from boxoffice_embedded.servers.embedded_servers import EmbeddedServers

PASSWORD = "열려라 참깨 8"
EMAIL = "nobody-may-read-this@example.test"
NAME = "이름은 비밀"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    """Servers whose log is of this module alone, and readable also where the others are elsewhere."""
    home = tmp_path_factory.mktemp("logged")
    with EmbeddedServers(home, say=lambda text: print(text, file=sys.stderr)) as servers:
        yield servers


async def _sign_up_again_and_again(settings: Settings) -> int:
    """Try one address in turn and at once, and a used tag; return how often it was taken."""
    db, valkey = Database(settings), Valkey(settings.valkey)
    await db.open()
    store = AccountStore(db)
    accounts = Accounts(
        settings, store, TokenAuthority(settings.accounts, store.keys, lambda: 0.0), valkey
    )
    try:
        tries = [accounts.sign_up(EMAIL.upper(), PASSWORD, NAME) for _ in range(8)]
        results: list[object] = [*await asyncio.gather(*tries, return_exceptions=True)]
        for _ in range(2):
            results += await asyncio.gather(
                accounts.sign_up(EMAIL, PASSWORD, NAME),
                accounts.seed_people(3, tag="again"),
                return_exceptions=True,
            )
        return sum(isinstance(result, EmailTaken) for result in results)
    finally:
        accounts.close()
        await valkey.close()
        await db.close()


async def _insert_twice(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO users (user_id, email, name, password_hash)"
            " VALUES (gen_random_uuid(), $1, $2, '-')",
            EMAIL,
            NAME,
        )
    finally:
        await connection.close()


def _log_of(servers: EmbeddedServers) -> str:
    return Path(servers.postgres.log.path).read_text(encoding="utf-8", errors="replace")


def test_an_address_that_is_taken_is_not_written_into_the_servers_log(
    logged: EmbeddedServers,
) -> None:
    settings = Settings.of(
        database_url=logged.database_url,
        valkey_url=logged.valkey_url,
        valkey_timeout_ms=100,
        log_level="error",
    )
    asyncio.run(migrate(settings))
    assert asyncio.run(_sign_up_again_and_again(settings)) == 7 + 2 + 1
    text = _log_of(logged)
    assert "ready to accept connections" in text
    for secret in (EMAIL, NAME, "again@example.test", PASSWORD):
        assert secret not in text
    # The control: an insert that fails has it there.
    with pytest.raises(asyncpg.UniqueViolationError):
        asyncio.run(_insert_twice(logged.database_url))
    assert EMAIL in _log_of(logged)
