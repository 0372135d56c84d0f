"""The interface of payment providers. None is connected; the tests use a fake one.

The money is captured before the transaction, and voided if the transaction sells nothing. Both calls
are repeated after a crash, so a provider must treat a repeated `reference` as the same order (an
idempotency key). A void ends that: a later capture of the same `reference` takes the money again,
because the client may retry after a refusal.

Attempts of one order are serialized within a process, not between processes: a provider must refuse to
void an order of which another attempt was captured since.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Order:
    """An amount to capture; `reference` is the same for a request and its repetitions."""

    reference: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Capture:
    """Money that a provider has captured for an order."""

    provider_reference: str
    amount_minor: int


class PaymentProvider(Protocol):
    """A payment method other than the wallet."""

    async def capture(self, order: Order) -> Capture:
        """Capture the money; raise `PaymentDeclined`, or `Unavailable` where the outcome is unknown."""

    async def void(self, order: Order) -> None:
        """Return what was captured for `order`, if anything; idempotent."""
