"""Periods, figures and their grouping, and the settlement. Pure; amounts are minor units."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from boxoffice.errors import IntegrityError, Invalid

Grouping = Literal["day", "concert", "schedule", "grade", "channel", "price_type"]
Item = Literal[
    "sales",
    "booking_fees",
    "refunds",
    "cancellation_fees",
    "compensation",
    "disputes_withdrawn",
    "disputes_returned",
    "collected_at_box_office",
]
ITEMS: tuple[Item, ...] = (
    "sales", "booking_fees", "refunds", "cancellation_fees", "compensation", "disputes_withdrawn",
    "disputes_returned", "collected_at_box_office",
)  # fmt: skip

ONLINE, BOX_OFFICE, COMPLIMENTARY = "online", "box_office", "complimentary"


class Period(NamedTuple):
    """Calendar days, first and last one included, in the time zone of each venue."""

    since: date
    until: date

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the first moment, and the one after the last, in UTC."""
        first = datetime.combine(self.since, time(), zone)
        after = datetime.combine(self.until + timedelta(days=1), time(), zone)
        return first.astimezone(UTC), after.astimezone(UTC)


def period_of(since: date | None, until: date | None, today: date, days_max: int) -> Period:
    """Return a period: by default the 30 days up to today.

    Raises `Invalid` for one that ends before it begins, or that is longer than `days_max`.
    """
    last = until or (max(since, today) if since else today)
    first = since or last - timedelta(days=29)
    if first > last:
        raise Invalid("The period ends before it begins.")
    if (last - first).days >= days_max:
        raise Invalid(f"A period may have {days_max} days.")
    return Period(first, last)


class ReportedPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """A performance in a report; `time_zone` is its venue's."""

    schedule_id: UUID
    concert_id: UUID
    organization_id: UUID
    title: str
    starts_at: datetime
    currency: str
    time_zone: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Seats, and amounts in minor units of one currency; amounts that reduce the net are positive.

    `gross` is the price of the seats' price types, `refunds` what buyers got back, `cancellation_fees`
    what was kept of returned tickets.
    """

    seats_sold: int = 0
    gross: int = 0
    discounts: int = 0
    booking_fees: int = 0
    seats_returned: int = 0
    refunds: int = 0
    cancellation_fees: int = 0
    compensation: int = 0
    disputes_lost: int = 0
    complimentary: int = 0
    complimentary_returned: int = 0

    @property
    def net(self) -> int:
        """What is left; the sum of the ledger's entries in the accounts income and fees."""
        kept = self.gross - self.discounts + self.booking_fees
        return kept - self.refunds - self.compensation - self.disputes_lost

    def __add__(self, other: "Figures") -> "Figures":
        mine, others = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        names = self.__struct_fields__
        sums = (one + two for one, two in zip(mine, others, strict=True))
        return Figures(**dict(zip(names, sums, strict=True)))


class SalesMovement(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a performance on one day, of one grade, way of sale and price type.

    `source` is `online`, `box_office` or `complimentary`; `channel` and `price_type` are codes of the
    performance's offers, empty without one.
    """

    performance: ReportedPerformance
    day: date
    source: str
    channel: str = ""
    grade: str
    price_type: str = ""
    figures: Figures

    @property
    def way(self) -> str:
        """The way of sale: its source, and the channel of an online sale where there is one."""
        return f"{self.source}/{self.channel}" if self.channel else self.source


class ReportGroup(NamedTuple):
    """A row of a report: what its movements have in common, as a key and as text for people."""

    key: str
    label: str
    currency: str


def group_of(movement: SalesMovement, by: Grouping) -> ReportGroup:
    """Return the row that a movement belongs to; a row has one currency."""
    performance = movement.performance
    match by:
        case "day":
            key = label = movement.day.isoformat()
        case "concert":
            key, label = str(performance.concert_id), performance.title
        case "schedule":
            key, label = str(performance.schedule_id), performance.title
        case "grade":
            key = label = movement.grade
        case "channel":
            key = label = movement.way
        case "price_type":
            key = label = movement.price_type
    return ReportGroup(key, label, performance.currency)


def grouped(movements: Iterable[SalesMovement], by: Grouping) -> dict[ReportGroup, Figures]:
    """Return the figures of each row; days in their order, other rows with the highest net first."""
    rows: dict[ReportGroup, Figures] = {}
    for one in movements:
        group = group_of(one, by)
        rows[group] = rows.get(group, Figures()) + one.figures
    if by == "day":
        return dict(sorted(rows.items()))
    return dict(sorted(rows.items(), key=lambda row: (row[0].currency, -row[1].net, row[0])))


def totals(movements: Iterable[SalesMovement]) -> dict[str, Figures]:
    """Return the figures of each currency."""
    sums: dict[str, Figures] = {}
    for one in movements:
        currency = one.performance.currency
        sums[currency] = sums.get(currency, Figures()) + one.figures
    return dict(sorted(sums.items()))


class LedgerSum(NamedTuple):
    """The ledger's entries of a performance, by kind of transfer and account, before or in a period."""

    kind: str
    account: str
    is_before: bool
    amount_minor: int


class PeriodSettlement(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed to an organization, before and after a period; `amounts` is in the order of `ITEMS`.

    `disputes_lost` is information: the money went when the dispute was opened.
    """

    opening: int = 0
    amounts: tuple[int, ...] = (0,) * len(ITEMS)
    disputes_lost: int = 0

    @property
    def closing(self) -> int:
        """What is owed at the end of the period."""
        return self.opening + sum(self.amounts)

    def __add__(self, other: "PeriodSettlement") -> "PeriodSettlement":
        amounts = (one + two for one, two in zip(self.amounts, other.amounts, strict=True))
        return PeriodSettlement(
            opening=self.opening + other.opening,
            amounts=tuple(amounts),
            disputes_lost=self.disputes_lost + other.disputes_lost,
        )


# A lost dispute moves what was withdrawn from one account into another: what is owed stays.
_ITEM_OF: dict[tuple[str, str], Item | None] = {
    ("payment", "income"): "sales",
    ("payment", "till"): "collected_at_box_office",
    ("payment", "terminal"): "collected_at_box_office",
    ("refund", "income"): "refunds",
    ("refund", "fees"): "cancellation_fees",
    ("refund_paid", "till"): "collected_at_box_office",
    ("refund_paid", "terminal"): "collected_at_box_office",
    ("compensation", "income"): "compensation",
    ("dispute", "disputes"): "disputes_withdrawn",
    ("dispute_won", "disputes"): "disputes_returned",
    ("dispute_lost", "disputes"): None,
    ("dispute_lost", "income"): None,
}


def settled(entries: Sequence[LedgerSum], booking_fees: int) -> PeriodSettlement:
    """Return the settlement of a performance; `booking_fees` are those in the sales of the period.

    Raises `IntegrityError` for a kind of transfer that is not known here.
    """
    amounts = dict.fromkeys(ITEMS, 0)
    opening = lost = 0
    for one in entries:
        if (one.kind, one.account) not in _ITEM_OF:
            raise IntegrityError(f"a settlement knows no {one.kind} in {one.account}")
        item = _ITEM_OF[one.kind, one.account]
        if one.is_before:
            opening += one.amount_minor
        elif item is not None:
            amounts[item] += one.amount_minor
        elif one.account == "income":
            lost -= one.amount_minor
    amounts["sales"] -= booking_fees
    amounts["booking_fees"] = booking_fees
    return PeriodSettlement(opening=opening, amounts=tuple(amounts.values()), disputes_lost=lost)
