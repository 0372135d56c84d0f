"""A shop of several processes on one PostgreSQL and any Valkey, and buyers who queue and hold."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from rich.console import Console

from boxoffice.audit import audit
from boxoffice.cli import seeding
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.settings import Settings
from boxoffice_embedded.servers.embedded_servers import EmbeddedServers
from drills.servers.valkey_process import HOST, free_port

_READY_TIMEOUT_S, _STOP_TIMEOUT_S, _CALL_TIMEOUT_S = 60.0, 15.0, 15.0
_POLL_EVERY_S, _VISIT_TIMEOUT_S = 0.2, 60.0


@dataclass(frozen=True, slots=True)
class BuyerCall:
    """One answer: when it was asked for (monotonic), and how long it took."""

    kind: str
    schedule_id: str
    status: int
    at_s: float
    seconds: float


@dataclass
class Buyers:
    """Sends requests to the processes in turn, and keeps what came of them."""

    session: aiohttp.ClientSession
    urls: Iterator[str]
    calls: list[BuyerCall] = field(default_factory=list)
    # By schedule: the number of each buyer who has joined.
    numbers: dict[str, dict[str, int]] = field(default_factory=dict)
    done: int = 0
    # Visits whose queue did not let them in, or did not answer, for the whole time.
    given_up: int = 0
    visit_timeout_s: float = _VISIT_TIMEOUT_S

    async def call(
        self, kind: str, method: str, schedule_id: str, path: str, token: str, **options: Any
    ) -> tuple[int, Any]:
        """Send one request; status 599 where there is no answer."""
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        url = f"{next(self.urls)}/v1/schedules/{schedule_id}/{path}"
        try:
            async with self.session.request(method, url, headers=headers, **options) as answer:
                status, body = answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            status, body = 599, None
        self.calls.append(BuyerCall(kind, schedule_id, status, began, time.monotonic() - began))
        return status, body

    async def join(self, schedule_id: str, token: str) -> str:
        """Join the queue, repeating a refusal, and return the ticket; raise `TimeoutError`."""
        async with asyncio.timeout(self.visit_timeout_s):
            return await self._joined(schedule_id, token)

    async def _joined(self, schedule_id: str, token: str) -> str:
        while True:
            status, body = await self.call("join", "POST", schedule_id, "queue", token)
            if status in (200, 201):
                self.numbers.setdefault(schedule_id, {})[token] = body["number"]
                return str(body["queue_ticket"])
            await asyncio.sleep(_POLL_EVERY_S)

    async def poll(self, schedule_id: str, token: str, ticket: str) -> Any:
        """Ask for the position; None without an answer."""
        headers = {"Queue-Ticket": ticket}
        status, body = await self.call("poll", "GET", schedule_id, "queue", token, headers=headers)
        return body if status == 200 else None

    async def hold(self, schedule_id: str, token: str, queue_pass: str) -> int:
        """Hold the best seat and return the status."""
        headers = {"Queue-Pass": queue_pass, "Idempotency-Key": str(uuid4())}
        body = {"quantity": 1}
        status, _ = await self.call(
            "hold", "POST", schedule_id, "reservations", token, headers=headers, json=body
        )
        return status

    async def visit(self, schedule_id: str, token: str) -> None:
        """Join, wait, and hold a seat; give up after `visit_timeout_s`."""
        try:
            async with asyncio.timeout(self.visit_timeout_s):
                status = await self._visited(schedule_id, token)
        except TimeoutError:
            self.given_up += 1
            return
        self.done += status == 201

    async def _visited(self, schedule_id: str, token: str) -> int:
        ticket = await self._joined(schedule_id, token)
        while True:
            position = await self.poll(schedule_id, token, ticket)
            if position and position["state"] == "ADMITTED":
                return await self.hold(schedule_id, token, position["queue_pass"])
            ticket = (position or {}).get("queue_ticket") or ticket
            await asyncio.sleep(_POLL_EVERY_S)

    def failures(self, *kinds: str, schedules: set[str] | None = None) -> list[BuyerCall]:
        """Return the calls of these kinds that were answered 5xx or not at all."""
        return [
            one
            for one in self.calls
            if one.kind in kinds
            and one.status >= 500
            and (schedules is None or one.schedule_id in schedules)
        ]

    def repeated_numbers(self) -> int:
        """Return how many numbers two buyers have."""
        return sum(len(one) - len(set(one.values())) for one in self.numbers.values())


class DrillShop:
    """Processes, schedules with waiting rooms, and access tokens of buyers."""

    def __init__(self, servers: EmbeddedServers, folder: Path, valkey_url: str) -> None:
        self.settings = Settings.of(
            database_url=servers.database_url, valkey_url=valkey_url, log_level="error"
        )
        self.tokens: Iterator[str] = iter(())
        self._folder = folder
        self._pods: list[tuple[subprocess.Popen[bytes], str]] = []

    async def open(
        self, *, seats: int, people: int, rate_per_s: float, is_enough: Callable[[list[str]], bool]
    ) -> list[str]:
        """Start two processes, put schedules on sale until there are enough, and return their ids."""
        await migrate(self.settings)
        self._pods = [self._start(number) for number in range(2)]
        for process, url in self._pods:
            await _ready(process, url)
        file = self._folder / "tokens.jsonl"
        made: list[str] = []
        while not is_enough(made):
            first = not made
            plan = seeding.Plan(seats, people if first else 0, 0, queue_rate_per_s=rate_per_s)
            quiet = Console(quiet=True)
            seeded = await seeding.seed(self.settings, plan, file if first else None, quiet)
            made.append(str(seeded.schedule_id))
        lines = file.read_text(encoding="utf-8").splitlines()
        self.tokens = iter([str(json.loads(line)["access_token"]) for line in lines])
        return made

    @asynccontextmanager
    async def buyers(self) -> AsyncIterator[Buyers]:
        """Lend a generator of requests."""
        timeout = aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=200)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            yield Buyers(session, itertools.cycle([url for _, url in self._pods]))

    async def broken(self) -> list[str]:
        """Return the invariants that do not hold."""
        return [str(one) for one in (await audit(self.settings)).broken]

    def close(self) -> None:
        """Stop the processes."""
        for process, _ in self._pods:
            process.send_signal(signal.SIGTERM)
        for process, _ in self._pods:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT_S)
            process.kill()
            process.wait()

    def _start(self, number: int) -> tuple[subprocess.Popen[bytes], str]:
        port = free_port()
        env = {name: v for name, v in os.environ.items() if not name.startswith("BOXOFFICE_")}
        env |= {
            "BOXOFFICE_DATABASE_URL": self.settings.database.database_url,
            "BOXOFFICE_VALKEY_URL": self.settings.valkey.valkey_url,
            "BOXOFFICE_PORT": str(port),
            "BOXOFFICE_LOG_REQUESTS": "false",
            "BOXOFFICE_SEAT_LOCK": "always",
            "BOXOFFICE_CONNECTIONS_PER_ADDRESS_MAX": "2000",
        }
        with (self._folder / f"serve{number}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "boxoffice", "serve"], env=env, stdout=log, stderr=log
            )
        return process, f"http://{HOST}:{port}"


@asynccontextmanager
async def drill_shop(folder: Path, valkey_url: str) -> AsyncIterator[DrillShop]:
    """Lend a shop with a PostgreSQL of its own; its processes start with `open`."""
    with EmbeddedServers(folder / "servers", say=lambda _: None) as servers:
        shop = DrillShop(servers, folder, valkey_url)
        try:
            yield shop
        finally:
            shop.close()


@asynccontextmanager
async def visiting(
    buyers: Buyers, tokens: Iterator[str], schedules: list[str], per_s: float
) -> AsyncIterator[None]:
    """Let visits begin at a constant rate, schedule by schedule; at the end wait for all of them."""
    visits: list[asyncio.Task[None]] = []

    async def begin() -> None:
        for schedule_id in itertools.cycle(schedules):
            visits.append(asyncio.create_task(buyers.visit(schedule_id, next(tokens))))
            await asyncio.sleep(1 / per_s)

    beginning = asyncio.create_task(begin())
    try:
        yield
    finally:
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        ended = await asyncio.gather(*visits, return_exceptions=True)
    failed = [one for one in ended if isinstance(one, BaseException)]
    if failed:
        raise failed[0]


async def _ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    until = time.monotonic() + _READY_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise RuntimeError(f"{url} is not ready")
