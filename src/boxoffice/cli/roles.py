"""The commands that run until they are stopped: one per role of a deployment."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from boxoffice.cli.context import Host, Port, Workers, addressed_settings
from boxoffice.settings import Settings


def serve(
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    place: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve the API until SIGTERM, then drain."""
    from boxoffice.cli import serve  # noqa: PLC0415 — costs time

    settings = addressed_settings(host=host, port=port, workers=workers)
    if settings.server.workers > 1 and fd is None:
        serve.serve_group(settings)
    else:
        serve.serve(settings, fd, place)


def sweep() -> None:
    """Close lapsed holds, and offer seats that return to waiting lists, periodically."""
    from boxoffice.reservations import sweeper  # noqa: PLC0415 — costs time
    from boxoffice.waiting_list import worker  # noqa: PLC0415 — costs time

    async def both(settings: Settings, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(sweeper.run(settings, stop))
                group.create_task(worker.run(settings, stop))
        except ExceptionGroup as failed:
            # Both fail alike: the command says it as for one.
            raise failed.exceptions[0] from failed

    _run("sweep", both)


def archive() -> None:
    """Move what ended unpaid long ago into the archive, periodically."""
    from boxoffice.archive import archivist  # noqa: PLC0415 — costs time

    _run("archive", archivist.run)


def relay() -> None:
    """Deliver the outbox to the Valkey stream, at least once."""
    from boxoffice.outbox import relay as relaying  # noqa: PLC0415 — costs time

    _run("relay", relaying.run)


def messenger() -> None:
    """Send queued webhooks and mails."""
    from boxoffice.notifications import messenger as sending  # noqa: PLC0415 — costs time

    _run("messenger", sending.run)


def cashier() -> None:
    """Look up, renew, return and compare what payments through providers left open."""
    from boxoffice import app_cashier  # noqa: PLC0415 — costs time

    _run("cashier", app_cashier.run)


def auditor() -> None:
    """Check every invariant periodically, and when an operator asks; keep the results."""
    from boxoffice.audit import auditor as auditing  # noqa: PLC0415 — costs time

    _run("auditor", auditing.run)


def _run(name: str, role: Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a role until SIGTERM or SIGINT; it finishes the work in progress.

    Raises `Unavailable` without PostgreSQL, and `SettingsInvalid` without this release's schema.
    """
    from boxoffice.observability.build_info import announce_build  # noqa: PLC0415 — costs time
    from boxoffice.observability.event_loop import watch_event_loop  # noqa: PLC0415 — costs time
    from boxoffice.observability.logs import configure_logs  # noqa: PLC0415 — costs time
    from boxoffice.observability.metrics import flush_counters  # noqa: PLC0415 — costs time
    from boxoffice.observability.role_health import RoleHealth  # noqa: PLC0415 — costs time
    from boxoffice.observability.role_metrics import serve_metrics  # noqa: PLC0415 — costs time
    from boxoffice.observability.tracing.starting import traced  # noqa: PLC0415 — costs time
    from boxoffice.platform.concurrency.supervision import supervised  # noqa: PLC0415 — likewise

    settings = addressed_settings()
    health = RoleHealth()

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        watching = {"event_loop": lambda: watch_event_loop(flush_counters)}
        async with supervised(watching):
            with health.followed(stop):
                await _require_schema(settings)
                health.started()
                await role(settings, stop)

    with traced(settings.observability, name):
        configure_logs(settings.observability)
        announce_build(settings.observability.build_commit)
        if settings.observability.role_metrics_port:
            serve_metrics(settings, health)
        asyncio.run(until_stopped())


async def _require_schema(settings: Settings) -> None:
    from boxoffice.platform.postgres.database import Database  # noqa: PLC0415 — costs time
    from boxoffice.platform.postgres.migrations import require_current  # noqa: PLC0415 — likewise

    db = Database(settings)
    await db.open()
    try:
        await require_current(db)
    finally:
        await db.close()
