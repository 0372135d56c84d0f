"""Applications to become an organizer over HTTP."""

from typing import Any
from uuid import UUID

import msgspec

from boxoffice.accounts.rules import OPERATOR
from boxoffice.errors import CursorInvalid, OutcomeUnknown
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.organizations.applications import Applications
from boxoffice.organizations.errors import (
    ApplicationDecided,
    ApplicationLimit,
    ApplicationNotFound,
    ApplicationWaiting,
)
from boxoffice.organizations.views import (
    ApplicationBody,
    ApplicationState,
    MyApplications,
    OrganizerApplication,
    RejectionBody,
)
from boxoffice.platform.ids import parse_uuid

APPLICATION = {"application_id": PathId(parse_uuid, ApplicationNotFound, "The `application_id`.")}


class ApplicationsQuery(PageQuery, frozen=True, kw_only=True):
    """A page of applications in a state."""

    state: ApplicationState = "WAITING"


class ApplicationMade(msgspec.Struct, frozen=True):
    """The application that waits now."""

    application_id: UUID


class ApprovedOut(msgspec.Struct, frozen=True):
    """The organization that the approval created."""

    organization_id: UUID


class _ApplicationResource:
    def __init__(self, service: Applications, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service


class _OwnApplications(_ApplicationResource):
    @operation(
        "Apply to become an organizer",
        201,
        role="any",
        body=ApplicationBody,
        returns=ApplicationMade,
        problems=(ApplicationWaiting, ApplicationLimit, OutcomeUnknown),
    )
    async def on_post(self, call: Call[ApplicationBody, None]) -> Reply:
        """An operator decides; a mail says how."""
        made = await self._service.apply(call.caller.user_id, call.body)
        return Reply(ApplicationMade(made))

    @operation("List my applications", role="any", returns=MyApplications)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """The newest first."""
        return Reply(MyApplications(items=await self._service.of_user(call.caller.user_id)))


class _AdminApplications(_ApplicationResource):
    @operation(
        "List applications",
        role=OPERATOR,
        query=ApplicationsQuery,
        returns=Page[OrganizerApplication],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, ApplicationsQuery]) -> Reply:
        """The oldest first."""
        after, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        found = await self._service.list(call.query.state, after, limit + 1)
        return Reply(page(found, limit, lambda one: one, lambda one: one.application_id))


class _Approvals(_ApplicationResource):
    @operation(
        "Approve an application",
        path=APPLICATION,
        role=OPERATOR,
        returns=ApprovedOut,
        problems=(ApplicationDecided, OutcomeUnknown),
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Creates the organization; the applicant owns it without a new login."""
        made = await self._service.approve(
            call.caller.user_id, call.ids["application_id"], request_id=call.request_id
        )
        return Reply(ApprovedOut(made))


class _Rejections(_ApplicationResource):
    @operation(
        "Reject an application",
        204,
        path=APPLICATION,
        role=OPERATOR,
        body=RejectionBody,
        problems=(ApplicationDecided, OutcomeUnknown),
    )
    async def on_post(self, call: Call[RejectionBody, None]) -> Reply:
        """The applicant gets the reason by mail, and may apply again."""
        await self._service.reject(
            call.caller.user_id,
            call.ids["application_id"],
            call.body.reason,
            request_id=call.request_id,
        )
        return Reply()


def routes(service: Applications, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of applications by URI template."""
    one = "/v1/admin/organizer-applications/{application_id}"
    return [
        ("/v1/organizer-applications", _OwnApplications(service, dependencies)),
        ("/v1/admin/organizer-applications", _AdminApplications(service, dependencies)),
        (f"{one}/approve", _Approvals(service, dependencies)),
        (f"{one}/reject", _Rejections(service, dependencies)),
    ]
