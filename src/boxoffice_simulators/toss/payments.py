"""What happens to payments at the simulated Toss, each within one transaction of the book."""

import secrets
from collections.abc import Mapping
from typing import Any

from boxoffice_simulators.book import BookMovement, SimulatorBook
from boxoffice_simulators.calls import SimulatedCall
from boxoffice_simulators.notices import NoticeSender
from boxoffice_simulators.toss.wire import (
    TossWire,
    new_key,
    new_payment,
    parsed_time,
    shown_payment,
    shown_time,
)

WINDOW_S = 1_800.0
CONFIRM_S = 600.0
_DEPOSIT_S = 3 * 86_400
_STATEMENT_MAX = 5_000
_FEE_PERCENT = 3
_PAID = ("DONE", "PARTIAL_CANCELED")


class TossShop:
    """The payments of one shop."""

    def __init__(self, book: SimulatorBook, wire: TossWire, notices: NoticeSender) -> None:
        self._book = book
        self._wire = wire
        self._notices = notices

    def begin(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a payment as the window does, and return it."""
        payment = new_payment(order, new_key("tgen_"), self._book.now())
        self._keep(payment)
        return payment

    def authorize(self, payment_key: str) -> dict[str, Any]:
        """Let the buyer finish: from now on there are ten minutes to confirm."""
        payment = self.payment(payment_key)
        if payment["status"] == "READY":
            payment |= {"status": "IN_PROGRESS", "_authorized_at": self._book.now()}
            self._keep(payment)
        return payment

    def fail(self, payment_key: str, code: str) -> dict[str, Any]:
        """End a payment that the buyer or the card company refused."""
        payment = self.payment(payment_key)
        if payment["status"] in ("READY", "IN_PROGRESS"):
            payment |= {"status": "ABORTED", "failure": {"code": code, "message": f"TEST: {code}"}}
            self._keep(payment)
            if code != "PAY_PROCESS_CANCELED":
                self._notify(payment)
        return payment

    def confirm(self, call: SimulatedCall) -> object:
        """Move the money, or open a virtual account."""
        body = call.body
        payment = self._book.get("payment", str(body.get("paymentKey", "")))
        if payment is None:
            raise self._wire.error(404, "NOT_FOUND_PAYMENT")
        payment = self._aged(payment)
        if payment["status"] in ("EXPIRED", "READY", "ABORTED"):
            raise self._wire.error(404, "NOT_FOUND_PAYMENT_SESSION")
        if payment["status"] != "IN_PROGRESS":
            raise self._wire.error(400, "ALREADY_PROCESSED_PAYMENT")
        wanted = (body.get("orderId"), body.get("amount"))
        if wanted != (payment["orderId"], payment["totalAmount"]):
            raise self._wire.error(400, "INVALID_REQUEST")
        if any(one["status"] in _PAID for one in self._of_order(payment["orderId"])):
            raise self._wire.error(400, "DUPLICATED_ORDER_ID")
        declined = call.plan.of("decline")
        if declined is not None:
            code = declined.code or "REJECT_CARD_PAYMENT"
            self.fail(payment["paymentKey"], code)
            raise self._wire.error(400, code)
        if payment["method"] == "가상계좌":
            return self._open_account(payment)
        return self._capture(payment)

    def _capture(self, payment: dict[str, Any]) -> dict[str, Any]:
        key = new_key()
        payment |= {
            "status": "DONE",
            "approvedAt": shown_time(self._book.now()),
            "lastTransactionKey": key,
            "secret": payment["secret"] or f"ps_{secrets.token_hex(12)}",
        }
        if payment["virtualAccount"] is None:
            payment["card"] = {"amount": payment["totalAmount"], "number": "43301234****123*"}
        self._keep(payment)
        self._move(payment, "capture", payment["paymentKey"], payment["totalAmount"], key)
        self._notify(payment)
        return shown_payment(payment)

    def _open_account(self, payment: dict[str, Any]) -> dict[str, Any]:
        payment |= {
            "status": "WAITING_FOR_DEPOSIT",
            "secret": f"ps_{secrets.token_hex(12)}",
            "virtualAccount": {
                "accountType": "일반",
                "accountNumber": f"X{secrets.randbelow(10**13):013d}",
                "bankCode": "20",
                "dueDate": shown_time(self._book.now() + _DEPOSIT_S),
                "expired": False,
                "settlementStatus": "INCOMPLETED",
                "refundStatus": "NONE",
            },
        }
        self._keep(payment)
        self._notify(payment)
        return shown_payment(payment)

    def deposit(self, payment_key: str) -> dict[str, Any]:
        """Let the buyer's deposit arrive."""
        payment = self.payment(payment_key)
        if payment["status"] != "WAITING_FOR_DEPOSIT":
            raise self._wire.error(400, "INVALID_REQUEST")
        return self._capture(payment)

    def fall_back(self, payment_key: str) -> dict[str, Any]:
        """Find that the deposit was an error of the bank: it is waited for again."""
        payment = self.payment(payment_key)
        if payment["status"] != "DONE" or payment["virtualAccount"] is None:
            raise self._wire.error(400, "INVALID_REQUEST")
        payment |= {"status": "WAITING_FOR_DEPOSIT", "approvedAt": None}
        self._keep(payment)
        self._book.unmove(payment_key)
        self._notify(payment)
        return shown_payment(payment)

    def cancel(self, call: SimulatedCall) -> object:
        """Give money back, whole or in part."""
        refused = call.plan.of("decline")
        if refused is not None:
            raise self._wire.error(400, refused.code or "NOT_CANCELABLE_PAYMENT")
        payment = self.payment(call.path["payment_key"])
        reason = str(call.body.get("cancelReason", ""))
        if not 1 <= len(reason) <= 200:
            raise self._wire.error(400, "INVALID_REQUEST")
        needs_account = payment["virtualAccount"] is not None and payment["status"] in _PAID
        if needs_account and not call.body.get("refundReceiveAccount"):
            raise self._wire.error(400, "INVALID_REQUEST")
        status = "IN_PROGRESS" if call.plan.has("pending") else "DONE"
        return self.take_back(payment, call.body.get("cancelAmount"), reason, status)

    def take_back(
        self, payment: dict[str, Any], amount: object, reason: str, status: str = "DONE"
    ) -> dict[str, Any]:
        """Cancel an amount (None: all that is left), also without a call of the shop."""
        balance = payment["balanceAmount"]
        wanted = balance if amount is None else amount
        if payment["status"] == "CANCELED":
            raise self._wire.error(400, "ALREADY_CANCELED_PAYMENT")
        if payment["status"] not in _PAID:
            raise self._wire.error(403, "NOT_CANCELABLE_PAYMENT")
        if not isinstance(wanted, int) or isinstance(wanted, bool) or not 0 < wanted <= balance:
            raise self._wire.error(403, "NOT_CANCELABLE_AMOUNT")
        if wanted != payment["totalAmount"] and not payment["isPartialCancelable"]:
            raise self._wire.error(403, "NOT_ALLOWED_PARTIAL_REFUND")
        key = new_key()
        cancel = {
            "transactionKey": key,
            "cancelReason": reason,
            "cancelAmount": wanted,
            "refundableAmount": balance - wanted,
            "canceledAt": shown_time(self._book.now()),
            "cancelStatus": status,
            "taxFreeAmount": 0,
            "taxExemptionAmount": 0,
            "easyPayDiscountAmount": 0,
        }
        payment["cancels"] = [*(payment["cancels"] or ()), cancel]
        payment |= {"balanceAmount": balance - wanted, "lastTransactionKey": key}
        payment["status"] = "PARTIAL_CANCELED" if balance > wanted else "CANCELED"
        self._keep(payment)
        if status == "DONE":
            self._move(payment, "refund", key, wanted, key)
        self._notify(payment)
        return shown_payment(payment)

    def settle_cancel(self, payment_key: str, *, is_done: bool) -> dict[str, Any]:
        """Finish the pending cancellations of a payment, or let them fail."""
        payment = self.payment(payment_key)
        for cancel in payment["cancels"] or ():
            if cancel["cancelStatus"] != "IN_PROGRESS":
                continue
            cancel["cancelStatus"] = "DONE" if is_done else "ABORTED"
            key, amount = cancel["transactionKey"], cancel["cancelAmount"]
            if is_done:
                self._move(payment, "refund", key, amount, key)
            else:
                payment["balanceAmount"] += amount
            self._notify(
                payment, "CANCEL_STATUS_CHANGED", {**cancel, "orderId": payment["orderId"]}
            )
        if payment["balanceAmount"] == payment["totalAmount"]:
            payment["status"] = "DONE"
        self._keep(payment)
        return shown_payment(payment)

    def get(self, call: SimulatedCall) -> object:
        """Return a payment by its key."""
        return shown_payment(self.payment(call.path["payment_key"]))

    def get_by_order(self, call: SimulatedCall) -> object:
        """Return the payment of an order: the paid one, else the last one."""
        found = self._of_order(call.path["order_id"])
        if not found:
            raise self._wire.error(404, "NOT_FOUND_PAYMENT")
        paid = [one for one in found if one["approvedAt"] is not None]
        return shown_payment((paid or found)[-1])

    def transactions(self, call: SimulatedCall) -> object:
        """Return a page of the statement."""
        query = call.query
        try:
            start = parsed_time(query["startDate"])
            # The second that endDate names is part of the range.
            end = parsed_time(query["endDate"]) + 1
            limit = min(int(query.get("limit", "100")), _STATEMENT_MAX)
        except (KeyError, ValueError) as error:
            raise self._wire.error(400, "INVALID_REQUEST") from error
        now = self._book.now()
        found = [
            one
            for one in self._book.movements()
            if start <= int(one.happened_at) < end and one.visible_at <= now
        ]
        after = query.get("startingAfter")
        keys = [one.transaction_key for one in found]
        if after is not None and after not in keys:
            raise self._wire.error(400, "INVALID_TRANSACTION_KEY")
        begin = 0 if after is None else keys.index(after) + 1
        return [self._transaction(one) for one in found[begin : begin + limit]]

    def _transaction(self, one: BookMovement) -> dict[str, Any]:
        payment = self._book.get("payment", one.payment_key) or {}
        is_capture = one.kind == "capture"
        is_whole = one.amount_minor == payment.get("totalAmount")
        return {
            "mId": payment.get("mId"),
            "transactionKey": one.transaction_key,
            "paymentKey": one.payment_key,
            "orderId": one.order_id,
            "method": payment.get("method"),
            "customerKey": None,
            "useEscrow": False,
            "status": "DONE" if is_capture else "CANCELED" if is_whole else "PARTIAL_CANCELED",
            "transactionAt": shown_time(one.happened_at),
            "currency": one.currency,
            "amount": one.amount_minor,
        }

    def settlements(self, call: SimulatedCall) -> object:
        """Return what will be paid out for each movement, less the fee."""
        try:
            start, end = (parsed_time(call.query[name]) for name in ("startDate", "endDate"))
        except (KeyError, ValueError) as error:
            raise self._wire.error(400, "INVALID_REQUEST") from error
        found = [one for one in self._book.movements() if start <= one.happened_at < end + 86_400]
        return [self._settlement(one) for one in found]

    def _settlement(self, one: BookMovement) -> dict[str, Any]:
        sign = 1 if one.kind == "capture" else -1
        fee = one.amount_minor * _FEE_PERCENT // 100
        return {
            "transactionKey": one.transaction_key,
            "paymentKey": one.payment_key,
            "orderId": one.order_id,
            "currency": one.currency,
            "amount": sign * one.amount_minor,
            "fee": sign * fee,
            "payOutAmount": sign * (one.amount_minor - fee),
            "soldDate": shown_time(one.happened_at)[:10],
            "paidOutDate": shown_time(one.happened_at + 2 * 86_400)[:10],
        }

    def payment(self, payment_key: str) -> dict[str, Any]:
        """Return a payment as it is now; raise `WireRefusal` for an unknown one."""
        found = self._book.get("payment", payment_key)
        if found is None:
            raise self._wire.error(404, "NOT_FOUND_PAYMENT")
        return self._aged(found)

    def _of_order(self, order_id: str) -> list[dict[str, Any]]:
        return [self._aged(one) for one in self._book.objects("payment", order_id)]

    def _aged(self, payment: dict[str, Any]) -> dict[str, Any]:
        """Let a session that has ended expire."""
        begun, authorized = payment["_begun_at"], payment["_authorized_at"]
        ends_at = {"READY": begun + WINDOW_S, "IN_PROGRESS": (authorized or begun) + CONFIRM_S}
        if self._book.now() > ends_at.get(payment["status"], float("inf")):
            payment["status"] = "EXPIRED"
            self._keep(payment)
            self._notify(payment)
        return payment

    def _keep(self, payment: dict[str, Any]) -> None:
        key, order_id = payment["paymentKey"], payment["orderId"]
        self._book.put("payment", payment, own_id=key, parent=order_id)

    def _move(
        self, payment: Mapping[str, Any], kind: str, key: str, amount: int, transaction_key: str
    ) -> None:
        movement = {
            "key": key,
            "kind": kind,
            "order_id": payment["orderId"],
            "payment_key": payment["paymentKey"],
            "amount_minor": amount,
            "currency": payment["currency"],
        }
        self._book.move(movement, transaction_key)

    def _notify(
        self,
        payment: Mapping[str, Any],
        kind: str = "PAYMENT_STATUS_CHANGED",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        order_id = payment["orderId"]
        at = shown_time(self._book.now())
        event = {"eventType": kind, "createdAt": at, "data": data or shown_payment(payment)}
        self._notices.queue(f"whtrans_{new_key()}", event, order_id)
        if payment["virtualAccount"] is not None and kind == "PAYMENT_STATUS_CHANGED":
            deposit = {
                "createdAt": at,
                "secret": payment["secret"],
                "status": payment["status"],
                "transactionKey": payment["lastTransactionKey"] or new_key(),
                "orderId": order_id,
            }
            self._notices.queue(f"whtrans_{new_key()}", deposit, order_id)
