"""A shop with a schedule on sale, and the command as users run it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from boxoffice.settings import Settings
from boxoffice_loadtest.model import LoadTestRun, from_json
from faults.workload.fixtures import Fixtures, create_fixtures
from tests.support.shop import Pod, dying_with_us

TIMEOUT_S = 150.0


@dataclass
class CommandResult:
    """Exit code and output of the command."""

    code: int
    said: str
    out: Path

    @property
    def run(self) -> LoadTestRun:
        """The run in its report."""
        return from_json((self.out / "report.json").read_bytes())

    @property
    def failed(self) -> set[str]:
        """The metrics of failed thresholds."""
        return {one.metric for one in self.run.thresholds if one.outcome == "FAIL"}

    @property
    def found(self) -> set[str]:
        """The metrics of failed thresholds but those that a busy machine misses as well."""
        slow = ("latency.", "arrivals.", "throughput")
        return {one for one in self.failed if not one.startswith(slow)}

    def require_pass(self) -> None:
        """Fail unless the command says that the shop is honest, and ends with 0 where it was fast."""
        assert self.found == set(), self.said
        assert self.code == (1 if self.failed else 0), self.said


@dataclass
class LoadtestCommand:
    """`boxoffice loadtest` in a process of its own."""

    out: Path
    env: dict[str, str] = field(default_factory=dict)

    def start(self, *args: str) -> "subprocess.Popen[bytes]":
        """Start it; its output goes to a file."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("BOXOFFICE_")}
        argv = [sys.executable, "-m", "boxoffice", "loadtest", f"--out={self.out}", *args]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                dying_with_us(argv), env={**env, **self.env}, stdout=log, stderr=log
            )

    def end(self, process: "subprocess.Popen[bytes]") -> CommandResult:
        """Wait for its end; fail if it leaves a process."""
        try:
            code = process.wait(TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
        left = [one for one in psutil.process_iter(["cmdline"]) if self._is_ours(one)]
        assert not left
        return CommandResult(code, self._log.read_text(errors="replace"), self.out)

    def __call__(self, *args: str) -> CommandResult:
        """Run it to its end."""
        return self.end(self.start(*args))

    def wait_for(self, text: str, process: "subprocess.Popen[bytes]") -> None:
        """Return when its output contains the text."""
        until = time.monotonic() + 60
        while text not in self._log.read_text(errors="replace"):
            assert process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < until, self._log.read_text(errors="replace")
            time.sleep(0.05)

    def wait_for_answers(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        """Return when the client's log of a scenario has begun."""
        log = self.out / "raw" / f"{name}.requests.jsonl"
        until = time.monotonic() + 60
        while not log.exists() or log.stat().st_size < 2_000:
            assert process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < until
            time.sleep(0.05)

    @property
    def _log(self) -> Path:
        return self.out.with_suffix(".log")

    def _is_ours(self, process: psutil.Process) -> bool:
        return any(str(self.out) in part for part in process.info["cmdline"] or ())


@pytest.fixture
def command(tmp_path: Path) -> LoadtestCommand:
    """The command, with a report folder of its own."""
    return LoadtestCommand(tmp_path / "report")


@dataclass
class ShopOnSale:
    """A pod on sale, and the options that point the command at it."""

    pod: Pod
    fixtures: Fixtures
    settings: Settings
    tokens: Path

    def options(self, url: str = "") -> list[str]:
        """Return the options of a short test against it."""
        return [
            "--quick",
            f"--url={url or self.pod.url}",
            f"--tokens={self.tokens}",
            f"--schedule={self.fixtures.schedule_id}",
        ]

    @property
    def env(self) -> dict[str, str]:
        """The addresses of its servers."""
        return {
            "BOXOFFICE_DATABASE_URL": self.settings.database.database_url,
            "BOXOFFICE_VALKEY_URL": self.settings.valkey.valkey_url,
        }


Opening = Callable[..., ShopOnSale]


@pytest.fixture
def open_shop(settings: Settings, tmp_path: Path) -> Iterator[Opening]:
    """Open a shop; settings of the pod may be given."""
    opened: list[Pod] = []

    def open_it(seats: int = 400, **overrides: object) -> ShopOnSale:
        # Money for everything, so that nothing is refused for want of it.
        sown = asyncio.run(
            create_fixtures(settings, tmp_path, seats=seats, users=300, ticket_limit=1000)
        )
        pod = Pod(settings, **overrides).wait_until_ready()
        opened.append(pod)
        return ShopOnSale(pod, sown, settings, tmp_path / "tokens.jsonl")

    yield open_it
    for pod in opened:
        if pod.process.poll() is None:
            pod.process.send_signal(signal.SIGTERM)
            pod.stop()
