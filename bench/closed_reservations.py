"""What a hold costs PostgreSQL beside a history of closed reservations, and without one.

BatchCounters of holds go straight to the database, as a worker sends them, and the CPU time of the one server
process that decides them is read from the kernel: another load on the machine adds little to it. The
schedules take turns, so that it adds to each of them.
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
_RATIO_MAX = 1.1

_SCHEDULE = """
    WITH organizer AS (
        INSERT INTO users (user_id, email, name, password_hash, role)
        VALUES ($1, $1::uuid || '@example.org', 'Organizer', '-', 'organizer')
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
# As the release before left them: whose they were is noted, and counted when the next one ends.
_NOTED = """
    INSERT INTO schedule_buyers (schedule_id, user_id, struck_at)
    SELECT schedule_id, user_id, max(closed_at) FROM reservations
     WHERE schedule_id = $1 AND status = 'CANCELLED' GROUP BY schedule_id, user_id
"""
_HAS_ROWS = "SELECT to_regclass('schedule_buyers') IS NOT NULL AS has_rows"


@dataclass
class _MeasuredSchedule:
    """A schedule, its next free seat, and what its holds have cost."""

    name: str
    schedule_id: UUID
    person: UUID | None = None
    seat: int = 2
    cpu_s: list[float] = field(default_factory=list)


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process of this machine so far."""
    exact = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    return int(exact[0]) / 1e9


async def _hold(db: Database, measured: _MeasuredSchedule) -> list[HoldCommand]:
    """Hold other seats in one batch; the one person holds one."""
    commands = []
    for _ in range(1 if measured.person else _BATCH):
        person = measured.person or new_id()
        seat = f"S{measured.seat}"
        measured.seat += 1
        commands.append(HoldCommand(person, str(new_id()), b"f", new_id(), (seat,)))
    outcomes = await ReservationStore(db).hold(measured.schedule_id, commands)
    names = {one.name for one in outcomes}
    if names != {"held"}:
        raise RuntimeError(f"holds were answered {names}")
    return commands


async def _history(db: Database, measured: _MeasuredSchedule, closed: int) -> None:
    """Give a schedule closed reservations, of as many people or of the one."""
    await db.fetch(_CLOSED, measured.schedule_id, measured.person, closed)
    [row] = await db.fetch(_HAS_ROWS)
    if row["has_rows"]:
        await db.fetch(_NOTED, measured.schedule_id)


async def _release(db: Database, measured: _MeasuredSchedule, commands: list[HoldCommand]) -> None:
    """Have the one person end as they began: with nothing held."""
    if measured.person is not None:
        commands = [
            ReleaseCommand(measured.person, one.reservation_id, new_id()) for one in releases
        ]
        await ReservationStore(db).release(measured.schedule_id, releases)


async def _measure(
    settings: Settings, batches: int, closed: int, of_one: int
) -> list[_MeasuredSchedule]:
    await migrate(settings)
    one = settings.replace(db_pool_max=2, batches_in_flight=1, statement_timeout_ms=600_000,
        request_timeout_ms=3_000_000,
    )  # fmt: skip
    db = Database(one)
    await db.open()
    try:
        schedules = [
            _MeasuredSchedule("nobody's", new_id()),
            _MeasuredSchedule(f"{closed:,} closed ones", new_id()),
            _MeasuredSchedule("one person's first", new_id(), new_id()),
            _MeasuredSchedule(f"one person's after {of_one:,}", new_id(), new_id()),
        ]
        for measured in schedules:
            await db.fetch(_SCHEDULE, measured.schedule_id, (batches + 10) * _BATCH + 10)
        for measured, count in zip(schedules, (0, closed, 0, of_one), strict=True):
            await _history(db, measured, count)
        await db.fetch("ANALYZE")
        for _ in range(5):
            for measured in schedules:
                await _release(db, measured, await _hold(db, measured))
        for _ in range(batches):
            for measured in schedules:
                [row] = await db.fetch("SELECT pg_backend_pid() AS pid")
                before = _cpu_s(row["pid"])
                commands = await _hold(db, measured)
                measured.cpu_s.append((_cpu_s(row["pid"]) - before) / len(commands))
                await _release(db, measured, commands)
        return schedules
    finally:
        await db.close()


def _median_us(measured: _MeasuredSchedule) -> float:
    """Return the median in microseconds of a hold."""
    return sorted(measured.cpu_s)[len(measured.cpu_s) // 2] * 1e6


def main(
    batches: Annotated[int, typer.Option(min=5, help="BatchCounters of holds per schedule.")] = 200,
    closed: Annotated[int, typer.Option(min=0, help="Closed reservations of others.")] = 1_000_000,
    of_one: Annotated[int, typer.Option(min=0, help="Closed ones of one person.")] = 200_000,
) -> None:
    """Measure holds with and without a history; exit 1 where it makes them dearer than 1.1 times."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServers(Path(folder) / "data") as servers:
        settings = Settings.of(
            database_url=servers.database_url, valkey_url=servers.valkey_url, log_level="error"
        )
        began = time.monotonic()
        schedules = asyncio.run(_measure(settings, batches, closed, of_one))
    costs = {measured.name: _median_us(measured) for measured in schedules}
    for name, cost in costs.items():
        typer.echo(f"{name:<34} {cost:8.1f} µs of PostgreSQL a hold")
    plain, history, first, after = costs.values()
    ratios = history / plain, after / first
    typer.echo(f"ratios {ratios[0]:.3f} and {ratios[1]:.3f}, in {time.monotonic() - began:.0f} s")
    if max(ratios) > _RATIO_MAX:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
