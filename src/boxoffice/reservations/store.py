"""Named SQL in, frozen types out; outcomes of the batch functions are passed on as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from boxoffice.platform import sqlfiles
from boxoffice.platform.postgres import Database, Record

_QUERIES = sqlfiles.load("boxoffice.reservations")


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


@dataclass(frozen=True, slots=True)
class Held:
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


@dataclass(frozen=True, slots=True)
class HoldOutcome:
    """The database's word on a hold; `seat_ids` names the seats that were in the way.

    `seat_versions`, of a hold that was made just now: the new version of each of its seats.
    """

    name: str
    held: Held | None = None
    seat_ids: tuple[str, ...] = ()
    seat_versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseOutcome:
    """The database's word on a release.

    `seat_versions`, of a release that was made just now: the new version of each seat, 0 for one that
    belongs to somebody else again.
    """

    name: str
    seat_ids: tuple[str, ...] = ()
    key: str = ""
    seat_versions: tuple[int, ...] = ()


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


class ReservationStore:
    """The reservations of all schedules."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def hold(self, schedule_id: UUID, commands: Sequence[HoldCommand]) -> list[HoldOutcome]:
        """Decide `commands` in one transaction; no (person, key) may appear twice."""
        rows = await self._db.fetch(_QUERIES["hold"], schedule_id, *_columns(commands))
        return [_hold_outcome(row) for row in rows]

    async def find_holds(
        self, schedule_id: UUID, commands: Sequence[HoldCommand]
    ) -> list[HoldOutcome | None]:
        """Return what earlier requests with these keys did, None where they did nothing."""
        rows = await self._db.fetch(
            _QUERIES["find_holds_by_key"],
            schedule_id,
            [command.user_id for command in commands],
            [command.key for command in commands],
            [command.fingerprint for command in commands],
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
        rows = await self._db.fetch(
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

    async def lapsed_schedules(self) -> list[UUID]:
        """Return the schedules that have lapsed holds, the longest waiting first."""
        return [row["schedule_id"] for row in await self._db.read(_QUERIES["lapsed_schedules"])]

    async def expire(self, schedule_id: UUID, count: int) -> int:
        """Close at most `count` lapsed holds of one schedule, the oldest first; return how many.

        Driver errors pass through: where the answer is lost, the next call closes what is left.
        """
        (row,) = await self._db.fetch(_QUERIES["expire"], schedule_id, count)
        return int(row["closed"])


def _columns(commands: Sequence[HoldCommand]) -> tuple[list[Any], ...]:
    """Return the arrays that the hold function takes; see `functions.sql`."""
    seats = sorted({seat for command in commands for seat in command.seat_ids})
    people = sorted({command.user_id for command in commands})
    seat_at = {seat: at for at, seat in enumerate(seats, start=1)}
    user_at = {user: at for at, user in enumerate(people, start=1)}
    wanted = [seat_at[seat] for command in commands for seat in command.seat_ids]
    starts = [1]
    for command in commands:
        starts.append(starts[-1] + len(command.seat_ids))
    return (
        seats,
        people,
        [command.reservation_id for command in commands],
        [user_at[command.user_id] for command in commands],
        starts,
        wanted,
        [command.key for command in commands],
        [command.fingerprint for command in commands],
    )


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
    return HoldOutcome(row["outcome"], held, (), tuple(row["seat_versions"] or ()))


def _release_outcome(row: Record) -> ReleaseOutcome:
    return ReleaseOutcome(
        row["outcome"],
        tuple(row["seat_ids"] or ()),
        row["key"] or "",
        tuple(row["seat_versions"] or ()),
    )


def _reservation(row: Record) -> Reservation:
    return Reservation(**{**dict(row), "seat_ids": tuple(row["seat_ids"])})
