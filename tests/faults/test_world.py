"""A process of the world that was asked to end says how it ended."""

import asyncio
import time
from pathlib import Path

import pytest

from bench.processes import clean_environment
from faults.world import PartFailed, Process

WITHIN_S = 60.0


def process(tmp_path: Path, *argv: str) -> Process:
    """Return a process that can be started."""
    return Process("one", argv, clean_environment(), tmp_path / "one.log")


async def until_ended(one: Process) -> None:
    """Return when it has ended by itself."""
    deadline_s = time.monotonic() + WITHIN_S
    while one.is_running:
        assert time.monotonic() < deadline_s, one.said()
        await asyncio.sleep(0.02)


async def test_a_process_that_was_killed_has_not_ended_by_itself(tmp_path: Path) -> None:
    one = process(tmp_path, "serve")
    one.start()
    one.kill()
    with pytest.raises(PartFailed, match="one ended with -9"):
        await one.stop()
    assert await one.stop(may_be_killed=True) < WITHIN_S


async def test_a_process_that_ends_with_an_error_is_told_of_either_way(tmp_path: Path) -> None:
    one = process(tmp_path, "no-such-command")
    one.start()
    await until_ended(one)
    for may_be_killed in (False, True):
        with pytest.raises(PartFailed, match="one ended with 2"):
            await one.stop(may_be_killed=may_be_killed)


async def test_a_process_that_ended_with_0_has_ended_by_itself(tmp_path: Path) -> None:
    one = process(tmp_path, "--help")
    one.start()
    await until_ended(one)
    assert await one.stop() < WITHIN_S
