"""Both clients of payment providers against their simulators, for tests of what they have in common."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from aiohttp import web

from boxoffice.payments.providers.port import (
    PaymentOrder,
    Provider,
    ProviderNotice,
    ProviderPayment,
    RefundOrder,
)
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


class Receiver:
    """A receiver of notices: it reads them with the client, and answers as it is told."""

    def __init__(self, party: Counterparty) -> None:
        self._party = party
        self.statuses: list[int] = []
        self.notices: list[ProviderNotice] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes([web.post("/", self._receive)])
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.notices.append(self._party.provider.read_notice(headers, await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)
