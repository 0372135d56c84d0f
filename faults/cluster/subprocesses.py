"""Runs a command beside the suite that never outlives it: cancelled, late or killed, it ends too."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxoffice.platform.processes.supervisor import wrapped_command

_ASKED_WITHIN_S = 15.0
_SAID_CHARS = 6_000


class ChildFailed(RuntimeError):
    """A command ended with an error; the message has the end of what it said."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and everything that it wrote."""

    code: int
    said: str

    @property
    def end_of_it(self) -> str:
        """The end of what it wrote."""
        return self.said[-_SAID_CHARS:]


async def run(
    argv: Sequence[str],
    *,
    within_s: float,
    env: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGKILL,
) -> Ended:
    """Run a command in a session of its own and return how it ended; call it in the main thread.

    Raises `TimeoutError` where it takes longer. Where it may not go on, all of its session gets
    `stop_signal`, and what has not ended a while later is killed.
    """
    command = wrapped_command(
        argv, identity="same", death_signal=signal.SIGKILL, directory=Path.cwd()
    )
    # Not a pipe: nobody has to read for the command to go on and to end.
    with tempfile.TemporaryFile() as out:
        child = await asyncio.create_subprocess_exec(
            *command, env=env, stdin=DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        try:
            async with asyncio.timeout(within_s):
                code = await child.wait()
        finally:
            await _end(child, stop_signal)
        out.seek(0)
        return Ended(code, out.read().decode(errors="replace"))


async def ask(module: str, question: bytes, *, within_s: float) -> bytes:
    """Run `python -m MODULE QUESTION ANSWER`, two files, and return what it answers.

    Raises `ChildFailed` where it ends with an error.
    """
    with tempfile.TemporaryDirectory(prefix="boxoffice-asked-") as folder:
        asked, answered = Path(folder, "question"), Path(folder, "answer")
        await asyncio.to_thread(asked.write_bytes, question)
        argv = [sys.executable, "-m", module, str(asked), str(answered)]
        ended = await run(argv, within_s=within_s)
        if ended.code:
            raise ChildFailed(f"{module} ended with {ended.code}: {ended.end_of_it}")
        return await asyncio.to_thread(answered.read_bytes)


async def _end(child: Process, stop_signal: signal.Signals) -> None:
    """End a command and all of its session, unless it has ended."""
    try:
        _signal(child, stop_signal)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ASKED_WITHIN_S):
                await child.wait()
    finally:
        _signal(child, signal.SIGKILL)
        await child.wait()


def _signal(child: Process, number: signal.Signals) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
