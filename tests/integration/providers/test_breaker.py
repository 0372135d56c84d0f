"""The breaker of a provider: what opens it, what closes it, and what it leaves alone."""

import pytest

from boxoffice.payments.providers.port import (
    ProviderDeclined,
    ProviderUnavailable,
    ProviderUnknown,
)
from tests.support.providers import counterparty, new_order
from tests.support.simulators import Simulators
from tests.support.waiting import until

PROVIDERS = ("toss", "stripe")


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_failing_provider_is_spared_and_probed(simulators: Simulators, name: str) -> None:
    bounds = {"provider_breaker_failures_max": 3, "provider_breaker_open_ms": 300}
    async with counterparty(name, simulators, **bounds) as party:
        order_id = new_order().order_id
        await party.simulator.set_faults(
            {"fault": "error_before", "operation": "look_up", "times": 0}
        )
        for _ in range(3):
            with pytest.raises(ProviderUnknown):
                await party.provider.look_up(order_id, None)
        assert not party.provider.is_available
        with pytest.raises(ProviderUnavailable):
            await party.provider.look_up(order_id, None)
        assert len(await party.simulator.calls("look_up")) == 3

        async def offered() -> bool:
            return party.provider.is_available

        async def probed() -> bool:
            assert not await offered(), "no probe has passed"
            return len(await party.simulator.calls("look_up")) >= 5

        await until(probed)
        await party.simulator.set_faults()
        await until(offered)
        assert await party.provider.look_up(order_id, None) is None


async def test_a_refusal_of_the_card_does_not_open_the_breaker(simulators: Simulators) -> None:
    async with counterparty("toss", simulators, provider_breaker_failures_max=1) as party:
        for _ in range(3):
            await party.simulator.set_faults({"fault": "decline", "operation": "confirm"})
            with pytest.raises(ProviderDeclined):
                await party.paid(new_order())
        assert party.provider.is_available


async def test_one_provider_away_leaves_the_other(simulators: Simulators) -> None:
    bounds = {"toss_api_url": "http://127.0.0.1:9", "provider_breaker_failures_max": 1}
    async with (
        counterparty("toss", simulators, **bounds) as toss,
        counterparty("stripe", simulators, **bounds) as stripe,
    ):
        with pytest.raises(ProviderUnavailable):
            await toss.provider.look_up(new_order().order_id, None)
        assert not toss.provider.is_available
        assert (await stripe.paid(new_order())).movements
