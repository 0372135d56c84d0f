"""PostgreSQL and Valkey for a benchmark, and a fresh database for each run.

Each dataset is seeded once into a template database. Each run gets a copy, so that all runs start from
the same rows and prebuilt requests stay valid.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from redis import Redis
from rich.console import Console

from bench.environment.cpu import MeasuredGroup
from bench.scenarios.http_requests import OFFER_CODE
from boxoffice.catalog import rules as catalog_rules
from boxoffice.cli import seeding
from boxoffice.offers.rules import code_hash
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers

_SQL = sql_files.load("bench.environment")
_LOCK_PER_REQUEST_SCHEMA = sql_files.read("bench.baselines.lock_per_request", "schema.sql")
_RUN = "bench_run"
_RESTART_TIMEOUT_S = 30.0
# Longer than any run: no hold and no token expires during a measurement.
_HOLD_TTL_S = 86_400
_TOKEN_TTL_S = 86_400
_SEED_TIMEOUT_MS = 600_000


@dataclass(frozen=True)
class DatasetPlan:
    """How much to seed: equal schedules, and users with money."""

    seats: int
    schedules: int
    users: int
    row_seats: int = 25
    section_rows: int = 10
    balance_minor: int = 5_000_000

    @property
    def template(self) -> str:
        """The name of its template database."""
        hall = f"{self.schedules}_of_{self.seats}_in_{self.row_seats}_{self.section_rows}"
        return f"bench_{hall}_for_{self.users}"


@dataclass(frozen=True)
class SeededSchedule:
    """A schedule on sale and its seats in order."""

    schedule_id: str
    concert_id: str
    seat_ids: list[str]


class _TokenLine(msgspec.Struct):
    access_token: str


@dataclass(frozen=True)
class Dataset:
    """Seeded schedules, and one access token per user."""

    plan: DatasetPlan
    schedules: list[SeededSchedule]
    tokens: list[str]


class Environment:
    """The servers of a benchmark, started once."""

    def __init__(self, servers: EmbeddedServers) -> None:
        self._servers = servers
        self._valkey = Redis.from_url(servers.valkey_url)

    @property
    def groups(self) -> list[MeasuredGroup]:
        """The processes of both servers."""
        postgres, valkey = self._servers.postgres.pid, self._servers.valkey.pid
        if postgres is None or valkey is None:
            raise RuntimeError("the servers are not running")
        return [MeasuredGroup("postgres", postgres), MeasuredGroup("valkey", valkey)]

    def settings(self, database: str) -> Settings:
        """Return default settings with the addresses of one database and of Valkey."""
        url = self._servers.database_url.rpartition("/")[0] + "/" + database
        return Settings.of(database_url=url, valkey_url=self._servers.valkey_url, log_level="error")

    def env(self, settings: Settings, workers: int) -> dict[str, str]:
        """Return the environment of a server: addresses and workers; the rest is the default."""
        return {
            "BOXOFFICE_DATABASE_URL": settings.database.database_url,
            "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
            "BOXOFFICE_WORKERS": str(workers),
        }

    def kill_valkey(self) -> None:
        """Kill Valkey and start it again, empty."""
        if self._servers.valkey.pid is None:
            raise RuntimeError("the servers are not running")
        os.kill(self._servers.valkey.pid, signal.SIGKILL)
        until = time.monotonic() + _RESTART_TIMEOUT_S
        while not self._servers.revive():
            if time.monotonic() > until:
                raise RuntimeError("Valkey did not start again")
            time.sleep(0.01)

    def valkey_bytes(self) -> int:
        """Return the memory that Valkey uses."""
        found: Any = self._valkey.info("memory")
        return int(found["used_memory"])

    def valkey_script_us(self) -> float:
        """Return the microseconds that scripts of Valkey have taken, by its own count."""
        found: Any = self._valkey.info("commandstats")
        return sum(
            float(one["usec"])
            for name, one in found.items()
            if name in {"cmdstat_eval", "cmdstat_evalsha"}
        )

    def durability(self) -> dict[str, str]:
        """Return the version of PostgreSQL and its settings for durability."""
        return asyncio.run(self._durability())

    async def _durability(self) -> dict[str, str]:
        connection = await asyncpg.connect(self._servers.database_url)
        try:
            return dict(await connection.fetchrow(_SQL["settings"]) or {})
        finally:
            await connection.close()

    def seed_dataset(self, plan: DatasetPlan) -> Dataset:
        """Create the template database of a dataset."""
        with tempfile.TemporaryDirectory(prefix="boxoffice-bench-tokens-") as folder:
            written = Path(folder, "tokens")
            schedules = asyncio.run(self._seed_dataset(plan, written))
            lines = written.read_bytes().splitlines()
        tokens = [msgspec.json.decode(line, type=_TokenLine).access_token for line in lines]
        return Dataset(plan, schedules, tokens)

    async def _seed_dataset(self, plan: DatasetPlan, tokens: Path) -> list[SeededSchedule]:
        await self._admin("drop_database", plan.template)
        await self._admin("create_database", plan.template)
        settings = self.settings(plan.template).replace(
            seats_per_schedule_max=max(plan.seats, 100_000),
            access_token_ttl_s=_TOKEN_TTL_S,
            # Beside other work the rows of a transaction take longer than a request may.
            statement_timeout_ms=_SEED_TIMEOUT_MS,
            request_timeout_ms=5 * _SEED_TIMEOUT_MS,
        )
        await migrate(settings)
        schedules = await _seed(settings, plan, tokens)
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            await connection.execute(_LOCK_PER_REQUEST_SCHEMA)
            await connection.execute(_SQL["vacuum"])
        finally:
            await connection.close()
        return schedules

    @contextmanager
    def fresh_database(self, plan: DatasetPlan) -> Iterator[Settings]:
        """Copy a dataset's database and empty Valkey; drop the copy when the block is left."""
        asyncio.run(self._copy(plan))
        try:
            yield self.settings(_RUN)
        finally:
            asyncio.run(self._admin("drop_database", _RUN))

    async def _copy(self, plan: DatasetPlan) -> None:
        # The copies have the same schedules, so the seat locks of the last run must go.
        self._valkey.flushall()
        await self._admin("drop_database", _RUN)
        await self._admin("copy_database", _RUN, plan.template)

    async def add_waiting_rooms(self, settings: Settings, inside_max: int | None = None) -> None:
        """Add a waiting room to every schedule of a copy; it is open if it has an `inside_max`."""
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            await connection.execute(_SQL["add_waiting_rooms"], inside_max)
        finally:
            await connection.close()

    async def count_holds(self, settings: Settings, schedule_id: str) -> int:
        """Return how many holds a schedule of a copy has had."""
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            return int(await connection.fetchval(_SQL["count_holds"], UUID(schedule_id)))
        finally:
            await connection.close()

    async def add_offers(self, settings: Settings, schedule_ids: Sequence[str]) -> None:
        """Add offers with the code `OFFER_CODE` to these schedules of a copy."""
        ids = [UUID(one) for one in schedule_ids]
        digests = [code_hash(one, OFFER_CODE) for one in ids]
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            await connection.execute(_SQL["add_offers"], ids, digests)
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
        """Close the connection to Valkey."""
        self._valkey.close()


@contextmanager
def running_environment(data_dir: Path, valkey_mb: int = 256) -> Iterator[Environment]:
    """Run PostgreSQL and Valkey, with `valkey_mb` of memory, until the block is left."""
    with EmbeddedServers(
        data_dir,
        say=lambda text: print(f"… {text}", file=sys.stderr),
        valkey_maxmemory_mb=valkey_mb,
    ) as servers:
        environment = Environment(servers)
        try:
            yield environment
        finally:
            environment.close()


async def _seed(settings: Settings, plan: DatasetPlan, tokens: Path) -> list[SeededSchedule]:
    """Seed as `boxoffice seed` does: one schedule at a time, the users with the first."""
    quiet = Console(quiet=True)
    schedules = []
    seats = catalog_rules.hall(plan.seats, plan.row_seats, plan.section_rows)
    seat_ids = [seat.seat_id for seat in seats]
    for number in range(plan.schedules):
        users, written = (0, None) if number else (plan.users, tokens)
        seed_plan = seeding.Plan(
            plan.seats,
            users,
            plan.balance_minor,
            hold_ttl_s=_HOLD_TTL_S,
            row_seats=plan.row_seats,
            section_rows=plan.section_rows,
        )
        made = await seeding.seed(settings, seed_plan, written, quiet)
        schedules.append(SeededSchedule(str(made.schedule_id), str(made.concert_id), seat_ids))
    return schedules
