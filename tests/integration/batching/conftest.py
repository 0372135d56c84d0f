"""A schedule on sale, for batches that PostgreSQL decides."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.support.batching import limit_time, nothing_unretrieved

__all__ = ["nothing_unretrieved"]

_SEATS = 40
_TICKET_LIMIT = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of each test of this folder."""
    limit_time(items, Path(__file__).parent)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings whose deadlines a busy machine does not reach."""
    return settings.replace(lock_timeout_ms=20_000, statement_timeout_ms=20_000)


@dataclass(frozen=True)
class Sale:
    """A schedule on sale with the seats S1 to S40, four tickets per person at most."""

    db: Database
    schedule_id: UUID

    async def holders(self) -> dict[str, UUID]:
        """Return who holds which seat."""
        rows = await self.db.fetch(
            "SELECT seat_id, user_id FROM seats WHERE schedule_id = $1 AND state = 'HELD'",
            self.schedule_id,
        )
        return {row["seat_id"]: row["user_id"] for row in rows}

    async def seats_of_reservations(self) -> list[str]:
        """Return the seats of all reservations, a seat twice where two have it."""
        rows = await self.db.fetch(
            "SELECT unnest(seat_ids) AS seat_id FROM reservations WHERE schedule_id = $1",
            self.schedule_id,
        )
        return sorted(row["seat_id"] for row in rows)

    async def events(self) -> int:
        """Return how many holds were announced."""
        rows = await self.db.fetch(
            "SELECT unnest(subject_ids) FROM outbox WHERE scope_id = $1 AND topic = 'reservation.held'",
            self.schedule_id,
        )
        return len(rows)


@pytest.fixture
async def sale(db: Database) -> Sale:
    """A schedule that is on sale now."""
    organizer, concert, schedule = uuid7(), uuid7(), uuid7()
    await db.fetch(
        "INSERT INTO users (user_id, email, name, password_hash, role)"
        " VALUES ($1, 'organizer@example.org', 'Organizer', 'x', 'organizer')",
        organizer,
    )
    await db.fetch(
        "INSERT INTO concerts (concert_id, organizer_id, title, artist, venue, status, published_at)"
        " VALUES ($1, $2, 'Title', 'Artist', 'Venue', 'PUBLISHED', now())",
        concert,
        organizer,
    )
    await db.fetch(
        "INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency,"
        " hold_ttl_s, ticket_limit)"
        " VALUES ($1, $2, now() + interval '1 day', now() - interval '1 day', 'OPEN', 'KRW', 300, $3)",
        schedule,
        concert,
        _TICKET_LIMIT,
    )
    await db.fetch(
        "INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label,"
        " grade)"
        " SELECT $1, 1000, i, i, 'S' || i, 'A', '1', 'VIP' FROM generate_series(1, $2::integer) i",
        schedule,
        _SEATS,
    )
    return Sale(db, schedule)
