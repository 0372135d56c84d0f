"""Named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.offers.rules import PriceType, Reduction, SalesChannel, Terms
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_QUERIES = sql_files.load("boxoffice.offers")


class Presale(msgspec.Struct, frozen=True):
    """When codes admit before the public sale; None: no bound of its own."""

    name: str
    opens_at: datetime | None
    closes_at: datetime | None


class SeatAttribute(msgspec.Struct, frozen=True):
    """What a buyer has to know about a seat; it is sold together with `partner_id`, if there is one."""

    seat_id: str
    partner_id: str | None
    is_accessible: bool
    note: str
    note_ko: str


class GradePrice(NamedTuple):
    """A grade and a full price of some of its seats."""

    grade: str
    price_minor: int


class ScheduleOffers(msgspec.Struct, frozen=True, kw_only=True):
    """The offers of a schedule; `version` is 0 while it never had any."""

    schedule_id: UUID
    currency: str
    has_offers: bool
    version: int
    terms: Terms
    presales: tuple[Presale, ...]
    has_codes: bool
    seats: tuple[SeatAttribute, ...]
    grades: tuple[GradePrice, ...]


class PlacedSeat(NamedTuple):
    """A seat of a schedule."""

    seat_id: str
    section: str
    row: str
    number: int
    grade: str


class OwnedSchedule(NamedTuple):
    """What the log of actions says about a schedule."""

    concert_id: UUID
    organization_id: UUID


class CodeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the codes of a batch give and allow; None: no limit of its own."""

    name: str
    reduction: Reduction
    is_presale: bool = False
    is_shared: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    uses_max: int | None = None
    seats_max: int | None = None
    person_uses_max: int | None = None
    channel: str | None = None


class CodeBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of codes; `uses` are those that count against its limits."""

    batch_id: UUID
    terms: CodeTerms
    created_at: datetime
    disabled_at: datetime | None
    codes: int
    uses: int


class KnownCode(msgspec.Struct, frozen=True):
    """What is shown of a code."""

    suffix: str
    taken: int
    uses_max: int | None
    disabled_at: datetime | None


class CodeGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a valid code gives to a buyer."""

    name: str
    reduction: Reduction
    is_presale: bool
    valid_from: datetime | None
    valid_until: datetime | None
    seats_max: int | None


class OfferStore:
    """The offers of all schedules."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raises `Unavailable` and `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def shown(self, schedule_id: UUID) -> ScheduleOffers | None:
        """Return the offers of a schedule; None where it is not shown to buyers."""
        row = await self._db.read_one(_QUERIES["offers"], schedule_id, None, True)
        return None if row is None else _offers(row)

    async def offers(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> ScheduleOffers | None:
        """Return the offers of a schedule of these organizations, also of a draft."""
        row = await self._db.read_one(_QUERIES["offers"], schedule_id, organization_ids, False)
        return None if row is None else _offers(row)

    async def batches(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> list[CodeBatch]:
        """Return the batches of a schedule, the newest first; none of another organization's."""
        rows = await self._db.read(_QUERIES["batches"], schedule_id, organization_ids)
        return [_batch(row) for row in rows]

    async def codes(self, schedule_id: UUID, batch_id: UUID) -> list[KnownCode]:
        """Return what is shown of the codes of a batch."""
        rows = await self._db.read(_QUERIES["codes"], schedule_id, batch_id)
        return [KnownCode(*row) for row in rows]

    async def code(self, schedule_id: UUID, code_hash: bytes) -> CodeGrant | None:
        """Return what a code gives; None for one that is unknown, disabled or over."""
        row = await self._db.read_one(_QUERIES["code"], schedule_id, code_hash)
        if row is None:
            return None
        return CodeGrant(**_with_reduction(row))


async def lock_schedule(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> OwnedSchedule | None:
    """Lock a schedule of these organizations against changes."""
    row = await connection.fetchrow(_QUERIES["lock_schedule"], schedule_id, organization_ids)
    return None if row is None else OwnedSchedule(*row)


async def lock_terms(connection: Connection, schedule_id: UUID) -> int:
    """Wait for holds that are being decided, and keep others waiting; the version, 0 without terms."""
    return await connection.fetchval(_QUERIES["lock_terms"], schedule_id) or 0


async def taken(connection: Connection, schedule_id: UUID) -> dict[str, int]:
    """Return how many seats each channel has held or sold; the terms are locked."""
    await connection.execute(_QUERIES["settle"], schedule_id)
    rows = await connection.fetch(_QUERIES["taken"], schedule_id)
    return {row["channel"]: row["seats"] for row in rows}


async def used_channels(connection: Connection, schedule_id: UUID) -> list[str]:
    """Return the channels of the codes that hold."""
    rows = await connection.fetch(_QUERIES["used_channels"], schedule_id)
    return [row["channel"] for row in rows]


async def has_channel(connection: Connection, schedule_id: UUID, code: str) -> bool:
    """Say whether a schedule has a channel."""
    return await connection.fetchval(_QUERIES["channel"], schedule_id, code) is not None


async def seats(connection: Connection, schedule_id: UUID) -> list[PlacedSeat]:
    """Return the seats of a schedule."""
    rows = await connection.fetch(_QUERIES["seats"], schedule_id)
    return [PlacedSeat(*row) for row in rows]


async def put_terms(
    connection: Connection, schedule_id: UUID, terms: Terms, sold: Mapping[str, int]
) -> int:
    """Replace the terms of a schedule, whose channels have `sold` seats; the new version."""
    is_limited = any(one.quota is not None for one in terms.channels)
    version: int = await connection.fetchval(
        _QUERIES["put_terms"], schedule_id, terms.public_from, terms.fee_minor, is_limited
    )
    await connection.execute(_QUERIES["drop_price_types"], schedule_id)
    await connection.execute(
        _QUERIES["add_price_types"], schedule_id, _price_types(terms.price_types)
    )
    await connection.execute(_QUERIES["drop_channels"], schedule_id)
    channels = terms.channels
    await connection.execute(
        _QUERIES["add_channels"],
        schedule_id,
        [one.code for one in channels],
        [one.name for one in channels],
        [one.is_default for one in channels],
        [one.quota for one in channels],
        [0 if one.quota is None else sold.get(one.code, 0) for one in channels],
    )
    await connection.execute(_QUERIES["mark"], schedule_id)
    return version


async def put_seats(
    connection: Connection, schedule_id: UUID, attributes: Sequence[SeatAttribute]
) -> None:
    """Replace what is said about the seats of a schedule, whose terms get another version."""
    await connection.execute(_QUERIES["drop_seats"], schedule_id)
    await connection.execute(
        _QUERIES["add_seats"],
        schedule_id,
        [one.seat_id for one in attributes],
        [one.partner_id for one in attributes],
        [one.is_accessible for one in attributes],
        [one.note for one in attributes],
        [one.note_ko for one in attributes],
    )
    await connection.execute(_QUERIES["count_change"], schedule_id)
    await connection.execute(_QUERIES["mark"], schedule_id)


async def begin_terms(connection: Connection, schedule_id: UUID) -> None:
    """Let a schedule have terms, without any effect."""
    await connection.execute(_QUERIES["begin_terms"], schedule_id)


async def add_codes(
    connection: Connection,
    schedule_id: UUID,
    batch_id: UUID,
    created_by: UUID,
    key: str,
    terms: CodeTerms,
    codes: Sequence[tuple[bytes, str]],
) -> int | None:
    """Write a batch of codes (digest and suffix); how many are new, None for a key that was used."""
    made = await connection.fetchval(
        _QUERIES["add_batch"],
        schedule_id,
        batch_id,
        created_by,
        terms.valid_from,
        terms.valid_until,
        terms.reduction.amount_off_minor,
        terms.reduction.percent_off,
        terms.uses_max,
        terms.seats_max,
        terms.person_uses_max,
        len(codes),
        terms.is_presale,
        terms.is_shared,
        terms.channel,
        terms.name,
        key,
    )
    if made is None:
        return None
    added: int = await connection.fetchval(
        _QUERIES["add_codes"],
        schedule_id,
        batch_id,
        terms.uses_max,
        [code_hash for code_hash, _ in codes],
        [suffix for _, suffix in codes],
    )
    await connection.execute(_QUERIES["mark"], schedule_id)
    return added


async def disable(
    connection: Connection, schedule_id: UUID, batch_id: UUID, code_hash: bytes | None
) -> bool:
    """Disable a batch, or one of its codes; return whether it exists."""
    if code_hash is None:
        found = await connection.fetchval(_QUERIES["disable_batch"], schedule_id, batch_id)
    else:
        found = await connection.fetchval(
            _QUERIES["disable_code"], schedule_id, batch_id, code_hash
        )
    return found is not None


def _price_types(found: Sequence[PriceType]) -> str:
    return msgspec.json.encode(
        [
            {
                "at": at,
                "code": one.code,
                "name": one.name,
                "name_ko": one.name_ko,
                "note": one.note,
                "note_ko": one.note_ko,
                "percent_off": one.reduction.percent_off,
                "amount_off_minor": one.reduction.amount_off_minor,
                "grades": one.grades,
            }
            for at, one in enumerate(found)
        ]
    ).decode()


def _offers(row: Record) -> ScheduleOffers:
    decode = msgspec.json.decode
    return ScheduleOffers(
        schedule_id=row["schedule_id"],
        currency=row["currency"],
        has_offers=row["has_offers"],
        version=row["version"],
        terms=Terms(
            row["public_from"],
            row["fee_minor"],
            decode(row["price_types"] or "[]", type=tuple[PriceType, ...]),
            decode(row["channels"] or "[]", type=tuple[SalesChannel, ...]),
        ),
        presales=decode(row["presales"] or "[]", type=tuple[Presale, ...]),
        has_codes=row["has_codes"],
        seats=decode(row["seats"] or "[]", type=tuple[SeatAttribute, ...]),
        grades=decode(row["grades"] or "[]", type=tuple[GradePrice, ...]),
    )


def _with_reduction(row: Record) -> dict[str, Any]:
    fields: dict[str, Any] = dict(row)
    fields["reduction"] = Reduction(fields.pop("percent_off"), fields.pop("amount_off_minor"))
    return fields


def _batch(row: Record) -> CodeBatch:
    fields = _with_reduction(row)
    own = {
        name: fields.pop(name)
        for name in ("batch_id", "created_at", "disabled_at", "codes", "uses")
    }
    return CodeBatch(**own, terms=CodeTerms(**fields))
