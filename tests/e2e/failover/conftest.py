"""A PostgreSQL of its own whose commits wait for a standby that never comes, while a test wants it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.settings import Settings
from boxoffice_embedded.servers.embedded_servers import EmbeddedServers
from tests.support.database import server_data
from tests.support.waiting import until

_SETS = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"
_RESETS = "ALTER SYSTEM RESET synchronous_standby_names"
_WRITES = "SELECT pg_logical_emit_message(true, 'test', '')"
_WAITS_FOR = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1"
_TEST_TIMEOUT_S = 60
_DATA_BYTES = 2 * 1024**3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a commit that waits for ever fail its own test and not the whole run."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_TEST_TIMEOUT_S, method="signal"))


@dataclass(frozen=True)
class Primary:
    """The server; `database_url` names a migrated database."""

    database_url: str
    valkey_url: str

    async def run(self, statement: str) -> None:
        """Run a statement on a connection of its own."""
        one = await asyncpg.connect(self.database_url)
        try:
            await one.execute(statement)
        finally:
            await one.close()

    @asynccontextmanager
    async def without_standby(self) -> AsyncIterator[None]:
        """Let every commit wait for a standby that is not there, until the block is left."""
        await self._reload(_SETS)
        try:
            await until(self._waits)
            yield
        finally:
            await self._reload(_RESETS)

    async def _reload(self, statement: str) -> None:
        await self.run(statement)
        await self.run("SELECT pg_reload_conf()")

    async def _waits(self) -> bool:
        """Say whether a commit waits already; the server's processes hear of a setting one by one."""
        one = await asyncpg.connect(self.database_url)
        watching = await asyncpg.connect(self.database_url)
        writing = asyncio.create_task(one.execute(_WRITES))
        try:
            while not writing.done():
                if await watching.fetchval(_WAITS_FOR, one.get_server_pid()) == "SyncRep":
                    return True
        finally:
            await cancel_and_wait([writing])
            await one.close()
            await watching.close()
        return False


@pytest.fixture(scope="session")
def primary() -> Iterator[Primary]:
    """One for all tests of the folder; each leaves it as it was."""
    with (
        server_data(_DATA_BYTES) as home,
        EmbeddedServers(home, say=lambda text: print(text, file=sys.stderr)) as servers,
    ):
        asyncio.run(migrate(Settings.of(database_url=servers.database_url)))
        yield Primary(servers.database_url, servers.valkey_url)


@pytest.fixture
def settings(primary: Primary) -> Settings:
    """Settings of a pod that gives everything up soon."""
    return Settings.of(
        database_url=primary.database_url,
        valkey_url=primary.valkey_url,
        log_level="error",
        statement_timeout_ms=500,
        lock_timeout_ms=300,
        unknown_outcome_timeout_ms=500,
        batch_isolation_timeout_ms=500,
    )


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    """An open pool of such a pod."""
    database = Database(settings)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def patient(settings: Settings) -> AsyncIterator[Database]:
    """A pool that waits for everything for a long time."""
    database = Database(settings.replace(statement_timeout_ms=20_000))
    await database.open()
    yield database
    await database.close()
