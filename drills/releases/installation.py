"""A release that is installed from its wheel, in an environment of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from release import wheel

_READY_WITHIN_S = 60
_STOPPED_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """The program of one release, the settings with which it runs, and the folder, if not this one."""

    name: str
    program: Path
    environment: dict[str, str]
    folder: Path | None = None

    async def run(self, *arguments: str) -> str:
        """Run a command to its end; return what it printed. Raises `RuntimeError`."""
        process = await asyncio.create_subprocess_exec(
            self.program, *arguments, env=self.environment, cwd=self.folder,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, said = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{self.name} {arguments[0]}: {printed.decode()}{said.decode()}")
        return printed.decode()

    def start(self, role: str, log: Path, **added: str) -> "RunningRole":
        """Start a role, which logs to a file."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                [self.program, role], env={**self.environment, **added}, cwd=self.folder,
                stdout=out, stderr=out,
            )  # fmt: skip
        return RunningRole(f"{self.name} {role}", process, log)


@dataclass(frozen=True, slots=True)
class RunningRole:
    """A running role."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    async def stop(self) -> int:
        """End it as an orchestrator does; return its exit code, or that of a kill after a minute."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.process.wait, _STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return await asyncio.to_thread(self.process.wait)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


async def ready(pod: RunningRole, url: str) -> None:
    """Return once a pod is ready; raise `RuntimeError` where it ends or takes too long."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(_READY_WITHIN_S):
        while pod.process.poll() is None:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{pod.name} ended:\n{pod.log.read_text()[-2_000:]}")


def install(
    repository: Path, commit: str, folder: Path, environment: dict[str, str]
) -> InstalledRelease:
    """Build the wheel of a commit, and install it."""
    built = wheel.build(repository, commit, folder / "dist")
    program = install_wheel(built, folder / "environment")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return InstalledRelease(commit, program, {**kept, **environment})


def install_wheel(built: Path, folder: Path) -> Path:
    """Install a wheel alone in an environment of its own; return the path of its `boxoffice`.

    The other parts are those of this environment.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index",
         "--no-deps", "--disable-pip-version-check", built],
        check=True,
    )  # fmt: skip
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # A path in a .pth file: what is installed in editable form there is not followed.
    (own / "parts-of-others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.with_name("boxoffice")
