"""The ranking over HTTP."""

from math import ceil
from uuid import UUID

import msgspec

from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.platform.conditional import content_tag
from boxoffice.ranking.service import Ranking
from boxoffice.settings import RankingSettings


class RankedConcert(msgspec.Struct, frozen=True, kw_only=True):
    """A concert and its place; `title_en` and `title_ko` replace its title in that language."""

    rank: int
    concert_id: UUID
    title: str
    title_en: str | None
    title_ko: str | None


class RankingOut(msgspec.Struct, frozen=True, kw_only=True):
    """The concerts that sell fastest, best first."""

    items: list[RankedConcert]


class RankingResource:
    """`/v1/concerts/ranking`."""

    def __init__(
        self, service: Ranking, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._headers = headers

    @operation("List the concerts that sell fastest", returns=RankingOut, cached=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """By tickets sold in the last 24 hours; a ticket counts half as much after six."""
        found = await self._service.read()
        items = [RankedConcert(rank=at, **one._asdict()) for at, one in enumerate(found, start=1)]
        body = msgspec.json.encode(RankingOut(items=items))
        etag = content_tag(body)
        return Reply(encoded=body, etag=etag, headers=self._headers)


def routes(
    service: Ranking, dependencies: RouteDependencies, settings: RankingSettings
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    fresh_s = ceil(settings.ranking_cache_ms / 1000)
    headers = FixedHeaders({"Cache-Control": f"public, max-age={fresh_s}"})
    return [("/v1/concerts/ranking", RankingResource(service, dependencies, headers))]
