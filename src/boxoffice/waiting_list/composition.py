"""Puts the parts of this module together."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.service import AddressCheck
from boxoffice.settings import Settings
from boxoffice.waiting_list.service import AdjacentSeats, WaitingLists
from boxoffice.waiting_list.store import Connection, WaitingListStore
from boxoffice.waiting_list.worker import TurnLimits, offer_put_back


@dataclass(frozen=True)
class PutBackSeats:
    """Offers what an organizer puts back on sale, in the organizer's transaction."""

    limits: TurnLimits

    async def offer(
        self, connection: Connection, schedule_id: UUID, seat_ids: Sequence[str]
    ) -> frozenset[str]:
        """Return the seats that entries of the line were offered."""
        return await offer_put_back(connection, schedule_id, seat_ids, self.limits)


def compose_waiting_lists(
    settings: Settings, db: Database, seats: AdjacentSeats, addresses: AddressCheck
) -> WaitingLists:
    """Return the use cases."""
    return WaitingLists(
        WaitingListStore(db),
        seats,
        addresses,
        settings.waiting_lists.waiting_list_turn_s,
        settings.holds.seats_per_hold_max,
    )
