"""Organizations in PostgreSQL: named SQL in, frozen types out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from boxoffice.organizations.views import Invitation, Member, Organization, OrganizerApplication
from boxoffice.permissions import MemberRole, OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.organizations")


class Membership(NamedTuple):
    """An organization of a person, and the person's role there."""

    organization_id: UUID
    name: str
    role: MemberRole


class LockedOrganization(NamedTuple):
    """An organization whose members only this transaction changes; `role` is that of the actor now."""

    name: str
    role: MemberRole | None


class LockedInvitation(NamedTuple):
    """An invitation that only this transaction ends; `own_email` is that of who accepts."""

    organization_id: UUID
    email: str
    role: MemberRole
    own_email: str
    is_open: bool


class LockedApplication(NamedTuple):
    """An application that only this transaction decides."""

    user_id: UUID
    state: str
    organization_name: str


class OrganizationStore:
    """Reads; the functions below take part in a transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raises `Unavailable` or `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def memberships(self, user_id: UUID) -> list[Membership]:
        """Return the organizations of a person, by name."""
        rows = await self._db.read(_SQL["memberships"], user_id)
        return [Membership(row[0], row[1], MemberRole(row[2])) for row in rows]

    async def organization(
        self, organization_id: UUID, organization_ids: OrganizationIds
    ) -> Organization | None:
        """Return an organization that is one of these; None as these means any."""
        row = await self._db.read_one(_SQL["organization"], organization_id, organization_ids)
        return Organization(**row) if row else None

    async def members(self, organization_id: UUID) -> list[Member]:
        """Return the members of an organization, owners first."""
        rows = await self._db.read(_SQL["members"], organization_id)
        return [Member(**{**dict(row), "role": MemberRole(row["role"])}) for row in rows]

    async def invitations(self, organization_id: UUID) -> list[Invitation]:
        """Return the invitations that were neither accepted nor revoked, the newest first."""
        rows = await self._db.read(_SQL["invitations"], organization_id)
        return [_invitation(row) for row in rows]

    async def own_applications(self, user_id: UUID) -> list[OrganizerApplication]:
        """Return the applications of a person, the newest first."""
        return [
            OrganizerApplication(**row)
            for row in await self._db.read(_SQL["own_applications"], user_id)
        ]

    async def applications(
        self, state: str, after: UUID | None, count: int
    ) -> list[OrganizerApplication]:
        """Return at most `count` applications in a state, the oldest first."""
        rows = await self._db.read(_SQL["applications"], state, after, count)
        return [OrganizerApplication(**row) for row in rows]


async def lock(
    connection: Connection, organization_id: UUID, actor_id: UUID
) -> LockedOrganization | None:
    """Lock an organization until the transaction ends."""
    name = await connection.fetchval(_SQL["lock_organization"], organization_id)
    if name is None:
        return None
    return LockedOrganization(name, await role_of(connection, organization_id, actor_id))


async def rename(connection: Connection, organization_id: UUID, name: str) -> None:
    """Give an organization a name."""
    await connection.execute(_SQL["rename"], organization_id, name)


async def role_of(
    connection: Connection, organization_id: UUID, user_id: UUID
) -> MemberRole | None:
    """Return the role of a person in an organization, None for no member."""
    role = await connection.fetchval(_SQL["role_of"], organization_id, user_id)
    return None if role is None else MemberRole(role)


async def has_other_owner(connection: Connection, organization_id: UUID, user_id: UUID) -> bool:
    """Whether an organization has an owner beside this person."""
    return bool(await connection.fetchval(_SQL["other_owners"], organization_id, user_id))


async def revoke_of_inviter(connection: Connection, organization_id: UUID, user_id: UUID) -> None:
    """End the open invitations of a person to an organization."""
    await connection.execute(_SQL["revoke_of_inviter"], organization_id, user_id)


async def set_role(
    connection: Connection, organization_id: UUID, user_id: UUID, role: MemberRole
) -> None:
    """Give a member another role."""
    await connection.execute(_SQL["set_role"], organization_id, user_id, role)


async def remove(connection: Connection, organization_id: UUID, user_id: UUID) -> None:
    """End a membership."""
    await connection.execute(_SQL["remove_member"], organization_id, user_id)


async def add_member(
    connection: Connection, organization_id: UUID, user_id: UUID, role: MemberRole
) -> bool:
    """Add a member; False for one who is a member."""
    row = await connection.fetchrow(_SQL["add_member"], organization_id, user_id, role)
    return row is not None


async def add_organization(connection: Connection, organization_id: UUID, name: str) -> None:
    """Add an organization without members."""
    await connection.execute(_SQL["add_organization"], organization_id, name)


async def is_member(connection: Connection, organization_id: UUID, email: str) -> bool:
    """Whether the account of an address is a member."""
    return bool(await connection.fetchval(_SQL["member_of_address"], organization_id, email))


async def count_invitations(connection: Connection, organization_id: UUID, since_s: float) -> int:
    """Return how many invitations an organization has made lately."""
    count: int = await connection.fetchval(_SQL["invitations_since"], organization_id, since_s)
    return count


async def insert_invitation(
    connection: Connection,
    invitation_id: UUID,
    organization_id: UUID,
    inviter_id: UUID,
    *,
    email: str,
    role: MemberRole,
    language: str,
    ttl_s: float,
) -> Invitation:
    """Add an invitation in the place of an open one of the same address, and queue its mail."""
    await connection.execute(_SQL["revoke_of_address"], organization_id, email)
    row = await connection.fetchrow(
        _SQL["insert_invitation"],
        invitation_id,
        organization_id,
        inviter_id,
        email,
        role,
        language,
        ttl_s,
    )
    await queue_mail(connection, "invitation", inviter_id, organization_id, invitation_id)
    return _invitation(dict(row or {}))


async def queue_mail(
    connection: Connection, kind: str, user_id: UUID, scope_id: UUID, subject_id: UUID
) -> None:
    """Queue a mail in the transaction of its cause."""
    await connection.execute(_SQL["queue_mail"], kind, user_id, scope_id, subject_id)


async def revoke(
    connection: Connection, organization_id: UUID, invitation_id: UUID
) -> MemberRole | None:
    """End an open invitation; return its role, None where there is none."""
    role = await connection.fetchval(_SQL["revoke"], organization_id, invitation_id)
    return None if role is None else MemberRole(role)


async def lock_invitation(
    connection: Connection, invitation_id: UUID, token_hash: bytes, user_id: UUID
) -> LockedInvitation | None:
    """Lock an invitation that has a token of this hash."""
    row = await connection.fetchrow(_SQL["lock_invitation"], invitation_id, token_hash, user_id)
    if row is None:
        return None
    return LockedInvitation(**{**dict(row), "role": MemberRole(row["role"])})


async def end_invitation(connection: Connection, invitation_id: UUID, user_id: UUID) -> None:
    """Note who accepted a locked invitation."""
    await connection.execute(_SQL["end_invitation"], invitation_id, user_id)


async def count_applications(connection: Connection, user_id: UUID, since_s: float) -> int:
    """Return how many applications a person has made lately."""
    count: int = await connection.fetchval(_SQL["applications_since"], user_id, since_s)
    return count


async def insert_application(
    connection: Connection, application_id: UUID, user_id: UUID, texts: tuple[str, str, str]
) -> bool:
    """Add an application (name, contact, note); False while another one waits."""
    row = await connection.fetchrow(_SQL["insert_application"], application_id, user_id, *texts)
    return row is not None


async def lock_application(
    connection: Connection, application_id: UUID
) -> LockedApplication | None:
    """Lock an application until the transaction ends."""
    row = await connection.fetchrow(_SQL["lock_application"], application_id)
    return LockedApplication(*row) if row else None


async def decide(
    connection: Connection,
    application_id: UUID,
    operator_id: UUID,
    *,
    state: str,
    reason: str = "",
    organization_id: UUID | None = None,
) -> None:
    """Write the decision about a locked application."""
    await connection.execute(
        _SQL["decide"], application_id, operator_id, state, reason, organization_id
    )


def _invitation(row: Record | dict[str, object]) -> Invitation:
    fields = dict(row)
    return Invitation(**{**fields, "role": MemberRole(str(fields["role"]))})
