"""The use cases of edits: each in one transaction, with its entry in the activity log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import UNSET
from msgspec.structs import asdict

from boxoffice.activity_log import Action, record
from boxoffice.catalog.edits import rules, store
from boxoffice.catalog.edits.errors import (
    NotDeletable,
    NotEditable,
    NotUnpublishable,
    ScheduleCancelled,
)
from boxoffice.catalog.edits.rules import ScheduleFacts
from boxoffice.catalog.edits.store import SCHEDULE_MEMBERS, EditStore, NewChange
from boxoffice.catalog.edits.views import ConcertEdit, PostponeBody, ScheduleChange, ScheduleEdit
from boxoffice.catalog.rules import SaleTimes, check_times, in_utc
from boxoffice.catalog.service import Catalog
from boxoffice.errors import ConcertNotFound, IdempotencyKeyReused, IntegrityError, ScheduleNotFound
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.conditional import require_version
from boxoffice.platform.ids import fingerprint_of, new_id
from boxoffice.venues.errors import VenueNotFound

_TIMES = ("starts_at", "sale_opens_at", "sale_closes_at", "doors_at")
_BESIDE = ("refundable_until", "reason")


class Editor(NamedTuple):
    """Who asks for a change, in which organizations the person may, and the request."""

    user_id: UUID
    organization_ids: Sequence[UUID]
    request_id: str = ""


class RefundsOfSchedule(Protocol):
    """Begins the refund of a whole schedule in the caller's transaction; returns the job's id."""

    async def begin(
        self,
        connection: store.Connection,
        schedule_id: UUID,
        asked_by: UUID,
        key: str,
        *,
        with_compensation: bool,
    ) -> UUID:
        """Begin, or join the job that is running."""


class Edits:
    """Changes of concerts and schedules; `catalog` is told what changed, for its caches."""

    def __init__(
        self,
        edits: EditStore,
        catalog: Catalog,
        refunds: RefundsOfSchedule,
        time_zone: str,
        currency: str,
    ) -> None:
        self._store = edits
        self._catalog = catalog
        self._refunds = refunds
        # Of performances without a venue.
        self._time_zone = time_zone
        # Of the shop: wallets are in it, so no other can be paid.
        self._currency = currency

    async def edit_concert(
        self, editor: Editor, concert_id: UUID, edit: ConcertEdit, version: int
    ) -> None:
        """Change members of a concert; raise `ConcertNotFound` and `PreconditionFailed`."""
        wanted = {name: value for name, value in asdict(edit).items() if value is not UNSET}
        async with self._store.transaction() as connection:
            before = await store.lock_concert(connection, concert_id, editor.organization_ids)
            if before is None:
                raise ConcertNotFound
            require_version(version, before.version)
            changed = {
                name: [before.members[name], value]
                for name, value in wanted.items()
                if before.members[name] != value
            }
            if changed:
                await store.update_concert(connection, concert_id, {**before.members, **wanted})
                details = {"changed": _shortened(changed)}
                await _record(
                    connection,
                    editor,
                    "concert.changed",
                    details,
                    _Subject(before.organization_id, concert_id),
                )
        self._catalog.lookups.invalidate(concert_id)

    async def delete_concert(self, editor: Editor, concert_id: UUID, version: int) -> None:
        """Delete a draft with its schedules.

        Raises `ConcertNotFound`, `PreconditionFailed`, and `NotDeletable` for what buyers have seen.
        """
        async with self._store.transaction() as connection:
            before = await store.lock_concert(connection, concert_id, editor.organization_ids)
            if before is None:
                raise ConcertNotFound
            require_version(version, before.version)
            # guard: published_concert_is_not_deleted => if False:
            if before.status != "DRAFT":
                raise NotDeletable
            for schedule_id, _ in await store.schedules_of(connection, concert_id):
                if not await store.delete_schedule(connection, schedule_id):
                    raise NotDeletable
            if not await store.delete_concert(connection, concert_id):
                raise NotDeletable
            details = {"title": before.members["title"]}
            await _record(
                connection,
                editor,
                "concert.deleted",
                details,
                _Subject(before.organization_id, concert_id),
            )
        self._catalog.lookups.invalidate(concert_id)

    async def unpublish(self, editor: Editor, concert_id: UUID, version: int) -> None:
        """Hide a concert of which nothing was held or sold; its sales are closed before.

        Raises `ConcertNotFound`, `PreconditionFailed` and `NotUnpublishable`.
        """
        async with self._store.transaction() as connection:
            before = await store.lock_concert(connection, concert_id, editor.organization_ids)
            if before is None:
                raise ConcertNotFound
            require_version(version, before.version)
            schedules = await store.schedules_of(connection, concert_id)
            # guard: open_sale_is_not_unpublished => is_open = False
            is_open = any(status in ("OPEN", "CANCELLED") for _, status in schedules)
            if before.status != "PUBLISHED" or is_open:
                raise NotUnpublishable
            # guard: what_is_held_or_sold_is_not_unpublished => if False:
            if await store.lock_seats(connection, [schedule_id for schedule_id, _ in schedules]):
                raise NotUnpublishable
            await store.unpublish(connection, concert_id)
            await _record(
                connection,
                editor,
                "concert.unpublished",
                {},
                _Subject(before.organization_id, concert_id),
            )
        self._invalidate(concert_id, *(schedule_id for schedule_id, _ in schedules))

    async def edit_schedule(
        self, editor: Editor, schedule_id: UUID, edit: ScheduleEdit, version: int
    ) -> None:
        """Change members of a schedule; buyers are told of another place or start.

        Raises `ScheduleNotFound`, `PreconditionFailed`, `VenueNotFound`, `ScheduleCancelled`,
        `NotEditable`, `ScheduleSold`, and `Invalid` or one of its kinds.
        """
        wanted = {name: value for name, value in asdict(edit).items() if value is not UNSET}
        beside = {name: wanted.pop(name) for name in _BESIDE}
        async with self._store.transaction() as connection:
            before = await self._locked(connection, editor, schedule_id)
            require_version(version, before.version)
            venue_id = wanted.get("venue_id", before.venue_id)
            place = await self._place(connection, before, venue_id)
            for name in _TIMES:
                if wanted.get(name) is not None:
                    wanted[name] = in_utc(name, wanted[name], place.zone)
            changed = rules.changes(before, wanted)
            if not changed:
                return
            is_taken = "starts_at" in changed and await self._is_taken(
                connection, before, schedule_id
            )
            rules.check_schedule(before, changed, is_taken=is_taken)
            rules.check_currency(changed, self._currency)
            after = {name: wanted.get(name, getattr(before, name)) for name in SCHEDULE_MEMBERS}
            await store.update_schedule(connection, schedule_id, after)
            # guard: buyers_are_told_of_place_and_start => if False:
            if not before.is_draft and not set(rules.TOLD).isdisjoint(changed):
                until = _moment(beside["refundable_until"], place.zone)
                told = _told(
                    editor, schedule_id, before, "CHANGED", after["starts_at"], place, until
                )
                await store.note_change(
                    connection, schedule_id, before.now, told.refundable_until, None
                )
                await store.insert_change(connection, _because(told, beside["reason"]))
            details = {"changed": {name: list(pair) for name, pair in changed.items()}}
            await _record(connection, editor, "schedule.changed", details, _of(before, schedule_id))
        self._invalidate(before.concert_id, schedule_id)

    async def delete_schedule(self, editor: Editor, schedule_id: UUID, version: int) -> None:
        """Delete a schedule in which nothing was held, with its seats.

        Raises `ScheduleNotFound`, `PreconditionFailed`, and `NotDeletable` for what was on sale.
        """
        async with self._store.transaction() as connection:
            before = await self._locked(connection, editor, schedule_id)
            require_version(version, before.version)
            # guard: only_a_draft_schedule_is_deleted => if False:
            if not before.is_draft:
                raise NotDeletable
            if not await store.delete_schedule(connection, schedule_id):
                raise NotDeletable
            details = {"starts_at": before.starts_at}
            await _record(connection, editor, "schedule.deleted", details, _of(before, schedule_id))
        self._invalidate(before.concert_id, schedule_id)

    async def postpone(
        self, editor: Editor, schedule_id: UUID, body: PostponeBody, key: str
    ) -> ScheduleChange:
        """Move a performance to another date and close its sale; a repetition changes nothing.

        Tickets stay valid, holds are released, and all who have either are told. Raises
        `ScheduleNotFound`, `VenueNotFound`, `ScheduleCancelled`, `NotEditable`, `Invalid` or one of its
        kinds, and `IdempotencyKeyReused`.
        """
        fingerprint = fingerprint_of("postpone", repr(body))
        async with self._store.transaction() as connection:
            before = await self._locked(connection, editor, schedule_id)
            earlier = await _earlier(connection, schedule_id, key, fingerprint)
            if earlier is not None:
                return earlier
            place = await self._place(connection, before, body.venue_id or before.venue_id)
            starts_at = in_utc("starts_at", body.starts_at, place.zone)
            rules.check_postponement(before, starts_at)
            after = _postponed(before, body, starts_at, place)
            rules.check_schedule(before, rules.changes(before, _times(after)), is_taken=False)
            # guard: sale_of_the_new_date_ends_after_it_opens => pass
            check_times(SaleTimes(*(after[name] for name in SaleTimes._fields)))
            await store.update_schedule(connection, schedule_id, after)
            until = _moment(body.refundable_until, place.zone)
            told = _told(editor, schedule_id, before, "POSTPONED", starts_at, place, until)
            told = _because(told, body.reason, key, fingerprint)
            await store.note_change(
                connection, schedule_id, before.now, told.refundable_until, before.starts_at
            )
            await store.insert_change(connection, told)
            details = {"changed": {"starts_at": [before.starts_at, starts_at]}}
            await _record(
                connection, editor, "schedule.postponed", details, _of(before, schedule_id)
            )
        self._invalidate(before.concert_id, schedule_id)
        return await self._change(schedule_id, told.change_id)

    async def cancel(
        self,
        editor: Editor,
        schedule_id: UUID,
        reason: str,
        key: str,
        *,
        with_compensation: bool,
    ) -> ScheduleChange:
        """Cancel a performance: its sale ends, its tickets are void, and all that was paid comes back.

        A repetition changes nothing. Raises `ScheduleNotFound`, `NotEditable` for a draft,
        `ScheduleCancelled` and `IdempotencyKeyReused`.
        """
        fingerprint = fingerprint_of("cancel", reason, str(with_compensation))
        async with self._store.transaction() as connection:
            before = await self._locked(connection, editor, schedule_id)
            earlier = await _earlier(connection, schedule_id, key, fingerprint)
            if earlier is not None:
                return earlier
            # guard: schedule_is_cancelled_once => if False:
            if before.status == "CANCELLED":
                raise ScheduleCancelled
            # guard: draft_is_deleted_and_not_cancelled => if False:
            if before.is_draft:
                raise NotEditable("Buyers do not know this date yet; delete it.")
            await store.cancel(connection, schedule_id, before.now)
            change_id = new_id()
            job_id = await self._refunds.begin(
                connection,
                schedule_id,
                editor.user_id,
                f"cancel:{change_id}",
                with_compensation=with_compensation,
            )
            told = NewChange(
                schedule_id=schedule_id,
                change_id=change_id,
                asked_by=editor.user_id,
                created_at=before.now,
                kind="CANCELLED",
                starts_before=before.starts_at,
                starts_after=before.starts_at,
                venue_before=before.venue_name,
                venue_after=before.venue_name,
                refundable_until=None,
                refund_job_id=job_id,
                reason=reason,
                idempotency_key=key,
                fingerprint=fingerprint,
            )
            await store.insert_change(connection, told)
            details = {"reason": reason, "with_compensation": with_compensation}
            await _record(
                connection, editor, "schedule.cancelled", details, _of(before, schedule_id)
            )
        self._invalidate(before.concert_id, schedule_id)
        return await self._change(schedule_id, change_id)

    async def changes_of(
        self, organization_ids: OrganizationIds, schedule_id: UUID
    ) -> list[ScheduleChange]:
        """Return what buyers were told of a schedule, the newest first; None means any."""
        return await self._store.changes_of(schedule_id, organization_ids)

    async def _change(self, schedule_id: UUID, change_id: UUID) -> ScheduleChange:
        for one in await self._store.changes_of(schedule_id, None):
            if one.change_id == change_id:
                return one
        raise IntegrityError(f"change {change_id} is gone")

    async def _locked(
        self, connection: store.Connection, editor: Editor, schedule_id: UUID
    ) -> ScheduleFacts:
        found = await store.lock_schedule(connection, schedule_id, editor.organization_ids)
        if found is None:
            raise ScheduleNotFound
        return found

    async def _is_taken(
        self, connection: store.Connection, before: ScheduleFacts, schedule_id: UUID
    ) -> bool:
        return not before.is_draft and await store.lock_seats(connection, [schedule_id])

    async def _place(
        self,
        connection: store.Connection,
        before: ScheduleFacts,
        venue_id: UUID | None,
    ) -> "PerformancePlace":
        """Return where the performance is after the change."""
        if venue_id is None:
            return PerformancePlace(None, before.concert_venue, ZoneInfo(self._time_zone))
        if venue_id == before.venue_id:
            return PerformancePlace(
                venue_id, before.venue_name, ZoneInfo(before.time_zone or self._time_zone)
            )
        # Of the concert's own organization, also for a member of several.
        venue = await store.venue_of(connection, venue_id, [before.organization_id])
        if venue is None:
            raise VenueNotFound
        return PerformancePlace(venue_id, venue.name, ZoneInfo(venue.time_zone))

    def _invalidate(self, concert_id: UUID, *schedule_ids: UUID) -> None:
        self._catalog.lookups.invalidate(concert_id)
        for schedule_id in schedule_ids:
            self._catalog.invalidate(concert_id, schedule_id)


class PerformancePlace(NamedTuple):
    """Where a performance is, and the time zone there."""

    venue_id: UUID | None
    name: str
    zone: ZoneInfo


def _moment(given: Any, zone: ZoneInfo) -> datetime | None:
    return None if given is None else in_utc("refundable_until", given, zone)


def _times(members: Mapping[str, Any]) -> dict[str, Any]:
    # The end of the sale is that of the old date; it may be replaced once it has passed.
    return {name: members[name] for name in ("starts_at", "doors_at", "venue_id")}


def _postponed(
    before: ScheduleFacts, body: PostponeBody, starts_at: datetime, place: "PerformancePlace"
) -> dict[str, Any]:
    """Return the members of a schedule after a postponement."""
    after = {name: getattr(before, name) for name in SCHEDULE_MEMBERS}
    doors_at, closes_at = body.doors_at, body.sale_closes_at
    after |= {"starts_at": starts_at, "venue_id": place.venue_id}
    after["sale_closes_at"] = None
    if closes_at is not None:
        after["sale_closes_at"] = in_utc("sale_closes_at", closes_at, place.zone)
    if doors_at is not None:
        after["doors_at"] = in_utc("doors_at", doors_at, place.zone)
    elif before.doors_at is not None:
        after["doors_at"] = before.doors_at + (starts_at - before.starts_at)
    return after


def _told(
    editor: Editor,
    schedule_id: UUID,
    before: ScheduleFacts,
    kind: str,
    starts_at: datetime,
    place: "PerformancePlace",
    refundable_until: datetime | None,
) -> NewChange:
    change_id = new_id()
    return NewChange(
        schedule_id=schedule_id,
        change_id=change_id,
        asked_by=editor.user_id,
        created_at=before.now,
        kind=kind,
        starts_before=before.starts_at,
        starts_after=starts_at,
        venue_before=before.venue_name,
        venue_after=place.name,
        refundable_until=rules.free_until(refundable_until, before.now, starts_at),
        refund_job_id=None,
        reason="",
        idempotency_key=str(change_id),
        fingerprint=b"",
    )


def _because(
    change: NewChange, reason: str | None, key: str = "", fingerprint: bytes = b""
) -> NewChange:
    members = asdict(change) | {"reason": reason or "", "fingerprint": fingerprint}
    return NewChange(**(members | ({"idempotency_key": key} if key else {})))


async def _earlier(
    connection: store.Connection, schedule_id: UUID, key: str, fingerprint: bytes
) -> ScheduleChange | None:
    found = await store.change_by_key(connection, schedule_id, key)
    if found is None:
        return None
    # guard: change_of_another_request_is_not_replayed => if False:
    if found[1] != fingerprint:
        raise IdempotencyKeyReused
    return found[0]


def _shortened(changed: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return old and new values, long texts by their beginning: an entry of the log is bounded."""
    return {
        name: [one[:200] + "…" if isinstance(one, str) and len(one) > 200 else one for one in pair]
        for name, pair in changed.items()
    }


class _Subject(NamedTuple):
    """What an entry of the activity log is about."""

    organization_id: UUID
    concert_id: UUID
    schedule_id: UUID | None = None


def _of(schedule: ScheduleFacts, schedule_id: UUID) -> _Subject:
    return _Subject(schedule.organization_id, schedule.concert_id, schedule_id)


async def _record(
    connection: store.Connection,
    editor: Editor,
    action: str,
    details: Mapping[str, object],
    subject: "_Subject",
) -> None:
    entry = Action(
        organization_id=subject.organization_id,
        actor_id=editor.user_id,
        action=action,
        request_id=editor.request_id,
        concert_id=subject.concert_id,
        schedule_id=subject.schedule_id,
        details=details,
    )
    await record(connection, entry)
