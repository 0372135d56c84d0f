"""What is told of every answer: one log line and two metrics.

Both cost about as much as a look-up that is served from memory, so lines are encoded and written some
at a time, at most a tenth of a second late. Their timestamps are those of the answers.
"""

import asyncio
import time
from datetime import UTC, datetime

import msgspec
from prometheus_client import Counter, Histogram

from boxoffice.platform import telemetry

_WRITE_AFTER_S = 0.1
_LINES_MAX = 512
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})

_encode = msgspec.json.Encoder().encode


class InFlight:
    """How many requests are being answered, and whether new ones are still welcome."""

    def __init__(self) -> None:
        self.count = 0
        self.draining = False
        self.started = False


class Answer(msgspec.Struct, gc=False):
    """One answer; `seconds` is the time that it took, `at` when it was given (Unix time)."""

    method: str
    route: str
    status: int
    code: str
    request_id: str
    seconds: float
    at: float


class _Line(msgspec.Struct, gc=False):
    request_id: str
    method: str
    route: str
    status: int
    code: str
    ms: float
    event: str
    level: str
    timestamp: str


class Journal:
    """Counts answers at once, and logs them in batches."""

    def __init__(self, in_flight: InFlight, *, log_requests: bool) -> None:
        self.in_flight = in_flight
        self._log_requests = log_requests
        self._waiting: list[Answer] = []
        self._timer: asyncio.TimerHandle | None = None
        # Looking a labelled metric up costs more than counting, so they are kept.
        self._counters: dict[tuple[str, str, int, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def answered(
        self, method: str, route: str, status: int, code: str, request_id: str, started_at: float
    ) -> None:
        """Tell of an answer to a request that was begun at `started_at` (`time.perf_counter`)."""
        seconds = time.perf_counter() - started_at
        self._count(method, route, status, code, seconds)
        if self._log_requests and route not in _QUIET:
            answer = Answer(method, route, status, code, request_id, seconds, time.time())
            self._waiting.append(answer)
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(_WRITE_AFTER_S, self.write)
            elif len(self._waiting) >= _LINES_MAX:
                self.write()

    def write(self) -> None:
        """Write the lines that wait; call it at the end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        answers, self._waiting = self._waiting, []
        out = telemetry.raw_lines
        if out is not None and answers:
            out.write(b"".join([_encode(_line(answer)) + b"\n" for answer in answers]))
            out.flush()
        elif answers:
            for answer in answers:
                _tell(answer)

    def _count(self, method: str, route: str, status: int, code: str, seconds: float) -> None:
        name = (method, route, status, code)
        counter = self._counters.get(name)
        if counter is None:
            counter = telemetry.REQUESTS.labels(method, route, str(status), code)
            self._counters[name] = counter
        counter.inc()
        timer = self._timers.get(route)
        if timer is None:
            timer = self._timers[route] = telemetry.REQUEST_SECONDS.labels(route)
        timer.observe(seconds)


def _tell(answer: Answer) -> None:
    telemetry.log.info(
        "request",
        request_id=answer.request_id,
        method=answer.method,
        route=answer.route,
        status=answer.status,
        code=answer.code,
        ms=round(answer.seconds * 1000, 2),
    )


def _line(answer: Answer) -> _Line:
    return _Line(
        answer.request_id,
        answer.method,
        answer.route,
        answer.status,
        answer.code,
        round(answer.seconds * 1000, 2),
        "request",
        "info",
        _timestamp(answer.at),
    )


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
