"""HTTP/1.1 on one connection: the fast path, where its request is plain, and the framework."""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from boxoffice.http.server.address_limit import AddressLimit
from boxoffice.http.server.bounds import BLANKS, BoundedProtocol
from boxoffice.http.server.fast_path import Errand, Lane, Run
from boxoffice.http.server.proxies import client_of
from boxoffice.http.server.write_buffers import Unsent
from boxoffice.http.streams import Stream
from boxoffice.settings import Settings

# Of what is asked for too early, no more than this is kept until it is time.
_KEPT_MAX_BYTES = 4_096


class LaneProtocol(BoundedProtocol):
    """Answers plain requests for fast-path operations itself, and leaves the others to the application.

    Whoever was told when to come back, and asks for the same on the same connection before that time,
    waits for it there: to refuse them again and again would take the time in which others are served.
    """

    lane: ClassVar[Lane]

    _run: Run | None = None
    # Who was told to come back and for what, at what time of the event loop, and who came too early.
    _told: Errand | None = None
    _told_at_s = 0.0
    _early: Run | None = None
    _early_timer: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """Begin a head; what the application is told is made when it is to be told."""
        if self._run is not None and self._run.comeback_at_s:
            self._told, self._told_at_s = self._run.errand, self._run.comeback_at_s
        self._disarm()
        self._reading_head = True
        self.url = b""
        self.headers = []
        self._run = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head, or one of the trailers where nobody looks."""
        self.headers.append((name.lower(), value.rstrip(BLANKS)))

    def on_headers_complete(self) -> None:
        """Take the request, or hand it to the application."""
        self._end_head()
        run = self._lane_run()
        if run is None:
            self._tell_application()
            self._hand_over()
        else:
            self._run = self.cycle = run  # type: ignore[assignment]

    def _lane_run(self) -> Run | None:
        if self.cycle is not None and not self.cycle.response_complete:
            return None  # Answers go out in the order of the requests, and uvicorn keeps it.
        if self.flow.write_paused or self._version != "1.1" or self._is_repeated:
            return None
        fields, method = self._fields, self.parser.get_method()
        way = self.lane.find(method, self.url, fields)
        if way is None:
            return None
        self.lane.use_common(self.server_state.default_headers)
        begin_stream = self._begin_stream if way.op.events else None
        client = self.client
        if b"x-forwarded-for" in fields:
            client = client_of(self.config, client, fields[b"x-forwarded-for"])
        keep = not self._is_last
        return Run(self.lane, way, method, fields, keep, client, self._write, begin_stream)

    def _begin_stream(self, stream: Stream, request_id: str, client: str) -> None:
        super()._begin_stream(stream, request_id, client)
        self._run = None

    def _tell_application(self) -> None:
        url, headers = self.url, self.headers
        HttpToolsProtocol.on_message_begin(self)
        self.url = url
        for name, value in headers:
            HttpToolsProtocol.on_header(self, name, value)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body; the lane has seen to it that there is not too much of it."""
        if self._run is None:
            super().on_body(body)
        else:
            self._frame_bytes -= len(body)
            self._run.body += body

    def on_message_complete(self) -> None:
        """Let the handler begin, now or when it is time."""
        run = self._run
        if run is None:
            super().on_message_complete()
            return
        self._disarm()
        if self._told_at_s and self._is_too_early(run):
            self._early = run
            self._early_timer = self.loop.call_at(self._told_at_s, self._let_early_begin)
        else:
            self._begin(run)

    def _is_too_early(self, run: Run) -> bool:
        if self.loop.time() >= self._told_at_s:
            self._told_at_s = 0.0
            return False
        return run.errand == self._told and len(run.body) <= _KEPT_MAX_BYTES

    def _let_early_begin(self) -> None:
        run = self._forget_early()
        if run is not None:
            self._begin(run)

    def _forget_early(self) -> Run | None:
        run, self._early = self._early, None
        if self._early_timer is not None:
            self._early_timer.cancel()
            self._early_timer = None
        return run

    def _begin(self, run: Run) -> None:
        run.start()
        if run.task is not None:
            # uvicorn waits for these when it stops.
            self.tasks.add(run.task)
            run.task.add_done_callback(self.tasks.discard)

    def shutdown(self) -> None:
        """Let the connection end with the answer to what it waits for, which waits no longer."""
        super().shutdown()
        self._told_at_s = 0.0  # Nor does one whose body is still on its way.
        self._let_early_begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was asked for too early: nothing was done about it yet."""
        self._forget_early()
        super().connection_lost(exc)

    def _give_body_up(self) -> None:
        run = self._run
        if run is None:
            super()._give_body_up()
        elif not run.response_started:
            self._disarm()
            run.give_up()

    def _write(self, answer: bytes, rest: bytes, keep_alive: bool) -> None:
        if self.transport.is_closing():
            return  # For a later request; only its own cycle was told.
        self.transport.write(answer)
        if rest:
            self.transport.write(rest)
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()


def protocol(settings: Settings, lane: Lane | None) -> type[BoundedProtocol]:
    """Return the protocol with the limits of `settings`, and with a fast path where there is one."""
    kind = BoundedProtocol if lane is None else LaneProtocol
    own = {
        "limits": settings,
        "lane": lane,
        "unsent": Unsent(settings.server.unsent_max_bytes),
        "by_address": AddressLimit(settings.server.connections_per_address_max),
    }
    return type(kind.__name__, (kind,), own)
