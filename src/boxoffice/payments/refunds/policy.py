"""The cancellation fee of a ticket. Pure.

A policy is a list of steps. A step has a fee, and holds until a number of calendar days before the
performance; days are counted in the time zone of the venue, so a step changes at midnight there. A
grace period waives the fee for some time after the booking. Amounts are minor units; fees are rounded
down per ticket; the booking fee of a ticket is apart from its price.

The steps of `kr_standard` are those of the Korean Consumer Dispute Resolution Standard for
performances, the grace period of seven days is that of the Act on Consumer Protection in Electronic
Commerce, article 17. A policy is no legal advice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PERCENT_MAX = 100
STEPS_MAX = 20
DAYS_MAX = 3650
# What a buyer gets beside the price if the organizer cancels (the same standard).
COMPENSATION_PERCENT = 10


class PolicyInvalid(ValueError):
    """A policy that cannot be applied; the text names the fault."""


@dataclass(frozen=True, slots=True)
class RefundStep:
    """The fee of a ticket until `days_before` calendar days before the performance.

    The fee is `percent` of the price and `flat_minor`, but at most `cap_percent` of the price and
    at most `cap_minor`.
    """

    days_before: int
    percent: int = 0
    flat_minor: int = 0
    cap_percent: int = PERCENT_MAX
    cap_minor: int | None = None

    def fee_minor(self, price_minor: int) -> int:
        """Return the fee of a ticket, rounded down, between zero and the price."""
        fee = price_minor * self.percent // PERCENT_MAX + self.flat_minor
        fee = min(fee, price_minor * self.cap_percent // PERCENT_MAX, price_minor)
        return fee if self.cap_minor is None else min(fee, self.cap_minor)


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """No fee for some time after the booking, until `days_before` days before the performance.

    Either `hours` of elapsed time, or `days` calendar days after the day of the booking.
    """

    days_before: int
    hours: int = 0
    days: int | None = None


@dataclass(frozen=True, slots=True)
class RefundPolicy:
    """When a ticket may be returned, and for which fee.

    `steps` have falling days. After the last one, and once the performance has begun, a ticket is not
    refundable. `booking_fee_days`: the booking fee is returned up to this many calendar days after the
    day of the booking; None: never. `currency`: that of the flat amounts, None without any.
    """

    name: str
    steps: tuple[RefundStep, ...]
    grace: tuple[GracePeriod, ...] = ()
    booking_fee_days: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class RefundableTicket:
    """What was paid for a ticket."""

    ticket_id: str
    price_minor: int
    booking_fee_minor: int = 0


@dataclass(frozen=True, slots=True)
class RefundLine:
    """What happens to the money of a ticket: `refund_minor` + `fee_minor` is what was paid for it."""

    ticket_id: str
    refund_minor: int
    fee_minor: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What the return of tickets would bring, before `valid_until`.

    `compensation_minor` is owed beside the refund, because the organizer is at fault.
    """

    lines: tuple[RefundLine, ...]
    valid_until: datetime
    compensation_minor: int = 0

    @property
    def refund_minor(self) -> int:
        """Return what the buyer gets back of what was paid."""
        return sum(line.refund_minor for line in self.lines)

    @property
    def fee_minor(self) -> int:
        """Return what the organizer keeps."""
        return sum(line.fee_minor for line in self.lines)


ECOMMERCE = GracePeriod(days_before=10, days=7)

PRESETS: dict[str, RefundPolicy] = {
    "kr_standard": RefundPolicy(
        name="kr_standard",
        steps=(
            RefundStep(10),
            RefundStep(7, percent=10),
            RefundStep(3, percent=20),
            RefundStep(1, percent=30),
            RefundStep(0, percent=90),
        ),
        grace=(GracePeriod(days_before=3, hours=24), ECOMMERCE),
        booking_fee_days=7,
    ),
    "kr_market": RefundPolicy(
        name="kr_market",
        steps=(
            RefundStep(10, flat_minor=4000, cap_percent=10),
            RefundStep(7, percent=10),
            RefundStep(3, percent=20),
            RefundStep(1, percent=30),
        ),
        grace=(ECOMMERCE,),
        booking_fee_days=0,
        currency="KRW",
    ),
    "none": RefundPolicy(name="none", steps=()),
}
DEFAULT = PRESETS["kr_standard"]


def quote(
    policy: RefundPolicy,
    tickets: Sequence[RefundableTicket],
    booked_at: datetime,
    starts_at: datetime,
    now: datetime,
    zone: ZoneInfo,
    free_until: datetime | None = None,
) -> Quote | None:
    """Return what the tickets are worth at `now`, None if they are not refundable any more.

    Before `free_until` all that was paid comes back: the organizer has changed the performance.
    """
    if free_until is not None and now < min(free_until, starts_at):
        return without_fee(tickets, min(free_until, starts_at))
    step = step_at(policy, starts_at, now, zone)
    if step is None:
        return None
    is_free = any(_holds(period, booked_at, starts_at, now, zone) for period in policy.grace)
    keeps_booking_fee = not _returns_booking_fee(policy, booked_at, now, zone)
    lines = tuple(
        _line(ticket, 0 if is_free else step.fee_minor(ticket.price_minor), keeps_booking_fee)
        for ticket in tickets
    )
    return Quote(lines, _valid_until(policy, booked_at, starts_at, now, zone))


def without_fee(tickets: Sequence[RefundableTicket], valid_until: datetime) -> Quote:
    """Return the quote of a refund whose fee the organizer waives."""
    lines = tuple(_line(ticket, 0, keeps_booking_fee=False) for ticket in tickets)
    return Quote(lines, valid_until)


def organizers_fault(tickets: Sequence[RefundableTicket], valid_until: datetime) -> Quote:
    """Return the quote of a performance that the organizer cancels: all that was paid and 10 %."""
    compensation = sum(
        ticket.price_minor * COMPENSATION_PERCENT // PERCENT_MAX for ticket in tickets
    )
    return Quote(without_fee(tickets, valid_until).lines, valid_until, compensation)


def step_at(
    policy: RefundPolicy, starts_at: datetime, now: datetime, zone: ZoneInfo
) -> RefundStep | None:
    """Return the step that holds at `now`, None if a ticket is not refundable."""
    if now >= starts_at:
        return None
    days = days_between(now, starts_at, zone)
    return next((step for step in policy.steps if days >= step.days_before), None)


def days_between(earlier: datetime, later: datetime, zone: ZoneInfo) -> int:
    """Return the calendar days between two times in a time zone."""
    return (_day(later, zone) - _day(earlier, zone)).days


def check_policy(policy: RefundPolicy, currency: str) -> None:
    """Raise `PolicyInvalid` unless the policy fits a schedule of this currency.

    A later return must never cost less: otherwise a buyer who asks early would be worse off.
    """
    if len(policy.steps) > STEPS_MAX:
        raise PolicyInvalid(f"A policy has at most {STEPS_MAX} steps.")
    for step in policy.steps:
        _check_step(step)
    for earlier, later in zip(policy.steps, policy.steps[1:], strict=False):
        if earlier.days_before <= later.days_before:
            raise PolicyInvalid("The days of the steps must fall.")
        if not _costs_no_more(earlier, later):
            raise PolicyInvalid(f"The step of {later.days_before} days may cost less than before.")
    if policy.currency not in (None, currency):
        raise PolicyInvalid(f"The flat amounts are in {policy.currency}, the prices in {currency}.")


def _check_step(step: RefundStep) -> None:
    percents = (step.percent, step.cap_percent)
    amounts = (step.flat_minor, step.cap_minor or 0)
    if not 0 <= step.days_before <= DAYS_MAX:
        raise PolicyInvalid(f"The days of a step are 0 to {DAYS_MAX}.")
    if not all(0 <= percent <= PERCENT_MAX for percent in percents):
        raise PolicyInvalid("A percentage is 0 to 100.")
    if min(amounts) < 0:
        raise PolicyInvalid("A flat fee or a cap is not negative.")


def _costs_no_more(earlier: RefundStep, later: RefundStep) -> bool:
    """Return whether the earlier step is at most the later one for every price.

    A fee is the least of straight lines (slope in per cent, offset); it is below another fee if each
    line of that one has a line of this one under it.
    """
    return all(
        any(slope <= other and offset <= height for slope, offset in _bounds(earlier))
        for other, height in _bounds(later)
    )


def _bounds(step: RefundStep) -> Iterator[tuple[int, int]]:
    yield step.percent, step.flat_minor
    yield step.cap_percent, 0
    if step.cap_minor is not None:
        yield 0, step.cap_minor


def _line(ticket: RefundableTicket, fee_minor: int, keeps_booking_fee: bool) -> RefundLine:
    kept = fee_minor + (ticket.booking_fee_minor if keeps_booking_fee else 0)
    paid = ticket.price_minor + ticket.booking_fee_minor
    return RefundLine(ticket.ticket_id, paid - kept, kept)


def _holds(
    period: GracePeriod, booked_at: datetime, starts_at: datetime, now: datetime, zone: ZoneInfo
) -> bool:
    if days_between(now, starts_at, zone) < period.days_before:
        return False
    if period.days is not None:
        return days_between(booked_at, now, zone) <= period.days
    return now < booked_at + timedelta(hours=period.hours)


def _returns_booking_fee(
    policy: RefundPolicy, booked_at: datetime, now: datetime, zone: ZoneInfo
) -> bool:
    days = policy.booking_fee_days
    return days is not None and days_between(booked_at, now, zone) <= days


def _valid_until(
    policy: RefundPolicy, booked_at: datetime, starts_at: datetime, now: datetime, zone: ZoneInfo
) -> datetime:
    """Return the first time after `now` at which a quote may change."""
    ends = [starts_at, start_of_day(_day(now, zone) + timedelta(days=1), zone)]
    ends += [booked_at + timedelta(hours=period.hours) for period in policy.grace if period.hours]
    return min(end for end in ends if end > now)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return when a calendar day begins in a time zone, in UTC.

    Where the clocks skip midnight, the day begins at the first time after it.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()
