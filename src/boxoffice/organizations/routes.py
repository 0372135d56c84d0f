"""Organizations, members and invitations over HTTP."""

from typing import Any

from boxoffice.errors import Invalid, OrganizationNotFound, OutcomeUnknown
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.organizations.errors import (
    AlreadyMember,
    InvitationEnded,
    InvitationForAnother,
    InvitationLimit,
    InvitationNotFound,
    LastOwner,
    MemberNotFound,
)
from boxoffice.organizations.invitations import Invitations
from boxoffice.organizations.service import Organizations
from boxoffice.organizations.views import (
    AcceptBody,
    Invitation,
    InvitationBody,
    InvitationList,
    MemberList,
    MyOrganizations,
    Organization,
    OrganizationBody,
    RoleBody,
)
from boxoffice.permissions import Permission
from boxoffice.platform.ids import parse_uuid

ORGANIZATION = {
    "organization_id": PathId(parse_uuid, OrganizationNotFound, "The `organization_id`.")
}
MEMBER = {**ORGANIZATION, "user_id": PathId(parse_uuid, MemberNotFound, "The `user_id`.")}
INVITATION = {
    **ORGANIZATION,
    "invitation_id": PathId(parse_uuid, InvitationNotFound, "The `invitation_id`."),
}


class _OrganizationResource:
    def __init__(self, service: Organizations, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service


class _OwnOrganizations(_OrganizationResource):
    @operation("List my organizations", role="any", returns=MyOrganizations)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """By name, with the caller's role and what it allows."""
        return Reply(MyOrganizations(items=await self._service.mine(call.caller.user_id)))


class _OwnMembership(_OrganizationResource):
    @operation(
        "Leave an organization",
        204,
        role="any",
        path=ORGANIZATION,
        problems=(LastOwner, OutcomeUnknown),
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """Its last owner cannot leave."""
        await self._service.leave(
            call.caller.user_id, call.ids["organization_id"], request_id=call.request_id
        )
        return Reply()


class _AdminOrganization(_OrganizationResource):
    @operation(
        "Change the settings of an organization",
        permission=Permission.TEAM_WRITE,
        path=ORGANIZATION,
        body=OrganizationBody,
        returns=Organization,
        problems=(OutcomeUnknown,),
    )
    async def on_patch(self, call: Call[OrganizationBody, None]) -> Reply:
        """Its name, which the pages show as the organizer."""
        changed = await self._service.rename(
            call.caller, call.ids["organization_id"], call.body.name, request_id=call.request_id
        )
        return Reply(changed)


class _AdminMembers(_OrganizationResource):
    @operation(
        "List the members of an organization",
        permission=Permission.TEAM_READ,
        path=ORGANIZATION,
        returns=MemberList,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Owners first."""
        found = await self._service.members(
            call.caller.organization_ids, call.ids["organization_id"]
        )
        return Reply(MemberList(items=found))


class _AdminMember(_OrganizationResource):
    @operation(
        "Change the role of a member",
        204,
        permission=Permission.TEAM_WRITE,
        path=MEMBER,
        body=RoleBody,
        problems=(LastOwner, OutcomeUnknown),
    )
    async def on_patch(self, call: Call[RoleBody, None]) -> Reply:
        """Holds from the member's next request on. An organization keeps an owner."""
        await self._service.change_role(
            call.caller,
            call.ids["organization_id"],
            call.ids["user_id"],
            call.body.role,
            request_id=call.request_id,
        )
        return Reply()

    @operation(
        "Remove a member",
        204,
        permission=Permission.TEAM_WRITE,
        path=MEMBER,
        problems=(LastOwner, OutcomeUnknown),
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """Holds from the member's next request on. An organization keeps an owner."""
        await self._service.remove(
            call.caller,
            call.ids["organization_id"],
            call.ids["user_id"],
            request_id=call.request_id,
        )
        return Reply()


class _InvitationResource:
    def __init__(self, service: Invitations, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service


class _AdminInvitations(_InvitationResource):
    @operation(
        "List the invitations of an organization",
        permission=Permission.TEAM_READ,
        path=ORGANIZATION,
        returns=InvitationList,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Those that were neither accepted nor revoked, the newest first."""
        found = await self._service.list(call.caller.organization_ids, call.ids["organization_id"])
        return Reply(InvitationList(items=found))

    @operation(
        "Invite a person",
        201,
        permission=Permission.TEAM_WRITE,
        path=ORGANIZATION,
        body=InvitationBody,
        returns=Invitation,
        problems=(Invalid, AlreadyMember, InvitationLimit, OutcomeUnknown),
    )
    async def on_post(self, call: Call[InvitationBody, None]) -> Reply:
        """By mail. The link is valid once, for a few days, for the account of this address."""
        made = await self._service.invite(
            call.caller, call.ids["organization_id"], call.body, request_id=call.request_id
        )
        return Reply(made)


class _AdminInvitation(_InvitationResource):
    @operation(
        "Revoke an invitation",
        204,
        permission=Permission.TEAM_WRITE,
        path=INVITATION,
        problems=(OutcomeUnknown,),
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """Its link is of no use from now on."""
        await self._service.revoke(
            call.caller,
            call.ids["organization_id"],
            call.ids["invitation_id"],
            request_id=call.request_id,
        )
        return Reply()


class _Acceptances(_InvitationResource):
    @operation(
        "Accept an invitation",
        201,
        role="any",
        body=AcceptBody,
        returns=MyOrganizations,
        problems=(InvitationEnded, InvitationForAnother, AlreadyMember, OutcomeUnknown),
    )
    async def on_post(self, call: Call[AcceptBody, Any]) -> Reply:
        """With the token of the mail, as the account of the invited address."""
        user_id = call.caller.user_id
        own = await self._service.accept(user_id, call.body.token, request_id=call.request_id)
        mine = await self._organizations.mine(user_id)
        return Reply(MyOrganizations(items=[one for one in mine if one.organization_id == own]))

    def __init__(
        self,
        service: Invitations,
        dependencies: RouteDependencies,
        organizations: Organizations,
    ) -> None:
        super().__init__(service, dependencies)
        self._organizations = organizations


def routes(
    organizations: Organizations, invitations: Invitations, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of organizations by URI template."""
    one = "/v1/admin/organizations/{organization_id}"
    return [
        ("/v1/me/organizations", _OwnOrganizations(organizations, dependencies)),
        ("/v1/me/organizations/{organization_id}", _OwnMembership(organizations, dependencies)),
        (one, _AdminOrganization(organizations, dependencies)),
        (f"{one}/members", _AdminMembers(organizations, dependencies)),
        (f"{one}/members/{{user_id}}", _AdminMember(organizations, dependencies)),
        (f"{one}/invitations", _AdminInvitations(invitations, dependencies)),
        (f"{one}/invitations/{{invitation_id}}", _AdminInvitation(invitations, dependencies)),
        ("/v1/invitations/accept", _Acceptances(invitations, dependencies, organizations)),
    ]
