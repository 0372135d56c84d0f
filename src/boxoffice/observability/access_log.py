"""The access log: one log line and two metrics for every answer.

One by one they cost about as much as a look-up from memory. So answers are kept for a tenth of a second
at most, and then counted and logged together. A line's timestamp is that of its answer.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from select import PIPE_BUF
from typing import NamedTuple

import msgspec

from boxoffice.observability import logs
from boxoffice.observability.logs import log
from boxoffice.observability.metrics import REQUEST_SECONDS, REQUESTS, flush_counters

_WRITE_AFTER_S = 0.1
_WAITING_MAX = 512
QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})

_encode = msgspec.json.Encoder().encode


class InFlight:
    """How many requests are being answered, and whether new ones are still welcome."""

    def __init__(self) -> None:
        self.count = 0
        self.draining = False
        self.started = False


class Kind(NamedTuple):
    """What answers may have in common; `scope` is the id in the path by which they count apart."""

    method: str
    route: str
    status: int
    code: str
    scope: str = ""

    def log_fields(self) -> dict[str, object]:
        """Return the fields of its log lines."""
        return {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "code": self.code,
        }


# Hears of so many answers of a kind, and how many of them took how long (`FINE_SECONDS`).
Listener = Callable[[Kind, int, Mapping[int, int]], None]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One answer: its request's id, the time that it took in seconds, and its Unix time.

    `trace_fields` are further fields of its line, encoded, each with a comma in front.
    """

    kind: Kind
    request_id: str
    seconds: float
    at: float
    trace_fields: str = ""


class AccessLog:
    """Keeps answers for a moment; `write` counts and logs them."""

    def __init__(
        self, in_flight: InFlight, *, log_requests: bool, listener: Listener | None = None
    ) -> None:
        self.in_flight = in_flight
        self._listener = listener
        self._log_requests = log_requests
        self._waiting: list[Answer] = []
        self._timer: asyncio.Handle | None = None

    def answered(
        self, kind: Kind, request_id: str, started_at: float, trace_fields: str = ""
    ) -> None:
        """Record an answer to a request that began at `started_at` (`time.perf_counter`)."""
        seconds = time.perf_counter() - started_at
        self._waiting.append(Answer(kind, request_id, seconds, time.time(), trace_fields))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WRITE_AFTER_S, self.write)
        elif len(self._waiting) == _WAITING_MAX:
            # Not from in here: an answer is not to be lost because its line cannot be written.
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_soon(self.write)

    def write(self) -> None:
        """Count and log the answers that wait; to be called before metrics are read, and at the end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        flush_counters()
        answers, self._waiting = self._waiting, []
        _count(answers, self._listener)
        if self._log_requests:
            _log([answer for answer in answers if answer.kind.route not in QUIET_ROUTES])


def _count(answers: Iterable[Answer], listener: Listener | None) -> None:
    times: dict[Kind, list[float]] = {}
    for answer in answers:
        times.setdefault(answer.kind, []).append(answer.seconds)
    for kind, seconds_of_kind in times.items():
        count = len(seconds_of_kind)
        REQUESTS.labels(kind.method, kind.route, str(kind.status), kind.code).inc(count)
        steps = REQUEST_SECONDS.labels(kind.route).observe_all(seconds_of_kind)
        if listener is not None:
            listener(kind, count, steps)


def _log(answers: Sequence[Answer]) -> None:
    out = logs.raw_lines
    if out is None:
        for answer in answers:
            log.info("request", **_fields(answer))
        return
    for part in _parts(_lines(answers)):
        out.write(part)
        out.flush()


def _parts(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines into parts that a pipe takes in one piece, or several workers' lines would mix."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > PIPE_BUF:
            yield b"".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield b"".join(part)


def _fields(answer: Answer) -> dict[str, object]:
    ms = round(answer.seconds * 1000, 2)
    traced = msgspec.json.decode(f"{{{answer.trace_fields[1:]}}}", type=dict[str, str])
    return {"request_id": answer.request_id, **traced, **answer.kind.log_fields(), "ms": ms}


def _lines(answers: Iterable[Answer]) -> Iterable[bytes]:
    """Encode lines as the log's own encoder would, what they have in common once."""
    kinds: dict[Kind, bytes] = {}
    seconds: dict[int, bytes] = {}
    for answer in answers:
        kind, at = answer.kind, answer.at
        shared = kinds.get(kind)
        if shared is None:
            shared = kinds[kind] = _encode(kind.log_fields())[1:-1]
        second = int(at)
        moment = seconds.get(second)
        if moment is None:
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
            seconds[second] = moment
        yield (
            b'{"request_id":"%b"%b,%b,"ms":%.2f,"event":"request","level":"info",'
            b'"timestamp":"%b.%06dZ"}\n'
            % (
                answer.request_id.encode(),
                answer.trace_fields.encode(),
                shared,
                answer.seconds * 1000,
                moment,
                (at - second) * 1_000_000,
            )
        )
