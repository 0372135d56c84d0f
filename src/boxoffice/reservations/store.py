"""Named SQL in, frozen types out; the outcomes of the batch functions are passed on unchanged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, compress
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import msgspec

from boxoffice.offers.rules import OfferRequest, SeatPrice
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

_QUERIES = sql_files.load("boxoffice.reservations")
_EARLIER = ("replayed", "key_reused")
_LINE_COLUMNS = ("price_types", "prices_minor", "discounts_minor", "fees_minor")
# Refusals of offers that name seats.
_NAME_SEATS = ("price_type_unknown", "companion_required")
# Nothing was decided: the schedule has offers.
_OFFERS_DECIDE = "offers_decide"
# Schedules with offers that one process keeps in mind; a forgotten one costs a second call.
_WITH_OFFERS_MAX = 10_000


class HoldCommand(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Hold seats of one schedule; without seats, look up what the key did before.

    `offer` is what is asked of its offers: None for the full price without a code.
    """

    user_id: UUID
    key: str
    fingerprint: bytes
    reservation_id: UUID
    seat_ids: tuple[str, ...]
    offer: OfferRequest | None = None

    @property
    def identity(self) -> tuple[UUID, str]:
        """The same for a request and its repetitions."""
        return self.user_id, self.key


class ReleaseCommand(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Release the seats of a hold; `request_id` shows afterwards which request did it."""

    user_id: UUID
    reservation_id: UUID
    request_id: UUID

    identity: ClassVar[None] = None
    fingerprint: ClassVar[bytes] = b""


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A reservation as it was made; `lines` are the prices of its seats where offers decided them."""

    reservation_id: UUID
    created_at: datetime
    expires_at: datetime
    amount_minor: int
    currency: str
    seat_ids: tuple[str, ...]
    lines: tuple[SeatPrice, ...] = ()

    @property
    def ttl_s(self) -> float:
        """The duration of the hold, in seconds."""
        return (self.expires_at - self.created_at).total_seconds()


class HoldOutcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the database decided about a hold; `seat_ids` are the seats that blocked it.

    For a new hold, `seat_versions` are the new versions of its seats, and `returns_at` is when they
    are on sale again without a payment (None: when the hold ends). For `hold_cooldown`, `cooldown` is
    the wait in seconds and its end.
    """

    name: str
    held: Held | None = None
    seat_ids: tuple[str, ...] = ()
    seat_versions: tuple[int, ...] = ()
    returns_at: datetime | None = None
    cooldown: tuple[float, datetime] | None = None


class ReleaseOutcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the database decided about a release.

    For a new release, `seat_versions` are the new versions of its seats, 0 for a seat that another
    person has by now. `returns_at` is when the seats are on sale again (None: now).
    """

    name: str
    seat_ids: tuple[str, ...] = ()
    key: str = ""
    seat_versions: tuple[int, ...] = ()
    returns_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reservation; `now` is the database's time of the reading.

    `intent_id` is that of a payment intent whose outcome is open; `order_number` is None before a
    confirmation.
    """

    schedule_id: UUID
    reservation_id: UUID
    status: str
    seat_ids: tuple[str, ...]
    amount_minor: int
    currency: str
    created_at: datetime
    expires_at: datetime
    payment_id: UUID | None
    intent_id: UUID | None
    now: datetime
    order_number: str | None = None
    lines: tuple[SeatPrice, ...] = ()


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """Selects HELD or CONFIRMED reservations, of one schedule or of all."""

    status: str
    schedule_id: UUID | None


class TicketCount(NamedTuple):
    """How many seats of a schedule one person may have, and has."""

    ticket_limit: int
    seats: int


class LapsedSchedule(NamedTuple):
    """A schedule with lapsed holds to close; `lag_s` is the time since the oldest of them ended."""

    schedule_id: UUID
    lag_s: float


@dataclass(frozen=True, slots=True)
class Swept:
    """How many lapsed holds were closed, and whether more can be closed now."""

    closed: int
    more: bool


class Cooldown(NamedTuple):
    """The wait for the next hold after holds that ended unpaid, per person and schedule.

    The first `free_max` such ends cost nothing. The next one costs `first_s` seconds, and each further
    one twice as much, up to `max_s`.
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
        # In order of age. It only saves a call.
        self._with_offers: dict[UUID, None] = {}

    async def hold(
        self, schedule_id: UUID, commands: Sequence[HoldCommand], numbers: Sequence[int] = ()
    ) -> list[HoldOutcome]:
        """Decide `commands` in one transaction; no (person, key) may appear twice.

        `numbers` as in `Database.decide`.
        """
        outcomes = await self._decide(schedule_id, commands, numbers)
        await self._look_up_earlier(schedule_id, commands, outcomes)
        return outcomes

    async def _decide(
        self, schedule_id: UUID, commands: Sequence[HoldCommand], numbers: Sequence[int]
    ) -> list[HoldOutcome]:
        """Decide holds; the database refuses the plain statement where a schedule has offers."""
        args = (schedule_id, *_columns(commands), *self._cooldown)
        if schedule_id not in self._with_offers and all(one.offer is None for one in commands):
            (row,) = await self._db.decide(_QUERIES["hold"], *args, numbers=numbers)
            if not row["outcomes"] or row["outcomes"][0] != _OFFERS_DECIDE:
                return _hold_outcomes(commands, tuple(row))
            self._note_offers(schedule_id)
        asked = _offer_columns(commands)
        (row,) = await self._db.decide(_QUERIES["hold_with_offers"], *args, *asked, numbers=numbers)
        return _hold_outcomes_with_offers(commands, row)

    def _note_offers(self, schedule_id: UUID) -> None:
        self._with_offers[schedule_id] = None
        if len(self._with_offers) > _WITH_OFFERS_MAX:
            del self._with_offers[next(iter(self._with_offers))]

    async def _look_up_earlier(
        self, schedule_id: UUID, commands: Sequence[HoldCommand], outcomes: list[HoldOutcome]
    ) -> None:
        """Complete the outcomes of commands whose key was used before."""
        places = [at for at, outcome in enumerate(outcomes) if outcome.name in _EARLIER]
        if places:
            # The commit of a batch that wrote comes after the commits of all that it replays.
            wrote = any(outcome.name == "held" for outcome in outcomes)
            earlier = [commands[at] for at in places]
            found = await self.find_holds(schedule_id, earlier, is_durable=wrote)
            for at, outcome in zip(places, found, strict=True):
                outcomes[at] = outcome or outcomes[at]

    async def find_holds(
        self, schedule_id: UUID, commands: Sequence[HoldCommand], *, is_durable: bool = False
    ) -> list[HoldOutcome | None]:
        """Return what earlier requests with these keys did, None where they did nothing.

        `is_durable` as in `Database.look_up`.
        """
        rows = await self._db.look_up(
            _QUERIES["find_holds_by_key"],
            schedule_id,
            [command.user_id for command in commands],
            [command.key for command in commands],
            [command.fingerprint for command in commands],
            is_durable=is_durable,
        )
        found = {row["ord"]: _hold_outcome(row) for row in rows}
        return [found.get(at) for at in range(1, len(commands) + 1)]

    async def release(
        self, schedule_id: UUID, commands: Sequence[ReleaseCommand], numbers: Sequence[int] = ()
    ) -> list[ReleaseOutcome]:
        """Decide `commands` in one transaction; `numbers` as in `Database.decide`."""
        rows = await self._db.decide(
            _QUERIES["release"],
            schedule_id,
            [command.request_id for command in commands],
            [command.user_id for command in commands],
            [command.reservation_id for command in commands],
            numbers=numbers,
        )
        return [_release_outcome(row) for row in rows]

    async def holds_to_release(
        self, schedule_id: UUID, made_until: datetime | None, count: int
    ) -> list[tuple[UUID, UUID]]:
        """Return holds that are not being paid, and whose they are; of those made until a time."""
        rows = await self._db.fetch(_QUERIES["holds_to_release"], schedule_id, made_until, count)
        return [(row["reservation_id"], row["user_id"]) for row in rows]

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
        """Return a reservation of this person, None where there is none."""
        row = await self._db.read_one(_QUERIES["get"], schedule_id, reservation_id, user_id)
        return None if row is None else _reservation(row)

    async def list_of_user(
        self, user_id: UUID, before: UUID | None, count: int
    ) -> list[Reservation]:
        """Return at most `count` reservations of this person, the newest first."""
        rows = await self._db.read(_QUERIES["list_of_user"], user_id, before, count)
        return [_reservation(row) for row in rows]

    async def active_of_user(
        self, user_id: UUID, before: UUID | None, count: int, only: ActiveFilter
    ) -> list[Reservation]:
        """Return at most `count` held or confirmed reservations of this person, the newest first."""
        rows = await self._db.read(
            _QUERIES["active_of_user"], user_id, before, count, only.status, only.schedule_id
        )
        return [_reservation(row) for row in rows]

    async def ticket_count(self, schedule_id: UUID, user_id: UUID) -> TicketCount | None:
        """Return how many seats a person has and may have; None without such a schedule."""
        row = await self._db.read_one(_QUERIES["person_in_schedule"], schedule_id, user_id)
        return None if row is None else TicketCount(*row)

    async def lapsed_schedules(self) -> list[LapsedSchedule]:
        """Return the schedules that have lapsed holds, the oldest end first."""
        rows = await self._db.read(_QUERIES["lapsed_schedules"])
        return [LapsedSchedule(*row) for row in rows]

    async def expire(self, schedule_id: UUID, count: int) -> Swept:
        """Close at most `count` lapsed holds of one schedule, the oldest first.

        Driver errors pass through: after a lost answer the next call closes what is left.
        """
        (row,) = await self._db.fetch(_QUERIES["expire"], schedule_id, count)
        return Swept(**row)


def _columns(commands: Sequence[HoldCommand]) -> tuple[Any, ...]:
    """Return the arguments of the hold function in `functions.sql`."""
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


def _offer_columns(commands: Sequence[HoldCommand]) -> tuple[list[str], list[bytes | None]]:
    """Return the arguments that `offers_hold_v1` has beside those of the hold function."""
    types = [
        one
        for command in commands
        for one in (command.offer.price_types if command.offer else ("",) * len(command.seat_ids))
    ]
    return types, [command.offer.code_hash if command.offer else None for command in commands]


def _hold_outcomes_with_offers(commands: Sequence[HoldCommand], row: Record) -> list[HoldOutcome]:
    """Return outcomes with the prices of held seats, and with the seats that offers refused."""
    decided, refused, at_fault, lines = tuple(row[:9]), row[9], row[10], row[11:]
    # A refused command asked for no seats.
    asked = [() if refused and refused[at] else one.seat_ids for at, one in enumerate(commands)]
    outcomes = _hold_outcomes(commands, decided, asked, _lines(*lines))
    start = 0
    for at, command in enumerate(commands):
        end = start + len(command.seat_ids)
        if refused and refused[at] and outcomes[at].name in _NAME_SEATS:
            named = tuple(compress(command.seat_ids, at_fault[start:end]))
            outcomes[at] = HoldOutcome(outcomes[at].name, None, named)
        start = end
    return outcomes


def _lines(*columns: Sequence[Any] | None) -> tuple[SeatPrice, ...]:
    """Return the prices of seats from the columns of `reservation_offers`, none from null ones."""
    return tuple(
        SeatPrice(*line) for line in zip(*(column or () for column in columns), strict=True)
    )


def _hold_outcomes(
    commands: Sequence[HoldCommand],
    row: Sequence[Any],
    asked: Sequence[tuple[str, ...]] | None = None,
    lines: tuple[SeatPrice, ...] = (),
) -> list[HoldOutcome]:
    names, created_at, expires_at, currency, amounts, versions, blocked, cooldowns, returns = row
    outcomes = []
    start = won = held = 0
    for at, command in enumerate(commands):
        seats = command.seat_ids if asked is None else asked[at]
        end = start + len(seats)
        if names is None or names[at] == "held":
            won_to = won + len(seats)
            made = Held(
                command.reservation_id,
                created_at,
                expires_at,
                amounts[held],
                currency,
                seats,
                lines[won:won_to],
            )
            returns_at = returns[held] if returns else None
            outcomes.append(HoldOutcome("held", made, (), tuple(versions[won:won_to]), returns_at))
            held, won = held + 1, won_to
        elif names[at] == "hold_cooldown":
            cooldown = cooldowns[at], created_at + timedelta(seconds=cooldowns[at])
            outcomes.append(HoldOutcome(names[at], cooldown=cooldown))
        else:
            blocking = tuple(compress(seats, blocked[start:end])) if blocked else ()
            outcomes.append(HoldOutcome(names[at], None, blocking))
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
        _lines_of(row),
    )
    return HoldOutcome(row["outcome"], held)


def _lines_of(row: Record) -> tuple[SeatPrice, ...]:
    return _lines(*(row[name] for name in _LINE_COLUMNS))


def _release_outcome(row: Record) -> ReleaseOutcome:
    return ReleaseOutcome(
        row["outcome"],
        tuple(row["seat_ids"] or ()),
        row["key"] or "",
        tuple(row["seat_versions"] or ()),
        row["returns_at"],
    )


def _reservation(row: Record) -> Reservation:
    fields = {name: value for name, value in row.items() if name not in _LINE_COLUMNS}
    # A refunded seat is not shown, and has a price.
    sold = dict(zip(fields.pop("sold_seat_ids"), _lines_of(row), strict=False))
    fields["seat_ids"] = tuple(row["seat_ids"])
    return Reservation(**fields, lines=tuple(sold[one] for one in row["seat_ids"] if sold))
