"""Exit codes of stopped processes, and errors in PostgreSQL's log."""

import asyncio
import time
from pathlib import Path

import pytest

from bench.environment.processes import clean_environment
from faults.cluster.cluster import Process, ProcessFailed, errors_in

WITHIN_S = 60.0


def process(tmp_path: Path, *argv: str) -> Process:
    """Return a process that can be started."""
    return Process("one", argv, clean_environment(), tmp_path / "one.log")


async def until_ended(one: Process) -> None:
    """Return when it has ended by itself."""
    deadline_s = time.monotonic() + WITHIN_S
    while one.is_running:
        assert time.monotonic() < deadline_s, one.log_tail()
        await asyncio.sleep(0.02)


async def test_a_process_that_was_killed_has_not_ended_by_itself(tmp_path: Path) -> None:
    one = process(tmp_path, "serve")
    one.start()
    one.kill()
    with pytest.raises(ProcessFailed, match="one ended with -9"):
        await one.stop()
    assert await one.stop(may_be_killed=True) < WITHIN_S


async def test_a_process_that_ends_with_an_error_is_reported_either_way(tmp_path: Path) -> None:
    one = process(tmp_path, "no-such-command")
    one.start()
    await until_ended(one)
    for may_be_killed in (False, True):
        with pytest.raises(ProcessFailed, match="one ended with 2"):
            await one.stop(may_be_killed=may_be_killed)


async def test_a_process_that_ended_with_0_has_ended_by_itself(tmp_path: Path) -> None:
    one = process(tmp_path, "--help")
    one.start()
    await until_ended(one)
    assert await one.stop() < WITHIN_S


def test_an_error_of_the_log_is_counted_once_and_by_its_sqlstate() -> None:
    log = b"""\
2026-11-24 19:00:00.000 UTC [71] 40P01 boxoffice@boxoffice ERROR:  deadlock detected
2026-11-24 19:00:00.000 UTC [71] 40P01 boxoffice@boxoffice DETAIL:  Process 71 waits.
2026-11-24 19:00:00.000 UTC [71] 40P01 boxoffice@boxoffice STATEMENT:  SELECT 55P03
2026-11-24 19:00:01.000 UTC [72] 55P03 boxoffice@boxoffice ERROR:  canceling statement
2026-11-24 19:00:02.000 UTC [73] 00000 LOG:  checkpoint
2026-11-24 19:00:03.000 UTC [71] 40P01 boxoffice@boxoffice ERROR:  deadlock detected
"""
    assert errors_in(log, "40P01") == 2
    assert errors_in(log, "55P03") == 1
    assert errors_in(log, "57014") == errors_in(log, "00000") == 0
