"""The servers as usually started: one worker, uvloop, defaults, no access log."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.environment.processes import ServerProcess

_UVICORN = ("uvicorn", "bench.servers.app:asgi", "--port={port}", "--no-access-log")
_GRANIAN = ("granian", "--port={port}", "--loop=uvloop")


@dataclass(frozen=True)
class Candidate:
    """A server: how it is started, and how it is told not to wait longer than `STOP_S` in a drain."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    stop_argv: tuple[str, ...] = ()
    stop_env: dict[str, str] = field(default_factory=dict)

    def start(self, folder: Path, *, stop_limit: bool = False) -> ServerProcess:
        """Start it and return when it serves; the caller ends it."""
        argv, env = self.argv, self.env
        if stop_limit:
            argv, env = argv + self.stop_argv, env | self.stop_env
        server = ServerProcess(argv, env, folder / f"{self.name}.log")
        try:
            server.wait_until_ready()
        except BaseException:
            server.kill()
            raise
        return server


STOP_S = 5
# A second in which load balancers may notice, so that the drain's first phase can be seen.
_NOTICE = {"BOXOFFICE_DRAIN_DELAY_MS": "1000"}

CANDIDATES = (
    Candidate(
        "boxoffice",
        ("bench.servers.bounded",),
        env=_NOTICE,
        stop_env={"BOXOFFICE_DRAIN_TIMEOUT_MS": str(STOP_S * 1000)},
    ),
    Candidate("uvicorn", _UVICORN, stop_argv=(f"--timeout-graceful-shutdown={STOP_S}",)),
    Candidate(
        "granian_asgi",
        (*_GRANIAN, "--interface=asgi", "bench.servers.app:asgi"),
        stop_argv=(f"--workers-kill-timeout={STOP_S}",),
    ),
    Candidate(
        "granian_rsgi",
        (*_GRANIAN, "--interface=rsgi", "bench.servers.app:rsgi"),
        stop_argv=(f"--workers-kill-timeout={STOP_S}",),
    ),
)
BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}
