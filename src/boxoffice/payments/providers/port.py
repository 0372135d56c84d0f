"""The port of payment providers: what a client of one can be asked, answers, and raises.

Amounts are positive integers of minor units; KRW and JPY have none, so an amount of them is in won or
yen. Times are aware. `key` is the idempotency key of one attempt: a repetition of a call after an error
of unknown cause has the same key. The calls have deadlines, and are made outside transactions.

    ProviderError
    ├── ProviderDeclined         the provider said no; no money moved by this call
    ├── ProviderUnknown          sent, and the outcome is unknown: look it up
    ├── ProviderUnavailable      certainly not sent
    └── ProviderMisconfigured    our key, address or request is wrong: an operator is needed
    NoticeForged                 a notice whose signature, age or form is not the provider's
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from boxoffice.errors import BoxofficeError


class DeclineReason(StrEnum):
    """Why no money moved; the buyer's page has a sentence for each."""

    CARD_DECLINED = "card_declined"
    CARD_INVALID = "card_invalid"
    CARD_EXPIRED = "card_expired"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    AUTHENTICATION_FAILED = "authentication_failed"
    CANCELLED_BY_BUYER = "cancelled_by_buyer"
    SESSION_EXPIRED = "session_expired"
    AMOUNT_REFUSED = "amount_refused"
    OTHER = "other"


class ProviderError(BoxofficeError):
    """The base class of a provider's errors."""


class ProviderDeclined(ProviderError):
    """The provider refused, finally for this attempt; `code` is its own, for the log."""

    def __init__(self, reason: DeclineReason, code: str = "") -> None:
        super().__init__(code or reason.value)
        self.reason = reason
        self.code = code


class ProviderUnknown(ProviderError):
    """The call was sent and its outcome is unknown: look it up, then repeat it under its key."""


class ProviderUnavailable(ProviderError):
    """This call was certainly not sent; an earlier one of the operation may have been."""


class ProviderMisconfigured(ProviderError):
    """The provider refuses our key, shop or request; no repetition helps."""


class NoticeForged(BoxofficeError):
    """A notice that the provider did not send, or sent too long ago."""


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """An amount to pay; `order_id` has 6 to 64 of `[A-Za-z0-9_-]`, `title` is shown to the buyer."""

    order_id: str
    amount_minor: int
    currency: str
    title: str


MovementKind = Literal["capture", "refund", "refund_failed", "dispute", "dispute_won"]


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that moved at the provider, once for each `key`; the kind gives its direction.

    Towards us: `capture`, `refund_failed` (a refund that came back), `dispute_won`. Away from us:
    `refund`, `dispute`. The key of `refund_failed` is its refund's with `:failed` behind. A capture's
    key names the payment and not its transaction, as a payment at Toss shows the key of its last
    transaction only.
    """

    key: str
    kind: MovementKind
    amount_minor: int
    currency: str
    happened_at: datetime


class PaymentStatus(StrEnum):
    """Where a payment stands at the provider."""

    WAITING = "WAITING"  # the buyer has not finished
    AUTHORIZED = "AUTHORIZED"  # the buyer has finished; `confirm` moves the money
    AWAITING_DEPOSIT = "AWAITING_DEPOSIT"
    CAPTURED = "CAPTURED"
    PARTLY_REFUNDED = "PARTLY_REFUNDED"
    REFUNDED = "REFUNDED"
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """A payment as the provider shows it now; `amount_minor` is the ordered amount.

    `deposit_secret` is what a notice of a deposit must carry, and None without a virtual account.
    """

    order_id: str
    payment_key: str
    status: PaymentStatus
    amount_minor: int
    currency: str
    movements: tuple[Movement, ...] = ()
    reason: DeclineReason | None = None
    is_partial_refundable: bool = True
    deposit_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """What the buyer's browser needs; `payment_key` where the provider has made one already."""

    client: Mapping[str, str]
    payment_key: str | None


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """Money to give back; `refund_id` is found again by `look_up_refund`, `reason` is for people."""

    refund_id: str
    payment_key: str
    amount_minor: int
    currency: str
    is_whole: bool
    reason: str


RefundStatus = Literal["DONE", "PENDING", "FAILED"]


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """A refund as the provider shows it now; `key` is that of its movement."""

    key: str | None
    status: RefundStatus
    amount_minor: int
    currency: str
    reason: str | None = None
    happened_at: datetime | None = None


DisputeStatus = Literal["OPEN", "WON", "LOST"]


@dataclass(frozen=True, slots=True)
class ProviderDispute:
    """A chargeback as the provider shows it now, with the money that it moved so far."""

    key: str
    payment_key: str
    status: DisputeStatus
    amount_minor: int
    currency: str
    reason: str
    movements: tuple[Movement, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A movement in the provider's statement; the fee is None where the statement has none."""

    movement: Movement
    order_id: str | None
    payment_key: str
    fee_minor: int | None = None


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Part of a statement, and the cursor of the next part."""

    lines: tuple[StatementLine, ...]
    next_cursor: str | None


NoticeGrade = Literal["signed", "secret", "hint"]


@dataclass(frozen=True, slots=True)
class ProviderNotice:
    """An event that the provider sent; what it says is looked up before anything changes.

    `signed`: the signature was checked. `secret`: its `secret` is to be compared with the payment's
    `deposit_secret`. `hint`: any client could have sent it. `notice_id` is equal in repetitions.
    """

    notice_id: str
    kind: str
    grade: NoticeGrade
    order_id: str | None = None
    payment_key: str | None = None
    dispute_key: str | None = None
    secret: str | None = None


class Provider(Protocol):
    """A payment method other than the wallet."""

    name: str
    """The method's name in the API, the database and the path of its notices."""
    session_s: float
    """The seconds after `open` when an order that the provider does not know was certainly not paid."""
    is_test: bool
    """Whether its keys move no real money."""
    opens_by_call: bool
    """Whether `open` calls the provider; else its result is not kept: it is the same every time."""

    @property
    def is_available(self) -> bool:
        """Whether the breaker is closed: after failures, whether a probe was answered."""

    def accepts(self, amount_minor: int, currency: str) -> bool:
        """Say whether the provider takes this amount in this currency."""

    async def open(self, order: PaymentOrder, key: str) -> Opened:
        """Prepare a payment."""

    async def confirm(self, order: PaymentOrder, payment_key: str, key: str) -> ProviderPayment:
        """Move the money of an authorized payment; raise `ProviderDeclined` if it is refused.

        Returns `WAITING` if the buyer has not finished, `AWAITING_DEPOSIT` for a virtual account.
        """

    async def look_up(self, order_id: str, payment_key: str | None) -> ProviderPayment | None:
        """Return the payment; None if the provider does not know it (yet: see `session_s`)."""

    async def abandon(self, order: PaymentOrder, payment_key: str | None, key: str) -> None:
        """End a payment that must not be confirmed any more; a captured one stays as it is."""

    async def refund(self, refund: RefundOrder, key: str) -> ProviderRefund:
        """Give money back; a final refusal is returned as `FAILED`."""

    async def look_up_refund(self, refund: RefundOrder, key: str) -> ProviderRefund | None:
        """Return the refund; None if the provider does not know it."""

    async def look_up_dispute(self, dispute_key: str) -> ProviderDispute | None:
        """Return the dispute; None if the provider does not know it or tells none."""

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None = None
    ) -> StatementPage:
        """Return movements of `since ≤ time < until`, in the provider's order."""

    def read_notice(self, headers: Mapping[str, str], body: bytes) -> ProviderNotice:
        """Return what a notice says; raise `NoticeForged`. Names of headers are in small letters."""
