"""The swift lane: plain requests for swift operations are answered without the framework.

A framework costs several times what a look-up from memory or a share of a batch costs. So where a
request is of the plainest kind (HTTP/1.1, no query, nothing to negotiate), the protocol hands it to its
operation right here, with the same steps as the framework's way: `begin`, `take_body`, the handler,
`problems`. Whatever is special takes the framework's way, and nobody can tell the difference.

The first step of a handler runs at once, and many end with it: they were answered from memory. One that
waits for something goes on in a task of its own.
"""

import asyncio
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from typing import Any, NamedTuple

from boxoffice.errors import BodyTooSlow, Problem
from boxoffice.http import body as bodies
from boxoffice.http import problems
from boxoffice.http.journal import Journal
from boxoffice.http.middleware import request_id_of
from boxoffice.http.operation import (
    Call,
    FixedHeaders,
    Gate,
    Operation,
    Reply,
    begin,
    matches,
    out_of_time,
    path_ids,
    raw_headers,
    take_body,
)

_TARGETS_MAX = 4_096
_DEADLINES_EVERY_S = 0.5
_JSON_TYPE = "application/json"
_NO_STORE = FixedHeaders({"Cache-Control": "no-store"}).raw
_SPECIAL = frozenset({b"expect", b"transfer-encoding", b"upgrade"})

Head = Mapping[bytes, bytes]
# Sends status, header lines and body; says whether the connection is to be kept.
Write = Callable[[int, bytes, bytes, bool], None]


class Way(NamedTuple):
    """Where a request target leads: an operation of a resource, and the ids in the path."""

    op: Operation
    template: str
    handler: Callable[[Any, Call[Any, Any]], Coroutine[Any, Any, Reply]]
    resource: Any
    gate: Gate
    ids: dict[str, Any]
    query: Any


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
    """The swift operations of some routes."""

    def __init__(self, routes: Iterable[tuple[str, object]], journal: Journal) -> None:
        self.journal = journal
        self.deadlines = Deadlines()
        self._routes: dict[bytes, list[_Route]] = {}
        for template, resource in routes:
            for method in ("GET", "POST"):
                self._add(template, method, resource)
        # Few targets are hot, and these are asked for again and again: ids are read once.
        self._known: dict[tuple[bytes, bytes], Way] = {}

    def _add(self, template: str, method: str, resource: Any) -> None:
        responder = getattr(resource, f"on_{method.lower()}", None)
        op: Operation | None = getattr(responder, "operation", None)
        if op is None or not op.swift:
            return
        query = None if op.query is None else op.query()
        way = Way(op, template, responder.handler, resource, resource.gate, {}, query)  # type: ignore[union-attr]
        self._routes.setdefault(method.encode(), []).append(_Route(template.split("/"), way))

    def find(self, method: bytes, target: bytes, head: Head) -> Way | None:
        """Return the way of a request, None where it is to take the framework's."""
        way = self._known.get((method, target)) or self._look_up(method, target)
        if way is None or not _SPECIAL.isdisjoint(head):
            return None
        length = head.get(b"content-length")
        if way.op.body is None:
            return way if length in (None, b"0") else None
        if length is None or not length.isdigit() or int(length) > way.gate.body_max_bytes:
            return None
        return way

    def _look_up(self, method: bytes, target: bytes) -> Way | None:
        segments = target.decode("latin-1").split("/")
        for route in self._routes.get(method, ()):
            params = route.match(segments)
            if params is None:
                continue
            try:
                way = route.way._replace(ids=path_ids(route.way.op, params))
            except Problem:
                return None
            if len(self._known) >= _TARGETS_MAX:
                self._known.clear()
            self._known[method, target] = way
            return way
        return None


class Deadlines:
    """Cancels what takes too long; all have the same time, so the oldest comes first."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, task: "asyncio.Task[None]", timeout_s: float) -> None:
        """Give `task` so much time, give or take the half second between two looks."""
        loop = asyncio.get_running_loop()
        self._open[task] = loop.time() + timeout_s
        task.add_done_callback(self._forget)
        if self._timer is None:
            self._timer = loop.call_later(_DEADLINES_EVERY_S, self._look, loop)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._open.pop(task, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = []
        for task, due in self._open.items():
            if due > now:
                break
            late.append(task)
        for task in late:
            del self._open[task]
            task.cancel()
        again = bool(self._open)
        self._timer = loop.call_later(_DEADLINES_EVERY_S, self._look, loop) if again else None


class _Unheard:
    """Stands in for the event by which uvicorn wakes applications that wait for a message."""

    def set(self) -> None:
        """Wake nobody."""


_UNHEARD = _Unheard()


class Run:
    """One request on the swift lane; it takes the place of uvicorn's cycle on its connection."""

    message_event = _UNHEARD
    more_body = False

    def __init__(
        self, lane: Lane, way: Way, method: bytes, head: Head, keep_alive: bool, client: Any
    ) -> None:
        self.method = method.decode("ascii")
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.task: asyncio.Task[None] | None = None
        self._lane = lane
        self._way = way
        self._head = head
        self._client = client
        self._started_at = time.perf_counter()
        self._request_id = request_id_of(self.get_header("X-Request-Id"))
        lane.journal.in_flight.count += 1

    @property
    def remote_addr(self) -> str:
        """The address of whoever is connected."""
        return self._client[0] if self._client else "127.0.0.1"

    def get_header(self, name: str) -> str | None:
        """Return the value of a header."""
        value = self._head.get(name.lower().encode("ascii"))
        return None if value is None else value.decode("latin-1")

    def start(self, write: Write) -> None:
        """Take the first step of the handler; the rest of it, if there is one, gets a task."""
        self._write = write
        try:
            call = self._call()
            work = self._way.handler(self._way.resource, call)
            first = work.send(None)
        except StopIteration as end:
            self._reply(end.value)
        except Problem as problem:
            self._refuse(problems.render(problem, self._request_id))
        except Exception as error:
            self._refuse(problems.render_bug(error, self._request_id))
        else:
            self.task = asyncio.get_running_loop().create_task(self._go_on(work, first))
            self._lane.deadlines.add(self.task, self._way.gate.request_timeout_s)

    def give_up(self, write: Write) -> None:
        """Answer a request whose body did not arrive in time."""
        self._write = write
        self._refuse(problems.render(BodyTooSlow(), self._request_id))

    def _call(self) -> Call[Any, Any]:
        way = self._way
        call = begin(way.op, way.gate, self, lambda: way.ids)
        call.query = way.query
        if way.op.body is not None:
            if self._head.get(b"content-type") != b"application/json":
                bodies.require_json(self)
            take_body(way.op, call, bytes(self.body))
        return call

    async def _go_on(self, work: Coroutine[Any, Any, Reply], first: Any) -> None:
        try:
            reply = await _resumed(work, first)
        except Problem as problem:
            self._refuse(problems.render(problem, self._request_id))
        except asyncio.CancelledError:
            late = out_of_time(self.method, handled=True)
            self._refuse(problems.render(late, self._request_id))
        except Exception as error:
            self._refuse(problems.render_bug(error, self._request_id))
        else:
            self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        op = self._way.op
        raw = raw_headers(reply.headers)
        if reply.etag:
            raw += b"ETag: %b\r\n" % reply.etag.encode("latin-1")
            if matches(self.get_header("If-None-Match"), reply.etag):
                self._answer(304, "ok", raw, None)
                return
        if not op.cached:
            raw += _NO_STORE
        self._answer(op.success, "ok", raw, reply.body)

    def _refuse(self, refusal: problems.Rendered) -> None:
        raw = raw_headers(refusal.headers)
        if "Connection" in refusal.headers:
            self.keep_alive = False
            raw = raw_headers({k: v for k, v in refusal.headers.items() if k != "Connection"})
        self._answer(refusal.status, refusal.code, raw, refusal.body, problems.MEDIA_TYPE)

    def _answer(
        self, status: int, code: str, raw: bytes, body: bytes | None, kind: str = _JSON_TYPE
    ) -> None:
        request_id = self._request_id
        common = f"X-Request-Id: {request_id}\r\nX-Content-Type-Options: nosniff\r\n"
        if body is not None:
            common += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        if not self.keep_alive:
            common += "Connection: close\r\n"
        self.response_started = self.response_complete = True
        journal = self._lane.journal
        journal.in_flight.count -= 1
        way = self._way
        journal.answered(self.method, way.template, status, code, request_id, self._started_at)
        if not self.disconnected:
            self._write(status, common.encode("ascii") + raw, body or b"", self.keep_alive)


@types.coroutine
def _resumed(work: Coroutine[Any, Any, Reply], first: Any) -> Generator[Any, Any, Reply]:
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
