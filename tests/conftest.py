"""Real servers for every test: one PostgreSQL and one Valkey per run, one database per test.

`BOXOFFICE_TEST_DATABASE_URL` and `BOXOFFICE_TEST_VALKEY_URL` point at servers of one's own; the role
must be allowed to create databases.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from boxoffice_embedded.servers.embedded_servers import EmbeddedServers
from tests.support.database import copied_database, server_data
from tests.support.simulators import Simulators, running_simulators

# Test runs that share a server have a template each. One that is named here is kept for the next run,
# which brings it up to date.
_KEPT = os.environ.get("BOXOFFICE_TEST_TEMPLATE", "")
_TEMPLATE = _KEPT or "boxoffice_template"

# What the servers of one process of the tests take at the most, with room for what tests start.
_SERVERS_BYTES = 6 * 1024**3

_UNIT = Path(__file__).with_name("unit")

# A runner in the background may hand these down as ignored; the processes that the tests start would
# inherit that, and no test of Ctrl-C could pass.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# An example may take any time: a busy machine says nothing about the code. A failure prints how to
# repeat it.
hypothesis.settings.register_profile(
    "boxoffice",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.load_profile("boxoffice")

# Two files at a time run, in processes of their own (`make test`). These measure times, start whole
# services or fill the machine, so that no two of them run at once.
_HEAVY = (
    "tools/",
    "e2e/concurrency/",
    "e2e/edge/",
    "e2e/embedded/",
    "e2e/failover/",
    "e2e/money/",
    "e2e/stateful/",
    "e2e/cli/",
)

# What a test needs, as a marker, by the fixtures that it asks for: `pytest -m "not browser"`.
_MARKERS = {"servers": "servers", "browser": "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with what it needs; a unit test needs none of it."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        needed = [marker for fixture, marker in _MARKERS.items() if fixture in fixtures]
        for marker in needed:
            item.add_marker(marker)
        if needed and item.path.is_relative_to(_UNIT):
            raise pytest.UsageError(f"{item.nodeid} is a unit test, and needs {needed}")


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives each process a file at a time, and one of them everything heavy."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix("tests/")
        return "heavy" if file.startswith(_HEAVY) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """Share the tests out; the groups of the plugin itself do nothing with this pytest."""
    return _ByFile(config, log)


# All clients of the tests have one address, and the tests of a run share one Valkey. What limits an
# address has tests of its own, with limits of their own.
ONE_ADDRESS = {
    "login_address_failures_max": 1_000_000,
    "login_address_attempts_max": 1_000_000,
    "sign_ups_per_address_max": 1_000_000,
    "account_mails_per_address_max": 1_000_000,
    "account_mails_per_email_max": 1_000_000,
}


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers of this run."""

    database_url: str
    valkey_url: str


def _with_database(url: str, name: str) -> str:
    return url.rpartition("/")[0] + "/" + name


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and Valkey, embedded unless the environment names others."""
    database_url = os.environ.get("BOXOFFICE_TEST_DATABASE_URL", "")
    valkey_url = os.environ.get("BOXOFFICE_TEST_VALKEY_URL", "")
    if database_url and valkey_url:
        yield Servers(database_url, valkey_url)
        return
    with (
        server_data(_SERVERS_BYTES) as home,
        EmbeddedServers(home, say=lambda text: print(text, file=sys.stderr)) as embedded,
    ):
        yield Servers(embedded.database_url, embedded.valkey_url)


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """The name of a migrated database that every test's own is copied from."""

    async def prepare() -> None:
        admin = await asyncpg.connect(servers.database_url)
        is_there = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        if not _KEPT or not await admin.fetchval(is_there, _TEMPLATE):
            await admin.execute(f"DROP DATABASE IF EXISTS {_TEMPLATE} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        await admin.close()
        await migrate(Settings.of(database_url=_with_database(servers.database_url, _TEMPLATE)))

    asyncio.run(prepare())
    return _TEMPLATE


@pytest.fixture
def database_url(servers: Servers, template: str) -> Iterator[str]:
    """The address of an empty, migrated database of this test alone."""
    with copied_database(servers.database_url, template) as url:
        yield url


@pytest.fixture
def settings(database_url: str, servers: Servers) -> Settings:
    """Settings that point at this test's database and at the shared Valkey."""
    return Settings.of(
        database_url=database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        **ONE_ADDRESS,
        wallet_top_up_free=True,
    )


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    """An open pool on this test's database."""
    database = Database(settings)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def valkey(settings: Settings) -> AsyncIterator[Valkey]:
    """A client of the real Valkey."""
    client = Valkey(settings.valkey)
    yield client
    await client.close()


@pytest.fixture(scope="session")
def simulator_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    """A process per simulated payment provider, for the whole run."""
    with running_simulators(tmp_path_factory.mktemp("simulators")) as running:
        yield running


@pytest.fixture
async def simulators(simulator_processes: Simulators) -> Simulators:
    """The simulated payment providers, with empty books, no faults and the time of the machine."""
    await simulator_processes.reset()
    return simulator_processes
