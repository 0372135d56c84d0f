"""Offers over HTTP, for buyers: parse, call, present."""

from typing import Any
from uuid import UUID

import msgspec

from boxoffice.catalog.paths import SCHEDULE
from boxoffice.errors import TooMany
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.offers import organizer_routes
from boxoffice.offers.errors import CodeInvalid
from boxoffice.offers.service import Offers
from boxoffice.offers.views import CodeBody, GrantOut, OffersOut, present_grant, present_offers
from boxoffice.platform.conditional import content_tag

_HEADERS = FixedHeaders({"Cache-Control": "public, max-age=1"})


class _ShownOffers:
    def __init__(self, service: Offers, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies

    @operation("Get the offers of a schedule", path=SCHEDULE, returns=OffersOut, cached=True)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Price types, booking fee, presales, seats sold together, and notes about seats."""
        found = await self._service.shown(call.ids["schedule_id"])
        body = msgspec.json.encode(present_offers(found))
        etag = content_tag(body)
        return Reply(encoded=body, etag=etag, headers=_HEADERS)


class _CodeLookUp:
    def __init__(self, service: Offers, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies

    @operation(
        "Look up what a code gives",
        role="any",
        path=SCHEDULE,
        body=CodeBody,
        returns=GrantOut,
        problems=(CodeInvalid, TooMany),
    )
    async def on_post(self, call: Call[CodeBody, Any]) -> Reply:
        """Wrong codes are limited per account and address. A hold decides whether a use is left."""
        schedule_id: UUID = call.ids["schedule_id"]
        found = await self._service.grant(
            call.caller.user_id, call.req.remote_addr, schedule_id, call.body.code
        )
        return Reply(present_grant(found, await self._service.shown(schedule_id)))


def routes(service: Offers, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    schedule = "/v1/schedules/{schedule_id}/offers"
    return [
        (schedule, _ShownOffers(service, dependencies)),
        (f"{schedule}/code", _CodeLookUp(service, dependencies)),
        *organizer_routes.routes(service, dependencies),
    ]
