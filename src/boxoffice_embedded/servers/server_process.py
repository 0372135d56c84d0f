"""A server's child process, which ends with its parent, and its log."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from boxoffice.platform.processes.supervisor import wait_until, wrapped_command
from boxoffice.platform.storage.files import give_to_folder_owner
from boxoffice_embedded.errors import ServerFailed

LOG_MAX_BYTES = 8 * 1024 * 1024
LOG_TAIL_BYTES = 2_000


def server_environment() -> dict[str, str]:
    """Return our environment without variables that configure the servers."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PG", "BOXOFFICE_", "LC_"))
    }
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


class Log:
    """A file to which a server appends, kept below about 16 MB with the part before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start_bytes = 0

    def open(self) -> int:
        """A descriptor for the server's output; marks where this run begins."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        give_to_folder_owner(self.path)
        self._start_bytes = os.fstat(descriptor).st_size
        return descriptor

    def tail(self) -> str:
        """The end of what this run wrote."""
        try:
            text = self.path.read_bytes()[self._start_bytes :]
        except OSError as error:
            return f"(cannot read {self.path}: {error.strerror})"
        return text[-LOG_TAIL_BYTES:].decode(errors="replace").strip() or "(it wrote nothing)"

    def bound(self) -> None:
        """Move a full log aside; the server goes on appending to the emptied file.

        Without space for that the log is dropped.
        """
        if not self.path.exists() or self.path.stat().st_size < LOG_MAX_BYTES:
            return
        earlier = self.path.with_suffix(".log.1")
        earlier.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            shutil.copy2(self.path, earlier)
            give_to_folder_owner(earlier)
        os.truncate(self.path, 0)
        self._start_bytes = 0


class EmbeddedProcess:
    """A server process that was started at most once at a time and is always reaped."""

    def __init__(self, name: str, log: Log) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(
        self,
        argv: Sequence[str],
        *,
        identity: str,
        death_signal: signal.Signals,
        directory: Path,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start it in a session of its own, so that the terminal's Ctrl-C reaches us alone."""
        if self.is_running():
            raise RuntimeError(f"{self.name} runs already as process {self.pid}")
        command = wrapped_command(
            argv, identity=identity, death_signal=death_signal, directory=directory
        )
        output = self.log.open()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command,
                stdin=stdin,
                stdout=output,
                stderr=output,
                env=server_environment(),
                start_new_session=True,
            )
        finally:
            os.close(output)

    @property
    def pid(self) -> int | None:
        """The process id, also of one that has ended; None before the first start."""
        return None if self._process is None else self._process.pid

    def is_running(self) -> bool:
        """Whether it lives; reaps it when it does not."""
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before it started."""
        return None if self._process is None else self._process.poll()

    def wait_ready(self, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until it is ready; ServerFailed with its log if it ends or stays silent."""
        wait_until(lambda: not self.is_running() or is_ready(), timeout_s)
        if not self.is_running():
            raise ServerFailed(
                f"{self.name} ended with code {self.exit_code()}; {self.log.path} ends with:\n"
                f"{self.log.tail()}"
            )
        if not is_ready():
            raise ServerFailed(
                f"{self.name} was not ready after {timeout_s:.0f} s; {self.log.path} ends with:\n"
                f"{self.log.tail()}"
            )

    def wait_success(self, timeout_s: float) -> None:
        """Wait for a command that ends by itself; ServerFailed with its log if it fails."""
        ended = wait_until(lambda: not self.is_running(), timeout_s)
        if not ended or self.exit_code() != 0:
            raise ServerFailed(
                f"{self.name} failed (code {self.exit_code()}); {self.log.path} ends with:\n"
                f"{self.log.tail()}"
            )

    def ask(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None and self.is_running():
            self._process.send_signal(number)

    def end(self, *stages: tuple[signal.Signals, float]) -> None:
        """Ask with each signal in turn for so many seconds, then kill; Ctrl-C skips a stage."""
        for number, timeout_s in stages:
            self.ask(number)
            with contextlib.suppress(KeyboardInterrupt):
                wait_until(lambda: not self.is_running(), timeout_s)
        self.ask(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
