"""A collector: takes the commands that other workers hand over, and answers with their outcomes."""

import asyncio
import os
from contextlib import suppress
from typing import Any, cast

from boxoffice.batching.group_commit import GroupCommit
from boxoffice.batching.handover import frames
from boxoffice.batching.handover.frames import (
    CommandFormat,
    Frame,
    FrameInvalid,
    FrameReader,
    FrameType,
    WireHandler,
    checksum,
)
from boxoffice.batching.handover.link import HandOverLimits
from boxoffice.errors import OutcomeUnknown
from boxoffice.observability.logs import log

Handlers = dict[int, WireHandler[Any, Any, Any]]

# A command that stays blocked goes back after this share of the time for its answer.
_BLOCKED_SHARE = 0.5


class CollectorServer:
    """Collects commands on a Unix socket, in a folder that only this user can enter."""

    def __init__(self, group: GroupCommit, handlers: Handlers, limits: HandOverLimits) -> None:
        self.group = group
        self.handlers = handlers
        self.limits = limits
        self.peers: set[_HandingPeer] = set()
        self._listening: asyncio.Server | None = None

    @property
    def wires(self) -> dict[int, CommandFormat]:
        """The formats of the kinds that are collected, by code."""
        return {code: handler.wire for code, handler in self.handlers.items()}

    async def start(self, path: str) -> None:
        """Listen on `path`, in the place of a process that is no more."""
        self.close()
        with suppress(FileNotFoundError):
            os.unlink(path)
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_unix_server(lambda: _HandingPeer(self), path)

    def close(self) -> None:
        """End all connections; the outcomes so far are sent."""
        if self._listening is not None:
            self._listening.close()
        for peer in list(self.peers):
            peer.close()


class _HandingPeer(asyncio.Protocol):
    """One worker that hands commands over."""

    def __init__(self, server: CollectorServer) -> None:
        self._server = server
        self._reader = FrameReader(server.limits.max_bytes)
        self._transport: asyncio.Transport | None = None
        # None until its first frame.
        self._number: int | None = None
        # The answers of this turn of the event loop: outcomes by kind, and commands without one.
        self._outcomes: dict[CommandFormat, list[tuple[int, Any]]] = {}
        self._undone: list[int] = []
        self._unknown: list[int] = []
        self._is_flushing = False

    @property
    def is_gone(self) -> bool:
        """Whether answers are of no use any more."""
        return self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the worker's first frame."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.peers.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the worker; it forbids what has not begun of its commands."""
        self._transport = None
        self._server.peers.discard(self)

    def close(self) -> None:
        """Send the answers so far and end the connection."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take commands."""
        try:
            for frame in self._reader.read(data):
                self._read(frame)
        except FrameInvalid as error:
            log.warning("hand_over_refused", reason=str(error))
            if self._transport is not None:
                self._transport.abort()

    def _read(self, frame: Frame) -> None:
        if frame.type is FrameType.HELLO and self._number is None:
            said = frames.hello_of(frame.body)
            own = checksum(self._server.wires)
            if self._transport is not None:
                self._transport.write(frames.hello(said.number, own))
            # no guard: The worker ends the connection as well.
            if said.checksum == own:
                self._number = said.number
        elif frame.type is FrameType.COMMANDS and self._number is not None:
            self._collect(frame, self._number)
        else:
            raise FrameInvalid(f"unexpected {frame.type.name}")

    def _collect(self, frame: Frame, number: int) -> None:
        handler = self._server.handlers.get(frame.kind)
        if handler is None:
            raise FrameInvalid(f"kind {frame.kind}")
        key, first, commands = frames.commands_of(handler.wire, frame.body)
        group, wire = self._server.group, handler.wire
        retry_for_s = self._server.limits.timeout_s * _BLOCKED_SHARE
        for at, command in enumerate(commands, first):
            answer = _Answer(self, wire, at)
            if not group.collect(handler, key, command, answer, number, retry_for_s):
                self.say_undone(at)

    def say(self, wire: CommandFormat, one: int, outcome: Any) -> None:
        """Answer with an outcome, at the end of this turn."""
        self._outcomes.setdefault(wire, []).append((one, outcome))
        self._flush_soon()

    def say_undone(self, one: int) -> None:
        """Answer that nothing was done."""
        self._undone.append(one)
        self._flush_soon()

    def say_unknown(self, one: int) -> None:
        """Answer that it is not known what was done."""
        self._unknown.append(one)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        outcomes, self._outcomes = self._outcomes, {}
        undone, self._undone = self._undone, []
        unknown, self._unknown = self._unknown, []
        if self._transport is None:
            return
        made = [frames.outcomes(wire, of) for wire, of in outcomes.items()]
        if undone:
            made.append(frames.ids(FrameType.UNDONE, undone))
        if unknown:
            made.append(frames.ids(FrameType.UNKNOWN, unknown))
        if made:
            self._transport.write(b"".join(made))


class _Answer:
    """Waits for one command's outcome in the place of a caller."""

    __slots__ = ("_number", "_peer", "_wire")

    def __init__(self, peer: _HandingPeer, wire: CommandFormat, number: int) -> None:
        self._peer = peer
        self._wire = wire
        self._number = number

    def done(self) -> bool:
        """Whether its worker is gone."""
        return self._peer.is_gone

    def set_result(self, outcome: Any) -> None:
        """Answer with the outcome."""
        self._peer.say(self._wire, self._number, outcome)

    def set_exception(self, error: Exception) -> None:
        """Answer that the worker is to decide it, or to look it up."""
        # guard: collector_says_what_it_does_not_know => if False:
        if isinstance(error, OutcomeUnknown):
            self._peer.say_unknown(self._number)
        else:
            self._peer.say_undone(self._number)
