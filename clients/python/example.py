"""Buys two seats: python example.py https://tickets.example SCHEDULE_ID

Signs up, tops up the wallet, takes the best seats, pays, and prints the codes of the tickets.
"""

import secrets
import sys
from uuid import uuid4

from boxoffice_client import (
    ApiError,
    Client,
    HoldRequest,
    LogIn,
    PaymentOut,
    PayRequest,
    SignUp,
    TopUpRequest,
)


def buy(client: Client, schedule_id: str) -> PaymentOut:
    """Return the payment of the two best seats, of a new buyer."""
    email, password = f"{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(16)
    client.post_users(SignUp(email=email, password=password, name="Min-seo Kim"))
    client.token = client.post_sessions(LogIn(email=email, password=password)).access_token
    hold_key, pay_key = str(uuid4()), str(uuid4())
    held = client.post_schedules_schedule_id_reservations(
        schedule_id, HoldRequest(quantity=2), idempotency_key=hold_key
    )
    client.post_me_wallet_top_ups(TopUpRequest(amount=held.amount), idempotency_key=str(uuid4()))
    order = PayRequest(reservation_id=held.reservation_id, method="wallet")
    try:
        return client.post_payments(order, idempotency_key=pay_key)
    except OSError:
        # The answer was lost. With the same key the request has its effect once.
        return client.post_payments(order, idempotency_key=pay_key)


def main() -> int:
    """Buy, and print what was bought; return 1 for a refusal."""
    with Client(sys.argv[1]) as client:
        try:
            paid = buy(client, sys.argv[2])
        except ApiError as refusal:
            print(refusal, file=sys.stderr)
            return 1
        codes = client.get_payments_payment_id_codes(paid.payment_id)
        print(paid.order_number, *(code.ticket_id for code in codes.items))
    return 0


if __name__ == "__main__":
    sys.exit(main())
