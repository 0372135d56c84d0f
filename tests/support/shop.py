"""Real API processes over real HTTP, and a crowd that keeps its own record of what it was promised."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import aiohttp
import asyncpg
import msgspec

from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice.settings import Settings
from boxoffice_embedded.servers import home
from faults.workload.fixtures import SeededBuyer

START_TIMEOUT_S = 60.0
# What a process may take, see docs/operations.md, Signals and drain.
STOP_TIMEOUT_S = 40.0


class Pod:
    """One `boxoffice serve` process."""

    def __init__(self, settings: Settings, **overrides: object) -> None:
        self.printed = ""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = environment(settings, port=self.port, **overrides)
        self.process = subprocess.Popen(
            dying_with_us([sys.executable, "-m", "boxoffice", "serve"]),
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_until_ready(self) -> "Pod":
        """Return when it serves; raise with its output where it does not."""
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                self.stop()
                raise RuntimeError(f"the pod ended at its start: {self.printed}")
            if self._is_ready():
                return self
            time.sleep(0.03)
        raise RuntimeError("the pod was not ready in time")

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                return b" 200 " in probe.recv(64)
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it without warning."""
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.printed += self.process.communicate(timeout=STOP_TIMEOUT_S)[0].decode()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.process.returncode


def environment(settings: Settings, **overrides: object) -> dict[str, str]:
    """Return the environment of a process on the servers of a test."""
    wanted = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
        "log_level": "warning",
        "wallet_top_up_free": settings.payments.wallet_top_up_free,
        # A few people stand for many.
        "hold_lapses_free_max": 1_000_000,
        **overrides,
    }
    env = {name: value for name, value in os.environ.items() if not name.startswith("BOXOFFICE_")}
    return env | {f"BOXOFFICE_{name.upper()}": str(value) for name, value in wanted.items()}


class Role:
    """A process of another role, such as `cashier`, on the servers of a test."""

    def __init__(self, name: str, settings: Settings, **overrides: object) -> None:
        self.process = subprocess.Popen(
            dying_with_us([sys.executable, "-m", "boxoffice", name]),
            env=environment(settings, **overrides),
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """Kill it without warning."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it where it is."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.thaw()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def pods(settings: Settings, count: int, **overrides: object) -> Iterator[list[Pod]]:
    """Run `count` API processes on the same servers; each must stop with exit code 0."""
    running = [Pod(settings, **overrides) for _ in range(count)]
    try:
        yield [pod.wait_until_ready() for pod in running]
    finally:
        codes = [pod.stop() for pod in running]
    if any(code not in (0, -signal.SIGKILL) for code in codes):
        raise RuntimeError(f"pods ended with {codes}")


def dying_with_us(argv: Sequence[str]) -> Sequence[str]:
    """Return a command that gets SIGKILL when this process dies, however it dies."""
    return wrapped_command(argv, identity="same", death_signal=signal.SIGKILL, directory=Path.cwd())


def free_port() -> int:
    """Return a port without a listener at this moment.

    It is below the range of outgoing connections, of which one could take it before its server starts.
    """
    return home.free_port(0)


@dataclass
class Record:
    """The crowd's own record: what was acknowledged to whom, and how often what was answered."""

    holds: dict[str, tuple[SeededBuyer, dict[str, Any]]] = field(default_factory=dict)
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    lost: list[tuple[SeededBuyer, str, Sequence[str]]] = field(default_factory=list)

    def note(self, status: int, body: Any) -> None:
        """Count an answer by status and code."""
        self.answers[status, body.get("code", "ok") if isinstance(body, dict) else "ok"] += 1

    def failures(self) -> dict[tuple[int, str], int]:
        """Return the answers that are neither success nor a refusal by the business."""
        fine = {200, 201, 204, 402, 409, 410}
        return {answer: n for answer, n in self.answers.items() if answer[0] not in fine}

    def oversold(self) -> dict[str, int]:
        """Return the seats that were acknowledged to more than one reservation."""
        owners = Counter(
            seat["seat_id"] for _, hold in self.holds.values() for seat in hold["seats"]
        )
        return {seat_id: n for seat_id, n in owners.items() if n > 1}


class Crowd:
    """People at their phones: bounded connections, every answer recorded."""

    def __init__(self, urls: Sequence[str], schedule_id: str, connections_max: int = 128) -> None:
        self.record = Record()
        self._urls = urls
        self._schedule_id = schedule_id
        self._gate = asyncio.Semaphore(connections_max)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=60)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(
        self, path: str, person: SeededBuyer, key: str, body: object, pod: int = 0
    ) -> tuple[int, bytes]:
        """Send one POST and return status and raw body; connection errors pass through."""
        if self._session is None:
            raise RuntimeError("enter the crowd first")
        url = self._urls[pod % len(self._urls)] + path
        async with (
            self._gate,
            self._session.post(url, json=body, headers=person.headers(key)) as answer,
        ):
            return answer.status, await answer.read()

    async def hold(
        self, person: SeededBuyer, seat_ids: Sequence[str], key: str = "", pod: int = 0
    ) -> bool:
        """Try to hold seats; record the answer, or that there was none."""
        key = key or f"hold-{person.user_id}-{'-'.join(seat_ids)}"
        path = f"/v1/schedules/{self._schedule_id}/reservations"
        try:
            status, raw = await self.post(path, person, key, {"seat_ids": list(seat_ids)}, pod)
        except aiohttp.ClientError:
            self.record.lost.append((person, key, seat_ids))
            return False
        body = msgspec.json.decode(raw)
        self.record.note(status, body)
        if status == 201:
            self.record.holds[body["reservation_id"]] = (person, body)
        return status == 201

    async def pay(self, person: SeededBuyer, reservation_id: str, pod: int = 0) -> bool:
        """Try to pay a hold; record the answer."""
        body = {"reservation_id": reservation_id, "method": "wallet"}
        status, raw = await self.post("/v1/payments", person, f"pay-{reservation_id}", body, pod)
        answer = msgspec.json.decode(raw)
        self.record.note(status, answer)
        if status == 201:
            self.record.payments[reservation_id] = answer
        return status == 201


@dataclass(frozen=True)
class Truth:
    """What the database says about a schedule, read by the test's own SQL."""

    held: dict[str, str]  # seat_id -> user_id, of seats that are HELD or SOLD
    tickets: Counter[str]  # seat_id -> live tickets
    reservations: dict[UUID, tuple[str, tuple[str, ...]]]  # own id -> (user_id, seats), live ones


async def truth(settings: Settings, schedule_id: str) -> Truth:
    """Read the state of a schedule from PostgreSQL."""
    connection = await asyncpg.connect(settings.database.database_url)
    scope = UUID(schedule_id)
    seats = await connection.fetch(
        "SELECT seat_id, user_id FROM seats WHERE schedule_id = $1 AND state IN ('HELD', 'SOLD')",
        scope,
    )
    tickets = await connection.fetch(
        "SELECT seat_id, count(*) AS n FROM tickets WHERE schedule_id = $1 AND status = 'VALID'"
        " GROUP BY seat_id",
        scope,
    )
    reservations = await connection.fetch(
        "SELECT reservation_id, user_id, seat_ids FROM reservations"
        " WHERE schedule_id = $1 AND status IN ('HELD', 'CONFIRMED')",
        scope,
    )
    await connection.close()
    return Truth(
        {row["seat_id"]: str(row["user_id"]) for row in seats},
        Counter({row["seat_id"]: row["n"] for row in tickets}),
        {
            row["reservation_id"]: (str(row["user_id"]), tuple(row["seat_ids"]))
            for row in reservations
        },
    )
