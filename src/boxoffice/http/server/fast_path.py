"""The fast path: plain requests for fast-path operations are answered without the framework.

A framework costs several times what a look-up from memory or a share of a batch costs. So where a
request is of the plainest kind (HTTP/1.1, no query, nothing to negotiate), the protocol hands it to its
operation right here, with the same steps as the framework's way: `begin`, `take_body`, the handler,
`problems`. Whatever is special takes the framework's way, and nobody can tell the difference.

A handler is stepped by hand. Many end with the first step: they were answered from memory. While one
waits for nothing but its batch, the batch's end is its next step. Only one that waits for anything else
goes on in a task of its own.
"""

import asyncio
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from boxoffice.errors import BodyTooSlow, IntegrityError, Overloaded, Problem
from boxoffice.http.api import body as bodies
from boxoffice.http.api import problems
from boxoffice.http.api.headers import NO_STORE, raw_headers
from boxoffice.http.api.middleware import counted_scope, request_id_of
from boxoffice.http.api.operation import (
    Call,
    Operation,
    Reply,
    RouteDependencies,
    begin,
    matches,
    out_of_time,
    path_ids,
    scope_of,
    take_body,
)
from boxoffice.http.streams import Stream
from boxoffice.observability.access_log import AccessLog, Kind
from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.futures import TasklessFuture

_TARGETS_MAX = 4_096
_DEADLINES_EVERY_S = 0.5
# A larger body is sent as it is: a copy for everybody who reads slowly would fill the memory.
_COPIED_MAX_BYTES = 16_384
_JSON = bodies.JSON_TYPE.encode()
_PROBLEM = problems.MEDIA_TYPE.encode()
_SPECIAL = frozenset({b"expect", b"transfer-encoding", b"upgrade"})

Head = Mapping[bytes, bytes]
# What is asked for, and by whom: method, route, the ids in the path, and `Authorization`.
Errand = tuple[str, str, Mapping[str, Any], bytes]
Work = Coroutine[Any, Any, Reply | Stream]
# Sends an answer, in two parts where the second is large; says whether the connection is to be kept.
Write = Callable[[bytes, bytes, bool], None]
# Gives the connection to a stream: the stream, the request's id, and the client's address.
BeginStream = Callable[[Stream, str, str], None]


class Way(NamedTuple):
    """Where a request target leads: an operation of a resource, and the ids in the path."""

    op: Operation
    template: str
    handler: Callable[[Any, Call[Any, Any]], Work]
    resource: Any
    dependencies: RouteDependencies
    ids: dict[str, Any]
    query: Any
    kinds: dict[tuple[int, str], Kind]
    scope: str = ""

    @property
    def body_max_bytes(self) -> int:
        """How long a body may be; past uvicorn's limit it stops reading until somebody takes a part."""
        return min(self.dependencies.body_max_bytes, HIGH_WATER_LIMIT)


class _Route(NamedTuple):
    segments: list[str]
    way: Way

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Return the parameters of a path of this route."""
        if len(segments) != len(self.segments):
            return None
        params = {}
        for own, given in zip(self.segments, segments, strict=True):
            if own.startswith("{"):
                params[own[1:-1]] = given
            elif own != given:
                return None
        return params


class Lane:
    """The fast-path operations of some routes."""

    def __init__(self, routes: Iterable[tuple[str, object]], access_log: AccessLog) -> None:
        self.access_log = access_log
        self.deadlines = Deadlines()
        self._routes: dict[bytes, list[_Route]] = {}
        for template, resource in routes:
            for method in ("GET", "POST"):
                self._add(template, method, resource)
        # Few targets are hot, and these are asked for again and again: ids are read once.
        self._known: dict[tuple[bytes, bytes], Way] = {}
        self._to_send: list[tuple[Run, bytes, bytes]] = []
        self._common: Sequence[tuple[bytes, bytes]] = ()
        self._status_lines: dict[int, bytes] = {}

    def _add(self, template: str, method: str, resource: Any) -> None:
        responder = getattr(resource, f"on_{method.lower()}", None)
        op: Operation | None = getattr(responder, "operation", None)
        if op is None or not op.fast_path:
            return
        query = None if op.query is None else op.query()
        way = Way(op, template, responder.handler, resource, resource.dependencies, {}, query, {})  # type: ignore[union-attr]
        self._routes.setdefault(method.encode(), []).append(_Route(template.split("/"), way))

    def find(self, method: bytes, target: bytes, head: Head) -> Way | None:
        """Return the way of a request, None where it is to take the framework's."""
        way = self._known.get((method, target)) or self._look_up(method, target)
        if way is None or not _SPECIAL.isdisjoint(head):
            return None
        length = head.get(b"content-length")
        if way.op.body is None:
            return way if length in (None, b"0") else None
        if length is None or not length.isdigit() or int(length) > way.body_max_bytes:
            return None
        return way

    def use_common(self, headers: "Sequence[tuple[bytes, bytes]]") -> None:
        """Put `headers` into every answer from now on; the server changes them once a second."""
        if headers is not self._common:
            self._common = headers
            self._status_lines.clear()

    def status_line(self, status: int) -> bytes:
        """Return the status line of an answer with the headers that all answers have."""
        line = self._status_lines.get(status)
        if line is None:
            line = STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % pair for pair in self._common])
            self._status_lines[status] = line
        return line

    def send_soon(self, run: "Run", answer: bytes, rest: bytes) -> None:
        """Send `answer` and `rest` at the end of this turn of the event loop, with the others of it.

        One by one, each would wake the other end, or the network's, before the next is made.
        """
        if not self._to_send:
            asyncio.get_running_loop().call_soon(self._send)
        self._to_send.append((run, answer, rest))

    def _send(self) -> None:
        to_send, self._to_send = self._to_send, []
        for run, answer, rest in to_send:
            try:
                run.send(answer, rest)
            except Exception as error:  # the others get their answers whatever becomes of this one
                log.error("answer_not_sent", exc_info=error)

    def _look_up(self, method: bytes, target: bytes) -> Way | None:
        segments = target.decode("latin-1").split("/")
        for route in self._routes.get(method, ()):
            params = route.match(segments)
            if params is None:
                continue
            try:
                ids = path_ids(route.way.op, params)
            except Problem:
                return None
            way = route.way._replace(ids=ids)
            if scope := scope_of(way.op, ids):
                way = way._replace(scope=scope, kinds={})
            if len(self._known) >= _TARGETS_MAX:
                self._known.clear()
            self._known[method, target] = way
            return way
        return None


class Deadlines:
    """Ends what takes too long; all have the same time, so the oldest comes first."""

    def __init__(self) -> None:
        self._open: dict[Run, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, run: "Run", timeout_s: float) -> None:
        """Give `run` so much time, give or take the half second between two looks."""
        loop = asyncio.get_running_loop()
        self._open[run] = loop.time() + timeout_s
        if self._timer is None:
            self._timer = loop.call_later(_DEADLINES_EVERY_S, self._look, loop)

    def forget(self, run: "Run") -> None:
        """It has come to its end."""
        self._open.pop(run, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = []
        for run, due in self._open.items():
            if due > now:
                break
            late.append(run)
        for run in late:
            del self._open[run]
            run.cancel()
        again = bool(self._open)
        self._timer = loop.call_later(_DEADLINES_EVERY_S, self._look, loop) if again else None


class _Unheard:
    """Stands in for the event by which uvicorn wakes applications that wait for a message."""

    def set(self) -> None:
        """Wake nobody."""


class Run:
    """One request on the fast path; it takes the place of uvicorn's cycle on its connection."""

    __slots__ = (
        "_awaited", "_begin_stream", "_client", "_head", "_lane", "_request_id", "_started_at",
        "_way", "_write", "body", "comeback_at_s", "disconnected", "keep_alive", "method",
        "response_complete", "response_started", "task",
    )  # fmt: skip
    message_event = _Unheard()

    def __init__(
        self,
        lane: Lane,
        way: Way,
        method: bytes,
        head: Head,
        keep_alive: bool,
        client: Any,
        write: Write,
        begin_stream: BeginStream | None = None,
    ) -> None:
        self.method = method.decode("ascii")
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        # At what time of the event loop whoever was refused is to come back.
        self.comeback_at_s = 0.0
        self.task: asyncio.Task[None] | None = None
        self._awaited: TasklessFuture[Any] | None = None
        self._lane = lane
        self._way = way
        self._head = head
        self._client = client
        self._write = write
        self._begin_stream = begin_stream
        self._started_at = time.perf_counter()
        given = head.get(b"x-request-id")
        self._request_id = request_id_of(None if given is None else given.decode("latin-1"))

    @property
    def remote_addr(self) -> str:
        """The address of the client: of whoever is connected, or for whom a trusted proxy speaks."""
        return self._client[0] if self._client else "127.0.0.1"

    @property
    def errand(self) -> Errand:
        """What is asked for, and by whom in their own words."""
        way = self._way
        return self.method, way.template, way.ids, self._head.get(b"authorization", b"")

    def get_header(self, name: str) -> str | None:
        """Return the value of a header."""
        value = self._head.get(_wire_name(name))
        return None if value is None else value.decode("latin-1")

    def start(self) -> None:
        """Let the handler begin, unless the body came too late."""
        if self.response_started:
            return
        self._lane.access_log.in_flight.count += 1
        way = self._way
        try:
            work = way.handler(way.resource, self._call())
        except Exception as error:
            self._fail(error)
            return
        self._step(work)
        if not self.response_started:
            self._lane.deadlines.add(self, way.dependencies.request_timeout_s)

    def cancel(self) -> None:
        """End the waiting; what was to be done may be done all the same."""
        if self.task is not None:
            self.task.cancel()
        elif self._awaited is not None:
            self._awaited.cancel()

    def _step(self, work: Work, _awaited: object = None) -> None:
        """Let the handler go on until it waits or ends.

        While it waits for nothing but the group commit it needs no task. Once it waits for anything
        else it has one, for good.
        """
        try:
            awaited = work.send(None)
        except StopIteration as end:
            self._finish(end.value)
        except (Exception, asyncio.CancelledError) as error:
            self._fail(error)
        else:
            if isinstance(awaited, TasklessFuture):
                self._awaited = awaited
                awaited.adopt(partial(self._step, work))
            else:
                self.task = asyncio.get_running_loop().create_task(self._go_on(work, awaited))

    async def _go_on(self, work: Work, awaited: Any) -> None:
        try:
            reply = await _resumed(work, awaited)
        except (Exception, asyncio.CancelledError) as error:
            self._fail(error)
        else:
            self._finish(reply)

    def _finish(self, reply: Reply | Stream) -> None:
        try:
            if isinstance(reply, Stream):
                self._stream(reply)
            else:
                self._reply(reply)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Answer with what `error` stands for; also where an answer could not be encoded."""
        if isinstance(error, asyncio.CancelledError | TimeoutError):
            error = out_of_time(self.method, handled=True)
        if isinstance(error, Overloaded) and b"authorization" in self._head:
            # Those who do not say who they are cannot be told from others behind the same proxy.
            self.comeback_at_s = asyncio.get_running_loop().time() + error.retry_after_s
        if isinstance(error, Problem):
            self._refuse(problems.render(error, self._request_id))
        else:
            self._refuse(problems.render_bug(error, self._request_id))

    def give_up(self) -> None:
        """Answer a request whose body did not arrive in time."""
        self._lane.access_log.in_flight.count += 1
        self._fail(BodyTooSlow())

    def _call(self) -> Call[Any, Any]:
        way = self._way
        call = begin(way.op, way.dependencies, self, lambda: way.ids)
        call.query = way.query
        call.request_id = self._request_id
        if way.op.body is not None:
            if self._head.get(b"content-type") != _JSON:
                bodies.require_json(self)
            take_body(way.op, call, bytes(self.body))
        return call

    def _reply(self, reply: Reply) -> None:
        op = self._way.op
        raw = raw_headers(reply.headers)
        if reply.etag:
            raw += b"etag: %b\r\n" % reply.etag.encode("latin-1")
            if matches(self.get_header("If-None-Match"), reply.etag):
                self._answer(304, "ok", raw)
                return
        if not op.cached:
            raw += NO_STORE.raw
        self._answer(op.success, "ok", raw, reply.body)

    def _stream(self, stream: Stream) -> None:
        if self._begin_stream is None:
            raise IntegrityError("the connection was not asked whether it can stream")
        self._begin_stream(stream, self._request_id, self.remote_addr)
        self._account(self._way.op.success, "ok")

    def _refuse(self, refusal: problems.Rendered) -> None:
        headers = refusal.headers
        if "Connection" in headers:
            # `_answer` says so too.
            self.keep_alive = False
            headers = {name: value for name, value in headers.items() if name != "Connection"}
        raw = raw_headers(headers)
        self._answer(refusal.status, refusal.code, raw, refusal.body, _PROBLEM)

    def _answer(
        self, status: int, code: str, raw: bytes, body: bytes | None = None, kind: bytes = _JSON
    ) -> None:
        self._account(status, code)
        if body is not None:
            raw += b"content-type: %b\r\ncontent-length: %d\r\n" % (kind, len(body))
        if not self.keep_alive:
            raw += b"connection: close\r\n"
        body = body or b""
        copied, rest = (body, b"") if len(body) <= _COPIED_MAX_BYTES else (b"", body)
        answer = b"%bx-request-id: %b\r\nx-content-type-options: nosniff\r\n%b\r\n%b" % (
            self._lane.status_line(status),
            self._request_id.encode(),
            raw,
            copied,
        )
        self._lane.send_soon(self, answer, rest)

    def _account(self, status: int, code: str) -> None:
        """Note that there is an answer, and which."""
        access_log, way = self._lane.access_log, self._way
        self.response_started = True
        self._lane.deadlines.forget(self)
        access_log.in_flight.count -= 1
        what = way.kinds.get((status, code))
        if what is None:
            scope = counted_scope(status, way.scope)
            what = Kind(self.method, way.template, status, code, scope)
            way.kinds[status, code] = what
        access_log.answered(what, self._request_id, self._started_at)

    def send(self, answer: bytes, rest: bytes) -> None:
        """Send the answer, which ends the request; whoever has hung up gets none."""
        self.response_complete = True
        if not self.disconnected:
            self._write(answer, rest, self.keep_alive)


@lru_cache(maxsize=64)
def _wire_name(name: str) -> bytes:
    return name.lower().encode("ascii")


@types.coroutine
def _resumed(work: Work, first: Any) -> Generator[Any, Any, Reply | Stream]:
    """Go on with a coroutine that has taken its first step and waits for `first`."""
    while True:
        try:
            yield first
        except BaseException as error:
            try:
                first = work.throw(error)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
        else:
            break
    reply = yield from work.__await__()
    return reply
