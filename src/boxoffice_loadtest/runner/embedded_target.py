"""A target of the load test's own: embedded servers, API processes, sweeper and relay."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from boxoffice.cli import seeding
from boxoffice.cli.printing import terminal
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers
from boxoffice_loadtest.measurement import processes
from boxoffice_loadtest.measurement.database_reader import TargetSchedule
from boxoffice_loadtest.runner.api_processes import ApiProcesses, end, spawn
from boxoffice_loadtest.runner.target import LoadTarget, database_environment
from boxoffice_loadtest.users import UserTokens, read_users

_DAY_S = 86_400
_BALANCE_MINOR = 1_000_000_000
_HOLD_TTL_S = 3_600
_TICKET_LIMIT = 1_000
# Slower than users arrive in the scenario, so that a queue forms.
_ADMISSION_RATE_PER_S = 30.0


@dataclass
class EmbeddedTarget:
    """The embedded servers with seeded users; API processes are started on demand."""

    servers: EmbeddedServers
    settings: Settings
    users: UserTokens
    folder: Path
    roles: dict[str, "subprocess.Popen[bytes]"]

    @contextmanager
    def serving(self, workers: int) -> Iterator[tuple[LoadTarget, ApiProcesses]]:
        """Run an API with so many processes until the block is left."""
        api = ApiProcesses(self.settings, self.folder / "api.log", workers)
        try:
            api.wait_until_ready()
            yield self._target(api), api
        finally:
            api.stop()

    def _target(self, api: ApiProcesses) -> LoadTarget:
        def failure() -> str | None:
            dead = self.servers.poll()
            return f"{dead[0]} has died" if dead else api.failure()

        return LoadTarget(
            base_url=api.base_url,
            users=self.users,
            settings=api.settings,
            pids=lambda: self._pids(api),
            failure=failure,
            prepare_schedule=self._prepare_schedule,
            not_sampled=[] if processes.is_supported() else ["processes"],
            environment=database_environment(self.settings),
            is_embedded=True,
        )

    def _pids(self, api: ApiProcesses) -> dict[str, list[int]]:
        postgres, valkey = self.servers.postgres.pid, self.servers.valkey.pid
        return {
            "api": api.pids(),
            "harness": [os.getpid()],
            **{name: [process.pid] for name, process in self.roles.items()},
            "postgres": [postgres] if postgres else [],
            "valkey": [valkey] if valkey else [],
        }

    def _prepare_schedule(self, seats: int, has_waiting_room: bool) -> TargetSchedule:
        plan = seeding.Plan(
            seats,
            0,
            0,
            hold_ttl_s=_HOLD_TTL_S,
            ticket_limit=_TICKET_LIMIT,
            queue_rate_per_s=_ADMISSION_RATE_PER_S if has_waiting_room else None,
        )
        made = asyncio.run(seeding.seed(self.settings, plan, None, terminal(quiet=True)))
        return TargetSchedule(made.schedule_id, made.concert_id, _HOLD_TTL_S, seats)


@contextmanager
def embedded_target(
    folder: Path, data_dir: Path, users: int, console: Console, show: Callable[[str], None]
) -> Iterator[EmbeddedTarget]:
    """Start the servers and seed users with money; stop everything when the block is left."""
    show("starting PostgreSQL and Valkey")
    with EmbeddedServers(data_dir, say=lambda _: None) as servers:
        settings = Settings.of(
            database_url=servers.database_url,
            valkey_url=servers.valkey_url,
            log_level="error",
            access_token_ttl_s=_DAY_S,
        )
        asyncio.run(migrate(settings))
        tokens = folder / "tokens.jsonl"
        plan = seeding.Plan(1, users, _BALANCE_MINOR)
        asyncio.run(seeding.seed(settings, plan, tokens, console))
        roles = {
            role: spawn([role], settings, folder / f"{role}.log") for role in ("sweep", "relay")
        }
        try:
            yield EmbeddedTarget(servers, settings, read_users(tokens), folder, roles)
        finally:
            for process in roles.values():
                end(process)
