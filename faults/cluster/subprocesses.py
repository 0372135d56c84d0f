"""Runs a command that never outlives the suite: cancelled, late or killed, it ends too."""

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
_OUTPUT_CHARS = 6_000


class ChildFailed(RuntimeError):
    """A command failed; the message has the end of its output."""


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a command."""

    code: int
    output: str

    @property
    def output_end(self) -> str:
        """The end of its output."""
        return self.output[-_OUTPUT_CHARS:]


async def run(
    argv: Sequence[str],
    *,
    within_s: float,
    env: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGKILL,
) -> Ended:
    """Run a command in its own session; call it in the main thread.

    Raises `TimeoutError` if it takes longer. Then its session gets `stop_signal`, and SIGKILL a
    while later.
    """
    command = wrapped_command(
        argv, identity="same", death_signal=signal.SIGKILL, directory=Path.cwd()
    )
    # Not a pipe, so that the command never blocks on its output.
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
    """Run `python -m MODULE QUESTION ANSWER`, two files, and return the answer.

    Raises `ChildFailed` for an error.
    """
    with tempfile.TemporaryDirectory(prefix="boxoffice-asked-") as folder:
        asked, answered = Path(folder, "question"), Path(folder, "answer")
        await asyncio.to_thread(asked.write_bytes, question)
        argv = [sys.executable, "-m", module, str(asked), str(answered)]
        ended = await run(argv, within_s=within_s)
        if ended.code:
            raise ChildFailed(f"{module} ended with {ended.code}: {ended.output_end}")
        return await asyncio.to_thread(answered.read_bytes)


async def _end(child: Process, stop_signal: signal.Signals) -> None:
    """End a command and its session, unless it has ended."""
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
