"""Keeps the counts in Valkey as the relay sees sales; part of the role `relay`.

Counts are recounted from PostgreSQL and written as they are, never added to, so an event that is
delivered twice, or a relay that dies between two steps, changes nothing.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import product
from uuid import UUID

from boxoffice.observability.logs import log
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.ranking.board import RankingBoard
from boxoffice.ranking.rules import hour_of, window
from boxoffice.ranking.store import HourOfSales, RankingStore
from boxoffice.settings import Settings


class RankingRefresher:
    """Recounts noted schedules, at most once per `interval_s`; all of them after a loss."""

    def __init__(self, store: RankingStore, board: RankingBoard, interval_s: float) -> None:
        self._store = store
        self._board = board
        self._interval_s = interval_s
        self._sold: set[UUID] = set()

    def note(self, schedule_ids: Iterable[UUID]) -> None:
        """Note schedules of which tickets were sold or returned."""
        self._sold.update(schedule_ids)

    async def run(self, leads: Callable[[], bool]) -> None:
        """Refresh until cancelled, while this relay `leads`; a failed round is repeated."""
        while True:
            await asyncio.sleep(self._interval_s)
            if leads():
                try:
                    await self.refresh()
                except Exception as error:  # the next round is the retry
                    log.warning("ranking_refresh_failed", error=repr(error))

    async def refresh(self) -> None:
        """Recount what was noted, or everything where Valkey has lost it."""
        noted, self._sold = self._sold, set()
        try:
            if await self._board.is_complete():
                await self._recount(sorted(noted))
            else:
                hours = window(await self._store.now_s())
                await self._board.rebuild(await self._store.sold(hours), hours)
        except BaseException:
            self._sold |= noted
            raise

    async def _recount(self, schedule_ids: list[UUID]) -> None:
        if not schedule_ids:
            return
        last = hour_of(await self._store.now_s())
        # A sale at the end of an hour may be relayed in the next one.
        hours = range(last - 1, last + 1)
        found = await self._store.sold(hours, schedule_ids)
        counted = {(one.schedule_id, one.hour): one for one in found}
        keys = product(schedule_ids, hours)
        await self._board.put([counted.get(key, HourOfSales(*key, 0)) for key in keys], hours)


def refresher_of(database: Database, valkey: Valkey, settings: Settings) -> RankingRefresher:
    """Return the refresher of a relay."""
    board = RankingBoard(valkey, settings.outbox.relay_stream)
    interval_s = settings.ranking.ranking_interval_ms / 1000
    return RankingRefresher(RankingStore(database), board, interval_s)
