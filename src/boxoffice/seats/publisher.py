"""What this process has decided about seats: told to its own memory first, and then to other pods."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.seats.change_bus import Notices
from boxoffice.seats.seat_maps import SeatMaps
from boxoffice.seats.states import Change, person_bits


class Fact(NamedTuple):
    """What the database decided about the seats of one reservation.

    `versions` are the seats' new versions in the order of `seat_ids`, 0 for a seat that it did not
    change; none at all where the decision is known and the versions are not. `expires_at` in seconds
    since the epoch, 0 unless the seats are held.
    """

    user_id: UUID
    state: int
    seat_ids: Sequence[str]
    versions: Sequence[int]
    expires_at: float = 0.0


class SeatNews:
    """Takes decisions over before their callers hear of them."""

    def __init__(self, seat_maps: SeatMaps, notices: Notices) -> None:
        self._seat_maps = seat_maps
        self._notices = notices

    @property
    def has_peers(self) -> bool:
        """Whether there are other processes that sell the same seats."""
        return self._notices.has_peers

    def tell(self, schedule_id: UUID, facts: Iterable[Fact]) -> None:
        """Take facts over, and tell others in the background."""
        changes = self._take(schedule_id, facts)
        if changes is not None:
            self._notices.post(schedule_id, changes)

    async def tell_first(self, schedule_id: UUID, facts: Iterable[Fact]) -> None:
        """Take facts over and tell others; return when they can know, or after Valkey's deadline."""
        changes = self._take(schedule_id, facts)
        if changes is not None:
            await self._notices.deliver(schedule_id, changes)
        self._seat_maps.show_now(schedule_id)

    def doubt(self, schedule_id: UUID) -> None:
        """Have everybody look themselves: what was decided is known, and not in which order."""
        self._seat_maps.doubt(schedule_id)
        self._notices.post(schedule_id, ())

    def knows_as_new(self, schedule_id: UUID, user_id: UUID) -> bool:
        """Say whether a person has surely never had a reservation in the schedule."""
        return self._seat_maps.knows_as_new(schedule_id, user_id)

    def shows_free(self, schedule_id: UUID, seat_ids: Iterable[str]) -> list[str]:
        """Return which of the seats were believed to be free until now."""
        return self._seat_maps.shows_free(schedule_id, seat_ids)

    def _take(self, schedule_id: UUID, facts: Iterable[Fact]) -> list[Change] | None:
        """Apply facts; return what to tell: an empty list where others must look themselves, None
        where there is nothing to tell.
        """
        changes: list[Change] = []
        is_known = True
        for fact in facts:
            at = self._seat_maps.position(schedule_id, fact.seat_ids)
            if at is None or len(fact.versions) != len(at):
                is_known = False
                continue
            person = person_bits(fact.user_id.int)
            changes += [
                Change(position, fact.state, fact.expires_at, version, person)
                for position, version in zip(at, fact.versions, strict=True)
                if version
            ]
        if changes:
            self._seat_maps.apply(schedule_id, changes)
        if not is_known:
            self._seat_maps.doubt(schedule_id)
            return []
        return changes or None
