"""The use cases of invitations."""

from uuid import UUID

from boxoffice.accounts.rules import normal_email
from boxoffice.errors import OrganizationNotFound
from boxoffice.organizations import store
from boxoffice.organizations.errors import (
    AlreadyMember,
    InvitationEnded,
    InvitationForAnother,
    InvitationLimit,
    InvitationNotFound,
)
from boxoffice.organizations.rules import parse_token
from boxoffice.organizations.service import locked, noted
from boxoffice.organizations.store import OrganizationStore
from boxoffice.organizations.views import Invitation, InvitationBody
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.platform.ids import new_id
from boxoffice.settings import OrganizationSettings

_HOUR_S = 3_600


class Invitations:
    """Invitations to organizations, by mail."""

    def __init__(self, organizations: OrganizationStore, settings: OrganizationSettings) -> None:
        self._store = organizations
        self._settings = settings

    async def list(self, own: OrganizationIds, organization_id: UUID) -> "list[Invitation]":
        """Return the open invitations of one of these organizations; `OrganizationNotFound`."""
        if await self._store.organization(organization_id, own) is None:
            raise OrganizationNotFound
        return await self._store.invitations(organization_id)

    async def invite(
        self, actor: Actor, organization_id: UUID, given: InvitationBody, *, request_id: str = ""
    ) -> Invitation:
        """Invite an address by mail; an open invitation of the same address ends.

        Raises `OrganizationNotFound`, `Invalid`, `AlreadyMember` and `InvitationLimit`.
        """
        email = normal_email(given.email)
        per_hour_max = self._settings.invitations_per_hour_max
        async with self._store.transaction() as connection:
            await locked(connection, actor, organization_id)
            if await store.is_member(connection, organization_id, email):
                raise AlreadyMember
            # guard: invitations_are_throttled => if False:
            if await store.count_invitations(connection, organization_id, _HOUR_S) >= per_hour_max:
                raise InvitationLimit
            made = await store.insert_invitation(
                connection,
                new_id(),
                organization_id,
                actor.user_id,
                email=email,
                role=given.role,
                language=given.language,
                ttl_s=self._settings.invitation_ttl_s,
            )
            details = {"invitation_id": str(made.invitation_id), "role": given.role}
            await noted(connection, actor.user_id, organization_id, "member.invited",
                        request_id, details)  # fmt: skip
        return made

    async def revoke(
        self, actor: Actor, organization_id: UUID, invitation_id: UUID, *, request_id: str = ""
    ) -> None:
        """End an open invitation; raise `OrganizationNotFound` and `InvitationNotFound`."""
        async with self._store.transaction() as connection:
            await locked(connection, actor, organization_id)
            role = await store.revoke(connection, organization_id, invitation_id)
            if role is None:
                raise InvitationNotFound
            details = {"invitation_id": str(invitation_id), "role": role}
            await noted(connection, actor.user_id, organization_id, "invitation.revoked",
                        request_id, details)  # fmt: skip

    async def accept(self, user_id: UUID, token: str, *, request_id: str = "") -> UUID:
        """Make the owner of an address a member; return the organization.

        Raises `InvitationEnded`, `InvitationForAnother` and `AlreadyMember`.
        """
        given = parse_token(token)
        async with self._store.transaction() as connection:
            found = await store.lock_invitation(connection, given.row_id, given.hash, user_id)
            # guard: invitation_is_accepted_once_and_in_time => if found is None:
            if found is None or not found.is_open:
                raise InvitationEnded
            # guard: invitation_is_bound_to_its_address => if False:
            if found.own_email != found.email:
                raise InvitationForAnother
            added = await store.add_member(connection, found.organization_id, user_id, found.role)
            if not added:
                raise AlreadyMember
            await store.end_invitation(connection, given.row_id, user_id)
            details = {"invitation_id": str(given.row_id), "role": found.role}
            await noted(connection, user_id, found.organization_id, "member.joined",
                        request_id, details)  # fmt: skip
        return found.organization_id
