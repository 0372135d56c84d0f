"""Delays of a simulated provider end when its faults are cleared."""

import asyncio
import time

import pytest

from boxoffice_simulators.faults import FaultBoard, FaultRule


@pytest.fixture
def board() -> FaultBoard:
    return FaultBoard("confirm", "confirm")


async def test_a_delay_ends_when_the_faults_are_cleared(board: FaultBoard) -> None:
    board.replace([FaultRule("delay_before", seconds=60.0)])
    plan = board.plan("confirm", "order-000001")
    delayed = asyncio.create_task(plan.delay("delay_before"))
    await asyncio.sleep(0)
    board.replace([FaultRule("delay_before", seconds=60.0)])
    await asyncio.sleep(0.01)
    assert not delayed.done(), "other faults are no end of it"
    board.replace([])
    await asyncio.wait_for(delayed, 30.0)


async def test_a_call_that_began_before_that_is_not_delayed_after_it(board: FaultBoard) -> None:
    board.replace([FaultRule("delay_after", seconds=60.0)])
    plan = board.plan("confirm", "order-000001")
    board.replace([])
    await asyncio.wait_for(plan.delay("delay_after"), 30.0)


async def test_a_later_call_is_delayed(board: FaultBoard) -> None:
    board.replace([])
    board.replace([FaultRule("delay_after", seconds=0.05)])
    began = time.monotonic()
    await board.plan("confirm", "order-000001").delay("delay_after")
    assert time.monotonic() - began >= 0.04
