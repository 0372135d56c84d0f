"""Named SQL in, frozen types out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from boxoffice.payments.providers.port import NoticeGrade, ProviderNotice
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

_QUERIES = sql_files.load("boxoffice.payments.notices")
_DROPPED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class NoticeCommand:
    """Keep a notice whose texts are keys; `body` is what was sent."""

    provider: str
    notice: ProviderNotice
    body: bytes
    fingerprint: bytes = b""

    @property
    def identity(self) -> tuple[str, str]:
        """The same for a notice and its repetitions."""
        return self.provider, self.notice.notice_id


class StoredNotice(NamedTuple):
    """A notice that waits to be handled; `now` is the database's time."""

    provider: str
    notice_id: str
    received_at: datetime
    kind: str
    grade: NoticeGrade
    order_id: str | None
    payment_key: str | None
    dispute_key: str | None
    secret: str | None
    tries: int
    now: datetime


class NoticeStore:
    """The notices of providers."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def insert(self, commands: Sequence[NoticeCommand]) -> list[bool]:
        """Keep notices in one transaction; say of each whether it is new. No id may appear twice."""
        notices = [one.notice for one in commands]
        rows = await self._db.fetch(
            _QUERIES["insert"],
            *_ids(commands),
            [one.kind for one in notices],
            [one.grade for one in notices],
            [one.order_id for one in notices],
            [one.payment_key for one in notices],
            [one.dispute_key for one in notices],
            [one.secret for one in notices],
            [one.body for one in commands],
        )
        return _found(rows, commands)

    async def find(self, commands: Sequence[NoticeCommand]) -> list[bool]:
        """Say of each notice whether it is kept."""
        return _found(await self._db.look_up(_QUERIES["find"], *_ids(commands)), commands)

    async def due(
        self, provider: str, in_progress: Collection[str], count_max: int
    ) -> list[StoredNotice]:
        """Return notices that are due, without those `in_progress`."""
        rows = await self._db.fetch(_QUERIES["due"], provider, sorted(in_progress), count_max)
        return [StoredNotice(**dict(row)) for row in rows]

    async def handled(self, notice: StoredNotice, token: int) -> None:
        """Note that a notice needs no more work, unless another cashier has the lease."""
        await self._db.fetch(_QUERIES["handled"], notice.provider, notice.notice_id, token)

    async def postpone(self, notice: StoredNotice, token: int, after_s: float) -> None:
        """Have a notice tried again later, unless another cashier has the lease."""
        await self._db.fetch(
            _QUERIES["postpone"], notice.provider, notice.notice_id, token, after_s
        )

    async def intent_of_payment(self, provider: str, payment_key: str) -> tuple[UUID, UUID] | None:
        """Return the person and the intent of a provider's payment."""
        row = await self._db.read_one(_QUERIES["intent_of_payment"], provider, payment_key)
        return None if row is None else (row["user_id"], row["intent_id"])

    async def drop_old(self, retention_s: float) -> int:
        """Drop some of the notices that were handled longer ago than that, and than five days."""
        (row,) = await self._db.fetch(_QUERIES["drop_old"], retention_s, _DROPPED_AT_ONCE)
        return int(row["dropped"])


def _ids(commands: Sequence[NoticeCommand]) -> tuple[list[str], list[str]]:
    return [one.provider for one in commands], [one.notice.notice_id for one in commands]


def _found(rows: Sequence[Record], commands: Sequence[NoticeCommand]) -> list[bool]:
    known = {(row["provider"], row["notice_id"]) for row in rows}
    return [one.identity in known for one in commands]
