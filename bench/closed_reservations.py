"""What a hold costs PostgreSQL with and without many closed reservations.

Batches of holds go straight to the database, as a worker sends them. The CPU time is that of the one
server process that decides them, so other load on the machine adds little. The schedules take turns, so
that it adds to each of them.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.reservations.store import HoldCommand, ReleaseCommand, ReservationStore
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers

_BATCH = 32
_WARMUP = 5
_RATIO_MAX = 1.1

_SCHEDULE = """
    WITH organizer AS (
        INSERT INTO users (user_id, email, name, password_hash, role)
        VALUES ($1, $1::uuid || '@example.org', 'Organizer', '-', 'organizer')
    ), organization AS (
        -- A concert without one belongs to that of its organizer.
        INSERT INTO organizations (organization_id, name) VALUES ($1, 'Organization')
    ), concert AS (
        INSERT INTO concerts (concert_id, organizer_id, title, artist, venue, status, published_at)
        VALUES ($1, $1, 'Title', 'Artist', 'Venue', 'PUBLISHED', clock_timestamp())
    ), schedule AS (
        INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency,
                               hold_ttl_s, ticket_limit)
        VALUES ($1, $1, clock_timestamp() + interval '30 days', clock_timestamp() - interval '1 day',
                'OPEN', 'KRW', 86400, 1000)
    )
    INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
    SELECT $1, 1000, at, at, 'S' || at, 'S', '1', 'R' FROM generate_series(1, $2) at
"""
_CLOSED = """
    INSERT INTO reservations (schedule_id, reservation_id, user_id, created_at, expires_at,
                              amount_minor, currency, seat_ids, idempotency_key, fingerprint, status,
                              closed_at)
    SELECT $1, gen_random_uuid(), coalesce($2, gen_random_uuid()), now() - interval '1 hour', now(), 0,
           'KRW', '{S1}', at::text, '', 'CANCELLED', now()
      FROM generate_series(1, $3) at
"""
# The counters that the release also writes.
_BUYERS = """
    INSERT INTO schedule_buyers (schedule_id, user_id, struck_at)
    SELECT schedule_id, user_id, max(closed_at) FROM reservations
     WHERE schedule_id = $1 AND status = 'CANCELLED' GROUP BY schedule_id, user_id
"""
_HAS_BUYERS = "SELECT to_regclass('schedule_buyers') IS NOT NULL AS has_buyers"


@dataclass
class MeasuredSchedule:
    """A schedule, its next free seat, and the CPU seconds of its holds.

    With `user_id` that user sends all holds, one at a time; without, each hold has a new user.
    """

    name: str
    schedule_id: UUID
    user_id: UUID | None = None
    closed: int = 0
    next_seat: int = 2
    cpu_s: list[float] = field(default_factory=list)

    @property
    def median_us(self) -> float:
        """The median of a hold in microseconds."""
        return sorted(self.cpu_s)[len(self.cpu_s) // 2] * 1e6


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    return int(fields[0]) / 1e9


async def _hold(db: Database, schedule: MeasuredSchedule) -> list[HoldCommand]:
    """Hold new seats in one batch."""
    commands = []
    for _ in range(1 if schedule.user_id else _BATCH):
        user_id, seat_id = schedule.user_id or new_id(), f"S{schedule.next_seat}"
        schedule.next_seat += 1
        commands.append(HoldCommand(user_id, str(new_id()), b"f", new_id(), (seat_id,)))
    outcomes = await ReservationStore(db).hold(schedule.schedule_id, commands)
    names = {one.name for one in outcomes}
    if names != {"held"}:
        raise RuntimeError(f"holds were answered {names}")
    return commands


async def _release(db: Database, schedule: MeasuredSchedule, holds: list[HoldCommand]) -> None:
    """Release the holds of the one user, so that each batch starts with none."""
    if schedule.user_id is not None:
        releases = [ReleaseCommand(schedule.user_id, one.reservation_id, new_id()) for one in holds]
        await ReservationStore(db).release(schedule.schedule_id, releases)


async def _prepare(db: Database, schedule: MeasuredSchedule, seats: int) -> None:
    """Insert a schedule with its closed reservations."""
    await db.fetch(_SCHEDULE, schedule.schedule_id, seats)
    await db.fetch(_CLOSED, schedule.schedule_id, schedule.user_id, schedule.closed)
    [row] = await db.fetch(_HAS_BUYERS)
    if row["has_buyers"]:
        await db.fetch(_BUYERS, schedule.schedule_id)


async def _measure_batch(db: Database, schedule: MeasuredSchedule) -> None:
    [row] = await db.fetch("SELECT pg_backend_pid() AS pid")
    before = _cpu_s(row["pid"])
    holds = await _hold(db, schedule)
    schedule.cpu_s.append((_cpu_s(row["pid"]) - before) / len(holds))
    await _release(db, schedule, holds)


async def measure(settings: Settings, schedules: list[MeasuredSchedule], batches: int) -> None:
    await migrate(settings)
    one = settings.replace(db_pool_max=2, batches_in_flight=1, statement_timeout_ms=600_000,
        request_timeout_ms=3_000_000,
    )  # fmt: skip
    db = Database(one)
    await db.open()
    try:
        for schedule in schedules:
            await _prepare(db, schedule, (batches + 2 * _WARMUP) * _BATCH + 10)
        await db.fetch("ANALYZE")
        for _ in range(_WARMUP):
            for schedule in schedules:
                await _release(db, schedule, await _hold(db, schedule))
        for _ in range(batches):
            for schedule in schedules:
                await _measure_batch(db, schedule)
    finally:
        await db.close()


def main(
    batches: Annotated[int, typer.Option(min=5, help="Batches of holds per schedule.")] = 200,
    closed: Annotated[int, typer.Option(min=0, help="Closed reservations of others.")] = 1_000_000,
    of_one: Annotated[int, typer.Option(min=0, help="Closed ones of one user.")] = 200_000,
) -> None:
    """Compare holds with and without closed reservations; exit 1 above a ratio of 1.1."""
    schedules = [
        MeasuredSchedule("none closed", new_id()),
        MeasuredSchedule(f"{closed:,} closed", new_id(), closed=closed),
        MeasuredSchedule("one user, none closed", new_id(), new_id()),
        MeasuredSchedule(f"one user, {of_one:,} closed", new_id(), new_id(), closed=of_one),
    ]
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServers(Path(folder) / "data") as servers:
        settings = Settings.of(
            database_url=servers.database_url, valkey_url=servers.valkey_url, log_level="error"
        )
        asyncio.run(measure(settings, schedules, batches))
    for schedule in schedules:
        typer.echo(f"{schedule.name:<34} {schedule.median_us:8.1f} µs of PostgreSQL a hold")
    plain, history, first, after = (schedule.median_us for schedule in schedules)
    ratios = history / plain, after / first
    took_s = time.monotonic() - started_at
    typer.echo(f"ratios {ratios[0]:.3f} and {ratios[1]:.3f}, in {took_s:.0f} s")
    if max(ratios) > _RATIO_MAX:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
