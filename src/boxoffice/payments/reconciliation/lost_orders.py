"""Captures whose orders a restore has lost: an operator sees them, and may have them given back.

Not by itself: a copy of the database that has the shop's keys would give back the real shop's sales.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_QUERIES = sql_files.load("boxoffice.payments.reconciliation")


class LostOrder(NamedTuple):
    """A capture that a provider's statement shows, and whose order the database does not have."""

    provider: str
    transaction_key: str
    order_id: str | None
    payment_key: str
    amount_minor: int
    currency: str
    happened_at: datetime

    @property
    def intent(self) -> ScopedId | None:
        """Return the ids of buyer and intent; None where another shop made the order."""
        return None if self.order_id is None else parse_scoped(self.order_id)


async def find_lost_orders(db: Database, overlap_s: float) -> list[LostOrder]:
    """Return what the compared statements show of orders that restores have lost."""
    return [LostOrder(**dict(row)) for row in await db.fetch(_QUERIES["lost_orders"], overlap_s)]


async def give_back(db: Database, orders: Sequence[LostOrder]) -> set[ScopedId]:
    """Have the cashier book the captures and return the money; idempotent.

    Returns the intents it will return. The others have a buyer that is lost too, or are another shop's.
    """
    known = {one.intent: one for one in orders if one.intent is not None}
    rows = await db.fetch(
        _QUERIES["adopt_lost_orders"],
        [intent.schedule_id for intent in known],
        [intent.own_id for intent in known],
        [one.amount_minor for one in known.values()],
        [one.happened_at for one in known.values()],
        [one.provider for one in known.values()],
        [one.currency for one in known.values()],
        [one.payment_key for one in known.values()],
    )
    return {ScopedId(row["user_id"], row["intent_id"]) for row in rows}
