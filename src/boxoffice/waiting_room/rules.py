"""Pure rules of a waiting room: positions, estimates, and the settings an organizer may change."""

from collections.abc import Container, Iterable, Iterator
from enum import StrEnum
from math import inf
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec

from boxoffice.errors import Invalid, QueueDrawn
from boxoffice.waiting_room.engine import shuffle

POLL_AFTER_MAX_S = 30
# The next poll comes after this fraction of the estimated wait.
_POLL_AFTER_FRACTION = 4
_ETA_MAX_S = 86_400
# The next poll of a called user who is not admitted yet.
_NEXT_POLL_S = 2
# The years 2000 and 2100, in seconds since the epoch.
_OPENS_FROM_S, _OPENS_TO_S = 946_684_800.0, 4_102_444_800.0
# A worker trusts its cache of departures for this long, and the leader fills a place this long after
# the exit was recorded: by then every worker has read it, or reads it before it accepts a pass. One
# value for all processes and releases, above the longest `queue_refresh_ms`.
DEPARTURES_FRESH_FOR_S = 1.0
# Window of the measured rate.
RATE_WINDOW_S = 30.0

T = TypeVar("T")


class Mode(StrEnum):
    """No waiting room, first come first served, or a draw at the opening."""

    OFF = "off"
    FIFO = "fifo"
    LOBBY = "lobby"


class PositionState(StrEnum):
    """The state of a user in the waiting room."""

    LOBBY = "LOBBY"
    WAITING = "WAITING"
    ADMITTED = "ADMITTED"


class Notice(StrEnum):
    """Why no user is admitted at the moment; `delayed`, that it is not known, is on the board only."""

    NOT_OPEN = "not_open"
    PAUSED = "paused"
    CLOSED = "closed"
    SALE_ENDED = "sale_ended"
    SOLD_OUT = "sold_out"
    DELAYED = "delayed"


class Gap(NamedTuple):
    """Numbers above `after`, up to `to`, that a loss of Valkey may have left without an owner."""

    after: int
    to: int


class WaitingRoomState(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting room in PostgreSQL; times in seconds since the epoch.

    At least `joined` numbers are issued, none above `numbers_to`. `lobby_size` is None before the draw
    and 0 without one. `sale_ends_at` is the close of the sale or the start of the performance.
    `is_public` is false for a draft.
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
    allows_anonymous: bool = False
    anonymous_key: bytes = b""

    def has_sale_ended(self, now: float) -> bool:
        """Whether the sale has ended at `now`; an organizer may open it again."""
        return self.is_sale_closed or now >= self.sale_ends_at

    @property
    def is_lobby(self) -> bool:
        """Whether the draw is still to come."""
        return self.mode is Mode.LOBBY and self.lobby_size is None

    @property
    def drawn(self) -> int:
        """The number of drawn users, 0 without a draw."""
        return self.lobby_size or 0

    @property
    def seed_hash(self) -> str:
        """The hash of the seed, published before the draw."""
        return shuffle.commitment(self.seed)

    def place_of(self, number: int) -> int:
        """Return a number's place in the order; before the draw it is the number itself."""
        return shuffle.place_of(self.seed, self.drawn, number) if self.drawn else number


class QueueCounters(msgspec.Struct, frozen=True):
    """Counters of a waiting room in Valkey; `rate_per_s` is measured, None before the first reading."""

    epoch: int = 0
    joined: int = 0
    called: int = 0
    inside: int = 0
    rate_per_s: float | None = None
    is_sold_out: bool = False


class QueuePosition(msgspec.Struct, frozen=True):
    """A user's position; times in seconds since the epoch.

    `position` counts from 1, is 0 once called, and None before the draw of a lobby. A `queue_ticket`
    replaces the previous one; `epoch` is that of the latest.
    """

    state: PositionState
    number: int
    position: int | None
    eta_s: int | None
    poll_after_s: int
    notice: Notice | None = None
    queue_ticket: str | None = None
    queue_pass: str | None = None
    pass_ends_at: float = 0.0
    leaves_at: float = 0.0
    room: WaitingRoomState | None = None
    epoch: int = 0
    is_anonymous: bool = False


def still_waiting(position: QueuePosition) -> QueuePosition:
    """Return the position of a user who was called but not admitted yet: next in the queue."""
    place = position.position if position.position is None else max(1, position.position)
    if position.notice is Notice.SALE_ENDED:
        return msgspec.structs.replace(position, position=place)
    poll_after_s = min(position.poll_after_s, _NEXT_POLL_S)
    return msgspec.structs.replace(position, position=place, poll_after_s=poll_after_s)


class WaitingRoomView(NamedTuple):
    """A waiting room for its organizer."""

    room: WaitingRoomState
    counters: QueueCounters
    notice: Notice | None


class WaitingRoomChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change by the organizer; None leaves a setting unchanged."""

    mode: Mode | None = None
    paused: bool | None = None
    closed: bool | None = None
    rate_per_s: float | None = None
    inside_max: int | None = None
    inside_s: int | None = None
    grace_s: int | None = None
    opens_at: float | None = None
    anonymous: bool | None = None


def apply_change(room: WaitingRoomState, change: WaitingRoomChange) -> WaitingRoomState:
    """Return the changed room.

    Raises `QueueDrawn` for a lobby after the first call, and `Invalid` for inconsistent times.
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
        allows_anonymous=_or(change.anonymous, room.allows_anonymous),
    )
    # guard: room_no_lobby_after_an_admission => if False:
    if made.is_lobby and not room.is_lobby and room.called:
        raise QueueDrawn("Users were admitted already; it is too late for a lobby.")
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
    """Return how many will be called up to this place, itself included; 0 for a called place.

    Possibly vacant places are not counted.
    """
    called = max(counters.called, 0)
    if place <= called:
        return 0
    if not room.gaps:
        return place - called
    ahead = place - called - _vacant_count(room.gaps, max(called, room.drawn), place)
    if called < room.drawn:
        # The draw spreads the vacant numbers of the lobby evenly over the places.
        share = (min(place, room.drawn) - called) / room.drawn
        ahead -= round(_vacant_count(room.gaps, 0, room.drawn + 1) * share)
    return max(1, ahead)


def _vacant_count(gaps: Iterable[Gap], after: int, before: int) -> int:
    return sum(max(0, min(gap.to, before - 1) - max(gap.after, after)) for gap in gaps)


def vacant_places(room: WaitingRoomState, known: Container[int]) -> Iterator[int]:
    """Yield the uncalled places of the gaps, without the numbers in `known`, which have an owner."""
    for gap in room.gaps:
        for number in range(gap.after + 1, gap.to + 1):
            place = room.place_of(number)
            # guard: room_owned_place_is_not_free => if place > room.called:
            if place > room.called and number not in known:
                yield place


def ranges(places: Iterable[int], at_most: int) -> list[str]:
    """Return consecutive places as "first-last" ranges of `at_most` places each."""
    found: list[list[int]] = []
    for place in places:
        if found and found[-1][1] + 1 == place and place - found[-1][0] < at_most:
            found[-1][1] = place
        else:
            found.append([place, place])
    return [f"{first}-{last}" for first, last in found]


def notice(room: WaitingRoomState, counters: QueueCounters, now: float) -> Notice | None:
    """Return why no user is admitted now, the most final reason first."""
    # guard: room_not_after_the_sale => if False:
    if room.has_sale_ended(now):
        return Notice.SALE_ENDED
    if room.is_closed:
        return Notice.CLOSED
    # guard: room_closed_when_sold_out => if False:
    if counters.is_sold_out:
        return Notice.SOLD_OUT
    # guard: room_closed_while_paused => if False:
    if room.is_paused:
        return Notice.PAUSED
    # guard: room_closed_before_opening_or_draw: now < room.opens_at or =>
    # guard: room_closed_before_draw: room.is_lobby or =>
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
    """Return the estimated wait in seconds, None when unknown.

    While the cap has room the queue moves at the set rate; otherwise at the measured rate, at which
    users leave.
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
    """Return the seconds to the next poll: longer for a longer wait, and always within the grace of a
    call.
    """
    most = max(1, min(POLL_AFTER_MAX_S, grace_s // 3))
    return most if eta is None else max(1, min(most, eta // _POLL_AFTER_FRACTION))


class RateMeter:
    """Measures called numbers per second over a window of readings (time, called)."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def add(self, at: float, called: int) -> None:
        """Add a reading; at most one per second is kept."""
        if self._seen and at - self._seen[-1][0] < 1.0:
            return
        self._seen.append((at, called))
        while self._seen[1:] and at - self._seen[1][0] > RATE_WINDOW_S:
            del self._seen[0]

    def per_s(self, at: float, called: int) -> float | None:
        """Return the rate, None within the first second."""
        if not self._seen or at - self._seen[0][0] < 1.0:
            return None
        began_at, before = self._seen[0]
        return (called - before) / (at - began_at)


class TokenBucket:
    """Fills at `rate_per_s`; holds the tokens of one second, at least one.

    It is empty at first: a new leader does not know what the leader before it has used.
    """

    def __init__(self) -> None:
        self._left = 0.0
        self._at: float | None = None

    def available(self, at: float, rate_per_s: float) -> int:
        """Return how many numbers may be called at `at`, in seconds."""
        if self._at is not None:
            self._left += max(0.0, at - self._at) * rate_per_s
        self._left = min(self._left, max(1.0, rate_per_s))
        self._at = at
        return int(self._left)

    def take(self, count: int) -> None:
        """Remove `count` tokens."""
        self._left -= count
