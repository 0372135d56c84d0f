"""The waiting list of a hall of `hall.py`: its organizer has the id of its schedule."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.waiting_list import store
from boxoffice.waiting_list.service import WaitingLists
from boxoffice.waiting_list.store import NewEntry, WaitingListEntry, WaitingListStore
from boxoffice.waiting_list.worker import TurnLimits, TurnMoot, take_turn
from tests.support.hall import Hall, open_hall

TURN_S = 60
LIMITS = TurnLimits(offer_ttl_s=900, entries_max=100, seats_max=10)

_ENTRIES = """
    SELECT e.*, r.seat_ids, r.status AS reservation_status, r.expires_at
      FROM waiting_list_entries e
      LEFT JOIN reservations r ON r.schedule_id = e.schedule_id AND r.reservation_id = e.reservation_id
     WHERE e.schedule_id = $1 ORDER BY e.place
"""
_RETURN = """
    UPDATE seats SET expires_at = clock_timestamp() + make_interval(secs => $3)
     WHERE schedule_id = $1 AND reservation_id = $2
"""
_END = """
    WITH ended AS (
        UPDATE reservations
           SET created_at = created_at - interval '4 minutes', expires_at = clock_timestamp()
         WHERE schedule_id = $1 AND reservation_id = $2
    ), offered AS (
        UPDATE waiting_list_entries SET offer_expires_at = now()
         WHERE schedule_id = $1 AND reservation_id = $2
    )
    UPDATE lapsing_holds SET expires_at = clock_timestamp() + make_interval(secs => $3)
     WHERE schedule_id = $1 AND reservation_ids = ARRAY[$2::uuid]
"""


class SoldOutHall:
    """A hall that is always sold out, and asks for no verified address but of `unverified`."""

    def __init__(self) -> None:
        self.unverified: set[UUID] = set()

    def may_hold_by_cache(self, schedule_id: UUID, user_id: UUID) -> bool:
        """Nothing is known."""
        return False

    async def require(self, schedule_id: UUID, user_id: UUID) -> None:
        """Refuse who is not verified."""
        if user_id in self.unverified:
            raise EmailNotVerified

    async def has_adjacent(self, schedule_id: UUID, quantity: int, grade: str | None) -> bool:
        """No seats are on sale."""
        return False


@dataclass(frozen=True)
class Organizer:
    """Who switches the list."""

    user_id: UUID
    organization_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class WaitingLine:
    """A hall with a waiting list, and what people and workers do with it."""

    hall: Hall
    lists: WaitingLists
    store: WaitingListStore
    sold_out: SoldOutHall

    @property
    def schedule_id(self) -> UUID:
        """The schedule of the hall."""
        return self.hall.schedule_id

    @property
    def organizer(self) -> Organizer:
        """The organizer, whose organization has the schedule's id."""
        return Organizer(self.schedule_id, (self.schedule_id,))

    async def switch(self, *, is_on: bool) -> None:
        """Switch the list."""
        await self.lists.switch(self.organizer, self.schedule_id, is_on=is_on)

    async def join(
        self, person: UUID, seats: int = 1, grade: str | None = None, *, key: str = ""
    ) -> WaitingListEntry:
        """Join the line."""
        return await self.lists.join(person, self.schedule_id, key or str(uuid4()), seats, grade)

    async def outcome(self, person: UUID, seats: int = 1) -> str:
        """Join the line in the database alone; return the outcome."""
        wanted = NewEntry(person, seats, None, str(uuid4()), b"f")
        outcome, _ = await self.store.join(self.schedule_id, wanted)
        return outcome

    async def turn(self) -> int:
        """Settle the line and give it turns until nothing is decided; return how many entries were."""
        await self.store.settle(self.schedule_id)
        decided = 0
        while made := await take_turn(self.store, self.schedule_id, LIMITS):
            decided += made
        return decided

    async def turn_once_settled(self) -> int:
        """Give the line turns beside other workers; a moot one counts for nothing."""
        try:
            return await self.turn()
        except TurnMoot:
            return 0

    async def end(self, reservation_id: UUID, *, returns_in_s: float = TURN_S) -> None:
        """Let a hold lapse now; its seats are on sale after the turn."""
        for query in (_END, _RETURN):
            await self.hall.db.fetch(query, self.schedule_id, reservation_id, returns_in_s)

    async def entries(self) -> list[Record]:
        """Return the rows of the entries with their reservations, in the order of the line."""
        return await self.hall.db.fetch(_ENTRIES, self.schedule_id)

    async def statuses(self) -> list[str]:
        """Return the status of each entry, in the order of the line."""
        return [row["status"] for row in await self.entries()]

    async def returning(self) -> list[str]:
        """Return the seats that wait for the line."""
        async with self.store.turn() as connection:
            return [one.seat_id for one in await store.returning(connection, self.schedule_id)]


async def open_line(
    db: Database,
    *,
    seats: int = 12,
    people: int = 6,
    hold_ttl_s: int = 300,
    ticket_limit: int = 10,
) -> WaitingLine:
    """Make a hall of its own whose waiting list is on."""
    hall = await open_hall(
        db,
        seats=seats,
        people=people,
        hold_ttl_s=hold_ttl_s,
        ticket_limit=ticket_limit,
        balance_minor=50_000,
    )
    lists = WaitingListStore(db)
    sold_out = SoldOutHall()
    line = WaitingLine(hall, WaitingLists(lists, sold_out, sold_out, TURN_S, 10), lists, sold_out)
    await line.switch(is_on=True)
    return line
