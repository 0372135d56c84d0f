"""Counts of tickets by hour and schedule in Valkey. Lost counts are rebuilt from PostgreSQL.

All keys of a shop share a hash tag. The marker says that the counts are complete; it expires, so that
they are rebuilt from time to time, which corrects returns of older tickets.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from uuid import UUID

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.valkey import Script, Valkey
from boxoffice.ranking.rules import HOUR_S, WINDOW_HOURS, weight, window
from boxoffice.ranking.store import HourOfSales

_PUT = Script("put", sql_files.read("boxoffice.ranking", "lua/put.lua"))
_KEEP_MS = (WINDOW_HOURS + 2) * HOUR_S * 1000
_COMPLETE_MS = HOUR_S * 1000
# Counts of one call: few enough for its deadline.
_COUNTS_MAX = 2_000


class RankingBoard:
    """Reads and writes counts; raises `ValkeyUnavailable` and nothing else."""

    def __init__(self, valkey: Valkey, shop: str) -> None:
        self._valkey = valkey
        self._prefix = f"boxoffice:ranking:{{{shop}}}"

    async def is_complete(self) -> bool:
        """Say whether the counts are those of all sales."""
        return bool(await self._valkey.command("EXISTS", self._marker))

    async def put(self, sales: Sequence[HourOfSales], hours: range) -> None:
        """Write counts of these hours."""
        for part in _parts(sales):
            await self._put(part, hours, begins=False, completes=False)

    async def rebuild(self, sales: Sequence[HourOfSales], hours: range) -> None:
        """Replace all counts; they are complete once the last is written."""
        parts = list(_parts(sales)) or [[]]
        for at, part in enumerate(parts):
            await self._put(part, hours, begins=at == 0, completes=at == len(parts) - 1)

    async def scores(self, at_s: float, limit: int) -> dict[UUID, float]:
        """Return up to `limit` schedules with the highest weighted counts, best first."""
        hours = window(at_s)
        # Storing the union to read its best would need a key of its own; the sets are small.
        reply = await self._valkey.command(
            "ZUNION", len(hours), *map(self._key, hours),
            "WEIGHTS", *(f"{weight(hour, at_s):.6f}" for hour in hours), "WITHSCORES",
            key=self._marker,
        )  # fmt: skip
        found = {UUID(name.decode()): float(score) for name, score in _scored(reply)}
        best = sorted(found.items(), key=lambda one: -one[1])
        return {schedule_id: score for schedule_id, score in islice(best, limit) if score > 0}

    async def _put(
        self, sales: Sequence[HourOfSales], hours: range, *, begins: bool, completes: bool
    ) -> None:
        keys = {hour: at for at, hour in enumerate(hours, start=2)}
        args: list[str | bytes | int] = [_KEEP_MS, int(begins), _COMPLETE_MS if completes else 0]
        for sold in sales:
            if sold.hour in keys:
                args += [keys[sold.hour], str(sold.schedule_id), sold.tickets]
        await self._valkey.run(_PUT, [self._marker, *map(self._key, keys)], args)

    @property
    def _marker(self) -> str:
        return f"{self._prefix}:complete"

    def _key(self, hour: int) -> str:
        return f"{self._prefix}:{hour}"


def _parts(sales: Sequence[HourOfSales]) -> Iterable[Sequence[HourOfSales]]:
    for start in range(0, len(sales), _COUNTS_MAX):
        yield sales[start : start + _COUNTS_MAX]


def _scored(reply: object) -> list[tuple[bytes, float]]:
    """Return members and scores in either of the protocol's two forms."""
    if not isinstance(reply, list):
        return []
    if reply and isinstance(reply[0], (list, tuple)):
        return [(name, score) for name, score in reply]
    return list(zip(reply[::2], reply[1::2], strict=True))
