"""Named SQL in, frozen types out; outcomes of the batch functions are passed on as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, compress
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

_QUERIES = sql_files.load("boxoffice.reservations")
_EARLIER = ("replayed", "key_reused")


@dataclass(frozen=True, slots=True)
class HoldCommand:
    """A wish for seats of one schedule; an empty wish only asks what its key did before."""

    user_id: UUID
    key: str
    fingerprint: bytes
    reservation_id: UUID
    seat_ids: tuple[str, ...]

    @property
    def identity(self) -> tuple[UUID, str]:
        """What makes two requests one."""
        return self.user_id, self.key


@dataclass(frozen=True, slots=True)
class ReleaseCommand:
    """A wish to give the seats of a hold back; `request_id` tells afterwards who did it."""

    user_id: UUID
    reservation_id: UUID
    request_id: UUID

    identity = None
    fingerprint = b""


class Held(msgspec.Struct, frozen=True, gc=False):
    """A reservation as it was made."""

    reservation_id: UUID
    created_at: datetime
    expires_at: datetime
    amount_minor: int
    currency: str
    seat_ids: tuple[str, ...]

    @property
    def ttl_s(self) -> float:
        """How long the hold was made for, in seconds."""
        return (self.expires_at - self.created_at).total_seconds()


class HoldOutcome(msgspec.Struct, frozen=True, gc=False):
    """The database's word on a hold; `seat_ids` names the seats that were in the way.

    `seat_versions`, of a hold that was made just now: the new version of each of its seats, which come
    back at `returns_at` unless they are paid, None for at the end of the hold. `cooldown`, of a refusal
    for that: how long its person has to wait, in seconds, and until when.
    """

    name: str
    held: Held | None = None
    seat_ids: tuple[str, ...] = ()
    seat_versions: tuple[int, ...] = ()
    returns_at: datetime | None = None
    cooldown: tuple[float, datetime] | None = None


class ReleaseOutcome(msgspec.Struct, frozen=True, gc=False):
    """The database's word on a release.

    `seat_versions`, of a release that was made just now: the new version of each seat, 0 for one that
    belongs to somebody else again. `returns_at`: when they are on sale again, None for at once.
    """

    name: str
    seat_ids: tuple[str, ...] = ()
    key: str = ""
    seat_versions: tuple[int, ...] = ()
    returns_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reservation as it is; `now` is the database's time of the reading."""

    schedule_id: UUID
    reservation_id: UUID
    status: str
    seat_ids: tuple[str, ...]
    amount_minor: int
    currency: str
    created_at: datetime
    expires_at: datetime
    payment_id: UUID | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Active:
    """Which reservations are asked for: HELD or CONFIRMED, of one schedule or of all."""

    status: str
    schedule_id: UUID | None


class Standing(NamedTuple):
    """How many seats of a schedule one person may have, and has."""

    ticket_limit: int
    seats: int


@dataclass(frozen=True, slots=True)
class Swept:
    """How many lapsed holds were closed, and whether there is more to look at right now."""

    closed: int
    more: bool


class Cooldown(NamedTuple):
    """How many holds of a person in a schedule may end unpaid before they wait for the next one, and
    how long in seconds: `first_s` after the next such end, twice as long each time, up to `max_s`.
    """

    free_max: int
    first_s: int
    max_s: int


NO_COOLDOWN = Cooldown(1_000_000, 0, 0)


class ReservationStore:
    """The reservations of all schedules."""

    def __init__(self, db: Database, cooldown: Cooldown = NO_COOLDOWN) -> None:
        self._db = db
        self._cooldown = cooldown

    async def hold(self, schedule_id: UUID, commands: Sequence[HoldCommand]) -> list[HoldOutcome]:
        """Decide `commands` in one transaction; no (person, key) may appear twice."""
        args = (schedule_id, *_columns(commands), *self._cooldown)
        (row,) = await self._db.fetch(_QUERIES["hold"], *args)
        outcomes = _hold_outcomes(commands, row)
        again = [at for at, outcome in enumerate(outcomes) if outcome.name in _EARLIER]
        if again:
            # The commit of a batch that wrote came after everything that it replays.
            wrote = any(outcome.name == "held" for outcome in outcomes)
            earlier = [commands[at] for at in again]
            found = await self.find_holds(schedule_id, earlier, is_promised=wrote)
            for at, outcome in zip(again, found, strict=True):
                outcomes[at] = outcome or outcomes[at]
        return outcomes

    async def find_holds(
        self, schedule_id: UUID, commands: Sequence[HoldCommand], *, is_promised: bool = False
    ) -> list[HoldOutcome | None]:
        """Return what earlier requests with these keys did, None where they did nothing.

        `is_promised` as in `Database.look_up`.
        """
        rows = await self._db.look_up(
            _QUERIES["find_holds_by_key"],
            schedule_id,
            [command.user_id for command in commands],
            [command.key for command in commands],
            [command.fingerprint for command in commands],
            is_promised=is_promised,
        )
        found = {row["ord"]: _hold_outcome(row) for row in rows}
        return [found.get(at) for at in range(1, len(commands) + 1)]

    async def release(
        self, schedule_id: UUID, commands: Sequence[ReleaseCommand]
    ) -> list[ReleaseOutcome]:
        """Decide `commands` in one transaction."""
        rows = await self._db.fetch(
            _QUERIES["release"],
            schedule_id,
            [command.request_id for command in commands],
            [command.user_id for command in commands],
            [command.reservation_id for command in commands],
        )
        return [_release_outcome(row) for row in rows]

    async def find_releases(
        self, schedule_id: UUID, commands: Sequence[ReleaseCommand]
    ) -> list[ReleaseOutcome | None]:
        """Return which of `commands` took effect, None for the others."""
        rows = await self._db.look_up(
            _QUERIES["find_releases"],
            schedule_id,
            [command.reservation_id for command in commands],
            [command.request_id for command in commands],
        )
        found = {row["ord"]: _release_outcome(row) for row in rows}
        return [found.get(at) for at in range(1, len(commands) + 1)]

    async def get(
        self, schedule_id: UUID, reservation_id: UUID, user_id: UUID
    ) -> Reservation | None:
        """Return the reservation if it exists and is this person's."""
        row = await self._db.read_one(_QUERIES["get"], schedule_id, reservation_id, user_id)
        return None if row is None else _reservation(row)

    async def list_of_user(
        self, user_id: UUID, before: UUID | None, count: int
    ) -> list[Reservation]:
        """Return at most `count` reservations of this person, the newest first."""
        rows = await self._db.read(_QUERIES["list_of_user"], user_id, before, count)
        return [_reservation(row) for row in rows]

    async def active_of_user(
        self, user_id: UUID, before: UUID | None, count: int, wish: Active
    ) -> list[Reservation]:
        """Return at most `count` reservations of this person that still count, the newest first."""
        rows = await self._db.read(
            _QUERIES["active_of_user"], user_id, before, count, wish.status, wish.schedule_id
        )
        return [_reservation(row) for row in rows]

    async def standing(self, schedule_id: UUID, user_id: UUID) -> Standing | None:
        """Return how many seats a person has and may have; None without such a schedule."""
        row = await self._db.read_one(_QUERIES["person_in_schedule"], schedule_id, user_id)
        return None if row is None else Standing(*row)

    async def lapsed_schedules(self) -> list[UUID]:
        """Return the schedules that have lapsed holds, the longest waiting first."""
        return [row["schedule_id"] for row in await self._db.read(_QUERIES["lapsed_schedules"])]

    async def expire(self, schedule_id: UUID, count: int) -> Swept:
        """Close at most `count` lapsed holds of one schedule, the oldest first.

        Driver errors pass through: where the answer is lost, the next call closes what is left.
        """
        (row,) = await self._db.fetch(_QUERIES["expire"], schedule_id, count)
        return Swept(**row)


def _columns(commands: Sequence[HoldCommand]) -> tuple[Any, ...]:
    """Return what the hold function takes; see `functions.sql`."""
    people = [command.user_id for command in commands]
    seats = [seat for command in commands for seat in command.seat_ids]
    counts = [len(command.seat_ids) for command in commands]
    return (
        [command.reservation_id for command in commands],
        people,
        [command.key for command in commands],
        [command.fingerprint for command in commands],
        seats,
        counts,
        list(accumulate(counts)),
        [at for at, count in enumerate(counts, start=1) for _ in range(count)],
        len(set(seats)) == len(seats) and len(set(people)) == len(people),
    )


def _hold_outcomes(commands: Sequence[HoldCommand], row: Record) -> list[HoldOutcome]:
    names, created_at, expires_at, currency, amounts, versions, in_the_way, cooldowns, returns = row
    outcomes = []
    start = won = held = 0
    for at, command in enumerate(commands):
        seats = command.seat_ids
        end = start + len(seats)
        if names is None or names[at] == "held":
            made = Held(
                command.reservation_id, created_at, expires_at, amounts[held], currency, seats
            )
            won_to = won + len(seats)
            returns_at = returns[held] if returns else None
            outcomes.append(HoldOutcome("held", made, (), tuple(versions[won:won_to]), returns_at))
            held, won = held + 1, won_to
        else:
            blocking = tuple(compress(seats, in_the_way[start:end])) if in_the_way else ()
            cooldown = None
            if names[at] == "hold_cooldown":
                cooldown = cooldowns[at], created_at + timedelta(seconds=cooldowns[at])
            outcomes.append(HoldOutcome(names[at], None, blocking, cooldown=cooldown))
        start = end
    return outcomes


def _hold_outcome(row: Record) -> HoldOutcome:
    seat_ids = tuple(row["seat_ids"] or ())
    if row["reservation_id"] is None:
        return HoldOutcome(row["outcome"], None, seat_ids)
    held = Held(
        row["reservation_id"],
        row["created_at"],
        row["expires_at"],
        row["amount_minor"],
        row["currency"],
        seat_ids,
    )
    return HoldOutcome(row["outcome"], held)


def _release_outcome(row: Record) -> ReleaseOutcome:
    return ReleaseOutcome(
        row["outcome"],
        tuple(row["seat_ids"] or ()),
        row["key"] or "",
        tuple(row["seat_versions"] or ()),
        row["returns_at"],
    )


def _reservation(row: Record) -> Reservation:
    return Reservation(**{**dict(row), "seat_ids": tuple(row["seat_ids"])})
