"""Publishes this process's seat decisions: to its own seat cache first, then to other pods."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.seats.cache.entries import SeatChangeApplier
from boxoffice.seats.cache.states import PositionChange, person_bits
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.read_model import SeatReadModel


class SeatChange(NamedTuple):
    """The database's decision about the seats of one reservation.

    `versions` are the seats' new versions in the order of `seat_ids`, 0 for an unchanged seat; empty
    where the decision is known but its versions are not. `expires_at` is in seconds since the epoch,
    0 unless the seats are held.
    """

    user_id: UUID
    state: int
    seat_ids: Sequence[str]
    versions: Sequence[int]
    expires_at: float = 0.0


class SeatChangePublisher:
    """Applies decisions to this process's seat cache and sends them to other pods.

    Callers publish a decision before they answer its request.
    """

    def __init__(
        self, applier: SeatChangeApplier, seats: SeatReadModel, change_bus: SeatChangeBus
    ) -> None:
        self._applier = applier
        self._seats = seats
        self._change_bus = change_bus

    @property
    def has_peers(self) -> bool:
        """Whether other processes sell the same seats."""
        return self._change_bus.has_peers

    def publish(self, schedule_id: UUID, changes: Iterable[SeatChange]) -> None:
        """Apply changes, and send them in the background."""
        applied = self._apply(schedule_id, changes)
        if applied is not None:
            self._change_bus.post(schedule_id, applied)

    def apply(self, schedule_id: UUID, changes: Iterable[SeatChange]) -> None:
        """Apply changes that another process has decided and sends."""
        self._apply(schedule_id, changes)

    async def publish_and_wait(self, schedule_id: UUID, changes: Iterable[SeatChange]) -> None:
        """Apply changes and send them; return when Valkey has them, or after Valkey's deadline."""
        applied = self._apply(schedule_id, changes)
        if applied is not None:
            await self._change_bus.deliver(schedule_id, applied)
        self._seats.show_newest(schedule_id)

    def invalidate(self, schedule_id: UUID) -> None:
        """Have every pod read the schedule again: the order of the decisions is not known."""
        self._applier.invalidate(schedule_id)
        self._change_bus.post(schedule_id, ())

    def replace_layout(self, schedule_id: UUID) -> None:
        """Have every pod read the seats anew: some were added, or prices or grades changed."""
        self._applier.evict(schedule_id)
        self._change_bus.post(schedule_id, ())

    def _apply(
        self, schedule_id: UUID, changes: Iterable[SeatChange]
    ) -> list[PositionChange] | None:
        """Apply changes; return those to send: an empty list where other pods must read the schedule
        again, None where nothing changed.
        """
        applied: list[PositionChange] = []
        is_complete = True
        for change in changes:
            at = self._applier.positions(schedule_id, change.seat_ids)
            if at is None or len(change.versions) != len(at):
                is_complete = False
                continue
            person = person_bits(change.user_id.int)
            applied += [
                PositionChange(position, change.state, change.expires_at, version, person)
                for position, version in zip(at, change.versions, strict=True)
                if version
            ]
        if applied:
            self._applier.apply(schedule_id, applied)
        if not is_complete:
            self._applier.invalidate(schedule_id)
            return []
        return applied or None
