"""How refunds and policies are presented, and read from a body."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.errors import RefundPolicyInvalid
from boxoffice.payments import ledger
from boxoffice.payments.refunds import policy as rules
from boxoffice.payments.refunds.policy import (
    DAYS_MAX,
    PERCENT_MAX,
    PRESETS,
    STEPS_MAX,
    GracePeriod,
    RefundPolicy,
    RefundStep,
)
from boxoffice.payments.refunds.service import QuotedRefund
from boxoffice.payments.refunds.store import Refund, RefundJob
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.values import Line

Days = Annotated[int, Meta(ge=0, le=DAYS_MAX)]
Percent = Annotated[int, Meta(ge=0, le=PERCENT_MAX)]
Amount = Annotated[int, Meta(ge=0, le=ledger.AMOUNT_MAX)]
TicketIds = Annotated[list[UUID], Meta(max_length=1000)]


class StepValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fee of a ticket until `days_before` calendar days before the performance.

    It is `percent` of the price and `flat`, at most `cap_percent` of the price and at most `cap`.
    """

    days_before: Days
    percent: Percent = 0
    flat: Amount = 0
    cap_percent: Percent = PERCENT_MAX
    cap: Amount | None = None


class GraceValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No fee for `hours`, or until `days` calendar days after the booking.

    It ends `days_before` calendar days before the performance.
    """

    days_before: Days
    hours: Annotated[int, Meta(ge=0, le=8760)] = 0
    days: Annotated[int, Meta(ge=0, le=365)] | None = None


class PolicyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A preset, or a schedule of one's own: `steps` with falling days.

    Without `grace` the seven days of the Korean e-commerce law hold.
    """

    preset: Literal["kr_standard", "kr_market", "none"] | None = None
    steps: Annotated[list[StepValue], Meta(max_length=STEPS_MAX)] | None = None
    grace: Annotated[list[GraceValue], Meta(max_length=5)] | None = None
    booking_fee_days: Days | None = None


class PolicyOut(msgspec.Struct, frozen=True, kw_only=True):
    """When a ticket may be returned, and for which fee; amounts in minor units of `currency`.

    Days are counted in `time_zone`. After the last step a ticket is not refundable.
    """

    name: str
    steps: list[StepValue]
    grace: list[GraceValue]
    booking_fee_days: int | None
    currency: str | None
    time_zone: str


class QuoteLineOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the return of a ticket brings, and what is kept."""

    ticket_id: str
    refund: int
    fee: int


class QuoteOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the return of tickets brings before `valid_until`.

    Not refundable tickets have no lines, and a null `valid_until`.
    """

    payment_id: str
    is_refundable: bool
    refund: int
    fee: int
    currency: str
    method: str
    lines: list[QuoteLineOut]
    valid_until: datetime | None
    policy: PolicyOut


class RefundOut(msgspec.Struct, frozen=True, kw_only=True):
    """A refund.

    PENDING: the money is on its way. DONE: it has arrived. MANUAL: the provider refused; the shop pays
    otherwise. `payment_id` is null for money that arrived too late for its seats.
    """

    refund_id: UUID
    payment_id: str | None
    schedule_id: UUID | None
    status: Literal["PENDING", "DONE", "MANUAL"]
    reason: Literal["buyer", "organizer", "cancelled", "late"]
    amount: int
    fee: int
    compensation: int
    currency: str
    to: Literal["wallet", "original"]
    method: str
    ticket_ids: list[UUID]
    seat_ids: list[str]
    failure: str | None
    created_at: datetime
    closed_at: datetime | None


class RefundBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tickets of a payment to return; none: all that are left.

    `expected_refund` is that of the quote. `to`: the wallet, or the way that it was paid.
    """

    expected_refund: Amount
    ticket_ids: TicketIds = []
    to: Literal["original", "wallet"] = "original"


class OrganizerRefundBody(RefundBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A refund by the organizer, who may waive the fee of the policy."""

    waive_fee: bool = True


class ResolutionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a refund that the provider refused was paid."""

    to: Literal["wallet", "outside"]
    note: Line


class JobBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The refund of a whole schedule, of all that was paid.

    `with_compensation`: 10 % of the price beside it, into the wallet.
    """

    with_compensation: bool = False


class JobOut(msgspec.Struct, frozen=True, kw_only=True):
    """The refund of a whole schedule; `payments` counts those that were looked at."""

    job_id: UUID
    schedule_id: UUID
    payments: int
    refused: int
    with_compensation: bool
    created_at: datetime
    finished_at: datetime | None


def policy_of(body: PolicyBody, currency: str) -> RefundPolicy:
    """Return the policy of a body; raise `RefundPolicyInvalid` unless it is one of both kinds."""
    if (body.preset is None) == (body.steps is None):
        raise RefundPolicyInvalid("Give either preset or steps.")
    if body.preset is not None:
        return PRESETS[body.preset]
    steps = tuple(
        RefundStep(one.days_before, one.percent, one.flat, one.cap_percent, one.cap)
        for one in body.steps or ()
    )
    grace = (rules.ECOMMERCE,) if body.grace is None else tuple(map(_grace, body.grace))
    has_amounts = any(one.flat_minor or one.cap_minor is not None for one in steps)
    return RefundPolicy(
        "own", steps, grace, body.booking_fee_days, currency if has_amounts else None
    )


def _grace(value: GraceValue) -> GracePeriod:
    return GracePeriod(value.days_before, value.hours, value.days)


def present_policy(one: RefundPolicy, time_zone: str) -> PolicyOut:
    """Return a policy as it is shown."""
    return PolicyOut(
        name=one.name,
        steps=[
            StepValue(
                days_before=step.days_before,
                percent=step.percent,
                flat=step.flat_minor,
                cap_percent=step.cap_percent,
                cap=step.cap_minor,
            )
            for step in one.steps
        ],
        grace=[
            GraceValue(days_before=each.days_before, hours=each.hours, days=each.days)
            for each in one.grace
        ],
        booking_fee_days=one.booking_fee_days,
        currency=one.currency,
        time_zone=time_zone,
    )


def present_quote(payment: ScopedId, quoted: QuotedRefund) -> QuoteOut:
    """Return a quote as it is shown."""
    found = quoted.quote
    return QuoteOut(
        payment_id=str(payment),
        is_refundable=found is not None,
        refund=0 if found is None else found.refund_minor,
        fee=0 if found is None else found.fee_minor,
        currency=quoted.sale.currency,
        method=quoted.sale.method,
        lines=[
            QuoteLineOut(ticket_id=line.ticket_id, refund=line.refund_minor, fee=line.fee_minor)
            for line in (found.lines if found else ())
        ],
        valid_until=None if found is None else found.valid_until,
        policy=present_policy(quoted.policy, quoted.time_zone),
    )


def present_refund(one: Refund) -> RefundOut:
    """Return a refund as it is shown."""
    payment_id = None
    if one.payment_id is not None and one.schedule_id is not None:
        payment_id = str(ScopedId(one.schedule_id, one.payment_id))
    return msgspec.convert(
        {
            "refund_id": one.refund_id,
            "payment_id": payment_id,
            "schedule_id": one.schedule_id,
            "status": one.status,
            "reason": one.reason,
            "amount": one.amount_minor,
            "fee": one.fee_minor,
            "compensation": one.compensation_minor,
            "currency": one.currency,
            "to": "wallet" if one.destination == "wallet" else "original",
            "method": one.provider or "wallet",
            "ticket_ids": list(one.ticket_ids),
            "seat_ids": list(one.seat_ids),
            "failure": one.failure,
            "created_at": one.created_at,
            "closed_at": one.closed_at,
        },
        RefundOut,
    )


def present_job(one: RefundJob) -> JobOut:
    """Return a job as it is shown."""
    return JobOut(
        job_id=one.job_id,
        schedule_id=one.schedule_id,
        payments=one.payments,
        refused=one.refused,
        with_compensation=one.with_compensation,
        created_at=one.created_at,
        finished_at=one.finished_at,
    )
