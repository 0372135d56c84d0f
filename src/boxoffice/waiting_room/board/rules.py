"""Pure rules of the board: what it shows, and when its bytes change."""

from datetime import UTC, datetime
from enum import StrEnum
from math import ceil, floor
from uuid import UUID

import msgspec

from boxoffice.waiting_room import rules
from boxoffice.waiting_room.rules import Notice, QueueCounters, WaitingRoomState

# A board whose content does not change keeps its bytes, and so its ETag, for this long.
STILL_S = 10
# Counters that were read longer ago than this are reported as delayed.
DELAYED_AFTER_S = 3.0
# A waiting user polls personally this often during the life of a ticket, whose second half renews it.
_ASKS_PER_TICKET = 4


class BoardState(StrEnum):
    """No waiting room, a lobby before its draw, or a queue."""

    OFF = "OFF"
    LOBBY = "LOBBY"
    WAITING = "WAITING"


class BoardGapOut(msgspec.Struct, frozen=True):
    """Numbers above `after`, up to `to`, that may have no owner."""

    after: int
    to: int


class BoardOut(msgspec.Struct, frozen=True, kw_only=True):
    """The public state of a waiting room: a user's position is the place minus `called`.

    The place is the user's number, or after the draw of a lobby what `draw_seed` and `lobby_size` make
    of it. The numbers in `gaps` are not counted. At most `rate_per_s` numbers are called per second;
    beyond `places_free` users, the queue moves at `measured_rate_per_s`.

    A user polls personally when the place is called, within `grace_s`; when `epoch` is above that of
    the ticket or `state` is `OFF`, at a random time within `spread_s`; and every `ask_every_s`.
    `notice` is `delayed` while the counters cannot be read.
    """

    schedule_id: UUID
    as_of: datetime
    state: BoardState
    epoch: int
    called: int
    rate_per_s: float
    measured_rate_per_s: float | None
    places_free: int
    lobby_size: int | None
    draw_seed: str | None
    gaps: list[BoardGapOut]
    notice: Notice | None
    opens_at: datetime | None
    grace_s: int
    spread_s: int
    ask_every_s: int


class BoardTiming(msgspec.Struct, frozen=True):
    """How users are spread: personal questions per second, and the life of a ticket in seconds."""

    asks_per_s: int
    ticket_ttl_s: int

    @property
    def ask_every_s(self) -> int:
        """Return the longest time in seconds between personal questions of a waiting user."""
        return max(1, self.ticket_ttl_s // _ASKS_PER_TICKET)

    def spread_s(self, waiting: int) -> int:
        """Return over how many seconds `waiting` users spread one question each.

        It is a power of two, so that it changes seldom.
        """
        return 1 << max(0, ceil(waiting / self.asks_per_s) - 1).bit_length()


class CountersReading(msgspec.Struct, frozen=True):
    """The counters of a room at `now` in seconds since the epoch, and their age in seconds."""

    counters: QueueCounters
    now: float
    age_s: float


def board(room: WaitingRoomState, reading: CountersReading, timing: BoardTiming) -> BoardOut:
    """Return what is shown of a room."""
    counters = reading.counters
    # PostgreSQL knows a part of the progress where the counters were never read.
    called = max(counters.called, room.called)
    notice = _notice(room, reading)
    measured = counters.rate_per_s
    return BoardOut(
        schedule_id=room.schedule_id,
        as_of=_moment(floor(reading.now)),
        state=BoardState.LOBBY if room.is_lobby else BoardState.WAITING,
        epoch=room.epoch,
        called=called,
        rate_per_s=room.rate_per_s,
        measured_rate_per_s=None if measured is None else round(measured, 1),
        places_free=max(0, room.inside_max - counters.inside),
        lobby_size=room.lobby_size,
        # guard: board_seed_is_secret_before_the_draw => draw_seed=room.seed.hex(),
        draw_seed=room.seed.hex() if room.drawn else None,
        gaps=[BoardGapOut(gap.after, gap.to) for gap in room.gaps],
        notice=notice,
        opens_at=_moment(room.opens_at) if notice is Notice.NOT_OPEN else None,
        grace_s=room.grace_s,
        spread_s=timing.spread_s(max(counters.joined, room.joined) - called),
        ask_every_s=timing.ask_every_s,
    )


def board_without_room(schedule_id: UUID, now: float, timing: BoardTiming) -> BoardOut:
    """Return the board of a schedule whose waiting room is off, at `now` in seconds since the epoch."""
    return BoardOut(
        schedule_id=schedule_id,
        as_of=_moment(floor(now)),
        state=BoardState.OFF,
        epoch=0,
        called=0,
        rate_per_s=0.0,
        measured_rate_per_s=None,
        places_free=0,
        lobby_size=None,
        draw_seed=None,
        gaps=[],
        notice=None,
        opens_at=None,
        grace_s=0,
        spread_s=1,
        ask_every_s=timing.ask_every_s,
    )


def following(last: BoardOut | None, fresh: BoardOut) -> BoardOut:
    """Return the board after `last`: the same while nothing has changed.

    `as_of` then moves in steps of `STILL_S`, which begin at the same time in every process.
    """
    if last is None or msgspec.structs.replace(fresh, as_of=last.as_of) != last:
        return fresh
    step = fresh.as_of.timestamp() // STILL_S * STILL_S
    return msgspec.structs.replace(fresh, as_of=max(last.as_of, _moment(step)))


def _notice(room: WaitingRoomState, reading: CountersReading) -> Notice | None:
    reason = rules.notice(room, reading.counters, reading.now)
    if reason is None and reading.age_s > DELAYED_AFTER_S:
        return Notice.DELAYED
    return reason


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
