"""Buyers behind an edge: each answer is counted, and a failed request is repeated under its key."""

import asyncio
import itertools
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from bench.environment.environment import Dataset, SeededSchedule

_PAUSE_S = 0.05
_TIMEOUT_S = 20.0
_TRIES_MAX = 30
# Buyers open a connection of their own now and then, as browsers do.
_REQUESTS_PER_CONNECTION = 20


@dataclass
class Purchases:
    """What buyers saw: answers by call, status and code; failures are those that a buyer notices."""

    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    failures: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    tickets: int = 0
    never: int = 0
    seconds: list[float] = field(default_factory=list)

    def p99_ms(self) -> float:
        """Return the 99th percentile of the time of a request."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


@dataclass(frozen=True)
class EdgeBuyers:
    """Buyers at an address; each buys one seat after the other, each with another account."""

    url: str
    trusted: ssl.SSLContext | bool
    dataset: Dataset
    purchases: Purchases = field(default_factory=Purchases)

    @asynccontextmanager
    async def buying(self, count: int) -> AsyncIterator[Purchases]:
        """Have `count` buyers buy until the block is left."""
        is_over = asyncio.Event()
        wanted = self._wanted()
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._buy_until(is_over, wanted))
            try:
                yield self.purchases
            finally:
                is_over.set()

    def _wanted(self) -> Iterator[tuple[SeededSchedule, str, str]]:
        schedule = self.dataset.schedules[0]
        tokens = itertools.cycle(self.dataset.tokens)
        return (
            (schedule, seat_id, token)
            for seat_id, token in zip(schedule.seat_ids, tokens, strict=False)
        )

    async def _buy_until(
        self, is_over: asyncio.Event, wanted: Iterator[tuple[SeededSchedule, str, str]]
    ) -> None:
        while not is_over.is_set():
            connector = aiohttp.TCPConnector(ssl=self.trusted)
            timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                for _ in range(_REQUESTS_PER_CONNECTION // 4):
                    if is_over.is_set():
                        break
                    await self._buy(session, *next(wanted))
                    await asyncio.sleep(_PAUSE_S)

    async def _buy(
        self, session: aiohttp.ClientSession, schedule: SeededSchedule, seat_id: str, token: str
    ) -> None:
        path = f"/v1/schedules/{schedule.schedule_id}"
        await self._call(session, "GET", f"/v1/concerts/{schedule.concert_id}", token)
        await self._call(session, "GET", "/v1/me", token)
        body: dict[str, Any] = {"seat_ids": [seat_id]}
        held = await self._call(session, "POST", f"{path}/reservations", token, body)
        if held is None:
            return
        body = {"reservation_id": held["reservation_id"], "method": "wallet"}
        routed = {"Schedule-Id": schedule.schedule_id}
        paid = await self._call(session, "POST", "/v1/payments", token, body, routed)
        self.purchases.tickets += paid is not None

    async def _call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        token: str,
        body: object = None,
        more: dict[str, str] | None = None,
    ) -> Any:
        """Send a request until it succeeds; return the body, None if it never did."""
        headers = {"Authorization": f"Bearer {token}", **(more or {})}
        if body is not None:
            headers["Idempotency-Key"] = str(uuid4())
        what = f"{method} /{path.rpartition('/')[2] if body else ''}"
        for _ in range(_TRIES_MAX):
            status, answer = await self._once(session, method, path, body, headers)
            seen = what, status, str(answer.get("code", ""))
            self.purchases.answers[seen] += 1
            if status in (200, 201):
                return answer
            self.purchases.failures[seen] += 1
            await asyncio.sleep(0.2)
        self.purchases.never += 1
        return None

    async def _once(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str],
    ) -> tuple[int, dict[str, Any]]:
        started = time.perf_counter()
        try:
            async with session.request(
                method, self.url + path, json=body, headers=headers
            ) as answer:
                raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return 0, {"code": type(error).__name__}
        self.purchases.seconds.append(time.perf_counter() - started)
        try:
            return answer.status, msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            return answer.status, {"code": "not JSON"}
