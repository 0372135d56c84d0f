"""What is paid and given back: wallet, payments, intents, refunds, disputes and statements."""

from typing import Any

from boxoffice.examples import story
from boxoffice.examples.buying import TICKETS
from boxoffice.examples.story import at

_FULL = story.AMOUNT - story.REFUND_FEE
_STEPS = [
    {"days_before": 10, "percent": 0, "flat": 0, "cap_percent": 0, "cap": None},
    {"days_before": 7, "percent": 10, "flat": 0, "cap_percent": 0, "cap": None},
]
_PAYMENT: dict[str, Any] = {"status": "SUCCEEDED", "created_at": story.PAID, "tickets": TICKETS}
_REFUND: dict[str, Any] = {
    "status": "DONE",
    "reason": "buyer",
    "amount": _FULL,
    "fee": story.REFUND_FEE,
    "compensation": 0,
    "to": "wallet",
    "failure": None,
    "created_at": story.RETURNED,
    "closed_at": story.RETURNED,
}

TYPES: dict[str, dict[str, Any]] = {
    "TopUpRequest": {"amount": 200_000},
    "TopUpOut": {"amount": 200_000, "balance": 200_000, "created_at": at(-600)},
    "EntryOut": {
        "entry_id": f"{story.PAYMENT[:22]}.1",
        "kind": "payment",
        "amount": -story.AMOUNT,
        "created_at": story.PAID,
    },
    "PaymentOut": _PAYMENT,
    "MyPaymentOut": {**_PAYMENT, "refunds": []},
    "SoldPaymentOut": {**_PAYMENT, "refunds": [], "order_id": None},
    "MethodOut": {"is_test": False},
    "IntentRequest": {"method": "toss"},
    "IntentOut": {
        "status": "OPEN",
        "purpose": "reservation",
        "method": "toss",
        "payment_id": None,
        "attempts": 0,
        "reason": None,
        "hold_expires_at": story.EXPIRES,
        "client": {"client_key": "test_gck_docs", "order_name": story.TITLE},
    },
    "ConfirmationRequest": {},
    "NoticeOut": {"is_new": True},
    "PolicyBody": {"steps": _STEPS, "booking_fee_days": 1},
    "PolicyOut": {"name": "custom", "steps": _STEPS, "booking_fee_days": 1},
    "QuoteOut": {
        "refund": _FULL,
        "fee": story.REFUND_FEE,
        "lines": [
            {"ticket_id": ticket, "refund": _FULL // 2, "fee": story.REFUND_FEE // 2}
            for ticket in story.TICKETS
        ],
        "valid_until": at(90_000),
    },
    "QuoteLineOut": {"refund": _FULL // 2, "fee": story.REFUND_FEE // 2},
    "RefundBody": {"expected_refund": _FULL, "to": "wallet"},
    "OrganizerRefundBody": {"expected_refund": story.AMOUNT, "to": "wallet", "waive_fee": True},
    "RefundOut": _REFUND,
    "RefundEnded": {"amount": _FULL},
    "WalletToppedUp": {"amount": 200_000},
    "ResolutionBody": {"to": "wallet", "note": "The card was cancelled; agreed by mail."},
    "JobBody": {"with_compensation": True},
    "JobOut": {
        "payments": 1,
        "refused": 0,
        "with_compensation": True,
        "created_at": story.RETURNED,
        "finished_at": None,
    },
    "DisputeBody": {"reason": "fraudulent"},
    "DisputeOut": {
        "provider": "toss",
        "status": "OPEN",
        "is_entered": True,
        "withdrawn": story.AMOUNT,
        "reason": "fraudulent",
        "valid_tickets": 2,
    },
    "DisputeOutcomeBody": {"outcome": "won"},
    "StatementRunOut": {
        "kind": "day",
        "state": "FINISHED",
        "since": at(-72_000),
        "until": at(14_400),
        "lines": 1,
        "findings": 1,
        "open_findings": 0,
    },
    "StatementTotalOut": {"movement": "capture"},
    "FindingOut": {
        "kind": "missing_here",
        "heals": True,
        "movement": "capture",
        "there": story.AMOUNT,
        "here": None,
        "happened_at": story.PAID,
        "found_at": at(7_301),
        "seen_at": at(7_301),
        "resolved_at": at(10_901),
        "resolved_by": None,
        "note": None,
    },
    "FindingResolutionBody": {"note": "Booked by hand after a call with the provider."},
}

MEMBERS: dict[str, tuple[str, ...]] = {
    "IntentRequest": ("method", "reservation_id"),
    "PolicyBody": ("steps", "booking_fee_days"),
}

# Answers that differ from the example of their type, by operation.
ANSWERS: dict[str, dict[str, Any]] = {
    "POST /v1/payment-intents/{intent_id}/confirm": {
        "status": "SUCCEEDED",
        "payment_id": story.PAYMENT,
        "attempts": 1,
        "client": {},
    },
    "PUT /v1/admin/disputes/{dispute_id}/outcome": {"status": "WON", "closed_at": at(172_800)},
    "POST /v1/admin/statements/{provider}/days/{day}": {
        "state": "QUEUED",
        "finished_at": None,
        "lines": 0,
        "totals": [],
        "findings": 0,
    },
}
