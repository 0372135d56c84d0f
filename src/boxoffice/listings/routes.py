"""The featured concert over HTTP, for operators."""

from collections.abc import Callable
from uuid import UUID

import msgspec

from boxoffice.accounts.rules import OPERATOR
from boxoffice.errors import ConcertNotFound, OutcomeUnknown
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.listings.featured import Featured
from boxoffice.listings.views import FeaturedConcert


class FeaturedBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The concert to feature."""

    concert_id: UUID


class AdminFeatured:
    """`/v1/admin/featured-concert`; `changed` drops what this process keeps of lists."""

    def __init__(
        self, service: Featured, dependencies: RouteDependencies, changed: Callable[[], None]
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._changed = changed

    @operation("Get the featured concert", role=OPERATOR, returns=FeaturedConcert)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Null where lists choose by themselves."""
        return Reply(await self._service.chosen())

    @operation(
        "Feature a concert",
        role=OPERATOR,
        body=FeaturedBody,
        returns=FeaturedConcert,
        problems=[ConcertNotFound, OutcomeUnknown],
    )
    async def on_put(self, call: Call[FeaturedBody, None]) -> Reply:
        """At the top of the shop's list, while it is public and not over."""
        chosen = await self._service.choose(
            call.caller.user_id, call.body.concert_id, request_id=call.request_id
        )
        self._changed()
        return Reply(chosen)

    @operation("Feature no concert", 204, role=OPERATOR, problems=[OutcomeUnknown])
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """The list chooses by itself: what sells fastest, else what opens next."""
        await self._service.clear(call.caller.user_id, request_id=call.request_id)
        self._changed()
        return Reply()


def routes(
    service: Featured, dependencies: RouteDependencies, changed: Callable[[], None]
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [("/v1/admin/featured-concert", AdminFeatured(service, dependencies, changed))]
