"""Supervises child processes that run our own commands: restarts those that end, stops all in order."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

WRAPPER = Path(__file__).with_name("exec_wrapper.py")
POLL_INTERVAL_S = 0.01
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 5.0
STEADY_AFTER_S = 10.0
TICK_S = 0.25
KILL_TIMEOUT_S = 5.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def wrapped_command(
    argv: Sequence[str], *, identity: str, death_signal: signal.Signals, directory: Path | str
) -> list[str]:
    """Return the command that becomes `argv`, as the identity, and gets the signal when we end.

    The kernel watches the thread that spawned the child, not the process: a child spawned from
    a worker thread is ended as soon as that thread returns. Hence RuntimeError outside the main
    thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("servers and workers are spawned from the main thread only")
    launcher = [sys.executable, "-I", "-S", str(WRAPPER)]
    settings = [str(os.getpid()), str(int(death_signal)), identity, str(directory)]
    return [*launcher, *settings, *argv]


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until the condition holds; return False if it never did."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


@dataclass
class Worker:
    """One supervised command and its current process."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None
    pass_fds: Sequence[int]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    backoff_s: float = BACKOFF_FIRST_S
    retry_at_s: float | None = field(default=None)
    restarts: int = 0
    on_end: Callable[[int], None] = lambda pid: None
    stops_last: bool = False


class ProcessGroup:
    """Runs several commands until stopped; use it in the main thread, which must only wait.

    A child that ends by itself, whatever its exit code, is started again after a pause that
    doubles from 0.2 s to 5 s and is forgotten once a child has lived for 10 s. Children get
    SIGTERM when we end, however we end, and never the terminal's Ctrl-C.
    """

    def __init__(self, *, stop_timeout_s: float, say: Callable[[str], None]) -> None:
        self._stop_timeout_s = stop_timeout_s
        self._say = say
        self._workers: dict[str, Worker] = {}
        self._stops_asked = 0
        self._interruptible = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        on_end: Callable[[int], None] = lambda pid: None,
        stops_last: bool = False,
    ) -> None:
        """Start a command under a name of its own; `env` None means our environment.

        `on_end` is called with the process id of each one that has ended and is to be replaced. With
        `stops_last` it is stopped after the others have ended, which may need it until then.
        """
        if name in self._workers:
            raise ValueError(f"a child named {name} is there already")
        worker = Worker(
            name, tuple(argv), env, tuple(pass_fds), on_end=on_end, stops_last=stops_last
        )
        self._workers[name] = worker
        self._start(worker)

    def pids(self) -> dict[str, int]:
        """The process ids of the children that live, by name."""
        return {
            worker.name: worker.process.pid
            for worker in self._workers.values()
            if worker.process is not None and not _has_ended(worker.process)
        }

    def restarts(self) -> dict[str, int]:
        """How often each child was started again, by name."""
        return {worker.name: worker.restarts for worker in self._workers.values()}

    def run_until_stopped(self, on_tick: Callable[[], None] | None = None) -> None:
        """Supervise until SIGINT, SIGTERM or SIGHUP, then stop all; a second signal hastens that.

        `on_tick` is called about four times a second, and may block; an error from it stops
        all children and is raised.
        """
        with self._handled_signals() as wakeup:
            try:
                while not self._stops_asked:
                    self._restart_ended()
                    self._tick(on_tick)
                    self._wait(wakeup)
            finally:
                self.stop()

    def stop(self) -> None:
        """Ask all with SIGTERM, wait up to the timeout, then kill with all they started.

        Those that stop last are asked after that, and have as long.
        """
        for worker in self._workers.values():
            worker.retry_at_s = None
        for is_last in (False, True):
            self._stop([one for one in self._workers.values() if one.stops_last == is_last])

    def _stop(self, workers: Sequence[Worker]) -> None:
        names = {worker.name for worker in workers}

        def living() -> dict[str, int]:
            return {name: pid for name, pid in self.pids().items() if name in names}

        for pid in living().values():
            os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(KeyboardInterrupt):
            wait_until(lambda: not living() or self._stops_asked > 1, self._stop_timeout_s)
        for name in living():
            self._say(f"{name} has not stopped; killing it.")
        for worker in workers:
            _clear(worker)

    def _start(self, worker: Worker) -> None:
        command = wrapped_command(
            worker.argv, identity="same", death_signal=signal.SIGTERM, directory=Path.cwd()
        )
        worker.process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command,
            env=None if worker.env is None else dict(worker.env),
            pass_fds=worker.pass_fds,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        worker.started_s = time.monotonic()
        worker.retry_at_s = None

    def _restart_ended(self) -> None:
        for worker in self._workers.values():
            if worker.process is not None and _has_ended(worker.process):
                pid = worker.process.pid
                self._note_end(worker, _clear(worker))
                worker.on_end(pid)
            if worker.retry_at_s is not None and time.monotonic() >= worker.retry_at_s:
                self._start_again(worker)

    def _start_again(self, worker: Worker) -> None:
        """Restart an ended child; a failure to do so leaves the others running."""
        worker.restarts += 1
        try:
            self._start(worker)
        except OSError as error:
            self._plan(worker, f"cannot be started ({error})")

    def _note_end(self, worker: Worker, exit_code: int | None) -> None:
        """Schedule the next start; the pause grows while the child keeps ending early."""
        if time.monotonic() - worker.started_s >= STEADY_AFTER_S:
            worker.backoff_s = BACKOFF_FIRST_S
        self._plan(worker, f"ended with code {exit_code}")

    def _plan(self, worker: Worker, why: str) -> None:
        self._say(f"{worker.name} {why}; starting it again in {worker.backoff_s:.1f} s.")
        worker.retry_at_s = time.monotonic() + worker.backoff_s
        worker.backoff_s = min(worker.backoff_s * 2, BACKOFF_MAX_S)

    def _tick(self, on_tick: Callable[[], None] | None) -> None:
        """Call the caller's hook; a second Ctrl-C interrupts it."""
        if on_tick is None:
            return
        with contextlib.suppress(KeyboardInterrupt):
            try:
                self._interruptible = True
                on_tick()
            finally:
                self._interruptible = False

    def _wait(self, wakeup: int) -> None:
        """Sleep until a signal or the next tick."""
        now_s = time.monotonic()
        retries_s = [w.retry_at_s - now_s for w in self._workers.values() if w.retry_at_s]
        readable, _, _ = select.select([wakeup], [], [], max(0.0, min([TICK_S, *retries_s])))
        if readable:
            os.read(wakeup, 512)

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[int]:
        """Count stop signals and wake the loop for them and for ended children."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        former_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        former = {
            number: signal.signal(number, self._on_stop)
            for number in STOP_SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN  # nohup
        }
        former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        try:
            yield reader
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_fd)
            os.close(reader)
            os.close(writer)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stops_asked += 1
        if self._interruptible and self._stops_asked > 1:
            raise KeyboardInterrupt


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended, without reaping it, so that its pid still means its group."""
    if process.returncode is not None:
        return True
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, options) is not None


def _clear(worker: Worker) -> int | None:
    """Kill a child's process group, reap the child, and return its exit code."""
    process, worker.process = worker.process, None
    if process is None:
        return None
    os.killpg(process.pid, signal.SIGKILL)
    return process.wait(KILL_TIMEOUT_S)
