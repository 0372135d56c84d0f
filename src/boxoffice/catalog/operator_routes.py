"""Commands of operators over HTTP: take a concert down, and restore it."""

import msgspec

from boxoffice.accounts.rules import OPERATOR
from boxoffice.catalog.paths import CONCERT
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.views import OwnConcertInFull
from boxoffice.errors import OutcomeUnknown
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.platform.values import Line


class TakeDownBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reason for the organizer."""

    reason: Line


class AdminTakeDown:
    """`/v1/admin/concerts/{concert_id}/take-down`."""

    def __init__(self, service: Catalog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Take a concert down",
        path=CONCERT,
        role=OPERATOR,
        body=TakeDownBody,
        returns=OwnConcertInFull,
        problems=[OutcomeUnknown],
    )
    async def on_post(self, call: Call[TakeDownBody, None]) -> Reply:
        """Hides it and ends its sales; tickets stay valid. Repeating it is no error."""
        taken = await self._service.take_down(
            call.caller.user_id,
            call.ids["concert_id"],
            call.body.reason,
            request_id=call.request_id,
        )
        return Reply(taken)


class AdminRestore:
    """`/v1/admin/concerts/{concert_id}/restore`."""

    def __init__(self, service: Catalog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Restore a concert that was taken down",
        path=CONCERT,
        role=OPERATOR,
        returns=OwnConcertInFull,
        problems=[OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Shows it again; its sales stay closed until the organizer opens them."""
        restored = await self._service.restore(
            call.caller.user_id, call.ids["concert_id"], request_id=call.request_id
        )
        return Reply(restored)


def routes(service: Catalog, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of operators by URI template."""
    return [
        ("/v1/admin/concerts/{concert_id}/take-down", AdminTakeDown(service, dependencies)),
        ("/v1/admin/concerts/{concert_id}/restore", AdminRestore(service, dependencies)),
    ]
