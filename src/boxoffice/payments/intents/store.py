"""Named SQL in, frozen types out; the outcomes of the batch functions are passed on unchanged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.payments.intents.rules import Change, IntentStatus
from boxoffice.payments.providers.port import Movement
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record, column

_QUERIES = sql_files.load("boxoffice.payments.intents")


@dataclass(frozen=True, slots=True)
class OpenCommand:
    """Make an intent: to pay a reservation, or (without one) to top up the wallet by an amount."""

    user_id: UUID
    key: str
    fingerprint: bytes
    provider: str
    session_s: float
    reservation_id: UUID | None = None
    amount_minor: int = 0
    intent_id: UUID = field(default_factory=new_id)

    @property
    def identity(self) -> tuple[UUID, str]:
        """The same for a request and its repetitions."""
        return self.user_id, self.key


@dataclass(frozen=True, slots=True)
class BeginCommand:
    """Begin to confirm an intent with a payment of its provider."""

    user_id: UUID
    intent_id: UUID
    payment_key: str
    call_id: UUID = field(default_factory=new_id)

    @property
    def identity(self) -> tuple[UUID, UUID]:
        """An intent is in a batch once."""
        return self.user_id, self.intent_id

    @property
    def fingerprint(self) -> bytes:
        """Two requests never share a begin: one of them would send the other's call."""
        return self.call_id.bytes


@dataclass(frozen=True, slots=True)
class RenewCommand:
    """Renew the fence of an intent whose outcome is open."""

    user_id: UUID
    intent_id: UUID
    fingerprint: bytes = b""

    @property
    def identity(self) -> tuple[UUID, UUID]:
        """An intent is in a batch once."""
        return self.user_id, self.intent_id


@dataclass(frozen=True, slots=True)
class ChangeCommand:
    """Change an intent without money; `confirm_key` is the attempt it is about, None: whichever."""

    user_id: UUID
    intent_id: UUID
    change: Change
    confirm_key: str | None = None
    reason: str | None = None
    deposit_secret: str | None = None

    @property
    def identity(self) -> tuple[UUID, UUID]:
        """An intent is in a batch once."""
        return self.user_id, self.intent_id

    @property
    def fingerprint(self) -> bytes:
        """Equal for equal changes."""
        return f"{self.change} {self.confirm_key}".encode()


@dataclass(frozen=True, slots=True)
class SettleCommand:
    """Settle a capture; `is_sellable` is false if the provider has given money back already."""

    user_id: UUID
    intent_id: UUID
    payment_key: str
    movement: Movement
    is_sellable: bool

    @property
    def identity(self) -> tuple[UUID, UUID]:
        """An intent is in a batch once."""
        return self.user_id, self.intent_id

    @property
    def fingerprint(self) -> bytes:
        """Equal for one capture, from whichever source."""
        return self.movement.key.encode()


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """Read an intent."""

    user_id: UUID
    intent_id: UUID
    fingerprint: bytes = b""
    # A read shares no outcome: the one that is under way may have been too early.
    identity: None = None


@dataclass(frozen=True, slots=True)
class AnswerCommand:
    """Keep the answer to a call; `body` is JSON."""

    user_id: UUID
    call_id: UUID
    outcome: str
    status: str | None
    body: str | None
    fingerprint: bytes = b""
    identity: None = None


class IntentOutcome(msgspec.Struct, frozen=True, gc=False):
    """What the database decided; seats are those of a hold that moved, or of what was sold.

    `intent` is the intent afterwards; None where there is none, and where an answer was lost. `owed` is
    an amount that the provider does not take.
    """

    name: str
    intent: "Intent | None" = None
    intent_id: UUID | None = None
    confirm_key: str = ""
    owed: "Payable | None" = None
    seat_ids: tuple[str, ...] = ()
    seat_versions: tuple[int, ...] = ()
    seats_until: datetime | None = None


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A payment intent; `hold_ends_at` includes its fence and is None for a top-up."""

    user_id: UUID
    intent_id: UUID
    schedule_id: UUID | None
    reservation_id: UUID | None
    payment_id: UUID | None
    purpose: str
    provider: str
    amount_minor: int
    currency: str
    status: IntentStatus
    attempts: int
    payment_key: str | None
    confirm_key: str | None
    deposit_secret: str | None
    reason: str | None
    client: Mapping[str, str] | None
    created_at: datetime
    begun_at: datetime | None
    hold_ends_at: datetime | None
    session_ends_at: datetime
    session_is_over: bool


@dataclass(frozen=True, slots=True)
class Payable:
    """The amount due for a reservation."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class IntentBounds:
    """The bounds of intents: times in seconds, and the greatest balance of a wallet."""

    extension_s: int
    fence_s: int
    fence_max_s: int
    look_up_after_s: int
    attempts_max: int
    balance_max_minor: int


class IntentStore:
    """Payment intents, the calls to providers, and what became of them."""

    def __init__(self, db: Database, bounds: IntentBounds) -> None:
        self._db = db
        self._bounds = bounds

    async def open(
        self, schedule_id: UUID | None, commands: Sequence[OpenCommand]
    ) -> list[IntentOutcome]:
        """Decide `commands` in one transaction; no (person, key) may appear twice."""
        ids, people = [one.intent_id for one in commands], [one.user_id for one in commands]
        keyed = (
            [one.provider for one in commands],
            [one.session_s for one in commands],
            [one.key for one in commands],
            [one.fingerprint for one in commands],
        )
        if schedule_id is None:
            amounts = [one.amount_minor for one in commands]
            rows = await self._db.decide(_QUERIES["open_top_ups"], ids, people, amounts, *keyed)
        else:
            reservations = [one.reservation_id for one in commands]
            rows = await self._db.decide(
                _QUERIES["open"],
                schedule_id, ids, people, reservations, *keyed, self._bounds.extension_s,
            )  # fmt: skip
        return [_outcome(row) for row in rows]

    async def find_opened(self, commands: Sequence[OpenCommand]) -> list[IntentOutcome | None]:
        """Return what earlier requests with these keys made, None where they made nothing."""
        rows = await self._db.look_up(
            _QUERIES["find_opened"],
            [one.user_id for one in commands],
            [one.key for one in commands],
            [one.fingerprint for one in commands],
        )
        return _by_place(rows, len(commands))

    async def begin(
        self, schedule_id: UUID | None, commands: Sequence[BeginCommand]
    ) -> list[IntentOutcome]:
        """Begin confirmations in one transaction; no intent may appear twice."""
        rows = await self._db.decide(
            _QUERIES["begin"],
            schedule_id,
            *_intents(commands),
            [one.payment_key for one in commands],
            [one.call_id for one in commands],
            self._bounds.fence_s,
            self._bounds.look_up_after_s,
        )
        return [_outcome(row) for row in rows]

    async def find_begun(self, commands: Sequence[BeginCommand]) -> list[IntentOutcome | None]:
        """Return which of these calls were begun."""
        people, calls = [one.user_id for one in commands], [one.call_id for one in commands]
        rows = await self._db.look_up(_QUERIES["find_begun"], people, calls)
        return _by_place(rows, len(commands))

    async def renew(
        self, schedule_id: UUID | None, commands: Sequence[RenewCommand]
    ) -> list[IntentOutcome]:
        """Renew fences in one transaction; no intent may appear twice."""
        rows = await self._db.fetch(
            _QUERIES["renew"],
            schedule_id, *_intents(commands), self._bounds.fence_s, self._bounds.fence_max_s,
        )  # fmt: skip
        return [_outcome(row) for row in rows]

    async def change(
        self, schedule_id: UUID | None, commands: Sequence[ChangeCommand]
    ) -> list[IntentOutcome]:
        """Change intents in one transaction; no intent may appear twice."""
        rows = await self._db.fetch(
            _QUERIES["change"],
            schedule_id,
            *_intents(commands),
            [one.change.value for one in commands],
            [one.confirm_key for one in commands],
            [one.reason for one in commands],
            [one.deposit_secret for one in commands],
            self._bounds.attempts_max,
        )
        return [_outcome(row) for row in rows]

    async def settle(
        self, schedule_id: UUID | None, commands: Sequence[SettleCommand]
    ) -> list[IntentOutcome]:
        """Settle captures in one transaction; no intent may appear twice."""
        captures = _captures(commands)
        if schedule_id is None:
            rows = await self._db.fetch(
                _QUERIES["settle_top_ups"], *captures, self._bounds.balance_max_minor
            )
        else:
            rows = await self._db.fetch(_QUERIES["settle"], schedule_id, *captures)
        return [_outcome(row) for row in rows]

    async def get(self, user_id: UUID, intent_id: UUID) -> Intent | None:
        """Return an intent of this person, None where there is none."""
        row = await self._db.read_one(_QUERIES["get"], [user_id], [intent_id])
        return None if row is None else _intent(row)

    async def get_all(self, commands: Sequence[ReadCommand]) -> list[Intent | None]:
        """Return the intent of each command, None where there is none."""
        rows = await self._db.fetch(_QUERIES["get"], *_intents(commands))
        found = {row["place"]: _intent(row) for row in rows}
        return [found.get(at) for at in range(1, len(commands) + 1)]

    async def of_reservation(
        self, schedule_id: UUID, reservation_id: UUID, user_id: UUID
    ) -> UUID | None:
        """Return the intent by which this person is paying a reservation."""
        row = await self._db.read_one(
            _QUERIES["of_reservation"], schedule_id, reservation_id, user_id
        )
        return None if row is None else row["intent_id"]

    async def payable(
        self, schedule_id: UUID, commands: Sequence[OpenCommand]
    ) -> list[Payable | None]:
        """Return the amounts due for reservations, None where one is not this person's."""
        rows = await self._db.fetch(
            _QUERIES["payable"],
            schedule_id,
            [one.user_id for one in commands],
            [one.reservation_id for one in commands],
        )
        found = {row["ord"]: Payable(row["amount_minor"], row["currency"]) for row in rows}
        return [found.get(at) for at in range(1, len(commands) + 1)]

    async def keep_client(
        self, intent: Intent, client: Mapping[str, str], payment_key: str | None
    ) -> None:
        """Keep what the provider's `open` returned, unless another request has."""
        encoded = msgspec.json.encode(client).decode()
        async with self._db.writing() as connection:
            await connection.execute(
                _QUERIES["keep_client"], intent.user_id, intent.intent_id, encoded, payment_key
            )

    async def note_call(self, intent: Intent, call_id: UUID, operation: str, key: str) -> None:
        """Write a call; it may be sent once this has returned."""
        async with self._db.writing() as connection:
            await connection.execute(
                _QUERIES["note_call"],
                intent.user_id, call_id, intent.intent_id, intent.provider, operation, key,
            )  # fmt: skip

    async def note_answers(self, commands: Sequence[AnswerCommand]) -> None:
        """Write the answers to calls."""
        await self._db.fetch(
            _QUERIES["note_answers"],
            [one.user_id for one in commands],
            [one.call_id for one in commands],
            [one.outcome for one in commands],
            [one.status for one in commands],
            [one.body for one in commands],
        )


def _intents(commands: Sequence[Any]) -> tuple[list[UUID], list[UUID]]:
    return [one.user_id for one in commands], [one.intent_id for one in commands]


def _captures(commands: Sequence[SettleCommand]) -> tuple[list[Any], ...]:
    """Return the arguments of the settle functions, with ids for what they may have to write."""
    moved = [one.movement for one in commands]
    return (
        *_intents(commands),
        [one.payment_key for one in commands],
        [one.key for one in moved],
        [one.amount_minor for one in moved],
        [one.currency for one in moved],
        [one.happened_at for one in moved],
        [one.is_sellable for one in commands],
        # A capture, its sale or return, the payment, a second reservation, a refund.
        *([new_id() for _ in commands] for _ in range(5)),
    )


def _by_place(rows: Sequence[Record], count: int) -> list[IntentOutcome | None]:
    found = dict(zip(column(rows, "ord"), map(_outcome, rows), strict=True))
    return [found.get(at) for at in range(1, count + 1)]


def _outcome(row: Record) -> IntentOutcome:
    return IntentOutcome(
        row["outcome"],
        None if row.get("place") is None else _intent(row),
        row.get("decided_id"),
        row.get("confirm_key") or "",
        seat_ids=tuple(row.get("seat_ids") or ()),
        seat_versions=tuple(row.get("seat_versions") or ()),
        seats_until=row.get("seats_until"),
    )


def _intent(row: Record) -> Intent:
    values = {name: row[name] for name in Intent.__struct_fields__}
    values["status"] = IntentStatus(values["status"])
    if values["client"] is not None:
        values["client"] = msgspec.json.decode(values["client"])
    return Intent(**values)
