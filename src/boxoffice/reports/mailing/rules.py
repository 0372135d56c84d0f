"""The periods of reports by mail, and when each mail is due. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from boxoffice.errors import Invalid
from boxoffice.reports.rules import Period
from boxoffice.venues.rules import zone_named

Frequency = Literal["daily", "weekly"]
Report = Literal["sales", "settlement"]

_DAYS: dict[Frequency, int] = {"daily": 1, "weekly": 7}


def zone_of(name: str) -> ZoneInfo:
    """Return an IANA time zone; raise `Invalid` for a name that is none."""
    zone = zone_named(name)
    if zone is None:
        message = "Name a time zone as the IANA does, such as Asia/Seoul."
        raise Invalid(message, errors=[{"path": "$.time_zone", "message": message}])
    return zone


def first_day(frequency: Frequency, today: date) -> date:
    """Return the first day of the period that `today` is in; weeks begin on Monday."""
    return today if frequency == "daily" else today - timedelta(days=today.weekday())


def period(frequency: Frequency, first: date) -> Period:
    """Return the period that begins on a day."""
    return Period(first, first + timedelta(days=_DAYS[frequency] - 1))


def due_at(one: Period, hour: int, zone: ZoneInfo) -> datetime:
    """Return when the mail about a period is due: at an hour of the day after it."""
    day = one.until + timedelta(days=1)
    return datetime.combine(day, time(hour), zone).astimezone(UTC)
