"""A sale that goes on while pods come and go: what was acknowledged, and what failed."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import uuid4

import aiohttp

# What an edge takes a pod out for, and a client repeats under the same key.
_TRIES_MAX = 200
_PAUSE_S = 0.05


@dataclass(slots=True)
class ReadyPods:
    """The pods that an edge would ask, by address: those that are ready."""

    ready: list[str] = field(default_factory=list)

    def any(self) -> str:
        """Return one of them."""
        return random.choice(self.ready)


@dataclass(slots=True)
class Acknowledged:
    """What buyers were told, by phase, and what they should never see."""

    phase: str = ""
    held: Counter[str] = field(default_factory=Counter)
    reservations: list[str] = field(default_factory=list)
    payments: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    repeated: int = 0
    longest_s: float = 0


class Buyer:
    """A person with an access token who holds a seat and pays for it."""

    def __init__(
        self, session: aiohttp.ClientSession, balancer: ReadyPods, token: str, told: Acknowledged
    ) -> None:
        self._session = session
        self._balancer = balancer
        self._headers = {"Authorization": f"Bearer {token}"}
        self._told = told

    async def buy(self, schedule_id: str) -> None:
        """Hold one seat and pay."""
        path = f"/v1/schedules/{schedule_id}/reservations"
        held = await self._post(path, {"quantity": 1})
        if held is None:
            return
        self._told.reservations.append(held["reservation_id"])
        self._told.held[self._told.phase] += 1
        order = {"reservation_id": held["reservation_id"], "method": "wallet"}
        paid = await self._post("/v1/payments", order)
        if paid is not None:
            self._told.payments.append(paid["payment_id"])

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Send a request until it is answered, always under one key; None where it is refused."""
        headers = {**self._headers, "Idempotency-Key": str(uuid4())}
        started_at = monotonic()
        for _ in range(_TRIES_MAX):
            answer = await self._try(path, body, headers)
            if answer is not None:
                status, found = answer
                self._told.longest_s = max(self._told.longest_s, monotonic() - started_at)
                if status == 201:
                    return found
                if status >= 500:
                    self._told.failures.append(f"{status} {found.get('code')}")
                self._told.refused[str(found.get("code"))] += 1
                return None
            self._told.repeated += 1
            await asyncio.sleep(_PAUSE_S)
        self._told.failures.append(f"no answer to {path}")
        return None

    async def _try(
        self, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]] | None:
        """Ask once; None where the connection failed or the pod says that it ends."""
        try:
            url = self._balancer.any() + path
            async with self._session.post(url, json=body, headers=headers) as answer:
                found: dict[str, Any] = await answer.json(content_type=None)
                if answer.status == 503 and "Retry-After" in answer.headers:
                    return None
                return answer.status, found
        except aiohttp.ClientError:
            return None


async def sell(
    balancer: ReadyPods,
    schedule_id: str,
    tokens: Sequence[str],
    told: Acknowledged,
    stop: asyncio.Event,
    *,
    at_once: int,
    pause_s: float,
) -> None:
    """Let each person buy once, `at_once` of them beside each other, until `stop`."""
    waiting = iter(tokens)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(
                _buy_in_turn(session, balancer, schedule_id, waiting, told, stop, pause_s)
            )


async def _buy_in_turn(
    session: aiohttp.ClientSession,
    balancer: ReadyPods,
    schedule_id: str,
    waiting: Any,
    told: Acknowledged,
    stop: asyncio.Event,
    pause_s: float,
) -> None:
    for token in waiting:
        if stop.is_set():
            return
        await Buyer(session, balancer, token, told).buy(schedule_id)
        await asyncio.sleep(pause_s)
