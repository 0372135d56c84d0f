"""Organizations, members, invitations and applications as the API shows and reads them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.rules import EMAIL_CHARS_MAX, EMAIL_PATTERN
from boxoffice.permissions import MemberRole, Permission
from boxoffice.platform.values import Line, Paragraph

Email = Annotated[str, Meta(max_length=EMAIL_CHARS_MAX, pattern=EMAIL_PATTERN)]
ApplicationState = Literal["WAITING", "APPROVED", "REJECTED"]


class MyOrganization(msgspec.Struct, frozen=True, kw_only=True):
    """An organization of the caller, with the caller's role and what it allows."""

    organization_id: UUID
    name: str
    role: MemberRole
    permissions: list[Permission]


class MyOrganizations(msgspec.Struct, frozen=True, kw_only=True):
    """The organizations of the caller, by name."""

    items: list[MyOrganization]


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """An organization."""

    organization_id: UUID
    name: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an organization."""

    user_id: UUID
    name: str
    email: str
    role: MemberRole
    joined_at: datetime


class MemberList(msgspec.Struct, frozen=True, kw_only=True):
    """The members of an organization, owners first."""

    items: list[Member]


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that is open until `expires_at`; its link is in the mail only."""

    invitation_id: UUID
    email: str
    role: MemberRole
    created_at: datetime
    expires_at: datetime


class InvitationList(msgspec.Struct, frozen=True, kw_only=True):
    """The invitations that were neither accepted nor revoked, the newest first."""

    items: list[Invitation]


class OrganizerApplication(msgspec.Struct, frozen=True, kw_only=True):
    """An application; `organization_id` is what an approval has created."""

    application_id: UUID
    user_id: UUID
    name: str
    email: str
    organization_name: str
    contact: str
    note: str
    created_at: datetime
    state: ApplicationState
    decided_at: datetime | None
    reason: str
    organization_id: UUID | None


class MyApplications(msgspec.Struct, frozen=True, kw_only=True):
    """The applications of the caller, the newest first."""

    items: list[OrganizerApplication]


class OrganizationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an organization."""

    name: Line


class RoleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The role of a member."""

    role: MemberRole


class InvitationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is invited, as what, and the language of the mail."""

    email: Email
    role: MemberRole
    language: Literal["en", "ko"] = "ko"


class AcceptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token in the link of an invitation."""

    token: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]


class ApplicationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An application to sell tickets."""

    organization_name: Line
    contact: Line
    note: Paragraph = ""


class RejectionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reason, which the applicant gets by mail."""

    reason: Line
