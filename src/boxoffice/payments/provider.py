"""The port to payment providers outside. None is connected; the tests bring a fake one.

A provider is asked before the transaction and told afterwards if the purchase came to nothing. Both
calls are repeated after a crash, so a provider must treat a repeated `reference` as the same order
(every provider of the field offers that as an idempotency key). A void ends that: capturing the same
`reference` again takes the money anew, for the person who was told "try again" and does.

Attempts of one order take turns within a process. Between processes they do not: a provider that is
connected has to refuse to void an order of which another attempt was captured since.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be captured; `reference` is the same for every repetition of one request."""

    reference: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Capture:
    """Money that a provider has taken for an order."""

    provider_reference: str
    amount_minor: int


class PaymentProvider(Protocol):
    """A way to pay that is not the wallet."""

    async def capture(self, order: Order) -> Capture:
        """Take the money; raise `PaymentDeclined`, or `Unavailable` where the outcome is open."""

    async def void(self, order: Order) -> None:
        """Give back what was captured for `order`, if anything; repeating it changes nothing."""
