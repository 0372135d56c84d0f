"""The use cases of organizations and their members. Each change and its log entry commit together."""

from collections.abc import Mapping
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import Forbidden, OrganizationNotFound
from boxoffice.organizations import store
from boxoffice.organizations.errors import LastOwner, MemberNotFound
from boxoffice.organizations.store import Connection, LockedOrganization, OrganizationStore
from boxoffice.organizations.views import Member, MyOrganization, Organization
from boxoffice.permissions import (
    ROLE_PERMISSIONS,
    Actor,
    MemberRole,
    OrganizationIds,
    Permission,
    narrowed,
)


class Organizations:
    """Organizations and members."""

    def __init__(self, organizations: OrganizationStore) -> None:
        self._store = organizations

    async def mine(self, user_id: UUID) -> list[MyOrganization]:
        """Return the organizations of a person, by name."""
        return [
            MyOrganization(
                organization_id=one.organization_id,
                name=one.name,
                role=one.role,
                permissions=sorted(ROLE_PERMISSIONS[one.role]),
            )
            for one in await self._store.memberships(user_id)
        ]

    async def members(self, own: OrganizationIds, organization_id: UUID) -> list[Member]:
        """Return the members of one of these organizations; raise `OrganizationNotFound`."""
        if await self._store.organization(organization_id, own) is None:
            raise OrganizationNotFound
        return await self._store.members(organization_id)

    async def rename(
        self, actor: Actor, organization_id: UUID, name: str, *, request_id: str = ""
    ) -> Organization:
        """Give an organization a name; raise `OrganizationNotFound`."""
        async with self._store.transaction() as connection:
            before = await locked(connection, actor, organization_id)
            if before.name != name:
                await store.rename(connection, organization_id, name)
                details = {"name": [before.name, name]}
                await noted(connection, actor.user_id, organization_id, "organization.renamed",
                            request_id, details)  # fmt: skip
        return Organization(organization_id=organization_id, name=name)

    async def change_role(
        self,
        actor: Actor,
        organization_id: UUID,
        user_id: UUID,
        role: MemberRole,
        *,
        request_id: str = "",
    ) -> None:
        """Give a member another role, from the next request on; invitations end with an owner's role.

        Raises `OrganizationNotFound`, `MemberNotFound` and `LastOwner`.
        """
        async with self._store.transaction() as connection:
            await locked(connection, actor, organization_id)
            before = await store.role_of(connection, organization_id, user_id)
            if before is None:
                raise MemberNotFound
            if before == role:
                return
            await _end_ownership(connection, organization_id, user_id, before)
            await store.set_role(connection, organization_id, user_id, role)
            details = {"user_id": str(user_id), "role": [before, role]}
            await noted(connection, actor.user_id, organization_id, "member.role_changed",
                        request_id, details)  # fmt: skip

    async def remove(
        self, actor: Actor, organization_id: UUID, user_id: UUID, *, request_id: str = ""
    ) -> None:
        """End a membership, from the next request on, and the invitations that the person has sent.

        Raises `OrganizationNotFound`, `MemberNotFound` and `LastOwner`.
        """
        async with self._store.transaction() as connection:
            await locked(connection, actor, organization_id)
            await _remove(connection, organization_id, user_id)
            details = {"user_id": str(user_id)}
            await noted(connection, actor.user_id, organization_id, "member.removed",
                        request_id, details)  # fmt: skip

    async def leave(self, user_id: UUID, organization_id: UUID, *, request_id: str = "") -> None:
        """End the membership of the caller; raise `OrganizationNotFound` and `LastOwner`."""
        async with self._store.transaction() as connection:
            found = await store.lock(connection, organization_id, user_id)
            if found is None or found.role is None:
                raise OrganizationNotFound
            await _remove(connection, organization_id, user_id)
            await noted(connection, user_id, organization_id, "member.left", request_id, {})


async def locked(connection: Connection, actor: Actor, organization_id: UUID) -> LockedOrganization:
    """Lock an organization whose team the actor may change; raise `OrganizationNotFound`.

    The actor's role is read again under the lock: another owner may have ended it meanwhile.
    """
    narrowed(actor, organization_id)
    found = await store.lock(connection, organization_id, actor.user_id)
    if found is None:
        raise OrganizationNotFound
    # guard: team_role_is_read_under_the_lock => if False:
    if found.role is None or Permission.TEAM_WRITE not in ROLE_PERMISSIONS[found.role]:
        raise Forbidden("You are not an owner of this organization any more.")
    return found


async def noted(
    connection: Connection,
    actor_id: UUID,
    organization_id: UUID,
    action: str,
    request_id: str,
    details: Mapping[str, object],
) -> None:
    """Write an entry of the activity log; persons are named by their ids."""
    entry = Action(
        organization_id=organization_id,
        actor_id=actor_id,
        action=action,
        request_id=request_id,
        details=details,
    )
    await record(connection, entry)


async def _remove(connection: Connection, organization_id: UUID, user_id: UUID) -> None:
    role = await store.role_of(connection, organization_id, user_id)
    if role is None:
        raise MemberNotFound
    await _end_ownership(connection, organization_id, user_id, role)
    await store.remove(connection, organization_id, user_id)


async def _end_ownership(
    connection: Connection, organization_id: UUID, user_id: UUID, role: MemberRole
) -> None:
    if role is not MemberRole.OWNER:
        return
    # guard: an_organization_keeps_an_owner => if False:
    if not await store.has_other_owner(connection, organization_id, user_id):
        raise LastOwner
    # Otherwise a link of one's own leads back into the organization.
    await store.revoke_of_inviter(connection, organization_id, user_id)
