"""Local times of a venue and the instants that they name: pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from boxoffice.errors import Invalid
from boxoffice.platform.values import Moment
from boxoffice.venues.errors import LocalTimeAmbiguous, LocalTimeSkipped

YEAR_MIN = 2000
YEAR_MAX = 2200

_LOCAL = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?([+-]\d{2}:\d{2})?$(?!\n)"


class LocalTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A time of day as clocks at the venue show it, `2026-11-01T01:30`.

    `fold` chooses the first (0) or the second (1) instant where clocks show it twice. An offset in
    `local` must be one that the venue has at that time.
    """

    local: Annotated[str, Meta(pattern=_LOCAL, max_length=25)]
    fold: Literal[0, 1] | None = None


# An instant, or a local time of the venue.
VenueTime: TypeAlias = Moment | LocalTime


def zone_named(name: str) -> ZoneInfo | None:
    """Return a time zone of the IANA database, None for a name that it lacks."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return None


def instants(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the instants at which clocks show `wall`, earliest first: one, two, or none (PEP 495)."""
    found: list[datetime] = []
    for fold in (0, 1):
        at = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None, fold=0) == wall and at not in found:
            found.append(at)
    return found


def resolve(member: str, given: VenueTime, zone: ZoneInfo) -> datetime:
    """Return the instant of `given`, a member of a body, at a venue in `zone`.

    Raises `LocalTimeSkipped` where clocks are set forward over it, `LocalTimeAmbiguous` with the
    `choices` where they show it twice and nothing says which, and `Invalid`.
    """
    if isinstance(given, datetime):
        return given
    local = _parsed(member, given.local)
    wall = local.replace(tzinfo=None)
    found = instants(wall, zone)
    if not found:
        raise LocalTimeSkipped(
            f"{member}: {given.local} does not exist in {zone.key}; clocks are set forward.",
            time_zone=zone.key,
            choices=list(_around(wall, zone)),
            **_at(member, "does not exist at the venue; clocks are set forward"),
        )
    offset = local.utcoffset()
    if offset is not None:
        return _with_offset(member, found, offset, zone)
    if len(found) > 1 and given.fold is None:
        raise LocalTimeAmbiguous(
            f"{member}: {given.local} exists twice in {zone.key}; say which with fold.",
            time_zone=zone.key,
            choices=[one.astimezone(zone).isoformat() for one in found],
            **_at(member, "exists twice at the venue; clocks are set back"),
        )
    return found[-1] if given.fold else found[0]


def _with_offset(member: str, found: list[datetime], offset: timedelta, zone: ZoneInfo) -> datetime:
    for one in found:
        if one.astimezone(zone).utcoffset() == offset:
            return one
    raise Invalid(
        f"{member}: {zone.key} has another offset at that time.",
        **_at(member, f"has an offset that {zone.key} does not have at that time"),
    )


def _parsed(member: str, text: str) -> datetime:
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(
            f"{member}: {text} is no time.", **_at(member, "is not a time of the calendar")
        ) from error
    if not YEAR_MIN <= local.year <= YEAR_MAX:
        # A margin of a year, so that no offset leaves the calendar.
        message = f"The year must be between {YEAR_MIN} and {YEAR_MAX}"
        raise Invalid(f"{message}.", **_at(member, message))
    return local


def _around(wall: datetime, zone: ZoneInfo) -> Iterator[str]:
    """Yield the same distance before and after the gap, as clocks show it."""
    for fold in (1, 0):
        at = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        yield at.astimezone(zone).isoformat()


def _at(member: str, message: str) -> dict[str, object]:
    return {"errors": [{"path": f"$.{member}", "message": message}]}
