"""Ends the holds of a schedule whose performance was cancelled or postponed."""

from datetime import datetime
from uuid import UUID

from boxoffice.reservations.store import ReleaseCommand, ReservationStore
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher

_RELEASED_AT_ONCE = 200


class HoldCloser:
    """Releases holds as their buyers would; one that is being paid stays until its payment ends."""

    def __init__(self, reservations: ReservationStore, publisher: SeatChangePublisher) -> None:
        self._store = reservations
        self._publisher = publisher

    async def release(self, schedule_id: UUID, cause_id: UUID, made_until: datetime | None) -> int:
        """Release some holds, of those made until a time; return how many, 0 where none is left.

        `cause_id` shows afterwards what ended them. Driver errors pass through: the next call releases
        what is left.
        """
        holds = await self._store.holds_to_release(schedule_id, made_until, _RELEASED_AT_ONCE)
        if not holds:
            return 0
        commands = [ReleaseCommand(user_id, own_id, cause_id) for own_id, user_id in holds]
        outcomes = await self._store.release(schedule_id, commands)
        changes = [
            SeatChange(command.user_id, AVAILABLE, outcome.seat_ids, outcome.seat_versions)
            for command, outcome in zip(commands, outcomes, strict=True)
            if outcome.name == "released" and outcome.returns_at is None
        ]
        self._publisher.publish(schedule_id, changes)
        return sum(outcome.name == "released" for outcome in outcomes)
