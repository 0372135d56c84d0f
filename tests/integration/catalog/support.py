"""What the tests of the catalog share: a shop of one process, times, seats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from boxoffice.accounts.tokens import Caller
from boxoffice.catalog.lookups import CatalogLookups
from boxoffice.catalog.rules import NewConcert, NewSchedule, NewSeat, hall
from boxoffice.catalog.service import Catalog, OnSale
from boxoffice.catalog.store import CatalogStore
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import HoldCommand, ReservationStore
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.refusals import SeatRefusals
from boxoffice.settings import Settings

CONCERT = NewConcert(title="봄의 노래", artist="Ensemble", venue="Hall 1", description="")


def schedule(**changed: Any) -> NewSchedule:
    """A schedule that is on sale as soon as it is open."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "starts_at": now + timedelta(days=30),
        "sale_opens_at": now - timedelta(hours=1),
        "sale_closes_at": None,
        "currency": "KRW",
        "hold_ttl_s": 300,
        "ticket_limit": 10,
    }
    return NewSchedule(**{**given, **changed})


class Clock:
    """Monotonic seconds that move when they are told to, and a little with every look."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        self.now_s += 1e-6
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass(frozen=True)
class Shop:
    """The catalog of one process, and two organizers."""

    db: Database
    settings: Settings
    store: CatalogStore
    entries: ScheduleEntries
    catalog: Catalog
    clock: Clock
    organizer: Caller
    other: Caller

    @property
    def lookups(self) -> CatalogLookups:
        """What the public sees."""
        return self.catalog.lookups

    @property
    def seats(self) -> SeatReadModel:
        """What is shown of its seats."""
        return SeatReadModel(self.entries)

    @property
    def refusals(self) -> SeatRefusals:
        """What it refuses from memory."""
        return SeatRefusals(self.entries)

    @property
    def applier(self) -> SeatChangeApplier:
        """What changes its seats in memory."""
        return SeatChangeApplier(self.entries)

    async def on_sale(self, seats: int = 10, **changed: Any) -> OnSale:
        """Put a new schedule of `seats` seats on sale."""
        return await self.catalog.put_on_sale(
            self.organizer, CONCERT, schedule(**changed), hall(seats)
        )

    async def draft(self, seats: int = 10) -> OnSale:
        """Create a draft concert with one schedule."""
        concert = await self.catalog.create_concert(self.organizer, CONCERT)
        made = await self.catalog.create_schedule(self.organizer, concert.concert_id, schedule())
        if seats:
            await self.catalog.add_seats(self.organizer, made.schedule_id, hall(seats))
        return OnSale(concert.concert_id, made.schedule_id)

    async def hold(self, schedule_id: UUID, seat_ids: Sequence[str], user_id: UUID) -> UUID:
        """Hold seats with the function that the shop itself uses; return the reservation."""
        command = HoldCommand(user_id, str(new_id()), b"fingerprint", new_id(), tuple(seat_ids))
        [outcome] = await ReservationStore(self.db).hold(schedule_id, [command])
        assert outcome.name == "held"
        return command.reservation_id

    async def lapse(self, schedule_id: UUID, reservation_id: UUID) -> None:
        """Let the time of a hold pass without waiting for it."""
        for table in ("seats", "reservations"):
            await self.db.fetch(
                f"""UPDATE {table} SET expires_at = clock_timestamp()
                     WHERE schedule_id = $1 AND reservation_id = $2""",  # noqa: S608
                schedule_id,
                reservation_id,
            )
        await self.db.fetch(
            "UPDATE lapsing_holds SET expires_at = clock_timestamp()"
            " WHERE schedule_id = $1 AND $2 = ANY (reservation_ids)",
            schedule_id,
            reservation_id,
        )


def seat(number: int, **changed: Any) -> NewSeat:
    """A seat in section A, row 1."""
    given: dict[str, Any] = {
        "seat_id": f"A-1-{number}",
        "section": "A",
        "row": "1",
        "number": number,
        "grade": "R",
        "price_minor": 1000,
    }
    return NewSeat(**{**given, **changed})


async def add_user(db: Database, role: str) -> UUID:
    user_id = uuid4()
    await db.fetch(
        "INSERT INTO users (user_id, email, name, password_hash, role) VALUES ($1, $2, $3, '', $4)",
        user_id,
        f"{user_id}@example.org",
        "Somebody",
        role,
    )
    return user_id
