"""What members of an organization may do: roles, permissions, and the table between them.

Pure. Every feature uses it; `organizations/` has the members themselves.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias
from uuid import UUID

from boxoffice.errors import Invalid, OrganizationNotFound

# The organizations in which an operation is allowed; None: in all of them.
OrganizationIds: TypeAlias = Sequence[UUID] | None


class MemberRole(StrEnum):
    """The role of a member in one organization."""

    OWNER = "owner"
    MANAGER = "manager"
    BOX_OFFICE = "box_office"
    DOOR = "door"
    READ_ONLY = "read_only"


class Permission(StrEnum):
    """What an operation needs; an operation has one."""

    # Concerts, schedules, seat maps and seat counts; without personal data.
    EVENTS_READ = "events_read"
    EVENTS_WRITE = "events_write"
    # Opening and closing of sales, waiting rooms, refund policies, offers.
    SALES_WRITE = "sales_write"
    # Blocks, prices and layouts of single seats.
    SEATS_WRITE = "seats_write"
    # Reservations with names and addresses of buyers, refunds.
    ORDERS_READ = "orders_read"
    # Refunds, complimentary tickets, sales at the door.
    ORDERS_WRITE = "orders_write"
    REPORTS_READ = "reports_read"
    ACTIVITY_READ = "activity_read"
    TEAM_READ = "team_read"
    # Members, invitations, and the settings of the organization.
    TEAM_WRITE = "team_write"
    WEBHOOKS_READ = "webhooks_read"
    WEBHOOKS_WRITE = "webhooks_write"
    CHECK_IN = "check_in"


_READS = frozenset(
    {
        Permission.EVENTS_READ,
        Permission.ORDERS_READ,
        Permission.REPORTS_READ,
        Permission.ACTIVITY_READ,
        Permission.TEAM_READ,
        Permission.WEBHOOKS_READ,
    }
)

ROLE_PERMISSIONS: Mapping[MemberRole, frozenset[Permission]] = {
    MemberRole.OWNER: frozenset(Permission),
    MemberRole.MANAGER: frozenset(Permission) - {Permission.TEAM_WRITE},
    MemberRole.BOX_OFFICE: frozenset(
        {
            Permission.EVENTS_READ,
            Permission.ORDERS_READ,
            Permission.ORDERS_WRITE,
            Permission.CHECK_IN,
        }
    ),
    MemberRole.DOOR: frozenset({Permission.EVENTS_READ, Permission.CHECK_IN}),
    MemberRole.READ_ONLY: _READS,
}

# What operators may do in every organization.
OPERATOR_PERMISSIONS = _READS


class Actor(Protocol):
    """A person, and the organizations in which the operation is allowed; None: in all of them."""

    @property
    def user_id(self) -> UUID: ...
    @property
    def organization_ids(self) -> OrganizationIds: ...


def roles_with(permission: Permission) -> list[MemberRole]:
    """Return the roles that have a permission."""
    return [role for role, allowed in ROLE_PERMISSIONS.items() if permission in allowed]


def narrowed(actor: Actor, organization_id: UUID | None) -> OrganizationIds:
    """Return the organizations of the actor, or only the named one; raise `OrganizationNotFound`."""
    own = actor.organization_ids
    if organization_id is None:
        return own
    # guard: permissions_narrowed_to_own_organizations => if False:
    if own is not None and organization_id not in own:
        raise OrganizationNotFound
    return (organization_id,)


def chosen(actor: Actor, organization_id: UUID | None) -> UUID:
    """Return the organization in which something is created: the named one, or the actor's only one.

    Raises `OrganizationNotFound` for one of others, and `Invalid` where one of several must be named.
    """
    own = narrowed(actor, organization_id) or ()
    if len(own) != 1:
        message = "You are a member of several organizations: name one in 'organization_id'."
        raise Invalid(message, errors=[{"path": "$.organization_id", "message": message}])
    return own[0]
