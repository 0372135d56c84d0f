"""The baseline with one lock per request: a Redis lock for each seat, then a transaction.

`SET NX PX` with an owner token for each seat in order, `SELECT … FOR UPDATE`, check, update, insert,
commit, and a compare-and-delete per lock, on a pool of 20 connections. It verifies the access token and
runs on the shop's HTTP server. It has no idempotency keys, ticket limits or outbox, so its cost is a
lower bound of the design's.

`BENCH_LOCKS` names the locks to take; the default is `valkey,postgres`. With `none` it reads, checks
and writes, and sells seats twice.
"""

import asyncio
import multiprocessing
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import jwt
import uvloop
from redis.asyncio import BlockingConnectionPool, Redis
from redis.commands.core import AsyncScript

from boxoffice.cli.serve import listen_group
from boxoffice.errors import NotFound, SeatTaken, Unauthenticated
from boxoffice.http.api.operation import (
    Call,
    PathId,
    Reply,
    Request,
    RouteDependencies,
    operation,
)
from boxoffice.http.api.router import Router
from boxoffice.http.server.server import serve
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.platform.ids import ScopedId, new_id, parse_uuid
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.values import Money
from boxoffice.reservations.routes import HeldOut, HoldRequest, SeatOut
from boxoffice.reservations.rules import Status
from boxoffice.settings import Settings, load

_SQL = sql_files.load("bench.baselines.lock_per_request")
_UNLOCK = sql_files.read("bench.baselines.lock_per_request", "unlock.lua")
_POOL = 20
_LOCK_MS = 5_000
_HOLD_FOR = timedelta(seconds=300)


def _no_caller(_token: str) -> Any:
    raise Unauthenticated


class SeatUnavailable(Exception):
    """The seat is held, or its lock is taken."""


class SeatLocks:
    """One lock per seat, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._unlock: AsyncScript = redis.register_script(_UNLOCK)

    async def take(self, names: Sequence[str], owner: str) -> None:
        """Take all locks in the given order, or none; raise `SeatUnavailable`."""
        for at, name in enumerate(names):
            if not await self._redis.set(name, owner, nx=True, px=_LOCK_MS):
                await self.release(names[:at], owner)
                raise SeatUnavailable

    async def release(self, names: Sequence[str], owner: str) -> None:
        """Release the locks that this owner still has."""
        for name in names:
            await self._unlock(keys=[name], args=[owner])


class NoSeatLocks(SeatLocks):
    """No lock at all."""

    async def take(self, names: Sequence[str], owner: str) -> None:
        """Do nothing."""

    async def release(self, names: Sequence[str], owner: str) -> None:
        """Do nothing."""


class HoldResource:
    """`POST /v1/schedules/{schedule_id}/reservations`."""

    def __init__(
        self,
        dependencies: RouteDependencies,
        pool: Any,
        locks: SeatLocks,
        secrets: Mapping[str, bytes],
        read_seats: str,
    ) -> None:
        self.dependencies = dependencies
        self._pool = pool
        self._locks = locks
        self._secrets = secrets
        self._read_seats = read_seats

    @operation(
        "Hold seats",
        201,
        body=HoldRequest,
        path={"schedule_id": PathId(parse_uuid, NotFound, "A schedule.")},
    )
    async def on_post(self, call: Call[HoldRequest, None]) -> Reply:
        """Hold the seats, all or none."""
        user_id = self._person(call.req)
        schedule_id = call.ids["schedule_id"]
        seat_ids = sorted(call.body.seat_ids or ())
        names = [f"lock_per_request:{schedule_id}:{seat_id}" for seat_id in seat_ids]
        owner = str(uuid4())
        try:
            await self._locks.take(names, owner)
            try:
                return Reply(await self._hold(schedule_id, user_id, seat_ids))
            finally:
                await self._locks.release(names, owner)
        except SeatUnavailable:
            raise SeatTaken from None

    def _person(self, req: Request) -> UUID:
        token = (req.get_header("Authorization") or "").removeprefix("Bearer ")
        try:
            secret = self._secrets[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token, secret, algorithms=["HS256"], audience="boxoffice", issuer="boxoffice"
            )
        except (jwt.PyJWTError, KeyError):
            raise Unauthenticated from None
        return UUID(claims["sub"])

    async def _hold(self, schedule_id: UUID, user_id: UUID, seat_ids: Sequence[str]) -> HeldOut:
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(self._read_seats, schedule_id, seat_ids)
            if len(rows) != len(seat_ids):
                raise NotFound
            if not all(row["free"] for row in rows):
                raise SeatUnavailable
            held = _present(schedule_id, rows)
            own_id = new_id()
            held.reservation_id = str(ScopedId(schedule_id, own_id))
            hold = (schedule_id, seat_ids, user_id, own_id, held.expires_at)
            await connection.execute(_SQL["hold_seats"], *hold)
            record = (own_id, schedule_id, user_id, seat_ids, held.amount)
            times = (held.created_at, held.expires_at)
            await connection.execute(_SQL["insert_reservation"], *record, *times)
        return held


def _present(schedule_id: UUID, rows: Sequence[Any]) -> HeldOut:
    now = datetime.now(UTC)
    seats = [
        SeatOut(
            row["seat_id"],
            row["section"],
            row["row_label"],
            row["number"],
            row["grade"],
            Money(row["price_minor"], "KRW"),
        )
        for row in rows
    ]
    return HeldOut(
        reservation_id="",
        schedule_id=schedule_id,
        status=Status.HELD,
        seats=seats,
        amount=sum(row["price_minor"] for row in rows),
        currency="KRW",
        created_at=now,
        expires_at=now + _HOLD_FOR,
        expires_in_seconds=int(_HOLD_FOR.total_seconds()),
    )


class ReadyResource:
    """`GET /readyz`."""

    def __init__(self, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies

    @operation("Whether the process takes requests")
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Answer 200."""
        return Reply(encoded=b"{}")


async def run(settings: Settings, locks: frozenset[str], sock: socket.socket) -> None:
    """Serve on a socket until a signal stops it."""
    pool = await asyncpg.create_pool(
        settings.database.database_url,
        min_size=_POOL,
        max_size=_POOL,
        # As in the shop: resetting the session after each use would cost a round trip.
        reset=_keep,
        server_settings={
            "application_name": "lock_per_request",
            "synchronous_commit": "on",
            "jit": "off",
        },
    )
    redis = Redis.from_pool(
        BlockingConnectionPool.from_url(settings.valkey.valkey_url, max_connections=64)
    )
    secrets = {row["kid"]: row["secret"] for row in await pool.fetch(_SQL["keys"])}
    seat_locks = (SeatLocks if "valkey" in locks else NoSeatLocks)(redis)
    read_seats = _SQL["lock_seats" if "postgres" in locks else "read_seats"]
    dependencies = RouteDependencies(_no_caller, settings.server.body_max_bytes, 60.0)
    holds = HoldResource(dependencies, pool, seat_locks, secrets, read_seats)
    router = Router(
        [
            ("/v1/schedules/{schedule_id}/reservations", holds),
            ("/readyz", ReadyResource(dependencies)),
        ],
        dependencies,
    )
    access_log = AccessLog(InFlight(), log_requests=False)
    with sock:
        await serve(router, access_log, settings, sock)
    await redis.aclose()
    async with asyncio.timeout(10):
        await pool.close()


async def _keep(_connection: Any) -> None:
    """Skip the reset of a session: nothing here changes one."""


def _work(settings: Settings, locks: frozenset[str], sock: socket.socket) -> None:
    uvloop.run(run(settings, locks, sock))


def main() -> None:
    """Serve on the configured port with the configured number of processes."""
    settings = load()
    locks = frozenset(os.environ.get("BENCH_LOCKS", "valkey,postgres").split(","))
    first, *others = listen_group(settings)
    fork = multiprocessing.get_context("fork")
    for sock in others:
        # A daemon process ends with this one.
        fork.Process(target=_work, args=(settings, locks, sock), daemon=True).start()
    _work(settings, locks, first)


if __name__ == "__main__":
    main()
