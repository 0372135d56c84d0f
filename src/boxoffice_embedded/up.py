"""`boxoffice up`: everything on one machine, from an empty directory to a sale."""

import asyncio
import math
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from boxoffice.cli import serve
from boxoffice.errors import SettingsInvalid
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.postgres.runtime_role import grant
from boxoffice.platform.processes.supervisor import ProcessGroup, wait_until
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers, ServerFailed, simulated_providers
from boxoffice_embedded import demo as demos
from boxoffice_embedded.servers.postgres import RUNTIME_ROLE
from boxoffice_embedded.simulated_providers import SimulatedProviders

PATIENCE_S = 30.0
PROBE_TIMEOUT_S = 2.0
REVIVE_PAUSE_S = 2.0
# Sentences for people, or the JSON lines of each process.
LOGS = ("people", "json")


@dataclass(frozen=True)
class UpOptions:
    """The options of the command; on embedded servers there always is a demo."""

    data_dir: Path
    has_demo: bool = False
    log: str = "people"


def run(settings: Settings, options: UpOptions, console: Console) -> None:
    """Start the servers, the schema, the demo and the roles; return after all have stopped."""

    def say(text: str) -> None:
        # A closed terminal must not stop the service.
        with suppress(OSError):
            console.print(f"… {text}", style="dim", soft_wrap=True)

    # First, so that a port in use is reported before the servers start.
    serve.listen_group(settings.replace(workers=1))[0].close()
    started = time.monotonic()
    with ExitStack() as stack:
        own = settings.database.database_url and settings.valkey.valkey_url
        servers = stack.enter_context(
            nullcontext() if own else EmbeddedServers(options.data_dir, say=say)
        )
        if servers is not None:
            settings = settings.replace(
                database_url=settings.database.database_url or servers.database_url,
                valkey_url=settings.valkey.valkey_url or servers.valkey_url,
            )
        settings = _migrated(settings, servers, say)
        asyncio.run(demos.require_private(settings))
        demo = _demo(settings, options, console, is_embedded=not own)
        providers = SimulatedProviders(settings)
        if demo is not None:
            settings = settings.replace(wallet_top_up_free=True)
            providers = simulated_providers.simulate(settings, options.data_dir)
            settings = _with_mailbox(providers.settings, options.data_dir)
        group = stack.enter_context(
            ProcessGroup(stop_timeout_s=serve.stop_timeout_s(settings), say=say)
        )
        say("starting the API and the other roles")
        for one in providers.processes:
            env = {**os.environ, **one.env}
            group.spawn(f"simulated {one.name}", one.command, env=env, stops_last=True)
        _spawn(stack, group, settings, options, providers)
        readiness = ReadinessNotice(
            settings, lambda: _welcome(console, settings, demo, started, providers), say
        )

        reviver = None if servers is None else ServerReviver(servers, say)

        def tick() -> None:
            readiness.check()
            if reviver is not None:
                reviver.check()

        group.run_until_stopped(on_tick=tick)
        say("stopping; requests in progress are finished")
    say("stopped")


def _migrated(
    settings: Settings, servers: EmbeddedServers | None, say: Callable[[str], None]
) -> Settings:
    """Migrate as the owner; return the settings of the serving role, which owns nothing."""
    asyncio.run(migrate(settings, say))
    if servers is not None and settings.database.database_url == servers.database_url:
        postgres = servers.postgres
        asyncio.run(grant(settings, RUNTIME_ROLE, say, postgres.password))
        return settings.replace(database_url=postgres.runtime_url)
    if settings.database.runtime_role:
        asyncio.run(grant(settings, settings.database.runtime_role, say))
    return settings


def _demo(
    settings: Settings, options: UpOptions, console: Console, *, is_embedded: bool
) -> demos.Demo | None:
    """Create the demo where it is asked for, for this machine only; None without one."""
    if not (options.has_demo or is_embedded):
        return None
    if not demos.is_loopback(settings.server.host):
        if options.has_demo:
            raise SettingsInvalid(
                f"BOXOFFICE_HOST is {settings.server.host!r}, which other machines reach: a demo is "
                "served on 127.0.0.1"
            )
        console.print(
            f"… no demo on {settings.server.host}, which other machines reach", style="dim"
        )
        return None
    return asyncio.run(demos.make(settings, demos.keep_password(options.data_dir), console))


def _with_mailbox(settings: Settings, data_dir: Path) -> Settings:
    """Keep the demo's mail in the data directory, unless it is to be sent."""
    given = settings.notifications
    directory = "" if given.smtp_url else str(data_dir.absolute() / "mailbox")
    return settings.replace(
        mailbox_dir=given.mailbox_dir or directory,
        public_url=given.public_url or _address(settings),
        webhook_loopback_allowed=True,
    )


def _address(settings: Settings) -> str:
    return f"http://{settings.server.authority(settings.server.port)}"


def _spawn(
    stack: ExitStack,
    group: ProcessGroup,
    settings: Settings,
    options: UpOptions,
    providers: SimulatedProviders,
) -> None:
    env = {
        **os.environ,
        "BOXOFFICE_DATABASE_URL": settings.database.database_url,
        "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
        "BOXOFFICE_HOST": settings.server.host,
        "BOXOFFICE_PORT": str(settings.server.port),
        "BOXOFFICE_WALLET_TOP_UP_FREE": str(settings.payments.wallet_top_up_free).lower(),
        **dict(simulated_providers.environment(settings.providers)),
        "BOXOFFICE_MAILBOX_DIR": settings.notifications.mailbox_dir,
        "BOXOFFICE_PUBLIC_URL": settings.notifications.public_url,
        "BOXOFFICE_WEBHOOK_LOOPBACK_ALLOWED": str(
            settings.notifications.webhook_loopback_allowed
        ).lower(),
    }
    if options.log == "people":
        # For people, only what goes wrong.
        env.setdefault("BOXOFFICE_LOG_FORMAT", "console")
        env.setdefault("BOXOFFICE_LOG_LEVEL", "warning")
        env.setdefault("BOXOFFICE_LOG_REQUESTS", "false")
    stack.enter_context(serve.spawn_workers(group, settings, env))
    # The cashier begins with a request to each provider.
    wait_until(lambda: all(one.is_open() for one in providers.processes), PATIENCE_S)
    for role in ("sweep", "archive", "relay", "messenger", "cashier", "auditor"):
        group.spawn(role, [sys.executable, "-m", "boxoffice", role], env=env)


class ReadinessNotice:
    """Prints once that the service is ready, and once that this takes long."""

    def __init__(
        self,
        settings: Settings,
        welcome: Callable[[], None],
        say: Callable[[str], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._settings = settings
        self._welcome = welcome
        self._say = say
        self._patience_s = patience_s
        self._warn_at = time.monotonic() + patience_s
        self._open = False

    def check(self) -> None:
        """Ask an API process whether it serves, unless one already did."""
        if self._open:
            return
        if _is_served(self._settings):
            self._open = True
            self._welcome()
        elif time.monotonic() >= self._warn_at:
            self._warn_at = math.inf
            self._say(
                f"not open: no API process is ready after {self._patience_s:.0f} s. "
                "See their log; still waiting"
            )


class ServerReviver:
    """Restarts dead servers, and retries after a pause: a full disk may be cleared meanwhile."""

    def __init__(
        self, servers: EmbeddedServers, say: Callable[[str], None], pause_s: float = REVIVE_PAUSE_S
    ) -> None:
        self._servers = servers
        self._say = say
        self._pause_s = pause_s
        self._again_at = 0.0

    def check(self) -> None:
        """Revive dead servers, unless it is too early for a retry."""
        if time.monotonic() < self._again_at:
            return
        try:
            if self._servers.poll():
                self._servers.revive()
        except (ServerFailed, OSError) as failure:
            self._say(f"{failure}\nTrying again in {self._pause_s:.0f} s.")
            self._again_at = time.monotonic() + self._pause_s


def _is_served(settings: Settings) -> bool:
    try:
        with socket.create_connection(
            (settings.server.host, settings.server.port), PROBE_TIMEOUT_S
        ) as probe:
            probe.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            return b" 200 " in probe.recv(64)
    except OSError:
        return False


def _welcome(
    console: Console,
    settings: Settings,
    demo: demos.Demo | None,
    started: float,
    providers: SimulatedProviders,
) -> None:
    seconds = time.monotonic() - started
    base = _address(settings)
    lines = {"concerts": f"{base}/", "console": f"{base}/organizer", "API": f"{base}/docs"}
    if demo is not None:
        lines["seats"] = f"{base}/schedules/{demo.schedule_id}"
        if settings.notifications.mailbox_dir:
            lines["mail"] = f"{base}/demo/mailbox"
        for email, role in demos.ROLES.items():
            lines[role] = f"{email}, password {demo.password}"
    for one in providers.processes:
        lines[one.name] = f"TEST: simulated, no money moves; {one.control_url}/book"
    with suppress(OSError):
        console.print(
            f"\nboxoffice is open after {seconds:.1f} s; Ctrl-C stops everything.\n", style="bold"
        )
        for name, text in lines.items():
            console.print(f"  {name:<10} {text}", soft_wrap=True)
        console.print()
