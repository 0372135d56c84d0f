"""One request: its body, the task of its handler, and its deadline.

`asyncio.create_task` allocates a task and starts it in the next turn of the event loop, which costs as
much as a look-up from memory. Most handlers end with their first step, or wait once, for their batch.
So the server steps them itself, in the callback that has read the request, and is their task in the
sense of asyncio ("Extending", "Task lifetime support",
https://docs.python.org/3/library/asyncio-extending.html): `asyncio.current_task`, `asyncio.timeout` and
`asyncio.TaskGroup` work inside a handler as they do inside any other task.
"""

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from itertools import count
from secrets import token_hex
from typing import Any, Generic, Protocol, TypeVar

from boxoffice.errors import BodyTooLarge, Overloaded, Problem
from boxoffice.http.api import problems
from boxoffice.http.api.operation import Reply, out_of_time, respond
from boxoffice.http.api.router import RouteMatch
from boxoffice.http.downloads import Download
from boxoffice.http.server.answers import AnswerWriter, Sender
from boxoffice.http.streams import Stream
from boxoffice.observability.access_log import InFlight

T = TypeVar("T")

_DEADLINES_EVERY_S = 0.5
# A tuple: a union would be made for each refusal.
_OUT_OF_TIME = (asyncio.CancelledError, TimeoutError)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
# Unique on every pod, and a tenth of the price of a UUID.
_PROCESS = token_hex(8)
_numbers = count(1)

Address = tuple[str, int]
# Names a request: method, route, the ids in the path, and `Authorization`.
RequestKey = tuple[str, str, Mapping[str, Any], bytes]


class ClientGone(ConnectionError):
    """The client hung up before its body was complete."""


class HandlerTask(ABC, Generic[T]):
    """A task without a future: a subclass gets the result in `completed`, or the error in `failed`.

    `run` must not be called while another task takes a step, only from a callback of the event loop.
    """

    __slots__ = ("_awaited", "_cancel_requests", "_coroutine", "_loop", "_must_cancel")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._coroutine: Coroutine[Any, Any, T] | None = None
        self._awaited: asyncio.Future[Any] | None = None
        self._cancel_requests = 0
        self._must_cancel = False

    @abstractmethod
    def completed(self, result: T) -> None:
        """Take the result of the coroutine."""

    @abstractmethod
    def failed(self, error: Exception | asyncio.CancelledError) -> None:
        """Take what the coroutine raised."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> None:
        """Take the coroutine's first step, and the others when what it waits for is done."""
        self._coroutine = coroutine
        self._step()

    def cancel(self, _msg: Any = None) -> bool:
        """Have `CancelledError` raised in the coroutine; say whether it still runs."""
        if self._coroutine is None:
            return False
        self._cancel_requests += 1
        if self._awaited is None or not self._awaited.cancel():
            self._must_cancel = True
        return True

    def done(self) -> bool:
        """Say whether the coroutine has ended, as `asyncio.TaskGroup` asks."""
        return self._coroutine is None

    def cancelling(self) -> int:
        """Return how many cancellations were requested and not taken back."""
        return self._cancel_requests

    def uncancel(self) -> int:
        """Take a cancellation back, as `asyncio.timeout` does; return how many are left."""
        self._cancel_requests = max(0, self._cancel_requests - 1)
        return self._cancel_requests

    def _step(self, _done: object = None) -> None:
        """Let the coroutine go on until it waits or ends."""
        self._awaited = None
        try:
            awaited = self._advance()
        except StopIteration as end:
            self._coroutine = None
            self.completed(end.value)
        except (Exception, asyncio.CancelledError) as error:
            # Not kept for later: the error has this frame in its traceback.
            self._coroutine = None
            self.failed(error)
        else:
            self._wait_for(awaited)

    def _advance(self) -> Any:
        coroutine: Any = self._coroutine
        own: Any = self
        asyncio._enter_task(self._loop, own)  # noqa: SLF001 — documented, as said above
        try:
            if self._must_cancel:
                self._must_cancel = False
                return coroutine.throw(asyncio.CancelledError())
            return coroutine.send(None)
        finally:
            asyncio._leave_task(self._loop, own)  # noqa: SLF001

    def _wait_for(self, awaited: Any) -> None:
        """Take the next step when `awaited` is done: a future, or None to let others go first."""
        if awaited is None:
            self._loop.call_soon(self._step)
            return
        awaited.add_done_callback(self._step)
        self._awaited = awaited
        if self._must_cancel and awaited.cancel():
            self._must_cancel = False


class Deadlines:
    """Cancels what takes too long; all have the same time, so the oldest is due first."""

    def __init__(self) -> None:
        self._open: dict[HandlerTask[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, task: HandlerTask[Any], timeout_s: float) -> None:
        """Cancel `task` after `timeout_s`, or up to half a second later: one timer serves all."""
        loop = asyncio.get_running_loop()
        self._open[task] = loop.time() + timeout_s
        if self._timer is None:
            self._timer = loop.call_later(_DEADLINES_EVERY_S, self._look, loop)

    def forget(self, task: HandlerTask[Any]) -> None:
        """Drop the deadline of a task that has ended."""
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


class ExchangeContext(Protocol):
    """The part of `ServerContext` that requests use."""

    in_flight: InFlight
    deadlines: Deadlines
    answers: AnswerWriter


class RequestConnection(Sender, Protocol):
    """A connection, as its requests see it."""

    def send_continue(self) -> None: ...

    def resume_reading(self) -> None: ...

    def begin_stream(self, stream: Stream, request_id: str, address: str) -> None: ...

    def begin_download(self, download: Download, request: "Exchange") -> None: ...

    def send_piece(self, piece: bytes, *, is_last: bool, keep_alive: bool) -> None: ...

    def abort(self) -> None: ...


class Exchange(HandlerTask[Reply | Stream | Download]):
    """One request and its answer; `HandlerTask` runs its handler."""

    __slots__ = (
        "_body_awaited", "_body_error", "_body_max_bytes", "_context", "_download", "body",
        "client", "connection", "expects_continue", "fields", "has_deadline", "has_whole_body",
        "is_abandoned", "is_answered", "is_handled", "is_reading_body", "is_started", "keep_alive",
        "match", "method", "request_id", "retry_at_s", "started_at",
    )  # fmt: skip

    def __init__(
        self,
        connection: RequestConnection,
        context: ExchangeContext,
        match: RouteMatch,
        method: str,
        fields: dict[bytes, bytes],
        client: Address | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop)
        self.method = method
        self.client = client
        self.body: bytes | bytearray = b""
        self.has_deadline = False
        self.has_whole_body = False
        self.expects_continue = False
        self.keep_alive = True
        # Whether the handler waits for the rest of the body.
        self.is_reading_body = False
        self.is_started = False
        self.is_handled = False
        self.is_answered = False
        self.is_abandoned = False
        # The event loop's time from which a refused client may repeat the request.
        self.retry_at_s = 0.0
        self.connection = connection
        self._context = context
        self.match = match
        self.fields: Mapping[bytes, bytes] = fields
        self._download: Download | None = None
        self._body_awaited: asyncio.Future[None] | None = None
        self._body_error: Exception | None = None
        self._body_max_bytes = 0
        self.started_at = time.perf_counter()
        given = fields.get(b"x-request-id")
        self.request_id = request_id_of(None if given is None else given.decode("latin-1"))

    @property
    def remote_addr(self) -> str:
        """The address of the client, or of the client that a trusted proxy names."""
        return self.client[0] if self.client else "127.0.0.1"

    @property
    def key(self) -> RequestKey:
        """The request without its body: what the client may repeat after `Retry-After`."""
        match = self.match
        return self.method, match.template, match.ids, self.fields.get(b"authorization", b"")

    def get_header(self, name: str) -> str | None:
        """Return the value of a header."""
        value = self.fields.get(_wire_name(name))
        return None if value is None else value.decode("latin-1")

    def headers(self) -> dict[str, str]:
        """Return all headers; their names are in small letters."""
        fields = self.fields.items()
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}

    def start(self) -> None:
        """Start the handler."""
        self.is_started = True
        self._context.in_flight.count += 1
        self.run(respond(self.match, self))
        if not self.is_answered:
            self.has_deadline = True
            self._context.deadlines.add(self, self.match.dependencies.request_timeout_s)

    async def read_body(self, max_bytes: int) -> bytes:
        """Return the body; raise `BodyTooLarge` or `BodyTooSlow`, before the rest of it is read."""
        length = self.fields.get(b"content-length")
        if length is not None and int(length) > max_bytes:
            raise _too_large(max_bytes)
        if self.expects_continue:
            self.expects_continue = False
            self.connection.send_continue()
        if self._body_error is not None:
            raise self._body_error
        if not self.has_whole_body:
            await self._rest_of_body(max_bytes)
        if len(self.body) > max_bytes:
            raise _too_large(max_bytes)
        return bytes(self.body)

    async def _rest_of_body(self, max_bytes: int) -> None:
        self._body_max_bytes = max_bytes
        self._body_awaited = self._loop.create_future()
        self.is_reading_body = True
        self.connection.resume_reading()
        try:
            await self._body_awaited
        finally:
            self._body_awaited = None
            self.is_reading_body = False

    def add_to_body(self, part: bytes) -> None:
        """Store a part of the body, unless the request is already answered."""
        if self.is_answered:
            return
        if not self.body:
            self.body = part  # Most bodies arrive in one part.
        elif isinstance(self.body, bytes):
            self.body = bytearray(self.body) + part
        else:
            self.body += part
        if self._body_awaited is not None and len(self.body) > self._body_max_bytes:
            self._wake(_too_large(self._body_max_bytes))

    def end_body(self) -> None:
        """Let the handler that waits for the rest of the body continue."""
        self._wake(None)

    def fail_body(self, error: Exception) -> None:
        """Note that the body will not become complete, and why."""
        if not self.has_whole_body:
            self._body_error = error
            self._wake(error)

    def _wake(self, error: Exception | None) -> None:
        waiting = self._body_awaited
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    def completed(self, result: Reply | Stream | Download) -> None:
        """Answer with what the handler returned."""
        self._end()
        try:
            if isinstance(result, Reply):
                self._context.answers.reply(self, result)
            elif isinstance(result, Download):
                self._send_file(result)
            else:
                self._stream(result)
        except Exception as error:  # a bug is answered, too
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Answer with the problem of `error`, which may come from encoding an answer."""
        if not self.is_answered:
            self._end()
        if isinstance(error, _OUT_OF_TIME):
            error = out_of_time(self.method, handled=self.is_handled)
        if isinstance(error, Problem):
            if isinstance(error, Overloaded) and b"authorization" in self.fields:
                # Clients without a token look alike behind one proxy.
                self.retry_at_s = self._loop.time() + error.retry_after_s
            refusal = problems.render(error, self.request_id)
        elif isinstance(error, ClientGone):
            return  # Nothing was done for it.
        else:
            refusal = problems.render_bug(error, self.request_id)
        if self.match.present is not None:
            refusal = self.match.present(self, refusal)
        self._context.answers.refuse(self, refusal)

    def _stream(self, stream: Stream) -> None:
        if self.method == "HEAD":
            self._context.answers.stream_head(self)
            return
        self.connection.begin_stream(stream, self.request_id, self.remote_addr)
        self._context.answers.account(self, self.match.operation.success, "ok")

    def _send_file(self, download: Download) -> None:
        if self.method == "HEAD":
            self._context.answers.file_head(self, download)
            return
        self._download = download
        self.connection.begin_download(download, self)

    def begin_file(self, length_bytes: int) -> None:
        """Send the head of a file."""
        if self._download is not None:
            self._context.answers.file_head(self, self._download, length_bytes)

    def send_piece(self, piece: bytes, *, is_last: bool) -> None:
        """Send a piece of a file; the answer ends with the last one."""
        self.connection.send_piece(piece, is_last=is_last, keep_alive=self.keep_alive)

    def fail_file(self, error: Exception, *, has_begun: bool) -> None:
        """Answer with the problem of `error`, or cut the answer where its head is sent already."""
        if has_begun:
            self.connection.abort()
        elif not self.is_abandoned:
            self.failed(error)

    def _end(self) -> None:
        self.is_answered = True
        if self.has_deadline:
            self._context.deadlines.forget(self)
        self._context.in_flight.count -= 1


def request_id_of(given: str | None) -> str:
    """Return the id of a request: the caller's `X-Request-Id` where it is usable, else a new one."""
    if given and _REQUEST_ID.match(given):
        return given
    return f"{_PROCESS}-{next(_numbers):x}"


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have {max_bytes} bytes.", max_bytes=max_bytes)


@lru_cache(maxsize=64)
def _wire_name(name: str) -> bytes:
    return name.lower().encode("ascii")
