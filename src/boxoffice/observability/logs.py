"""Logs: events have static names and carry their data in fields."""

import io
import logging
import sys
from typing import Any, BinaryIO, TextIO

import msgspec
import structlog
from prometheus_client import Counter

from boxoffice.settings import ObservabilitySettings

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


LOG_LOST = Counter(
    "boxoffice_log_lost_total", "Parts of the log that could not be written and were dropped."
)


log: structlog.stdlib.BoundLogger = structlog.get_logger()


# Takes lines of JSON that the access log has encoded; None where the log is not JSON or its level is
# above `info`.
raw_lines: BinaryIO | None = None


class _LossyWriter(io.RawIOBase):
    """Writes to `out` what it takes, and drops and counts the rest.

    Otherwise a full disk or a closed pipe would fail the request, the drain or the task that logs.
    """

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        # Unbuffered: a buffer would keep what cannot be written, and block every later line.
        self._out: Any = getattr(out, "raw", out)
        self._is_cut = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, part: Any) -> int:
        """Write `part`, drop what `out` does not take, and return the length of `part`."""
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
            pass  # ValueError: the stream is closed.
        if left:
            LOG_LOST.inc()
        return len(whole)


def configure_logs(settings: ObservabilitySettings, stream: TextIO | None = None) -> None:
    """Send one line per event to `stream` (standard output): JSON, or text for people.

    A line that cannot be written is dropped and counted.
    """
    global raw_lines  # noqa: PLW0603 — like structlog's own configuration, one for the process
    given = stream or sys.stdout
    given.flush()
    lines = io.BufferedWriter(_LossyWriter(given.buffer))
    out = io.TextIOWrapper(lines, given.encoding, given.errors, write_through=True)
    level = _LEVELS[settings.log_level]
    raw_lines = lines if settings.log_format == "json" and level <= logging.INFO else None
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        *_trace_fields(settings),
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


def _trace_fields(settings: ObservabilitySettings) -> list[Any]:
    if not settings.traces_url:
        return []
    from boxoffice.observability.tracing.log_fields import add_span  # noqa: PLC0415 — optional

    return [add_span]


def _console_renderer(*, is_colored: bool) -> structlog.dev.ConsoleRenderer:
    # The default shows local variables in tracebacks, and with them passwords.
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=is_colored, exception_formatter=plain)


def _configure_libraries(out: TextIO, level: int, shared: list[Any], rendering: list[Any]) -> None:
    """Format the log lines of libraries like our own."""
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
