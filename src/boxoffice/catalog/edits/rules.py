"""What of a concert or a schedule may change in which state: pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.catalog.edits.errors import NotEditable, ScheduleCancelled, ScheduleSold
from boxoffice.catalog.rules import SaleTimes, check_times
from boxoffice.errors import Invalid, Problem

# How long tickets may be returned without a fee after a change where the organizer says nothing.
FREE_RETURN = timedelta(days=14)
# Changes of these are told to buyers.
TOLD = ("starts_at", "venue_id")

Changes = Mapping[str, tuple[Any, Any]]


class ScheduleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A locked schedule, and what depends on its members; `now` is the database's time.

    `venue_name` is where buyers are told that it takes place, `concert_venue` where they are told so
    without a venue; `has_seats`: it has a seat map.
    """

    concert_id: UUID
    organization_id: UUID
    status: str
    starts_at: datetime
    sale_opens_at: datetime
    sale_closes_at: datetime | None
    doors_at: datetime | None
    venue_id: UUID | None
    currency: str
    hold_ttl_s: int
    ticket_limit: int
    seats_return_delay_max_s: int
    version: int
    venue_name: str
    concert_venue: str
    time_zone: str | None
    has_seats: bool
    now: datetime

    @property
    def is_draft(self) -> bool:
        """Whether buyers do not know it."""
        return self.status == "DRAFT"


def changes(before: object, wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the old and the new value of each member that differs."""
    return {
        name: (getattr(before, name), value)
        for name, value in wanted.items()
        if getattr(before, name) != value
    }


def check_schedule(before: ScheduleFacts, changed: Changes, *, is_taken: bool) -> None:
    """Raise what refuses the changes of a schedule; `is_taken`: seats are held or sold.

    Raises `ScheduleCancelled`, `NotEditable` with the `members`, `ScheduleSold` and `Invalid`.
    """
    # guard: cancelled_schedule_stays => if False:
    if before.status == "CANCELLED":
        raise ScheduleCancelled
    # guard: begun_performance_stays => if False:
    if not before.is_draft and before.now >= before.starts_at:
        raise NotEditable("The performance has begun.", members=sorted(changed))
    if fixed := sorted(name for name in changed if _is_fixed(name, before)):
        raise NotEditable(f"{', '.join(fixed)} cannot be changed any more.", members=fixed)
    # guard: start_with_taken_seats_is_a_postponement => if False:
    if "starts_at" in changed and is_taken:
        raise ScheduleSold
    if refusal := _in_the_past(before, changed):
        raise refusal
    check_times(SaleTimes(*(_after(before, changed, name) for name in SaleTimes._fields)))


def check_currency(changed: Changes, shop_currency: str) -> None:
    """Raise `Invalid` for another currency than that of the shop, as a new schedule does."""
    # guard: schedule_changes_to_the_currency_of_the_shop => if False:
    if "currency" in changed and changed["currency"][1] != shop_currency:
        message = f"This shop sells in {shop_currency}"
        raise Invalid(f"{message}.", errors=[{"path": "$.currency", "message": message}])


def _is_fixed(name: str, before: ScheduleFacts) -> bool:
    # guard: currency_of_seats_stays => if False:
    if name == "currency" and before.has_seats:
        return True
    # guard: sale_times_stay_once_they_have_passed => return False
    return name in ("sale_opens_at", "sale_closes_at") and _has_passed(name, before)


def _has_passed(name: str, before: ScheduleFacts) -> bool:
    at = getattr(before, name)
    return not before.is_draft and at is not None and at <= before.now


def _in_the_past(before: ScheduleFacts, changed: Changes) -> Problem | None:
    starts_at = changed.get("starts_at")
    if starts_at is None or before.is_draft or starts_at[1] > before.now:
        return None
    message = "The performance must begin in the future"
    return Invalid(f"{message}.", errors=[{"path": "$.starts_at", "message": message}])


def _after(before: ScheduleFacts, changed: Changes, name: str) -> Any:
    return changed[name][1] if name in changed else getattr(before, name)


def check_postponement(before: ScheduleFacts, starts_at: datetime) -> None:
    """Raise what refuses another start: `ScheduleCancelled`, `NotEditable` or `Invalid`."""
    if before.status == "CANCELLED":
        raise ScheduleCancelled
    # guard: draft_is_edited_and_not_postponed => if False:
    if before.is_draft:
        raise NotEditable("Buyers do not know this date yet; change it.")
    # guard: begun_performance_is_not_postponed => if False:
    if before.now >= before.starts_at:
        raise NotEditable("The performance has begun.")
    message = "The new date must be in the future, and another one"
    # guard: postponed_into_the_future => if False:
    if starts_at <= before.now or starts_at == before.starts_at:
        raise Invalid(f"{message}.", errors=[{"path": "$.starts_at", "message": message}])


def free_until(given: datetime | None, now: datetime, starts_at: datetime) -> datetime:
    """Return until when tickets may be returned without a fee; never past the start."""
    return min(now + FREE_RETURN if given is None else given, starts_at)
