"""How reports are shown: as JSON, and as rows of files."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.order_numbers.rules import shown
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.spreadsheets.files import Row, major
from boxoffice.reports.attendee_store import Attendee
from boxoffice.reports.rules import (
    ITEMS,
    Figures,
    Grouping,
    Period,
    PeriodSettlement,
    ReportedPerformance,
    SalesMovement,
    grouped,
    totals,
)

SALES_COLUMNS = (
    "day", "concert", "starts_at", "time_zone", "way_of_sale", "grade", "price_type", "currency",
    "seats_sold", "gross", "discounts", "booking_fees", "seats_returned", "refunds",
    "cancellation_fees", "compensation", "disputes_lost", "net", "complimentary",
    "complimentary_returned",
)  # fmt: skip
SETTLEMENT_COLUMNS = (
    "concert", "starts_at", "time_zone", "since", "until", "currency", "opening", *ITEMS, "closing",
    "disputes_lost",
)  # fmt: skip


class SalesFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Seats, and amounts in minor units; those that reduce the net are positive.

    `gross` is the price of the seats' price types, before discounts. `cancellation_fees` were kept of
    returned tickets and are in the net. `complimentary` tickets are not in `seats_sold`.
    """

    currency: str
    seats_sold: int
    gross: int
    discounts: int
    booking_fees: int
    seats_returned: int
    refunds: int
    cancellation_fees: int
    compensation: int
    disputes_lost: int
    complimentary: int
    complimentary_returned: int
    net: int


class SalesRow(SalesFigures, frozen=True, kw_only=True):
    """A row of a sales report; `key` depends on the grouping and `label` is for people."""

    key: str
    label: str


class SalesReport(msgspec.Struct, frozen=True, kw_only=True):
    """Sales of a period: a total per currency, and rows with one currency each."""

    since: date
    until: date
    by: Grouping
    totals: list[SalesFigures]
    rows: list[SalesRow]


class SettlementFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed to the organization, in minor units: `opening` plus the movements is `closing`.

    Movements that reduce it are negative. `collected_at_box_office`: the organization has that money
    already. `disputes_lost` is information; the money is in `disputes_withdrawn`.
    """

    currency: str
    opening: int
    sales: int
    booking_fees: int
    refunds: int
    cancellation_fees: int
    compensation: int
    disputes_withdrawn: int
    disputes_returned: int
    collected_at_box_office: int
    closing: int
    disputes_lost: int


class SettledPerformance(SettlementFigures, frozen=True, kw_only=True):
    """The settlement of one performance."""

    schedule_id: UUID
    concert_id: UUID
    title: str
    starts_at: datetime
    time_zone: str


class SettlementReport(msgspec.Struct, frozen=True, kw_only=True):
    """The settlement of a period: a total per currency, and each performance with movements."""

    since: date
    until: date
    totals: list[SettlementFigures]
    performances: list[SettledPerformance]


class AttendeeOut(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket with the name and address of the person who has it; `status` VALID or VOID.

    `order_number` is what people name the reservation by. `source` is `online`, `box_office` or
    `complimentary`.
    """

    reservation_id: str
    order_number: str | None
    name: str
    email: str
    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price_type: str
    source: str
    status: str
    issued_at: datetime


def present_sales(movements: Sequence[SalesMovement], period: Period, by: Grouping) -> SalesReport:
    """Return a sales report, grouped."""
    rows = [
        SalesRow(key=group.key, label=group.label, **_figures(figures, group.currency))
        for group, figures in grouped(movements, by).items()
    ]
    sums = [SalesFigures(**_figures(one, currency)) for currency, one in totals(movements).items()]
    return SalesReport(since=period.since, until=period.until, by=by, totals=sums, rows=rows)


def _figures(figures: Figures, currency: str) -> dict[str, Any]:
    return {**msgspec.structs.asdict(figures), "currency": currency, "net": figures.net}


def present_settlement(
    settled: Sequence[tuple[ReportedPerformance, PeriodSettlement]], period: Period
) -> SettlementReport:
    """Return a settlement report."""
    sums: dict[str, PeriodSettlement] = {}
    for performance, one in settled:
        currency = performance.currency
        sums[currency] = sums.get(currency, PeriodSettlement()) + one
    return SettlementReport(
        since=period.since,
        until=period.until,
        totals=[SettlementFigures(**_settlement(sums[one], one)) for one in sorted(sums)],
        performances=[
            SettledPerformance(
                schedule_id=performance.schedule_id,
                concert_id=performance.concert_id,
                title=performance.title,
                starts_at=performance.starts_at,
                time_zone=performance.time_zone,
                **_settlement(one, performance.currency),
            )
            for performance, one in settled
        ],
    )


def _settlement(settlement: PeriodSettlement, currency: str) -> dict[str, Any]:
    return {
        "currency": currency,
        "opening": settlement.opening,
        **dict(zip(ITEMS, settlement.amounts, strict=True)),
        "closing": settlement.closing,
        "disputes_lost": settlement.disputes_lost,
    }


def present_attendee(one: Attendee) -> AttendeeOut:
    """Return a ticket of an attendee list."""
    return AttendeeOut(
        reservation_id=str(ScopedId(one.schedule_id, one.reservation_id)),
        order_number=shown(one.order_number),
        name=one.name,
        email=one.email,
        seat_id=one.seat_id,
        section=one.section,
        row=one.row_label,
        number=one.number,
        grade=one.grade,
        price_type=one.price_type,
        source=one.source,
        status=one.status,
        issued_at=one.issued_at,
    )


def sales_rows(movements: Iterable[SalesMovement]) -> list[Row]:
    """Return the rows of a file: each day, performance, way of sale, grade and price type."""
    return [
        _sales_row(one)
        for one in sorted(
            movements,
            key=lambda one: (
                one.day,
                one.performance.starts_at,
                one.way,
                one.grade,
                one.price_type,
            ),
        )
    ]


def _sales_row(one: SalesMovement) -> Row:
    performance, figures = one.performance, one.figures
    currency = performance.currency
    amounts = [
        major(amount, currency)
        for amount in (figures.refunds, figures.cancellation_fees, figures.compensation,
                       figures.disputes_lost, figures.net)
    ]  # fmt: skip
    return (
        one.day.isoformat(), performance.title, _moment(performance), performance.time_zone, one.way,
        one.grade, one.price_type, currency, figures.seats_sold, major(figures.gross, currency),
        major(figures.discounts, currency), major(figures.booking_fees, currency),
        figures.seats_returned, *amounts, figures.complimentary, figures.complimentary_returned,
    )  # fmt: skip


def settlement_rows(
    settled: Iterable[tuple[ReportedPerformance, PeriodSettlement]], period: Period
) -> list[Row]:
    """Return the rows of a file: a performance each."""
    return [
        (
            performance.title, _moment(performance), performance.time_zone, period.since.isoformat(),
            period.until.isoformat(), performance.currency,
            *(
                major(amount, performance.currency)
                for amount in (one.opening, *one.amounts, one.closing, one.disputes_lost)
            ),
        )
        for performance, one in settled
    ]  # fmt: skip


def _moment(performance: ReportedPerformance) -> str:
    return performance.starts_at.isoformat(timespec="minutes")
