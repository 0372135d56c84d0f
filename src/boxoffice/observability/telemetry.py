"""Logs and metrics. Log events have static names and carry their data in fields."""

import io
import logging
import sys
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, BinaryIO, TextIO

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

from boxoffice.settings import ObservabilitySettings

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Tally:
    """Counts in a plain number for a counter on a hot path, which hears of it with `tell_tallies`."""

    def __init__(self, counter: Counter) -> None:
        self.count = 0
        self._counter = counter
        _tallies.append(self)

    def tell(self) -> None:
        """Let the counter hear of what was counted since the last time."""
        count, self.count = self.count, 0
        if count:
            self._counter.inc(count)


_tallies: list[Tally] = []


def tell_tallies() -> None:
    """Let the counters hear of what was counted beside them."""
    for tally in _tallies:
        tally.tell()


# Steps into which each bucket is cut for figures that are finer than the metrics.
_FINER = 4


def _finer(bounds: Sequence[float]) -> tuple[float, ...]:
    """Return bounds that cut each bucket into `_FINER`, evenly on a logarithmic scale."""
    lows = (bounds[0] / 2, *bounds)
    return tuple(
        low * (high / low) ** (part / _FINER)
        for low, high in zip(lows, bounds, strict=False)
        for part in range(1, _FINER + 1)
    )


# Upper bounds of the steps, in seconds; what is above the last one has a step of its own.
FINE_SECONDS = _finer(_SECONDS)


class Timings(Histogram):
    """A histogram over `_SECONDS` that takes many observations at once, for a fraction of the price."""

    def observe_all(self, seconds: Sequence[float]) -> dict[int, int]:
        """Observe each of `seconds`; return how many fell into which step of `FINE_SECONDS`."""
        bounds = FINE_SECONDS
        steps: dict[int, int] = {}
        for value in seconds:
            at = bisect_left(bounds, value)
            steps[at] = steps.get(at, 0) + 1
        for at, count in steps.items():
            self._buckets[at // _FINER].inc(count)
        self._sum.inc(sum(seconds))
        return steps


REQUESTS = Counter(
    "boxoffice_requests_total",
    "Answers by route and by the problem's code ('ok' for success).",
    ("method", "route", "status", "code"),
)
REQUEST_SECONDS = Timings(
    "boxoffice_request_seconds", "Time to answer, by route.", ("route",), buckets=_SECONDS
)
CONNECTIONS_ENDED = Counter(
    "boxoffice_connections_ended_total",
    "Connections that were ended below the level of a request, by reason.",
    ("reason",),
)
BATCH_COMMANDS = Histogram(
    "boxoffice_batch_commands",
    "Commands decided by one transaction.",
    ("kind",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
BATCH_SECONDS = Histogram(
    "boxoffice_batch_seconds",
    "Time of one batch, its commit included.",
    ("kind",),
    buckets=_SECONDS,
)
BATCH_RETRIES = Counter(
    "boxoffice_batch_retries_total", "Commands decided again, by reason.", ("kind", "reason")
)
BATCH_QUEUE_LENGTH = Gauge(
    "boxoffice_batch_queue_length", "Commands without an outcome.", multiprocess_mode="livesum"
)
COMMITS_SYNCHRONOUS = Gauge(
    "boxoffice_commits_synchronous",
    "1 where commits wait for a synchronous standby.",
    multiprocess_mode="livemostrecent",
)
STANDBYS = Gauge(
    "boxoffice_standbys",
    "Standbys that receive PostgreSQL's log, and those that commits wait for (NaN: not told).",
    ("state",),
    multiprocess_mode="livemostrecent",
)
VALKEY_FAILURES = Counter("boxoffice_valkey_failures_total", "Calls that Valkey failed or missed.")
SEAT_LOCK = Counter("boxoffice_seat_lock_total", "Seat lock decisions by result.", ("result",))
SEAT_CACHE = Counter(
    "boxoffice_seat_cache_total",
    "What the seat cache said to holds: refused, or why the database was asked.",
    ("result",),
)
SEAT_READ_SECONDS = Histogram(
    "boxoffice_seat_read_seconds", "Time to read a schedule's seats.", buckets=_SECONDS
)
SEAT_CHANGE_MESSAGES = Counter(
    "boxoffice_seat_change_messages_total",
    "Seat change messages between pods, by result.",
    ("result",),
)
STREAMS_OPEN = Gauge(
    "boxoffice_streams_open", "Open event streams.", ("topic",), multiprocess_mode="livesum"
)
STREAM_EVENTS = Counter(
    "boxoffice_stream_events_total", "Events sent to streams, one for each stream.", ("topic",)
)
ATTEMPTS_REFUSED = Counter(
    "boxoffice_attempts_refused_total", "Log-ins and sign-ups that a limit refused.", ("limit",)
)
STREAMS_ENDED = Counter(
    "boxoffice_streams_ended_total", "Event streams that ended, by reason.", ("topic", "reason")
)
WAITING_ROOM_JOINS = Counter(
    "boxoffice_waiting_room_joins_total", "Answered joins of a waiting room."
)
WAITING_ROOM_ADMISSIONS = Counter(
    "boxoffice_waiting_room_admissions_total", "Users admitted from a waiting room."
)
WAITING_ROOM_EXITS = Counter(
    "boxoffice_waiting_room_exits_total", "Admitted users that have left, by reason.", ("reason",)
)
WAITING_ROOM_LENGTH = Gauge(
    "boxoffice_waiting_room_length", "Numbers not yet called.", multiprocess_mode="livesum"
)
WAITING_ROOM_INSIDE = Gauge(
    "boxoffice_waiting_room_inside", "Admitted users that are inside.", multiprocess_mode="livesum"
)
WAITING_ROOM_TICK_SECONDS = Histogram(
    "boxoffice_waiting_room_tick_seconds",
    "Duration of a leader's tick over all waiting rooms.",
    buckets=_SECONDS,
)
WAITING_ROOM_REBUILDS = Counter("boxoffice_waiting_room_rebuilds_total", "Waiting-room rebuilds.")
EVENTS_RELAYED = Counter("boxoffice_events_relayed_total", "Outbox events handed to the stream.")
FIGURES_DROPPED = Counter(
    "boxoffice_figures_dropped_total", "Sums for the live figures that Valkey did not take."
)
HOLDS_EXPIRED = Counter("boxoffice_holds_expired_total", "Lapsed holds that the sweeper closed.")
ARCHIVED = Counter("boxoffice_archived_total", "Rows that were moved into the archive.")
LOG_LOST = Counter(
    "boxoffice_log_lost_total", "Parts of the log that could not be written, and are lost."
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Where lines of JSON go that somebody else has encoded; None where the log has another form, or another
# level than `info`.
raw_lines: BinaryIO | None = None


class _Lossy(io.RawIOBase):
    """Writes to `out` what it takes, and loses the rest: nobody fails because nobody listens.

    A log whose reader is gone or whose disk is full would otherwise end whatever has something to say:
    a request, a drain, a task that was about to wait an outage out.
    """

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        # Not through its buffer: what cannot be written would stay in the way of all that follows.
        self._out: Any = getattr(out, "raw", out)
        self._is_cut = False

    def writable(self) -> bool:
        """It always is."""
        return True

    def write(self, part: Any) -> int:
        """Write `part`, or lose what is left of it; return its length in either case."""
        whole = bytes(part)
        left = b"\n" + whole if self._is_cut else whole
        try:
            while left:
                # None where a pipe that does not block is full.
                written: int = self._out.write(left) or 0
                if not written:
                    break
                left = left[written:]
                self._is_cut = bool(left)
        except (OSError, ValueError):
            pass  # ValueError: somebody has closed it.
        if left:
            LOG_LOST.inc()
        return len(whole)


def configure_logs(settings: ObservabilitySettings, stream: TextIO | None = None) -> None:
    """Send one line per event to `stream` (standard output): JSON, or text for people.

    A line that cannot be written is lost, and counted.
    """
    global raw_lines  # noqa: PLW0603 — like structlog's own configuration, one for the process
    given = stream or sys.stdout
    given.flush()
    lines = io.BufferedWriter(_Lossy(given.buffer))
    out = io.TextIOWrapper(lines, given.encoding, given.errors, write_through=True)
    level = _LEVELS[settings.log_level]
    raw_lines = lines if settings.log_format == "json" and level <= logging.INFO else None
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    logger_factory: Any
    rendering: list[Any]
    if settings.log_format == "json":
        rendering = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_encode_json),
        ]
        logger_factory = structlog.BytesLoggerFactory(file=lines)
    else:
        rendering = [_console_renderer(is_colored=given.isatty())]
        logger_factory = structlog.PrintLoggerFactory(file=out)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=logger_factory,
        cache_logger_on_first_use=True,
    )
    _configure_libraries(out, max(level, logging.WARNING), shared, rendering)


def _console_renderer(*, is_colored: bool) -> structlog.dev.ConsoleRenderer:
    # The default shows local variables in tracebacks, and with them passwords.
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=is_colored, exception_formatter=plain)


def _configure_libraries(out: TextIO, level: int, shared: list[Any], rendering: list[Any]) -> None:
    """Give what libraries log the form of our own lines."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *rendering,
                _as_text,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _as_text(_logger: Any, _method: str, line: Any) -> str:
    return line.decode() if isinstance(line, bytes) else str(line)


def _encode_json(event: object, default: Any = None, **_: object) -> bytes:
    return msgspec.json.encode(event, enc_hook=default or str)
