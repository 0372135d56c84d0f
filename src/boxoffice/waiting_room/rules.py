"""What can be said of a waiting room from values alone: places, estimates, and what may be set."""

from collections.abc import Container, Iterable, Iterator
from enum import StrEnum
from math import inf
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec

from boxoffice.errors import Invalid, QueueDrawn
from boxoffice.waiting_room.engine import shuffle

POLL_AFTER_MAX_S = 30
# Somebody asks again after this part of what they have to wait, so the estimate has not moved far.
_ASK_AFTER_PART = 4
_ETA_MAX_S = 86_400
# The years 2000 and 2100, in seconds since the epoch.
_OPENS_FROM_S, _OPENS_TO_S = 946_684_800.0, 4_102_444_800.0
# What a worker has read of a room is believed for so long. A place is filled that long after it was put
# on record who left it: by then every worker knows, or reads before it believes a pass. One value for
# all processes and releases, and above the longest `queue_refresh_ms`.
DEPARTURES_FRESH_FOR_S = 1.0
# A rate is measured over so long; what is older says nothing about now.
RATE_WINDOW_S = 30.0

T = TypeVar("T")


class Mode(StrEnum):
    """How people wait: not at all, in the order of arrival, or drawn at the opening."""

    OFF = "off"
    FIFO = "fifo"
    LOBBY = "lobby"


class PositionState(StrEnum):
    """Where somebody stands."""

    LOBBY = "LOBBY"
    WAITING = "WAITING"
    ADMITTED = "ADMITTED"


class Notice(StrEnum):
    """Why nobody is let in at this moment."""

    NOT_OPEN = "not_open"
    PAUSED = "paused"
    CLOSED = "closed"
    SALE_ENDED = "sale_ended"
    SOLD_OUT = "sold_out"


class Gap(NamedTuple):
    """Numbers above `after`, up to `to`, which perhaps nobody has: the line was lost there."""

    after: int
    to: int


class WaitingRoomState(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting room as PostgreSQL has it; times in seconds since the epoch.

    No number above `numbers_to` was given out; at least `joined` were. `lobby_size` is None before the
    draw, and 0 where there is nothing to draw. `sale_ends_at` is when the sale closes by itself or the
    performance begins, and `is_public` says whether buyers know of the schedule.
    """

    schedule_id: UUID
    mode: Mode
    is_paused: bool
    is_closed: bool
    rate_per_s: float
    inside_max: int
    inside_s: int
    grace_s: int
    opens_at: float
    seed: bytes
    lobby_size: int | None
    epoch: int
    numbers_to: int
    joined: int
    called: int
    gaps: tuple[Gap, ...] = ()
    is_public: bool = True
    is_sale_closed: bool = False
    sale_ends_at: float = inf

    def has_sale_ended(self, now: float) -> bool:
        """Say whether nothing is sold there any more at `now`, unless the sale is opened again."""
        return self.is_sale_closed or now >= self.sale_ends_at

    @property
    def is_lobby(self) -> bool:
        """Whether everybody is still equal, because the draw has not been."""
        return self.mode is Mode.LOBBY and self.lobby_size is None

    @property
    def drawn(self) -> int:
        """Among how many was drawn, 0 for nobody."""
        return self.lobby_size or 0

    @property
    def seed_hash(self) -> str:
        """What is known of the seed before the draw."""
        return shuffle.commitment(self.seed)

    def place_of(self, number: int) -> int:
        """Return the place in the order; before the draw it is the number."""
        return shuffle.place_of(self.seed, self.drawn, number) if self.drawn else number


class QueueCounters(msgspec.Struct, frozen=True):
    """What Valkey says of a room at a moment.

    `rate_per_s` is how fast the line has moved of late, None where that cannot be said yet.
    """

    epoch: int = 0
    joined: int = 0
    called: int = 0
    inside: int = 0
    rate_per_s: float | None = None
    is_sold_out: bool = False


class WaitingRoomChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an organizer wants to be different; None leaves it as it is."""

    mode: Mode | None = None
    paused: bool | None = None
    closed: bool | None = None
    rate_per_s: float | None = None
    inside_max: int | None = None
    inside_s: int | None = None
    grace_s: int | None = None
    opens_at: float | None = None


def changed(room: WaitingRoomState, change: WaitingRoomChange) -> WaitingRoomState:
    """Return the room as it is to be.

    Raises `QueueDrawn` for a lobby whose order is drawn or begun already, and `Invalid` for times that
    do not fit together.
    """
    made = msgspec.structs.replace(
        room,
        mode=_or(change.mode, room.mode),
        is_paused=_or(change.paused, room.is_paused),
        is_closed=_or(change.closed, room.is_closed),
        rate_per_s=_or(change.rate_per_s, room.rate_per_s),
        inside_max=_or(change.inside_max, room.inside_max),
        inside_s=_or(change.inside_s, room.inside_s),
        grace_s=_or(change.grace_s, room.grace_s),
        opens_at=_or(change.opens_at, room.opens_at),
    )
    # guard: room_no_lobby_once_somebody_was_let_in => if False:
    if made.is_lobby and not room.is_lobby and room.called:
        raise QueueDrawn("People were let in already: it is too late for a lobby.")
    if not _OPENS_FROM_S <= made.opens_at <= _OPENS_TO_S:
        raise Invalid("opens_at must be in this century.")
    # guard: room_times_that_fit_together => if False:
    if made.grace_s > made.inside_s:
        raise Invalid("grace_s must not be above inside_s.")
    return made


def changed_settings(change: WaitingRoomChange) -> dict[str, object]:
    """Return the changed settings, for the activity log."""
    return {
        name: value for name, value in msgspec.structs.asdict(change).items() if value is not None
    }


def _or(wanted: T | None, present: T) -> T:
    return present if wanted is None else wanted


def position(room: WaitingRoomState, counters: QueueCounters, place: int) -> int:
    """Return how many are called up to this place from now, itself included; 0 for who was called.

    Numbers that nobody may have count for nobody.
    """
    called = max(counters.called, 0)
    if place <= called:
        return 0
    if not room.gaps:
        return place - called
    ahead = place - called - _vacant_count(room.gaps, max(called, room.drawn), place)
    if called < room.drawn:
        # The draw has strewn the numbers of the lobby that nobody has all over it.
        share = (min(place, room.drawn) - called) / room.drawn
        ahead -= round(_vacant_count(room.gaps, 0, room.drawn + 1) * share)
    return max(1, ahead)


def _vacant_count(gaps: Iterable[Gap], after: int, before: int) -> int:
    return sum(max(0, min(gap.to, before - 1) - max(gap.after, after)) for gap in gaps)


def vacant_places(room: WaitingRoomState, known: Container[int]) -> Iterator[int]:
    """Yield the places that perhaps nobody has and that are still to be called.

    `known` are numbers of the gaps that somebody has all the same.
    """
    for gap in room.gaps:
        for number in range(gap.after + 1, gap.to + 1):
            place = room.place_of(number)
            # guard: room_place_that_somebody_has_is_not_nobodys => if place > room.called:
            if place > room.called and number not in known:
                yield place


def ranges(places: Iterable[int], at_most: int) -> list[str]:
    """Return places that follow each other as "first-last", each of `at_most` places."""
    found: list[list[int]] = []
    for place in places:
        if found and found[-1][1] + 1 == place and place - found[-1][0] < at_most:
            found[-1][1] = place
        else:
            found.append([place, place])
    return [f"{first}-{last}" for first, last in found]


def notice(room: WaitingRoomState, counters: QueueCounters, now: float) -> Notice | None:
    """Return why nobody is let in now, the most final reason first."""
    # guard: room_nobody_once_sale_has_ended => if False:
    if room.has_sale_ended(now):
        return Notice.SALE_ENDED
    if room.is_closed:
        return Notice.CLOSED
    # guard: room_nobody_where_nothing_is_left => if False:
    if counters.is_sold_out:
        return Notice.SOLD_OUT
    # guard: room_nobody_while_it_is_paused => if False:
    if room.is_paused:
        return Notice.PAUSED
    # guard: room_nobody_before_opening_or_draw: now < room.opens_at or =>
    # guard: room_nobody_before_draw: room.is_lobby or =>
    if now < room.opens_at or room.is_lobby or not room.is_public:
        return Notice.NOT_OPEN
    return None


def eta_s(
    room: WaitingRoomState,
    counters: QueueCounters,
    position: int,
    reason: Notice | None,
    now: float,
) -> int | None:
    """Return in how many seconds it is one's turn; None where nobody can say.

    For whom there is room inside the line moves at its own rate. Everybody else waits for others to
    leave, which goes at the rate measured; where nobody came of late, that rate says nothing.
    """
    if reason not in (None, Notice.NOT_OPEN):
        return None
    rate_per_s = room.rate_per_s
    has_room = counters.inside + position <= room.inside_max
    if counters.rate_per_s is not None and reason is None and not has_room:
        rate_per_s = counters.rate_per_s
    if rate_per_s <= 0:
        return None
    waited_s = max(0.0, room.opens_at - now) + position / rate_per_s
    return min(_ETA_MAX_S, round(waited_s))


def poll_after_s(eta: int | None, grace_s: int) -> int:
    """Return in how many seconds to ask again: later the longer one has to wait, and always in time
    to hear of a call before it lapses.
    """
    most = max(1, min(POLL_AFTER_MAX_S, grace_s // 3))
    return most if eta is None else max(1, min(most, eta // _ASK_AFTER_PART))


class RateMeter:
    """How fast the line moves: fed with (time, called), it tells numbers per second over a window."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def note(self, at: float, called: int) -> None:
        """Take a reading; at most one per second is kept."""
        if self._seen and at - self._seen[-1][0] < 1.0:
            return
        self._seen.append((at, called))
        while self._seen[1:] and at - self._seen[1][0] > RATE_WINDOW_S:
            del self._seen[0]

    def per_s(self, at: float, called: int) -> float | None:
        """Return the rate, None before there is a second to measure."""
        if not self._seen or at - self._seen[0][0] < 1.0:
            return None
        began_at, before = self._seen[0]
        return (called - before) / (at - began_at)


class TokenBucket:
    """A bucket that fills with `rate_per_s` and holds one second's worth, at least one."""

    def __init__(self) -> None:
        self._left = 1.0
        self._at: float | None = None

    def may(self, at: float, rate_per_s: float) -> int:
        """Return how many may be called at `at`, in seconds."""
        if self._at is not None:
            self._left += max(0.0, at - self._at) * rate_per_s
        self._left = min(self._left, max(1.0, rate_per_s))
        self._at = at
        return int(self._left)

    def used(self, count: int) -> None:
        """Take so many out."""
        self._left -= count
