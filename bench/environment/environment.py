"""What a measurement stands on: one PostgreSQL and Valkey, and a fresh database for every run.

A dataset is sown once per size into a template database; each run gets a copy, so that all runs of all
scenarios start from the same scenarios, and prebuilt requests stay good.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from redis import Redis
from rich.console import Console

from bench.measurement.cpu import ProcessGroup
from boxoffice.catalog import rules as catalog_rules
from boxoffice.cli import seeding
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers

_SQL = sql_files.load("bench.environment")
_LOCK_PER_REQUEST_SCHEMA = sql_files.read("bench.baselines.lock_per_request", "schema.sql")
_RUN = "bench_run"
_REVIVED_WITHIN_S = 30.0
_BALANCE_MINOR = 5_000_000
# Longer than any run of the benchmark: nothing lapses and no token ends while it is measured.
_HOLD_TTL_S = 86_400
_TOKEN_TTL_S = 86_400


@dataclass(frozen=True)
class DatasetPlan:
    """How much to seed_dataset: equal schedules, and people with money."""

    seats: int
    schedules: int
    people: int

    @property
    def template(self) -> str:
        """The name of its database."""
        return f"bench_hall_{self.seats}"


@dataclass(frozen=True)
class SeededSchedule:
    """A schedule on sale and its seats in order."""

    schedule_id: str
    concert_id: str
    seat_ids: list[str]


class _Person(msgspec.Struct):
    access_token: str


@dataclass(frozen=True)
class Dataset:
    """What was sown: schedules, and one access token per person."""

    plan: DatasetPlan
    schedules: list[SeededSchedule]
    tokens: list[str]


class Environment:
    """The servers of a benchmark, started once."""

    def __init__(self, servers: EmbeddedServers) -> None:
        self._servers = servers
        self._valkey = Redis.from_url(servers.valkey_url)

    @property
    def groups(self) -> list[ProcessGroup]:
        """The processes of both servers."""
        postgres, valkey = self._servers.postgres.pid, self._servers.valkey.pid
        if postgres is None or valkey is None:
            raise RuntimeError("the servers are not running")
        return [ProcessGroup("postgres", postgres), ProcessGroup("valkey", valkey)]

    def settings(self, database: str) -> Settings:
        """Return the settings that everybody gets, with the address of one database."""
        url = self._servers.database_url.rpartition("/")[0] + "/" + database
        return Settings.of(database_url=url, valkey_url=self._servers.valkey_url, log_level="error")

    def env(self, settings: Settings, workers: int) -> dict[str, str]:
        """Return the environment of a server; all but addresses and workers stays as it is."""
        return {
            "BOXOFFICE_DATABASE_URL": settings.database.database_url,
            "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
            "BOXOFFICE_WORKERS": str(workers),
        }

    def kill_valkey(self) -> None:
        """Kill Valkey and start it again, which is empty then."""
        if self._servers.valkey.pid is None:
            raise RuntimeError("the servers are not running")
        os.kill(self._servers.valkey.pid, signal.SIGKILL)
        until = time.monotonic() + _REVIVED_WITHIN_S
        while not self._servers.revive():
            if time.monotonic() > until:
                raise RuntimeError("Valkey did not come back")
            time.sleep(0.01)

    def valkey_bytes(self) -> int:
        """Return how much memory Valkey has in use."""
        found: Any = self._valkey.info("memory")
        return int(found["used_memory"])

    def promises(self) -> dict[str, str]:
        """Return the settings of PostgreSQL that durability rests on."""
        return asyncio.run(self._promises())

    async def _promises(self) -> dict[str, str]:
        connection = await asyncpg.connect(self._servers.database_url)
        try:
            return dict(await connection.fetchrow(_SQL["settings"]) or {})
        finally:
            await connection.close()

    def seed_dataset(self, plan: DatasetPlan) -> Dataset:
        """Make the template of a dataset and return what is in it."""
        with tempfile.TemporaryDirectory(prefix="boxoffice-bench-tokens-") as folder:
            written = Path(folder, "tokens")
            schedules = asyncio.run(self._seed_dataset(plan, written))
            lines = written.read_bytes().splitlines()
        tokens = [msgspec.json.decode(line, type=_Person).access_token for line in lines]
        return Dataset(plan, schedules, tokens)

    async def _seed_dataset(self, plan: DatasetPlan, tokens: Path) -> list[SeededSchedule]:
        await self._admin("drop_database", plan.template)
        await self._admin("create_database", plan.template)
        settings = self.settings(plan.template).replace(
            seats_per_schedule_max=max(plan.seats, 100_000),
            access_token_ttl_s=_TOKEN_TTL_S,
        )
        await migrate(settings)
        schedules = await _fill(settings, plan, tokens)
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            await connection.execute(_LOCK_PER_REQUEST_SCHEMA)
            await connection.execute(_SQL["tidy"])
        finally:
            await connection.close()
        return schedules

    @contextmanager
    def fresh(self, plan: DatasetPlan) -> Iterator[Settings]:
        """Lend a copy of a dataset's database, and an empty Valkey."""
        asyncio.run(self._copy(plan))
        try:
            yield self.settings(_RUN)
        finally:
            asyncio.run(self._admin("drop_database", _RUN))

    async def _copy(self, plan: DatasetPlan) -> None:
        # The copies have the same schedules: what the seat lock knows of the last one must go.
        self._valkey.flushall()
        await self._admin("drop_database", _RUN)
        await self._admin("copy_database", _RUN, plan.template)

    async def add_waiting_rooms(self, settings: Settings) -> None:
        """Give every schedule of a copy a waiting room."""
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            await connection.execute(_SQL["add_waiting_rooms"])
        finally:
            await connection.close()

    async def _admin(self, statement: str, name: str, template: str = "") -> None:
        connection = await asyncpg.connect(self._servers.database_url)
        try:
            text = _SQL[statement].replace("{name}", name).replace("{template}", template)
            await connection.execute(text)
        finally:
            await connection.close()

    def close(self) -> None:
        """Let go of Valkey."""
        self._valkey.close()


@contextmanager
def running_environment(data_dir: Path) -> Iterator[Environment]:
    """Run the servers on `data_dir` until the block is left."""
    with EmbeddedServers(data_dir, say=lambda text: print(f"… {text}", file=sys.stderr)) as servers:
        one = Environment(servers)
        try:
            yield one
        finally:
            one.close()


async def _fill(settings: Settings, plan: DatasetPlan, tokens: Path) -> list[SeededSchedule]:
    """Sow as `boxoffice seed` does: schedule by schedule, the people along with the first."""
    quiet = Console(quiet=True)
    schedules = []
    seat_ids = [seat.seat_id for seat in catalog_rules.hall(plan.seats)]
    for number in range(plan.schedules):
        users, written = (0, None) if number else (plan.people, tokens)
        wish = seeding.Plan(plan.seats, users, _BALANCE_MINOR, hold_ttl_s=_HOLD_TTL_S)
        made = await seeding.seed(settings, wish, written, quiet)
        schedules.append(SeededSchedule(str(made.schedule_id), str(made.concert_id), seat_ids))
    return schedules
