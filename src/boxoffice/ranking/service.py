"""Reads the ranking: from Valkey, or from PostgreSQL while Valkey is away or has lost it."""

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from boxoffice.platform.cache import Cache
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.ranking.board import RankingBoard
from boxoffice.ranking.rules import weight, window
from boxoffice.ranking.store import RankingStore, TitledConcert
from boxoffice.settings import RankingSettings

# A concert has several schedules, and some are not shown.
_SCHEDULES_PER_CONCERT = 20


class RankedConcerts(NamedTuple):
    """The concerts that sell fastest, best first; `is_recounted` where they came from PostgreSQL."""

    concerts: list[TitledConcert]
    is_recounted: bool


class Ranking:
    """The ranking, at most `ranking_cache_ms` old; ten times that where PostgreSQL counts."""

    def __init__(
        self,
        settings: RankingSettings,
        store: RankingStore,
        board: RankingBoard,
        now_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._board = board
        self._now_s = now_s
        self._concerts_max = settings.ranking_concerts_max
        fresh_s = settings.ranking_cache_ms / 1000
        self._read: Cache[None, RankedConcerts] = Cache(
            self._load,
            ttl_s=lambda ranked: fresh_s * (10 if ranked.is_recounted else 1),
            weight_max=1,
        )

    async def read(self) -> list[TitledConcert]:
        """Return the concerts that sell fastest, best first."""
        return (await self._read.get(None)).concerts

    async def _load(self, _key: None) -> RankedConcerts:
        scores = await self._scores()
        is_recounted = scores is None
        if scores is None:
            scores = await self._counted()
        return RankedConcerts(await self._store.ranked(scores, self._concerts_max), is_recounted)

    async def _scores(self) -> dict[UUID, float] | None:
        """Return the scores in Valkey; None where it has not got all of them."""
        try:
            if not await self._board.is_complete():
                return None
            limit = self._concerts_max * _SCHEDULES_PER_CONCERT
            return await self._board.scores(self._now_s(), limit)
        except ValkeyUnavailable:
            return None

    async def _counted(self) -> dict[UUID, float]:
        at_s = self._now_s()
        scores: dict[UUID, float] = {}
        for sold in await self._store.sold(window(at_s)):
            score = sold.tickets * weight(sold.hour, at_s)
            scores[sold.schedule_id] = scores.get(sold.schedule_id, 0.0) + score
        return scores
