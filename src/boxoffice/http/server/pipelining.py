"""One connection's requests are parsed only as fast as they are answered.

A client may send many requests without waiting for answers (RFC 9112, section 9.3.2). What is parsed
takes a hundred times the memory of its bytes, so at most `pipelined_requests_max` of them wait behind
the one that is being answered. The rest of what was read, 256 KiB at most, waits unparsed, and what was
not read waits in the kernel, whose window then stops the client.
"""

import asyncio
from typing import ClassVar

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from boxoffice.http.server.framing import piece_end
from boxoffice.settings import Settings

# What says where a body ends.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class HeldFlow(FlowControl):
    """Flow control that reads nothing while parsed requests have to be answered first.

    uvicorn reads on whenever an application takes a part of its body, or an answer is complete.
    """

    held = False

    def hold(self) -> None:
        """Read nothing more until `let_go`."""
        self.held = True
        self.pause_reading()

    def let_go(self) -> None:
        """Read on."""
        self.held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Read on, unless that is to wait."""
        if self.read_paused and not self.held:
            self.read_paused = False
            self._transport.resume_reading()


class PipelinedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound for pipelined requests, and an end after the last one.

    The last request is one that closes its connection, one that was refused by the parser, and one that
    asks to upgrade: what follows the latter may be another protocol, and the parser reads nothing after
    it. Its body is read all the same (Java's client asks for HTTP/2 with whatever it sends first).
    """

    limits: ClassVar[Settings]
    flow: HeldFlow

    # What was read and is not parsed, from where on.
    _unparsed = b""
    _unparsed_from = 0
    _reading_head = True
    _reading_body = False
    _is_last = False
    _version = ""
    # The parser says that a request with an upgrade is complete when its head is.
    _body_follows_upgrade = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        self.flow = HeldFlow(transport)

    def data_received(self, data: bytes) -> None:
        """Parse as much of `data` as may be parsed now."""
        if self._unparsed:
            self._hold(self._unparsed[self._unparsed_from :] + data, 0)
        else:
            self._feed(data, 0)

    def feed_on(self) -> None:
        """Parse what waits for that; to be called when a request was answered."""
        if self._unparsed and not self.transport.is_closing():
            data, begin = self._unparsed, self._unparsed_from
            self._unparsed = b""
            self.flow.let_go()
            self._feed(data, begin)

    def _feed(self, data: bytes, begin: int) -> None:
        while begin < len(data) and not self.transport.is_closing():
            if self._is_last and not (self._reading_head or self._reading_body):
                return  # Nobody asked for more. It is read, or a hang-up would not be noticed.
            if self._has_to_wait():
                self._hold(data, begin)
                return
            end = piece_end(data, begin)
            self._parse(data if end - begin == len(data) else data[begin:end])
            begin = end

    def _has_to_wait(self) -> bool:
        waiting = len(self.pipeline)
        if waiting >= self.limits.server.pipelined_requests_max:
            return True
        # The body of one that waits for its turn.
        return waiting > 0 and len(self.cycle.body) > HIGH_WATER_LIMIT

    def _hold(self, data: bytes, begin: int) -> None:
        self._unparsed, self._unparsed_from = data, begin
        self.flow.hold()

    def _parse(self, piece: bytes) -> None:
        raise NotImplementedError

    def _refuse_unparsable(self) -> None:
        self._is_last = True
        self.send_400_response("Invalid HTTP request received.")

    def shutdown(self) -> None:
        """Let the connection end with the answer to what was read of it."""
        self._is_last = True
        super().shutdown()

    def on_chunk_header(self) -> None:
        """Hear of the length of a chunk."""

    def _note_upgrade(self) -> None:
        """Note at the end of a head whether it asks to upgrade the connection."""
        if self.parser.should_upgrade():
            self._is_last = True
            framing = [pair for pair in self.headers if pair[0] in _FRAMING]
            self._body_follows_upgrade = b"".join([b"%b: %b\r\n" % pair for pair in framing])

    def _read_body_of_upgrade(self, rest: bytes) -> None:
        """Have the body read by another parser, which hears of a head without the upgrade."""
        framing, self._body_follows_upgrade = self._body_follows_upgrade, b""
        if framing:
            self.parser = httptools.HttpRequestParser(_BodyListener(self))
            self._parse(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
            if rest:
                self._parse(rest)


class _BodyListener:
    """What a parser tells of a request whose head is known."""

    def __init__(self, connection: PipelinedProtocol) -> None:
        self.on_body = connection.on_body
        self.on_chunk_header = connection.on_chunk_header
        self.on_message_complete = connection.on_message_complete
