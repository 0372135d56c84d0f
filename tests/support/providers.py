"""Both clients of payment providers against their simulators, for tests of what they have in common."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from boxoffice.payments.providers.port import PaymentOrder, Provider, ProviderPayment, RefundOrder
from boxoffice.payments.providers.registry import open_providers
from boxoffice.platform.ids import ScopedId, new_id
from tests.support.simulators import Simulator, Simulators

AMOUNT = 55_000


def new_order(amount_minor: int = AMOUNT) -> PaymentOrder:
    """Return an order such as an intent makes."""
    return PaymentOrder(str(ScopedId(new_id(), new_id())), amount_minor, "KRW", "Encore in Seoul")


def refund_of(
    payment: ProviderPayment, amount_minor: int | None = None, refund_id: str = ""
) -> RefundOrder:
    """Return an order to give back an amount, or everything."""
    amount = payment.amount_minor if amount_minor is None else amount_minor
    is_whole = amount == payment.amount_minor
    return RefundOrder(
        refund_id or str(new_id()), payment.payment_key, amount, "KRW", is_whole, "취소 요청"
    )


@dataclass(frozen=True)
class Counterparty:
    """A client and the simulator that it talks to."""

    provider: Provider
    simulator: Simulator

    async def authorized(self, order: PaymentOrder, **how: object) -> str:
        """Open a payment and let the buyer finish it; return its key."""
        opened = await self.provider.open(order, f"open-{order.order_id}")
        values = {"order_id": order.order_id, "amount": order.amount_minor, **how}
        if opened.payment_key is not None:
            values["payment_key"] = opened.payment_key
        found = await self.simulator.do("authorize", **values)
        return str(found["payment_key"])

    async def paid(self, order: PaymentOrder, **how: object) -> ProviderPayment:
        """Return a captured payment."""
        key = await self.authorized(order, **how)
        return await self.provider.confirm(order, key, f"confirm-{order.order_id}")

    async def book(self, order: PaymentOrder | None = None) -> list[tuple[str, str, int, str]]:
        """Return the movements in the provider's book, all or those of an order."""
        return [
            (one["key"], one["kind"], one["amount_minor"], one["currency"])
            for one in await self.simulator.movements()
            if order is None or one["order_id"] == order.order_id
        ]


def shown(payment: ProviderPayment | None) -> list[tuple[str, str, int, str]]:
    """Return a payment's movements in the form of `book`."""
    return [
        (one.key, one.kind, one.amount_minor, one.currency)
        for one in (() if payment is None else payment.movements)
    ]


@asynccontextmanager
async def counterparty(
    name: str, simulators: Simulators, **values: object
) -> AsyncIterator[Counterparty]:
    """Lend the client of a provider with these settings."""
    settings = simulators.settings(**values)
    async with open_providers(settings.providers) as providers:
        yield Counterparty(providers[name], getattr(simulators, name))
