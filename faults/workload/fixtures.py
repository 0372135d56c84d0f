"""A schedule on sale, and buyers with money and access tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec
from rich.console import Console

from boxoffice.cli import seeding
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings

_SQL = sql_files.load("faults")
BALANCE_MINOR = 5_000_000


@dataclass(frozen=True)
class SeededBuyer:
    """A buyer with an access token."""

    user_id: str
    access_token: str

    def headers(self, key: str = "") -> dict[str, str]:
        """Return the request headers, with an idempotency key if given."""
        named = {"Idempotency-Key": key} if key else {}
        return {"Authorization": f"Bearer {self.access_token}", **named}


@dataclass(frozen=True)
class Fixtures:
    """A schedule on sale, its seats in order, its buyers, and the time to live of a hold."""

    schedule_id: str
    concert_id: str
    seat_ids: Sequence[str]
    people: Sequence[SeededBuyer]
    hold_ttl_s: float


async def create_fixtures(
    settings: Settings,
    folder: Path,
    *,
    seats: int,
    users: int,
    balance_minor: int = BALANCE_MINOR,
    hold_ttl_s: int | None = None,
    ticket_limit: int | None = None,
) -> Fixtures:
    """Seed fixtures as `boxoffice seed` does.

    The tokens are written to a file in `folder`.
    """
    tokens = folder / "tokens.jsonl"
    wish = seeding.Plan(seats, users, balance_minor, hold_ttl_s, ticket_limit)
    made = await seeding.seed(settings, wish, tokens, Console(quiet=True))
    people = [
        msgspec.json.decode(line, type=SeededBuyer) for line in tokens.read_bytes().splitlines()
    ]
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        rows = await connection.fetch(_SQL["seat_ids"], made.schedule_id)
    finally:
        await connection.close()
    ttl_s = float(hold_ttl_s or settings.holds.hold_ttl_default_s)
    seat_ids = [row["seat_id"] for row in rows]
    return Fixtures(str(made.schedule_id), str(made.concert_id), seat_ids, people, ttl_s)
