"""What is due when, and what a look-up means for an intent. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from boxoffice.payments.intents.rules import IN_FLIGHT, IntentStatus, captures
from boxoffice.payments.providers.port import PaymentStatus, ProviderPayment


class WorkKind(StrEnum):
    """The kinds of the cashier's work."""

    LOOK_UP = "look_up"
    RENEW = "renew"
    EXPIRE = "expire"
    ABANDON = "abandon"
    REFUND = "refund"
    REFUND_JOB = "refund_job"
    SCHEDULE_CHANGE = "schedule_change"


# Work that calls a provider; it has a queue for each, so that one that is away delays no other.
CALLING = frozenset({WorkKind.LOOK_UP, WorkKind.ABANDON, WorkKind.REFUND})

# Enough for a call that begins now to be answered before its seats are lost.
_HOLD_MARGIN = timedelta(seconds=5)
# While a buyer waits for the outcome.
_FENCED_RETRY_MAX_S = 15.0
# The first of three thirds of a fence has passed when it is renewed again.
_RENEW_AFTER_SHARE = 2 / 3


class Step(StrEnum):
    """What to do after a look-up of a payment."""

    APPLY = "apply"  # the provider's answer is final, or money has moved
    REPEAT = "repeat"  # the call did not arrive or had no effect: send it again under its key
    ABSENT = "absent"  # proved: no money moved, and none will
    ABANDON = "abandon"  # its seats may be lost: it must not be confirmed any more
    WAIT = "wait"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class LookedUp:
    """An intent and what its provider shows of it; `holds_until` is None without a hold."""

    status: IntentStatus
    holds_until: datetime | None
    session_is_over: bool
    payment: ProviderPayment | None
    now: datetime

    @property
    def is_held(self) -> bool:
        """Whether a call that begins now may still get its seats."""
        return self.holds_until is None or self.holds_until - self.now > _HOLD_MARGIN


_FINAL = frozenset({PaymentStatus.DECLINED, PaymentStatus.EXPIRED, PaymentStatus.CANCELLED})
_UNFINISHED = frozenset({PaymentStatus.WAITING, PaymentStatus.AUTHORIZED})


def step_after(found: LookedUp) -> Step:
    """Return what a look-up asks for."""
    payment = found.payment
    if payment is not None and captures(payment):
        return Step.APPLY
    if found.status not in IN_FLIGHT:
        return Step.WAIT if found.status is IntentStatus.CAPTURED_LATE else Step.NOTHING
    return _after_absence(found) if payment is None else _after_no_capture(found, payment.status)


def _after_no_capture(found: LookedUp, shown: PaymentStatus) -> Step:
    if shown in _FINAL:
        return Step.APPLY
    if shown is PaymentStatus.AWAITING_DEPOSIT:
        return Step.WAIT if found.status is IntentStatus.AWAITING_DEPOSIT else Step.APPLY
    if shown in _UNFINISHED:
        return Step.REPEAT if found.is_held else Step.ABANDON
    return Step.WAIT


def _after_absence(found: LookedUp) -> Step:
    """A provider that does not know the order proves absence once the session is over."""
    if found.session_is_over:
        return Step.ABSENT
    return Step.REPEAT if found.is_held else Step.WAIT


def settles(payment: ProviderPayment | None) -> bool:
    """Say whether a notice's look-up changes an intent; a payment under way is left to its call."""
    return payment is not None and bool(captures(payment))


def retry_after_s(tries: int, first_s: float, max_s: float) -> float:
    """Return the wait after a failed try; it doubles up to `max_s`."""
    factor: int = 2 ** min(tries, 16)
    return min(first_s * factor, max_s)


def look_up_after_s(found: LookedUp, tries: int, first_s: float, max_s: float) -> float:
    """Return the wait until the next look-up: shorter while the seats are held."""
    bound_s = _FENCED_RETRY_MAX_S if found.is_held else max_s
    return retry_after_s(tries, first_s, min(bound_s, max_s))


def renew_after_s(fence_s: int) -> float:
    """Return when a renewed fence is renewed again."""
    return fence_s * _RENEW_AFTER_SHARE


def queue_of(kind: str, provider: str | None, known: Mapping[str, object]) -> str:
    """Return the queue of a piece of work: its provider's, or the empty name."""
    return provider if kind in CALLING and provider in known and provider is not None else ""
