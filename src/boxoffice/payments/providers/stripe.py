"""Stripe (API version 2024-06-20): payment intents that are captured by hand.

The buyer authorizes in Stripe's fields; the money moves at the capture. A stored answer may be a 500,
so the state is read before a capture and after a failed one: a payment intent is captured once,
whatever the key, while a refund has our id in its metadata, where a look-up finds it.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Never

import aiohttp
import msgspec

from boxoffice.payments.providers.client import (
    ProviderAnswer,
    ProviderFailed,
    ProviderHttp,
    ProviderRequest,
    Shape,
    after_sending,
    shaped,
)
from boxoffice.payments.providers.port import (
    DeclineReason,
    Movement,
    NoticeForged,
    Opened,
    PaymentOrder,
    PaymentStatus,
    ProviderDeclined,
    ProviderDispute,
    ProviderMisconfigured,
    ProviderNotice,
    ProviderPayment,
    ProviderRefund,
    ProviderUnknown,
    RefundOrder,
    StatementPage,
)
from boxoffice.payments.providers.stripe_objects import (
    DISPUTE_STATUSES,
    MISCONFIGURED,
    NAME,
    STATUSES,
    StripeDispute,
    StripeError,
    StripeIntent,
    StripeRefund,
    StripeTransaction,
    captured_at,
    dispute_movement,
    refund_movements,
    refund_of,
    statement_line,
    why,
)
from boxoffice.platform.ids import new_id
from boxoffice.settings import ProviderSettings

API_VERSION = "2024-06-20"
# Its search index follows within a minute, within an hour in an outage.
SESSION_S = 3_600.0

# The least that Stripe charges, in minor units; another currency's least is answered by Stripe.
_AMOUNT_MIN = {"KRW": 1_000, "JPY": 50, "USD": 50, "EUR": 50, "GBP": 30}
_AMOUNT_MAX = 99_999_999
_PAGE = 100
_KEY = re.compile(r"[A-Za-z0-9_]{1,255}")


class StripeEvent(msgspec.Struct):
    """A notice; `data.object` is the object at that time, and not looked at beyond its ids."""

    id: str
    type: str
    data: dict[str, Any]


class Stripe:
    """The client of Stripe; `clock` returns seconds since the Unix epoch."""

    name = NAME
    session_s = SESSION_S
    opens_by_call = True

    def __init__(
        self,
        settings: ProviderSettings,
        session: aiohttp.ClientSession,
        clock: Callable[[], float] = time.time,
    ) -> None:
        headers = {
            "Authorization": f"Bearer {settings.stripe_secret_key}",
            "Stripe-Version": API_VERSION,
        }
        self._settings = settings
        self._http = ProviderHttp(NAME, settings.stripe_api_url, headers, session, settings)
        self._clock = clock
        self.is_test = not settings.payments_live

    @property
    def is_available(self) -> bool:
        """Whether a call would be sent now."""
        return self._http.is_available

    def accepts(self, amount_minor: int, currency: str) -> bool:
        """Say whether Stripe takes this amount."""
        return _AMOUNT_MIN.get(currency, 1) <= amount_minor <= _AMOUNT_MAX

    async def open(self, order: PaymentOrder, key: str) -> Opened:
        """Create a payment intent; the browser confirms it with its client secret."""
        form = {
            "amount": str(order.amount_minor),
            "currency": order.currency.lower(),
            "capture_method": "manual",
            "payment_method_types[]": "card",
            "metadata[order_id]": order.order_id,
            "metadata[title]": order.title[:100],
        }
        answer = await self._post("open", "/v1/payment_intents", form, key)
        made = shaped(NAME, answer.body, StripeIntent)
        client = {
            "publishable_key": self._settings.stripe_publishable_key,
            "sdk_url": self._settings.stripe_sdk_url,
            "client_secret": made.client_secret or "",
        }
        return Opened(client, made.id)

    async def confirm(self, order: PaymentOrder, payment_key: str, key: str) -> ProviderPayment:
        """Capture an authorized payment intent of this order and amount."""
        found = await self._intent(payment_key)
        # guard: stripe_confirms_own_order: found.metadata.get("order_id") != order.order_id => False
        if found is None or found.metadata.get("order_id") != order.order_id:
            raise ProviderDeclined(DeclineReason.OTHER, "another order's payment intent")
        # guard: stripe_confirms_ordered_amount => if False:
        if (found.amount, found.currency.upper()) != (order.amount_minor, order.currency):
            raise ProviderDeclined(DeclineReason.AMOUNT_REFUSED, "another amount or currency")
        if found.status == "requires_capture":
            found = await self._capture(found, key)
        with after_sending():
            return await self._confirmed(found)

    async def _capture(self, found: StripeIntent, key: str) -> StripeIntent:
        """Capture, and return the state after it."""
        path = f"/v1/payment_intents/{_path(found.id)}/capture"
        form = {"amount_to_capture": str(found.amount)}
        try:
            await self._post("confirm", path, form, key)
        except ProviderFailed as failed:
            with after_sending():
                now = await self._known_intent(found.id)
            # guard: stripe_stored_failure_is_passed_by: not failed.is_replay => True
            if now.status != "requires_capture" or not failed.is_replay:
                return _decided(now)
            # The stored 500 moved no money, and it would be repeated under its key for a day.
            with after_sending():
                await self._post("confirm", path, form, f"{key}-{new_id()}")
        except ProviderDeclined as declined:
            with after_sending():
                return _decided(await self._known_intent(found.id), declined)
        with after_sending():
            return await self._known_intent(found.id)

    async def _confirmed(self, found: StripeIntent) -> ProviderPayment:
        if found.status == "canceled":
            raise ProviderDeclined(DeclineReason.SESSION_EXPIRED, found.cancellation_reason or "")
        if found.status == "requires_payment_method" and found.last_payment_error is not None:
            raise ProviderDeclined(*why(found.last_payment_error))
        return await self._payment(found)

    async def look_up(self, order_id: str, payment_key: str | None) -> ProviderPayment | None:
        """Return the payment intent of an order; without its key it is searched for."""
        if payment_key is None:
            query = {"query": f"metadata['order_id']:'{order_id}'", "limit": "1"}
            query["expand[]"] = "data.latest_charge.balance_transaction"
            answer = await self._get("look_up", "/v1/payment_intents/search", query)
            found = next(iter(_listed(answer, StripeIntent)), None)
        else:
            found = await self._intent(payment_key)
        # guard: stripe_shows_own_order: found.metadata.get("order_id") != order_id => False
        if found is None or found.metadata.get("order_id") != order_id:
            return None
        return await self._payment(found)

    async def abandon(self, order: PaymentOrder, payment_key: str | None, key: str) -> None:
        """Cancel the payment intent, which frees the buyer's money; a captured one stays."""
        del order
        if payment_key is None:
            return
        try:
            await self._post("abandon", f"/v1/payment_intents/{_path(payment_key)}/cancel", {}, key)
        except ProviderDeclined:
            # Captured or canceled before, or unknown: the caller looks it up.
            return

    async def refund(self, refund: RefundOrder, key: str) -> ProviderRefund:
        """Create a refund with our id in its metadata."""
        form = {
            "payment_intent": refund.payment_key,
            "amount": str(refund.amount_minor),
            "metadata[refund_id]": refund.refund_id,
            "metadata[reason]": refund.reason[:200],
        }
        try:
            answer = await self._post("refund", "/v1/refunds", form, key)
        except ProviderDeclined as declined:
            with after_sending():
                found = await self.look_up_refund(refund, key)
            if found is not None:
                return found
            return ProviderRefund(
                None, "FAILED", refund.amount_minor, refund.currency, declined.code
            )
        return refund_of(shaped(NAME, answer.body, StripeRefund))

    async def look_up_refund(self, refund: RefundOrder, key: str) -> ProviderRefund | None:
        """Return the refund that carries our id."""
        del key
        for one in await self._refunds(refund.payment_key):
            # guard: stripe_refund_is_found_by_its_id => if True:
            if (one.metadata or {}).get("refund_id") == refund.refund_id:
                return refund_of(one)
        return None

    async def look_up_dispute(self, dispute_key: str) -> ProviderDispute | None:
        """Return the dispute with what it withdrew and reinstated."""
        answer = await self._get("look_up", f"/v1/disputes/{_path(dispute_key)}")
        if answer.status == 404:
            return None
        found = shaped(NAME, answer.body, StripeDispute)
        return ProviderDispute(
            key=found.id,
            payment_key=found.payment_intent or "",
            status=DISPUTE_STATUSES.get(found.status, "OPEN"),
            amount_minor=found.amount,
            currency=found.currency.upper(),
            reason=found.reason,
            movements=tuple(dispute_movement(one, found) for one in found.balance_transactions),
        )

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None = None
    ) -> StatementPage:
        """Return movements of `since ≤ time < until`, in whole seconds."""
        query = {
            "created[gte]": str(int(since.timestamp())),
            "created[lt]": str(int(until.timestamp())),
            "limit": str(_PAGE),
            "expand[]": "data.source",
        } | ({"starting_after": cursor} if cursor else {})
        timeout_ms = self._settings.provider_statement_timeout_ms
        answer = await self._get("statement", "/v1/balance_transactions", query, timeout_ms)
        found = _listed(answer, StripeTransaction)
        lines = tuple(line for one in found if (line := statement_line(one)) is not None)
        return StatementPage(lines, found[-1].id if _has_more(answer) and found else None)

    def read_notice(self, headers: Mapping[str, str], body: bytes) -> ProviderNotice:
        """Return what a signed notice says; raise `NoticeForged`."""
        self._check_signature(headers.get("stripe-signature", ""), body)
        try:
            event = msgspec.json.decode(body, type=StripeEvent)
        except msgspec.DecodeError as error:
            raise NoticeForged("stripe: a notice of another form") from error
        of = event.data.get("object")
        shown = of if isinstance(of, dict) else {}
        kind = shown.get("object")
        metadata = shown.get("metadata")
        own = _string(shown.get("id"))
        return ProviderNotice(
            notice_id=event.id,
            kind=event.type[:60],
            grade="signed",
            order_id=_string(metadata.get("order_id")) if isinstance(metadata, dict) else None,
            payment_key=own if kind == "payment_intent" else _string(shown.get("payment_intent")),
            dispute_key=own if kind == "dispute" else None,
        )

    def _check_signature(self, header: str, body: bytes) -> None:
        parts = [part.strip().partition("=") for part in header.split(",")]
        times = [value for name, _, value in parts if name == "t"]
        given = [value for name, _, value in parts if name == "v1"]
        at = times[0] if len(times) == 1 else ""
        if not (header.isascii() and at.isdigit() and len(at) <= 12):
            raise NoticeForged("stripe: the notice has no signed time")
        secrets = self._settings.stripe_webhook_secrets.split(",")
        signed = at.encode() + b"." + body
        wanted = [
            hmac.new(one.encode(), signed, hashlib.sha256).hexdigest() for one in secrets if one
        ]
        # guard: notice_signature_is_checked => if False:
        if not any(hmac.compare_digest(a.encode(), b.encode()) for a in wanted for b in given):
            raise NoticeForged("stripe: the signature of the notice is another")
        # guard: notice_age_is_checked => if False:
        if abs(self._clock() - int(at)) > self._settings.notice_tolerance_s:
            raise NoticeForged("stripe: the notice was signed too long ago")

    async def _intent(self, payment_key: str) -> StripeIntent | None:
        if not _KEY.fullmatch(payment_key):
            return None
        path = f"/v1/payment_intents/{payment_key}"
        expand = {"expand[]": "latest_charge.balance_transaction"}
        answer = await self._get("look_up", path, expand)
        return None if answer.status == 404 else shaped(NAME, answer.body, StripeIntent)

    async def _known_intent(self, payment_key: str) -> StripeIntent:
        found = await self._intent(payment_key)
        if found is None:
            raise ProviderUnknown("stripe: the payment intent is gone")
        return found

    async def _payment(self, found: StripeIntent) -> ProviderPayment:
        movements = await self._movements(found)
        refunded = sum(one.amount_minor for one in movements if one.kind == "refund")
        refunded -= sum(one.amount_minor for one in movements if one.kind == "refund_failed")
        status = STATUSES.get(found.status)
        if status is None:
            raise ProviderUnknown(f"stripe: a payment in state {found.status[:60]!r}")
        if status is PaymentStatus.CAPTURED and refunded:
            is_whole = refunded >= found.amount
            status = PaymentStatus.REFUNDED if is_whole else PaymentStatus.PARTLY_REFUNDED
        error = found.last_payment_error
        return ProviderPayment(
            order_id=found.metadata.get("order_id", ""),
            payment_key=found.id,
            status=status,
            amount_minor=found.amount,
            currency=found.currency.upper(),
            movements=tuple(movements),
            reason=None if error is None else why(error)[0],
        )

    async def _movements(self, found: StripeIntent) -> list[Movement]:
        charge = found.latest_charge
        if found.status != "succeeded" or charge is None or not charge.captured:
            return []
        currency = charge.currency.upper()
        amount = charge.amount_captured or charge.amount
        captured = Movement(charge.id, "capture", amount, currency, captured_at(charge))
        if not charge.amount_refunded:
            return [captured]
        refunds = await self._refunds(found.id)
        return [captured, *(movement for one in refunds for movement in refund_movements(one))]

    async def _refunds(self, payment_key: str) -> list[StripeRefund]:
        query = {"payment_intent": payment_key, "limit": str(_PAGE)}
        return _listed(await self._get("look_up", "/v1/refunds", query), StripeRefund)

    async def _get(
        self,
        operation: str,
        path: str,
        query: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
    ) -> ProviderAnswer:
        """Return an answer of 200 or 404."""
        request = ProviderRequest(operation, "GET", path, query=query, timeout_ms=timeout_ms)
        answer = await self._http.call(request)
        if answer.status not in (200, 404):
            _refuse(answer)
        return answer

    async def _post(
        self, operation: str, path: str, form: Mapping[str, str], key: str
    ) -> ProviderAnswer:
        """Return an answer of 200."""
        timeout_ms = (
            self._settings.confirm_timeout_ms if operation in ("confirm", "refund") else None
        )
        request = ProviderRequest(
            operation, "POST", path, form=form, key=key, timeout_ms=timeout_ms
        )
        answer = await self._http.call(request)
        if answer.status != 200:
            _refuse(answer)
        return answer


def _refuse(answer: ProviderAnswer) -> Never:
    """Raise what an answer that is not a success means."""
    body = answer.body if isinstance(answer.body, dict) else {}
    error = shaped(NAME, body.get("error") or {}, StripeError)
    code = error.code or ""
    is_ours = answer.status in (401, 403) or error.type == "idempotency_error"
    if is_ours or code in MISCONFIGURED:
        raise ProviderMisconfigured(f"stripe refuses our key or request: {error.type} {code}")
    if answer.status not in (400, 402, 404) or code == "lock_timeout":
        raise ProviderUnknown(f"stripe answered {answer.status} {code}")
    raise ProviderDeclined(*why(error))


def _decided(now: StripeIntent, declined: ProviderDeclined | None = None) -> StripeIntent:
    """Return the state after a capture that was not answered by a success, where it is decided."""
    if now.status != "requires_capture":
        return now
    if declined is not None:
        raise declined
    raise ProviderUnknown("stripe: the capture failed, and may be repeated")


def _listed(answer: ProviderAnswer, shape: type[Shape]) -> list[Shape]:
    body = answer.body if isinstance(answer.body, dict) else {}
    return [] if answer.status == 404 else shaped(NAME, body.get("data"), list[shape])  # type: ignore[valid-type]


def _has_more(answer: ProviderAnswer) -> bool:
    return isinstance(answer.body, dict) and answer.body.get("has_more") is True


def _path(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ProviderMisconfigured(f"stripe: {key[:60]!r} is not an id")
    return key


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
