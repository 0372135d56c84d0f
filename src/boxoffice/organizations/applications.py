"""The use cases of applications to become an organizer."""

from uuid import UUID

from boxoffice.organizations import store
from boxoffice.organizations.errors import (
    ApplicationDecided,
    ApplicationLimit,
    ApplicationNotFound,
    ApplicationWaiting,
)
from boxoffice.organizations.service import noted
from boxoffice.organizations.store import Connection, LockedApplication, OrganizationStore
from boxoffice.organizations.views import ApplicationBody, OrganizerApplication
from boxoffice.permissions import MemberRole
from boxoffice.platform.ids import new_id
from boxoffice.settings import OrganizationSettings

_DAY_S = 86_400
_DECIDED = "application_decided"


class Applications:
    """Applications of accounts, and the decisions of operators."""

    def __init__(self, organizations: OrganizationStore, settings: OrganizationSettings) -> None:
        self._store = organizations
        self._settings = settings

    async def apply(self, user_id: UUID, given: ApplicationBody) -> UUID:
        """Add an application; raise `ApplicationWaiting` and `ApplicationLimit`."""
        application_id = new_id()
        texts = (given.organization_name, given.contact, given.note)
        async with self._store.transaction() as connection:
            if not await store.insert_application(connection, application_id, user_id, texts):
                raise ApplicationWaiting
            per_day_max = self._settings.applications_per_day_max
            # guard: applications_are_throttled => if False:
            if await store.count_applications(connection, user_id, _DAY_S) > per_day_max:
                raise ApplicationLimit
        return application_id

    async def of_user(self, user_id: UUID) -> list[OrganizerApplication]:
        """Return the applications of a person, the newest first."""
        return await self._store.own_applications(user_id)

    async def list(
        self, state: str, after: UUID | None, count: int
    ) -> "list[OrganizerApplication]":
        """Return at most `count` applications in a state, the oldest first."""
        return await self._store.applications(state, after, count)

    async def approve(
        self, operator_id: UUID, application_id: UUID, *, request_id: str = ""
    ) -> UUID:
        """Create the organization, with the applicant as its owner from the next request on.

        Raises `ApplicationNotFound` and `ApplicationDecided`.
        """
        organization_id = new_id()
        async with self._store.transaction() as connection:
            found = await _waiting(connection, application_id)
            await store.add_organization(connection, organization_id, found.organization_name)
            await store.add_member(connection, organization_id, found.user_id, MemberRole.OWNER)
            await store.decide(connection, application_id, operator_id, state="APPROVED",
                               organization_id=organization_id)  # fmt: skip
            await store.queue_mail(
                connection, _DECIDED, found.user_id, organization_id, application_id
            )
            details = {"application_id": str(application_id), "owner_id": str(found.user_id)}
            await noted(connection, operator_id, organization_id, "organization.approved",
                        request_id, details)  # fmt: skip
        return organization_id

    async def reject(
        self, operator_id: UUID, application_id: UUID, reason: str, *, request_id: str = ""
    ) -> None:
        """End an application; raise `ApplicationNotFound` and `ApplicationDecided`."""
        async with self._store.transaction() as connection:
            found = await _waiting(connection, application_id)
            await store.decide(connection, application_id, operator_id, state="REJECTED",
                               reason=reason)  # fmt: skip
            await store.queue_mail(
                connection, _DECIDED, found.user_id, application_id, application_id
            )
            details = {"application_id": str(application_id)}
            await noted(connection, operator_id, operator_id, "application.rejected",
                        request_id, details)  # fmt: skip


async def _waiting(connection: Connection, application_id: UUID) -> LockedApplication:
    found = await store.lock_application(connection, application_id)
    if found is None:
        raise ApplicationNotFound
    # guard: application_is_decided_once => if False:
    if found.state != "WAITING":
        raise ApplicationDecided
    return found
