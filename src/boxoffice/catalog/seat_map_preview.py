"""The preview of a seat map before it is added: pure."""

from itertools import islice

import msgspec

from boxoffice.catalog import rules
from boxoffice.catalog.rules import CheckedSeatMap
from boxoffice.catalog.views import (
    GradePreview,
    ScheduleOnOffer,
    SeatMapAssumed,
    SeatMapError,
    SeatMapPreview,
    SectionPreview,
)
from boxoffice.errors import SeatMapInvalid
from boxoffice.platform.values import Money

# Sections and grades that a preview shows.
_SHOWN_MAX = 100


def error_of(error: SeatMapInvalid) -> SeatMapError:
    """Return an error as the preview shows it."""
    known = {name: error.extra.get(name) for name in SeatMapError.__struct_fields__}
    return msgspec.convert({**known, "message": error.detail}, SeatMapError)


def preview(
    schedule: ScheduleOnOffer, checked: CheckedSeatMap, errors: list[SeatMapError]
) -> SeatMapPreview:
    """Return the result of adding the valid seats of `checked` to a schedule."""
    sections, grades = rules.count_by_section(checked.seats), rules.count_by_grade(checked.seats)
    currency = schedule.currency
    return SeatMapPreview(
        schedule_id=schedule.schedule_id,
        acceptable=not errors,
        seats_read=len(checked.seats),
        seats_total=schedule.seats_total + len(checked.seats),
        errors=errors,
        ended_early=checked.ended_early,
        sections=[
            SectionPreview(section=section, rows=rows, seats=seats)
            for section, (rows, seats) in islice(sections.items(), _SHOWN_MAX)
        ],
        sections_total=len(sections),
        grades=[
            GradePreview(
                grade=grade,
                seats=seats,
                price_min=Money(low, currency),
                price_max=Money(high, currency),
            )
            for grade, (seats, low, high) in islice(grades.items(), _SHOWN_MAX)
        ],
        grades_total=len(grades),
        assumed=SeatMapAssumed(**msgspec.structs.asdict(checked.csv_format)),
    )
