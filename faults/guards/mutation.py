"""Trials: a copy of the source tree without some guards, and the tests that must fail.

The tree itself is never touched. A trial changes a few files of the copy, runs the named tests, and
restores the files.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import redis

from faults.guards.markers import ROOT, Removal, without

TRIAL_TIMEOUT_S = 240.0
_COPIED = ("src", "migrations", "tests", "bench", "faults", "pyproject.toml", "scripts", "docs")
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".hypothesis")
# Bytecode is invalidated by whole seconds and size, so each change gets its own second.
_LATER_S = 10
# Loading only the necessary plugins halves the time of a trial.
_PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
# A test that hangs ends the run early.
_HUNG = re.compile(r"^[+ ]*(Timeout)[+ ]*$", re.MULTILINE)
# Exit codes of pytest: all passed, some failed.
_GREEN, _RED = 0, 1


def _kinds(of: type[BaseException]) -> Iterator[str]:
    yield of.__name__
    for kind in of.__subclasses__():
        yield from _kinds(kind)


# Errors of broken text: class 42 of PostgreSQL (appendix A) except 42501, the driver's error for a
# lost parameter, two of Lua, and Python's.
_NONSENSE = {
    *_kinds(asyncpg.SyntaxOrAccessError),
    *_kinds(SyntaxError),
    *_kinds(NameError),
    *_kinds(ImportError),
} - {asyncpg.InsufficientPrivilegeError.__name__}
_BROKEN = re.compile(
    rf"^(?:E|\s*[+|]) .*?((?:\b(?:{'|'.join(sorted(_NONSENSE))}):"
    r"|the server expects \d+ arguments? for this query"
    r"|Error compiling script|nonexistent global variable).*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Trial:
    """The outcome of one trial; `red` names the first test that failed, if any."""

    name: str
    red: str
    seconds: float
    printed: str = ""

    @property
    def noticed(self) -> bool:
        """Whether a test failed."""
        return bool(self.red)


class TrialBroken(RuntimeError):
    """No verdict: no test ran, a timeout, or broken text."""


def broken_text(printed: str) -> str:
    """Return the error of broken text that pytest printed, or nothing.

    It would pass for a missed guard, in a test as well as in a fixture.
    """
    found = _BROKEN.search(printed)
    return found[1] if found else ""


@contextmanager
def copied_tree(parent: Path | None = None) -> Iterator["SourceCopy"]:
    """Copy the tree, and delete the copy in the end."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-guards-", dir=parent) as home:
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, Path(home, name), ignore=_IGNORED)
            else:
                shutil.copy2(source, Path(home, name))
        yield SourceCopy(Path(home))


class SourceCopy:
    """The copy. `servers` are the environment variables of the tests' servers; else they start their
    own.
    """

    def __init__(self, home: Path, servers: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.servers = dict(servers or {})
        self._changed_at = time.time()
        self._running: subprocess.Popen[str] | None = None

    def stop(self) -> None:
        """End a trial that runs in another thread; it raises `TrialBroken` there."""
        if self._running is not None and self._running.poll() is None:
            os.killpg(self._running.pid, signal.SIGKILL)

    def trial(self, removals: Sequence[Removal], tests: Sequence[str], name: str = "") -> Trial:
        """Run `tests` without the guards of `removals`; raise `TrialBroken` without a verdict."""
        named = name or (removals[-1].name if removals else "unchanged")
        with self._without(removals):
            for file in {one.file for one in removals if one.file.endswith(".lua")}:
                self._compile(file, named)
            return self._run(tests, named)

    def _compile(self, file: str, name: str) -> None:
        """Compile a script in Valkey: the product hardly reports a broken one."""
        if (url := self.servers.get("BOXOFFICE_TEST_VALKEY_URL")) is None:
            return
        with redis.Redis.from_url(url) as valkey:
            try:
                valkey.script_load((self.home / file).read_text(encoding="utf-8"))
            except redis.ResponseError as error:
                raise TrialBroken(f"{name}: {file} is no script: {error}") from error

    @contextmanager
    def _without(self, removals: Sequence[Removal]) -> Iterator[None]:
        # The copy's own text: the tree may be edited during a run.
        before = {one.file: (self.home / one.file).read_text("utf-8") for one in removals}
        after = {
            file: without(text, *(one.guard for one in removals if one.file == file))
            for file, text in before.items()
        }
        try:
            self._write(after)
            yield
        finally:
            self._write(before)

    def _write(self, texts: Mapping[str, str]) -> None:
        self._changed_at += _LATER_S
        for file, text in texts.items():
            path = self.home / file
            path.write_text(text, encoding="utf-8")
            os.utime(path, (self._changed_at, self._changed_at))

    def _run(self, tests: Sequence[str], name: str) -> Trial:
        started_at = time.monotonic()
        code, printed = self._pytest([word for test in tests for word in test.split()], name)
        seconds = time.monotonic() - started_at
        failed = _FAILED.findall(printed) or _HUNG.findall(printed)
        if code not in (_GREEN, _RED) or (code == _RED) != bool(failed):
            raise TrialBroken(f"{name}: no verdict\n{printed[-4000:]}")
        if failed and (broken := broken_text(printed)):
            raise TrialBroken(f"{name}: {failed[0]} says that the text is broken: {broken}")
        return Trial(name, failed[0] if failed else "", seconds, printed)

    def _pytest(self, arguments: Sequence[str], name: str) -> tuple[int, str]:
        options = ("-x", "-q", *_PLUGINS, "--no-header", "-rfE")
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **self.servers}
        # The copy takes precedence over an installed package.
        env["PYTHONPATH"] = os.pathsep.join((str(self.home / "src"), str(self.home)))
        process = self._running = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, "-o", "addopts=", *arguments],
            cwd=self.home,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=TRIAL_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise TrialBroken(f"{name}: no end within {TRIAL_TIMEOUT_S:.0f} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return process.returncode, printed
