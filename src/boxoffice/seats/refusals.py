"""Refusals from memory: holds that PostgreSQL would refuse, refused without I/O.

Only a person who surely never had a reservation in the schedule is refused here: a repeated request
must get its first answer, which only the database knows. Nothing is ever accepted from memory.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from boxoffice.observability.metrics import BufferedCounter
from boxoffice.seats import metrics
from boxoffice.seats.cache.entries import ScheduleEntries, SeatStates
from boxoffice.seats.cache.states import LiveStates, person_bits
from boxoffice.seats.layout import Layout

_REFUSED, _UNKNOWN, _KNOWN_PERSON = (
    BufferedCounter(metrics.SEAT_CACHE.labels(result))
    for result in ("refused", "unknown", "known_person")
)


class SeatRefusals:
    """Says, without I/O, which seats are surely taken; `is_enabled` is the setting `seat_cache`."""

    def __init__(self, entries: ScheduleEntries, *, is_enabled: bool = True) -> None:
        self._entries = entries
        self._now = entries.now
        self._uncertainty_s = entries.uncertainty_s
        self._is_enabled = is_enabled

    def taken(self, schedule_id: UUID, seat_ids: Sequence[str], user_id: UUID) -> list[str] | None:
        """Return which of the seats are surely taken; None where memory may not refuse this person."""
        known = self._known(schedule_id, user_id)
        if known is None:
            return None
        layout, live, _, surely_before = known
        index = layout.index
        taken = [one for one in seat_ids if live.is_taken(index[one], surely_before)]
        if taken:
            _REFUSED.count += 1
        return taken

    def is_sold_out(self, schedule_id: UUID, user_id: UUID) -> bool:
        """Say whether surely no seat is free, and memory may refuse this person."""
        live = self._settled(schedule_id, user_id)
        if live is None or live.free:
            return False
        _REFUSED.count += 1
        return True

    def states_for_refusal(self, schedule_id: UUID, user_id: UUID) -> SeatStates | None:
        """Return the states of this moment; None where memory may not refuse this person."""
        live = self._settled(schedule_id, user_id)
        if live is None:
            return None
        return SeatStates(live.version, self._entries.clock(), live.shown(self._now()))

    def is_surely_new(self, schedule_id: UUID, user_id: UUID) -> bool:
        """Say whether this person has surely never had a reservation in the schedule."""
        trusted = self._entries.trusted(schedule_id)
        return trusted is not None and person_bits(user_id.int) not in trusted[1].people

    def missed(self, schedule_id: UUID, seat_ids: Iterable[str]) -> list[str]:
        """Return which of the seats that the database has refused were shown as free.

        From then on the schedule is read for refusals, however large it is.
        """
        entry = self._entries.cache.peek(schedule_id)
        seat_ids = list(seat_ids)
        if entry is not None and seat_ids:
            entry.refresher.enable()
        live = entry.refresher.usable() if entry else None
        if entry is None or live is None:
            return []
        live.lapse(self._now())
        index = entry.layout.index
        return [one for one in seat_ids if one in index and live.is_free(index[one])]

    def _settled(self, schedule_id: UUID, user_id: UUID) -> LiveStates | None:
        known = self._known(schedule_id, user_id)
        if known is None:
            return None
        _, live, now, surely_before = known
        live.lapse(now)
        # A hold that ends within the clock's uncertainty may be free already.
        return None if live.next_lapse_at <= surely_before else live

    def _known(
        self, schedule_id: UUID, user_id: UUID
    ) -> tuple[Layout, LiveStates, float, float] | None:
        """Return the states that may refuse something to this person, if any may, and the time.

        The first time is the database's, the second one is surely not before it.
        """
        if not self._is_enabled:
            return None
        known = self._entries.trusted(schedule_id)
        if known is None:
            _UNKNOWN.count += 1
            return None
        layout, live = known
        if person_bits(user_id.int) in live.people:
            _KNOWN_PERSON.count += 1
            return None
        now, uncertainty_s = self._now(), self._uncertainty_s()
        if not live.sale.surely_on(now, uncertainty_s):
            return None
        return layout, live, now, now + uncertainty_s
