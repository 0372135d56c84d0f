"""Commands end with the suite, together with their children."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from faults.cluster import subprocesses
from faults.interference.external_clients import wait_for
from tests.tools.faults.cluster.processes import MARK, marked

ROOT = Path(__file__).parents[4]
TIMEOUT_S = 150
# Has a child of its own.
FAMILY = (
    "import subprocess, sys, time;"
    "own = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "time.sleep(60)"
)


async def gone(mark: str) -> None:
    """Wait until no process with the mark runs."""

    async def is_gone() -> bool:
        return not marked(mark)

    await wait_for(is_gone, 20, "something is left")


async def both(mark: str) -> None:
    """Wait until a command and its child run."""

    async def are_there() -> bool:
        return len(marked(mark)) == 2

    await wait_for(are_there, 30, "nothing has started")


async def test_a_command_that_is_cancelled_ends_with_its_own_children() -> None:
    env = {**os.environ, MARK: (mark := uuid4().hex)}
    argv = [sys.executable, "-c", FAMILY]
    running = asyncio.create_task(subprocesses.run(argv, within_s=60, env=env))
    await both(mark)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(mark)


async def test_a_command_that_takes_too_long_is_ended_though_it_will_not_listen() -> None:
    env = {**os.environ, MARK: (mark := uuid4().hex)}
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(TimeoutError):
        await subprocesses.run(argv, within_s=0.5, env=env, stop_signal=signal.SIGKILL)
    await gone(mark)


async def test_output_and_exit_code_of_a_command_are_returned() -> None:
    argv = [sys.executable, "-c", "import sys; print('x' * 200_000, flush=True); sys.exit('no')"]
    ended = await subprocesses.run(argv, within_s=60)
    assert ended.code == 1
    assert len(ended.output) > 200_000
    assert ended.output_end.endswith("no\n")


async def test_a_question_that_cannot_be_answered_raises() -> None:
    with pytest.raises(subprocesses.ChildFailed, match=r"hold_flood ended with 1"):
        await subprocesses.ask("faults.interference.hold_flood", b"no plan", within_s=60)


@pytest.mark.parametrize(
    ("scenario", "child", "number"),
    [
        ("schemathesis", "test_schemathesis.py", signal.SIGTERM),
        ("overload", "faults.interference.hold_flood", signal.SIGINT),
    ],
)
def test_an_interrupted_scenario_leaves_nothing_of_its_child(
    scenario: str, child: str, number: signal.Signals
) -> None:
    argv = [sys.executable, "-m", "faults", "--quick", "--seed=1", f"--only={scenario}"]
    env = {**os.environ, MARK: (mark := uuid4().hex)}
    with subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        until_s = time.monotonic() + TIMEOUT_S
        while not any(child in " ".join(words) for words in marked(mark)):
            assert running.poll() is None, running.communicate()[0]
            assert time.monotonic() < until_s
            time.sleep(0.1)
        running.send_signal(number)
        output = running.communicate(timeout=TIMEOUT_S)[0]
    assert running.returncode == 130, output
    assert "interrupted; everything is stopped" in output
    assert marked(mark) == []
