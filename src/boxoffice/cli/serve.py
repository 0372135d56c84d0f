"""The serve role: one API process, or several that share a port."""

import gc
import os
import socket
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from boxoffice.cli import plugins
from boxoffice.http.server.listening import listen, listen_for_metrics
from boxoffice.observability import logs
from boxoffice.observability.build_info import announce_build
from boxoffice.observability.event_loop import watch_event_loop
from boxoffice.observability.logs import log
from boxoffice.observability.metrics import flush_counters
from boxoffice.observability.tracing.starting import traced
from boxoffice.observability.worker_metrics import forget_process, metrics_folder
from boxoffice.platform.concurrency.supervision import supervised
from boxoffice.platform.processes.file_limit import raise_file_limit
from boxoffice.platform.processes.supervisor import ProcessGroup
from boxoffice.settings import Settings

# New objects between two garbage collections; the default of 700 is reached by a few requests.
_COLLECT_EVERY = 20_000

# Open files beside the clients' connections.
_OTHER_FILES = 256
# Start and shutdown beside the drain: with a frozen database, shutdown takes 5 s.
_STOP_GRACE_S = 10.0


def serve(settings: Settings, fd: int | None = None, place: str | None = None) -> None:
    """Serve in this process, on a socket of its own or on the one that the parent listens on.

    `place` is the place among the parent's workers (`WorkerPlace.parse`), None for a lone process.
    """
    # Not at the top: a supervisor of workers does not need it.
    import uvloop  # noqa: PLC0415 — costs time

    with ExitStack() as stack:
        stack.enter_context(traced(settings.observability, "serve"))
        logs.configure_logs(settings.observability)
        announce_build(settings.observability.build_commit)
        if settings.server.host != "127.0.0.1":
            plugins.check_serving(settings)
        _allow_connections(settings)
        sock = stack.enter_context(listen(settings) if fd is None else socket.socket(fileno=fd))
        metrics = None
        if settings.observability.metrics_port:
            # Workers share that port as well: each one serves the metrics of all.
            metrics = stack.enter_context(listen_for_metrics(settings, shared=fd is not None))
        uvloop.run(_serve(settings, sock, metrics, place))


async def _serve(
    settings: Settings, sock: socket.socket, metrics: socket.socket | None, place: str | None
) -> None:
    from boxoffice.app import open_application  # noqa: PLC0415 — costs time
    from boxoffice.batching.handover.workers import WorkerPlace  # noqa: PLC0415 — costs time
    from boxoffice.http.server.server import serve as serve_http  # noqa: PLC0415 — costs time

    watching = {"event_loop": lambda: watch_event_loop(flush_counters)}
    among = WorkerPlace.parse(place) if place else None
    async with open_application(settings, place=among) as application, supervised(watching):
        host, port = sock.getsockname()[:2]
        _freeze_loaded_objects()

        def announce() -> None:
            log.info("serving", host=host, port=port)

        await serve_http(
            application.http.router,
            application.http.access_log,
            settings,
            sock,
            announce,
            application.http.streams,
            None if metrics is None else (application.http.metrics, metrics),
        )


def _allow_connections(settings: Settings) -> None:
    files_max = raise_file_limit(settings.server.connections_max + _OTHER_FILES)
    if 0 <= files_max < settings.server.connections_max:
        log.warning(
            "file_limit_low", files_max=files_max, connections_max=settings.server.connections_max
        )


def _freeze_loaded_objects() -> None:
    """Exclude the objects loaded so far from garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)


def serve_group(settings: Settings) -> None:
    """Serve in `settings.server.workers` processes on one address until stopped."""
    if settings.server.host != "127.0.0.1":
        plugins.check_serving(settings)
    with ExitStack() as stack:
        group = stack.enter_context(ProcessGroup(stop_timeout_s=stop_timeout_s(settings), say=_say))
        stack.enter_context(spawn_workers(group, settings, dict(os.environ)))
        group.run_until_stopped()


def spawn_workers(group: ProcessGroup, settings: Settings, env: dict[str, str]) -> ExitStack:
    """Start the workers of one address in `group`; closing the returned stack frees the address.

    Every worker has its own listening socket on the shared port, so that the kernel spreads connections
    evenly. This process keeps the sockets open: connections wait there while a worker is restarted.
    """
    stack = ExitStack()
    metrics = stack.enter_context(metrics_folder())
    sockets = listen_group(settings)
    if settings.observability.metrics_port:
        # The workers share the port, so they would not notice that another program uses it.
        listen_for_metrics(settings).close()
    places = _places(metrics, settings)
    for number, sock in enumerate(sockets, start=1):
        stack.enter_context(sock)
        argv = [sys.executable, "-m", "boxoffice", "serve", "--fd", str(sock.fileno())]
        argv += places[number - 1]
        # A worker gets its socket, but opens the one of the metrics itself.
        worker_env = {**env, "BOXOFFICE_WORKERS": "1", "BOXOFFICE_HOST": settings.server.host}
        if len(sockets) > 1:
            worker_env["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        group.spawn(
            f"api-{number}",
            argv,
            env=worker_env,
            pass_fds=(sock.fileno(),),
            on_end=partial(forget_process, metrics),
        )
    return stack


def _places(folder: Path, settings: Settings) -> list[list[str]]:
    """Return the arguments that give each worker its place, none where they do not batch together.

    Only this user can enter `folder`.
    """
    count = settings.server.workers
    if count == 1 or not settings.batching.hand_over:
        return [[]] * count
    return [["--place", f"{number}/{count}:{folder}"] for number in range(count)]


def listen_group(settings: Settings) -> list[socket.socket]:
    """Return one listening socket per worker; raise `CannotListen` if the port is in use."""
    if settings.server.workers == 1:
        return [listen(settings)]
    # A shared port would hide that another program uses it: bind it exclusively first.
    listen(settings).close()
    return [listen(settings, shared=True) for _ in range(settings.server.workers)]


def stop_timeout_s(settings: Settings) -> float:
    """Return how long a worker may take to stop.

    The drain timeout counts twice: for open requests, then for the commands that they left.
    """
    return (
        settings.server.drain_delay_ms + 2 * settings.server.drain_timeout_ms
    ) / 1000 + _STOP_GRACE_S


def _say(text: str) -> None:
    log.info("supervisor", text=text)
