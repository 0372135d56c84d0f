"""The activity log over HTTP, for organizers and operators."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.activity_log.service import ActivityLog
from boxoffice.activity_log.store import RecordedAction
from boxoffice.errors import CursorInvalid, OrganizationNotFound
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.permissions import Permission, narrowed

_Place = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]


class ActivityQuery(PageQuery, frozen=True, kw_only=True):
    """A page of the activity log, optionally of one organization, concert or schedule."""

    organization_id: UUID | None = None
    concert_id: UUID | None = None
    schedule_id: UUID | None = None


class ActivityEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An action of a member or operator.

    The fields of `details` depend on `action`. `request_id` is empty for an action of a command.
    """

    entry_id: str
    at: datetime
    organization_id: UUID
    actor_id: UUID
    actor_name: str | None
    action: str
    concert_id: UUID | None
    concert_title: str | None
    schedule_id: UUID | None
    starts_at: datetime | None
    time_zone: str | None
    request_id: str
    details: dict[str, Any]


class AdminActivity:
    """`/v1/admin/activity`."""

    def __init__(self, service: ActivityLog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "List actions",
        permission=Permission.ACTIVITY_READ,
        query=ActivityQuery,
        returns=Page[ActivityEntry],
        problems=[CursorInvalid, OrganizationNotFound],
    )
    async def on_get(self, call: Call[None, ActivityQuery]) -> Reply:
        """Actions in the caller's organizations, newest first; an operator reads those in all.

        Reads of buyers' personal data are actions, with `rows` and the names of `filters` as details.

        Entries are never removed."""
        query = call.query
        entries = await self._service.read(
            narrowed(call.caller, query.organization_id),
            decode_cursor(query.cursor, _Place),
            query.limit + 1,
            concert_id=query.concert_id,
            schedule_id=query.schedule_id,
        )
        return Reply(page(entries, query.limit, _present, lambda entry: entry.entry_id))


def _present(entry: RecordedAction) -> ActivityEntry:
    return ActivityEntry(
        entry_id=str(entry.entry_id),
        at=entry.written_at,
        organization_id=entry.organization_id,
        actor_id=entry.actor_id,
        actor_name=entry.actor_name,
        action=entry.action,
        concert_id=entry.concert_id,
        concert_title=entry.concert_title,
        schedule_id=entry.schedule_id,
        starts_at=entry.starts_at,
        time_zone=entry.time_zone,
        request_id=entry.request_id,
        details=entry.details,
    )


def routes(service: ActivityLog, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [("/v1/admin/activity", AdminActivity(service, dependencies))]
