"""The use cases of refunds: quote, refund and look up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Never
from uuid import UUID
from zoneinfo import ZoneInfo

from boxoffice.activity_log import Action, record
from boxoffice.errors import (
    AlreadyRefunded,
    IdempotencyKeyReused,
    IntegrityError,
    Invalid,
    NotRefundable,
    PaymentNotFound,
    Problem,
    RefundNotFound,
    RefundQuoteChanged,
    ScheduleNotFound,
    TicketNotFound,
)
from boxoffice.payments.refunds import policy as rules
from boxoffice.payments.refunds import store
from boxoffice.payments.refunds.policy import Quote, RefundableTicket, RefundPolicy
from boxoffice.payments.refunds.store import (
    FoundPolicy,
    Refund,
    RefundableSale,
    RefundCommand,
    RefundOutcome,
    RefundStore,
)
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.platform.ids import ScopedId, fingerprint_of, new_id
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher

Destination = Literal["original", "wallet"]
WALLET = "wallet"
_BOX_OFFICE = frozenset({"cash", "card_terminal"})
# How long a waived fee stays waived between the reading of a payment and the decision.
_WAIVER_TTL = timedelta(minutes=10)

_REFUSALS: dict[str, type[Problem]] = {
    "key_reused": IdempotencyKeyReused,
    "payment_not_found": PaymentNotFound,
    "ticket_not_found": TicketNotFound,
    "already_refunded": AlreadyRefunded,
    "not_refundable": NotRefundable,
    "quote_changed": RefundQuoteChanged,
}
_DETAILS = {
    "disputed": "The payer's bank disputes this payment.",
    "currency_differs": "The wallet is in another currency.",
}


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Tickets of a payment (none: all live ones), what their return brings, and where it goes."""

    payment: ScopedId
    ticket_ids: Sequence[UUID]
    expected_minor: int
    destination: Destination
    key: str


@dataclass(frozen=True, slots=True)
class QuotedRefund:
    """A quote with its payment; None in `quote`: the tickets are not refundable any more."""

    sale: RefundableSale
    policy: RefundPolicy
    quote: Quote | None
    time_zone: str


class ShownPolicy(NamedTuple):
    """The policy of a schedule, and the time zone in which its days are counted."""

    policy: RefundPolicy
    time_zone: str


class Refunds:
    """Refunds of buyers and organizers.

    `zone` is the time zone of performances without a venue. `publisher` publishes freed seats before
    the caller is answered.
    """

    def __init__(
        self, refunds: RefundStore, zone: ZoneInfo, publisher: SeatChangePublisher | None = None
    ) -> None:
        self._store = refunds
        self._zone = zone
        self._publisher = publisher

    async def policy(self, schedule_id: UUID) -> ShownPolicy:
        """Return the policy under which a schedule sells; raise `ScheduleNotFound`."""
        return self._shown(await self._store.policy(schedule_id))

    async def own_policy(self, schedule_id: UUID, organization_ids: OrganizationIds) -> ShownPolicy:
        """Return the policy of a schedule of these organizations, also of a draft.

        Raises `ScheduleNotFound`; None means all organizations.
        """
        return self._shown(
            await self._store.policy(schedule_id, organization_ids, for_buyers=False)
        )

    def _shown(self, found: FoundPolicy | None) -> ShownPolicy:
        if found is None:
            raise ScheduleNotFound
        return ShownPolicy(found.policy or rules.DEFAULT, found.time_zone or self._zone.key)

    async def quote(
        self, user_id: UUID, payment: ScopedId, ticket_ids: Sequence[UUID]
    ) -> QuotedRefund:
        """Return what the return of tickets (none: all live ones) would bring now.

        Raises `PaymentNotFound`, `TicketNotFound` and `AlreadyRefunded`.
        """
        sale = await self._store.sale(payment.schedule_id, payment.own_id, user_id=user_id)
        if sale is None:
            raise PaymentNotFound
        return self._quoted(sale, ticket_ids)

    async def refund(self, user_id: UUID, request: RefundRequest) -> Refund:
        """Return tickets of one's own under the policy of the sale.

        The tickets are void and the seats on sale when this returns; the money is in the wallet, or
        owed. The same key and request return the same refund. Raises the refusals of `docs/api.md`.
        """
        payment, fingerprint = request.payment, _fingerprint(request)
        # Before the look-up of the key: a sale that shows an earlier refund is followed by its key.
        sale = await self._store.sale(payment.schedule_id, payment.own_id, user_id=user_id)
        if sale is None:
            raise PaymentNotFound
        earlier = await self._store.find(user_id, request.key, fingerprint)
        if earlier is not None:
            return earlier
        quoted = self._quoted(sale, request.ticket_ids)
        # guard: cancelled_performance_is_refunded_by_its_job => if False:
        if sale.is_cancelled:
            raise NotRefundable(
                "The performance is cancelled; all that was paid is being returned."
            )
        if quoted.quote is None:
            raise NotRefundable
        _require_expected(quoted.quote, request.expected_minor)
        command = _command(quoted.sale, quoted.quote, request, fingerprint, user_id, "buyer")
        return await self._decide(command, None)

    async def quote_as_organizer(
        self,
        organization_ids: OrganizationIds,
        payment: ScopedId,
        ticket_ids: Sequence[UUID],
        *,
        waive_fee: bool,
    ) -> QuotedRefund:
        """Return what a refund by the organizer (no tickets: all live ones) would bring now.

        Raises `PaymentNotFound`, `TicketNotFound` and `AlreadyRefunded`.
        """
        sale = await self._store.sale(
            payment.schedule_id, payment.own_id, organization_ids=organization_ids
        )
        if sale is None:
            raise PaymentNotFound
        return self._quoted_by_organizer(sale, ticket_ids, waive_fee=waive_fee)

    async def refund_as_organizer(
        self, actor: Actor, request: RefundRequest, *, waive_fee: bool, request_id: str = ""
    ) -> Refund:
        """Return tickets of a buyer of one's own organization, with or without the fee of the policy.

        Raises the refusals of `docs/api.md`.
        """
        payment, fingerprint = request.payment, _fingerprint(request, str(waive_fee))
        sale = await self._store.sale(
            payment.schedule_id, payment.own_id, organization_ids=actor.organization_ids
        )
        if sale is None:
            raise PaymentNotFound
        key = f"{actor.user_id}:{request.key}"
        earlier = await self._store.find(sale.user_id, key, fingerprint)
        if earlier is not None:
            return earlier
        found = self._quoted_by_organizer(sale, request.ticket_ids, waive_fee=waive_fee).quote
        if found is None:
            raise NotRefundable
        _require_expected(found, request.expected_minor)
        command = _command(sale, found, request, fingerprint, actor.user_id, "organizer", key)
        action = Action(
            organization_id=sale.organization_id,
            actor_id=actor.user_id,
            action="payment.refunded",
            request_id=request_id,
            concert_id=sale.concert_id,
            schedule_id=payment.schedule_id,
            details={
                "payment_id": str(payment),
                "refund_id": str(command.refund_id),
                "amount": found.refund_minor,
                "fee": found.fee_minor,
                "is_fee_waived": waive_fee,
            },
        )
        return await self._decide(command, action)

    async def refund_cancelled(
        self, payment: ScopedId, asked_by: UUID, job_id: UUID, *, with_compensation: bool
    ) -> None:
        """Return all live tickets of a payment of a cancelled schedule, with all that was paid.

        Repeating it has no effect. Raises the refusals of `refund`.
        """
        sale = await self._store.sale(payment.schedule_id, payment.own_id)
        if sale is None:
            raise PaymentNotFound
        tickets = _tickets(sale, ())
        until = sale.now + _WAIVER_TTL
        found = (
            rules.organizers_fault(tickets, until)
            if with_compensation
            else rules.without_fee(tickets, until)
        )
        key = f"job:{job_id}:{payment.own_id}"
        request = RefundRequest(payment, (), found.refund_minor, "original", key)
        command = _command(sale, found, request, b"", asked_by, "cancelled", key, job_id)
        await self._decide(command, None)

    async def get(self, user_id: UUID, refund_id: UUID) -> Refund:
        """Return a refund of this person; raise `RefundNotFound`."""
        found = await self._store.get(user_id, refund_id)
        if found is None:
            raise RefundNotFound
        return found

    async def list_of_user(self, user_id: UUID, before: UUID | None, count: int) -> list[Refund]:
        """Return at most `count` refunds of this person, the newest first."""
        return await self._store.of_user(user_id, before, count)

    def _quoted(self, sale: RefundableSale, ticket_ids: Sequence[UUID]) -> QuotedRefund:
        policy = sale.policy or rules.DEFAULT
        tickets = _tickets(sale, ticket_ids)
        zone = self._zone_of(sale)
        found = rules.quote(
            policy, tickets, sale.created_at, sale.starts_at, sale.now, zone, _free_until(sale)
        )
        return QuotedRefund(sale, policy, found if tickets else None, zone.key)

    def _quoted_by_organizer(
        self, sale: RefundableSale, ticket_ids: Sequence[UUID], *, waive_fee: bool
    ) -> QuotedRefund:
        if not waive_fee:
            return self._quoted(sale, ticket_ids)
        found = rules.without_fee(_tickets(sale, ticket_ids), sale.now + _WAIVER_TTL)
        return QuotedRefund(sale, sale.policy or rules.DEFAULT, found, self._zone_of(sale).key)

    def _zone_of(self, sale: RefundableSale) -> ZoneInfo:
        return self._zone if sale.time_zone is None else ZoneInfo(sale.time_zone)

    async def _decide(self, command: RefundCommand, action: Action | None) -> Refund:
        async with self._store.transaction() as connection:
            outcome = await store.decide(connection, command)
            if outcome.name == "refunded" and action is not None:
                await record(connection, action)
        self._publish(command, outcome)
        if outcome.name not in ("refunded", "replayed"):
            _refuse(outcome.name)
        found = await self._store.find(command.user_id, command.key, command.fingerprint)
        if found is None:
            raise IntegrityError(f"refund {command.refund_id} is gone")
        return found

    def _publish(self, command: RefundCommand, outcome: RefundOutcome) -> None:
        if self._publisher is not None and outcome.seat_ids:
            change = SeatChange(command.user_id, AVAILABLE, outcome.seat_ids, outcome.seat_versions)
            self._publisher.publish(command.schedule_id, [change])


def _free_until(sale: RefundableSale) -> datetime | None:
    """Return until when the fee of a sale is waived, because date, place or start changed after it."""
    # guard: sale_after_the_change_has_its_fee => if False:
    if sale.changed_at is None or sale.created_at >= sale.changed_at:
        return None
    return sale.refundable_until


def _tickets(sale: RefundableSale, ticket_ids: Sequence[UUID]) -> list[RefundableTicket]:
    """Return the wanted tickets, or all live ones; raise `TicketNotFound` or `AlreadyRefunded`.

    Raises `NotRefundable` for a sale whose money is in a till or at a card terminal.
    """
    # guard: refund_of_the_box_office_is_made_there => if False:
    if sale.method in _BOX_OFFICE:
        raise NotRefundable("Make this sale void at the box office.")
    if len(set(ticket_ids)) != len(ticket_ids):
        raise Invalid("ticket_ids names a ticket twice.")
    columns = zip(sale.ticket_ids, sale.prices_minor, sale.fees_minor, sale.are_live, strict=True)
    known = {ticket_id: (price, is_live, fee) for ticket_id, price, fee, is_live in columns}
    unknown = [str(one) for one in ticket_ids if one not in known]
    if unknown:
        raise TicketNotFound(ticket_ids=unknown)
    void = [str(one) for one in ticket_ids if not known[one][1]]
    if void:
        raise AlreadyRefunded(ticket_ids=void)
    wanted = ticket_ids or [one for one in sale.ticket_ids if known[one][1]]
    if not wanted:
        raise AlreadyRefunded
    return [RefundableTicket(str(one), known[one][0], known[one][2]) for one in wanted]


def _command(
    sale: RefundableSale,
    found: Quote,
    request: RefundRequest,
    fingerprint: bytes,
    decided_by: UUID,
    reason: str,
    key: str = "",
    job_id: UUID | None = None,
) -> RefundCommand:
    return RefundCommand(
        schedule_id=request.payment.schedule_id,
        payment_id=sale.payment_id,
        user_id=sale.user_id,
        refund_id=new_id(),
        quote=found,
        starts_at=sale.starts_at,
        reason=reason,
        to_wallet=WALLET in (request.destination, sale.method),
        decided_by=decided_by,
        key=key or request.key,
        fingerprint=fingerprint,
        job_id=job_id,
    )


def _fingerprint(request: RefundRequest, *more: str) -> bytes:
    return fingerprint_of(
        "refund",
        str(request.payment),
        *sorted(map(str, request.ticket_ids)),
        str(request.expected_minor),
        request.destination,
        *more,
    )


def _require_expected(found: Quote, expected_minor: int) -> None:
    """Raise `RefundQuoteChanged`, with what the refund would be, for another expectation."""
    if found.refund_minor != expected_minor:
        raise RefundQuoteChanged(
            refund=found.refund_minor, fee=found.fee_minor, valid_until=_iso(found.valid_until)
        )


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _refuse(name: str) -> Never:
    if name in _DETAILS:
        raise NotRefundable(_DETAILS[name])
    problem = _REFUSALS.get(name)
    if problem is None:
        raise IntegrityError(f"the database answered {name!r}")
    raise problem
