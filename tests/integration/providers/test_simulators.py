"""The simulators themselves: books that survive a kill, and shares of faults that repeat."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from boxoffice.payments.providers.port import (
    ProviderDeclined,
    ProviderUnavailable,
    ProviderUnknown,
)
from tests.support.providers import Counterparty, counterparty, new_order
from tests.support.simulators import Simulators, running_simulator


@pytest.mark.parametrize("name", ["toss", "stripe"])
async def test_what_was_answered_survives_a_kill(
    name: str, tmp_path: Path, simulators: Simulators
) -> None:
    order = new_order()
    with running_simulator(name, tmp_path, ends_by=signal.SIGKILL) as first:
        async with counterparty(name, simulators, **{f"{name}_api_url": first.url}) as party:
            mine = Counterparty(party.provider, first)
            await first.advance(3_600)
            key = await mine.authorized(order)
            paid = await mine.provider.confirm(order, key, "attempt-1")
            before = await first.movements()
    with running_simulator(name, tmp_path) as second:
        assert await second.movements() == before
        async with counterparty(name, simulators, **{f"{name}_api_url": second.url}) as party:
            assert await party.provider.confirm(order, key, "attempt-1") == paid
        assert await second.movements() == before


async def test_a_provider_that_was_away_has_its_book(simulators: Simulators) -> None:
    async with counterparty("toss", simulators) as party:
        order = new_order()
        paid = await party.paid(order)
        await party.simulator.post("/away", {"is_away": True})
        with pytest.raises(ProviderUnavailable):
            await party.provider.look_up(order.order_id, None)
        assert len(await party.simulator.movements()) == 1, "the control port answers"
        await party.simulator.post("/away", {"is_away": False})
        assert await party.provider.look_up(order.order_id, None) == paid


async def _sale(party: Counterparty, seed: int) -> tuple[list[str], int]:
    """Pay 60 orders with names of their own; return what became of each, and the movements."""
    await party.simulator.reset()
    await party.simulator.set_mix(seed=seed, declined=0.2, lost=0.2)
    outcomes = []
    for number in range(60):
        order = type(new_order())(f"order-{number:06d}", 10_000, "KRW", "TEST")
        try:
            await party.paid(order)
            outcomes.append("paid")
        except ProviderDeclined:
            outcomes.append("declined")
        except ProviderUnknown:
            outcomes.append("lost")
    return outcomes, len(await party.simulator.movements())


@pytest.mark.parametrize("name", ["toss", "stripe"])
async def test_a_mix_of_faults_repeats_with_its_seed(name: str, simulators: Simulators) -> None:
    async with counterparty(name, simulators, provider_breaker_failures_max=1_000) as party:
        first, moved = await _sale(party, 7)
        assert first == (await _sale(party, 7))[0]
        assert first != (await _sale(party, 8))[0]
    assert moved == first.count("paid") + first.count("lost"), "a lost answer is of a payment"
    assert 4 <= first.count("declined") <= 22
    assert 4 <= first.count("lost") <= 22


def test_an_unknown_provider_is_refused() -> None:
    command = [sys.executable, "-m", "boxoffice", "simulate", "paypal"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "'paypal' is none of toss, stripe" in ran.stderr
