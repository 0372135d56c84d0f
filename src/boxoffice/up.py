"""`boxoffice up`: everything on one machine, from an empty directory to a sale."""

import asyncio
import os
import socket
import sys
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import msgspec
from rich.console import Console

from boxoffice import roles, seeding
from boxoffice.embedded import EmbeddedServers, ProcessGroup
from boxoffice.platform.migrations import migrate
from boxoffice.settings import Settings


def run(settings: Settings, data_dir: Path, console: Console) -> None:
    """Start the servers, the schema, the demo and the roles; return after all have stopped."""

    def say(text: str) -> None:
        console.print(f"… {text}", style="dim", soft_wrap=True)

    # First of all, so that a taken port costs nobody the wait for the servers.
    roles.listen_group(msgspec.structs.replace(settings, workers=1))[0].close()
    started = time.monotonic()
    with ExitStack() as stack:
        own = settings.database_url and settings.valkey_url
        servers = stack.enter_context(nullcontext() if own else EmbeddedServers(data_dir, say=say))
        if servers is not None:
            settings = msgspec.structs.replace(
                settings,
                database_url=settings.database_url or servers.database_url,
                valkey_url=settings.valkey_url or servers.valkey_url,
            )
        asyncio.run(migrate(settings, say))
        demo = asyncio.run(seeding.demo(settings, console))
        group = stack.enter_context(
            ProcessGroup(stop_timeout_s=roles.stop_timeout_s(settings), say=say)
        )
        _spawn(stack, group, settings)
        say("starting the API, the sweeper and the relay")
        _wait_until_served(settings)
        _welcome(console, settings, demo, time.monotonic() - started)
        group.run_until_stopped(on_tick=None if servers is None else lambda: _look(servers))
        say("stopping")


def _spawn(stack: ExitStack, group: ProcessGroup, settings: Settings) -> None:
    env = {
        **os.environ,
        "BOXOFFICE_DATABASE_URL": settings.database_url,
        "BOXOFFICE_VALKEY_URL": settings.valkey_url,
        "BOXOFFICE_HOST": settings.host,
        "BOXOFFICE_PORT": str(settings.port),
    }
    if sys.stdout.isatty():
        env.setdefault("BOXOFFICE_LOG_FORMAT", "console")
    stack.enter_context(roles.spawn_workers(group, settings, env))
    for role in ("sweep", "relay"):
        group.spawn(role, [sys.executable, "-m", "boxoffice", role], env=env)


def _look(servers: EmbeddedServers) -> None:
    if servers.poll():
        servers.revive()


def _wait_until_served(settings: Settings, timeout_s: float = 30.0) -> None:
    """Return when an API process answers; give up after `timeout_s` and let the log speak."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            with socket.create_connection((settings.host, settings.port), timeout=2) as probe:
                probe.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                if b" 200 " in probe.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.05)


def _welcome(console: Console, settings: Settings, demo: seeding.Demo, seconds: float) -> None:
    base = f"http://{settings.host}:{settings.port}"
    console.print(f"\n[bold]boxoffice is open[/] after {seconds:.1f} s; Ctrl-C stops everything.\n")
    lines = {
        "API": f"{base}/docs",
        "concerts": f"{base}/v1/concerts",
        "seats": f"{base}/v1/schedules/{demo.schedule_id}/seats",
        "buyer": f"{demo.buyer_email}, password {demo.password}",
        "organizer": f"{demo.organizer_email}, password {demo.password}",
    }
    for name, text in lines.items():
        console.print(f"  {name:<10} {text}", soft_wrap=True)
    console.print()
