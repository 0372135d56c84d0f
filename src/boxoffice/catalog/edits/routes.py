"""Changes of concerts and schedules over HTTP: parse, call, present."""

from typing import Any
from uuid import UUID

import msgspec

from boxoffice.catalog.edits.errors import (
    NotDeletable,
    NotEditable,
    NotUnpublishable,
    ScheduleCancelled,
    ScheduleSold,
)
from boxoffice.catalog.edits.service import Editor, Edits
from boxoffice.catalog.edits.views import (
    ConcertEdit,
    PostponeBody,
    ScheduleChange,
    ScheduleEdit,
)
from boxoffice.catalog.paths import CONCERT, SCHEDULE
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.views import OwnConcertInFull, OwnSchedule
from boxoffice.errors import IdempotencyKeyReused
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page
from boxoffice.permissions import Permission
from boxoffice.platform.conditional import entity_tag
from boxoffice.platform.values import Line
from boxoffice.venues.errors import LocalTimeAmbiguous, LocalTimeSkipped, VenueNotFound

_OF_TIMES = (VenueNotFound, LocalTimeSkipped, LocalTimeAmbiguous)


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why, for the buyers; with `with_compensation` each gets 10 % beside what was paid."""

    reason: Line
    with_compensation: bool = False


class _EditResource:
    """A resource of this module; answers show what is read after the change."""

    def __init__(self, edits: Edits, catalog: Catalog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._edits = edits
        self._catalog = catalog

    async def _concert(self, call: Call[Any, Any]) -> Reply:
        found = await self._catalog.own_concert(
            call.caller.organization_ids, call.ids["concert_id"]
        )
        return Reply(found, etag=entity_tag(found.version))

    async def _schedule(self, call: Call[Any, Any]) -> Reply:
        found = await self._catalog.own_schedule(
            call.caller.organization_ids, call.ids["schedule_id"]
        )
        return Reply(found, etag=entity_tag(found.version))


def _editor(call: Call[Any, Any]) -> Editor:
    return Editor(call.caller.user_id, call.caller.organization_ids, call.request_id)


class AdminConcert(_EditResource):
    """`/v1/admin/concerts/{concert_id}`."""

    @operation(
        "Get my concert",
        path=CONCERT,
        permission=Permission.EVENTS_READ,
        returns=OwnConcertInFull,
        tagged=True,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Includes its schedules and current seat counts."""
        concert_id = call.ids["concert_id"]
        found = await self._catalog.own_concert(call.caller.organization_ids, concert_id)
        return Reply(found, etag=entity_tag(found.version))

    @operation(
        "Change a concert",
        path=CONCERT,
        permission=Permission.EVENTS_WRITE,
        conditional=True,
        tagged=True,
        body=ConcertEdit,
        has_large_body=True,
        returns=OwnConcertInFull,
    )
    async def on_patch(self, call: Call[ConcertEdit, None]) -> Reply:
        """Absent members stay. Buyers see the change within `BOXOFFICE_CATALOG_CACHE_MS`."""
        concert_id: UUID = call.ids["concert_id"]
        await self._edits.edit_concert(_editor(call), concert_id, call.body, call.version)
        return await self._concert(call)

    @operation(
        "Delete a draft concert",
        204,
        path=CONCERT,
        permission=Permission.EVENTS_WRITE,
        conditional=True,
        problems=[NotDeletable],
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """With its schedules and seat maps; one that was published is unpublished before."""
        await self._edits.delete_concert(_editor(call), call.ids["concert_id"], call.version)
        return Reply()


class AdminUnpublish(_EditResource):
    """`/v1/admin/concerts/{concert_id}/unpublish`."""

    @operation(
        "Unpublish a concert",
        path=CONCERT,
        permission=Permission.EVENTS_WRITE,
        conditional=True,
        tagged=True,
        returns=OwnConcertInFull,
        problems=[NotUnpublishable],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Makes it a draft, while nothing is on sale and nothing was held or sold."""
        await self._edits.unpublish(_editor(call), call.ids["concert_id"], call.version)
        return await self._concert(call)


class AdminSchedule(_EditResource):
    """`/v1/admin/schedules/{schedule_id}`."""

    @operation(
        "Get my schedule",
        path=SCHEDULE,
        permission=Permission.EVENTS_READ,
        returns=OwnSchedule,
        tagged=True,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Includes its concert and current seat counts."""
        schedule_id = call.ids["schedule_id"]
        found = await self._catalog.own_schedule(call.caller.organization_ids, schedule_id)
        return Reply(found, etag=entity_tag(found.version))

    @operation(
        "Change a schedule",
        path=SCHEDULE,
        permission=Permission.EVENTS_WRITE,
        conditional=True,
        tagged=True,
        body=ScheduleEdit,
        returns=OwnSchedule,
        problems=[NotEditable, ScheduleSold, ScheduleCancelled, *_OF_TIMES],
    )
    async def on_patch(self, call: Call[ScheduleEdit, None]) -> Reply:
        """Limits hold for new holds. A date with held or sold seats is postponed instead."""
        schedule_id: UUID = call.ids["schedule_id"]
        await self._edits.edit_schedule(_editor(call), schedule_id, call.body, call.version)
        return await self._schedule(call)

    @operation(
        "Delete a draft schedule",
        204,
        path=SCHEDULE,
        permission=Permission.EVENTS_WRITE,
        conditional=True,
        problems=[NotDeletable],
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """With its seat map, before it is opened."""
        await self._edits.delete_schedule(_editor(call), call.ids["schedule_id"], call.version)
        return Reply()


class AdminPostpone(_EditResource):
    """`/v1/admin/schedules/{schedule_id}/postpone`."""

    @operation(
        "Postpone a performance",
        202,
        path=SCHEDULE,
        permission=Permission.EVENTS_WRITE,
        keyed=True,
        body=PostponeBody,
        returns=ScheduleChange,
        problems=[NotEditable, ScheduleCancelled, IdempotencyKeyReused, *_OF_TIMES],
    )
    async def on_post(self, call: Call[PostponeBody, None]) -> Reply:
        """Closes the sale, moves the tickets, releases the holds and tells all who have either."""
        schedule_id: UUID = call.ids["schedule_id"]
        return Reply(await self._edits.postpone(_editor(call), schedule_id, call.body, call.key))


class AdminCancel(_EditResource):
    """`/v1/admin/schedules/{schedule_id}/cancel`."""

    @operation(
        "Cancel a performance",
        202,
        path=SCHEDULE,
        permission=Permission.EVENTS_WRITE,
        keyed=True,
        body=CancelBody,
        returns=ScheduleChange,
        problems=[NotEditable, ScheduleCancelled, IdempotencyKeyReused],
    )
    async def on_post(self, call: Call[CancelBody, None]) -> Reply:
        """Ends the sale for good, voids the tickets, refunds all that was paid and tells the buyers."""
        schedule_id: UUID = call.ids["schedule_id"]
        change = await self._edits.cancel(
            _editor(call),
            schedule_id,
            call.body.reason,
            call.key,
            with_compensation=call.body.with_compensation,
        )
        return Reply(change)


class AdminChanges(_EditResource):
    """`/v1/admin/schedules/{schedule_id}/changes`."""

    @operation(
        "List the changes of a schedule",
        path=SCHEDULE,
        permission=Permission.EVENTS_READ,
        returns=Page[ScheduleChange],
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """What buyers were told, newest first, and how far each job has come."""
        found = await self._edits.changes_of(call.caller.organization_ids, call.ids["schedule_id"])
        return Reply(Page(items=found))


def routes(
    edits: Edits, catalog: Catalog, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources by URI template."""
    concert, schedule = "/v1/admin/concerts/{concert_id}", "/v1/admin/schedules/{schedule_id}"
    return [
        (concert, AdminConcert(edits, catalog, dependencies)),
        (f"{concert}/unpublish", AdminUnpublish(edits, catalog, dependencies)),
        (schedule, AdminSchedule(edits, catalog, dependencies)),
        (f"{schedule}/postpone", AdminPostpone(edits, catalog, dependencies)),
        (f"{schedule}/cancel", AdminCancel(edits, catalog, dependencies)),
        (f"{schedule}/changes", AdminChanges(edits, catalog, dependencies)),
    ]
