"""A worker's connection to one collector: what was handed over, and what becomes of it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from boxoffice.batching import metrics
from boxoffice.batching.commands import Pending
from boxoffice.batching.handover import frames
from boxoffice.batching.handover.frames import (
    CommandFormat,
    Frame,
    FrameInvalid,
    FrameReader,
    FrameType,
    checksum,
)
from boxoffice.observability.logs import log
from boxoffice.observability.metrics import BufferedCounter
from boxoffice.platform.postgres.pooler.statements import new_number

_BACKOFF_FIRST_S = 0.05
_BACKOFF_LAST_S = 1.0
# How often per timeout a link looks for commands without an answer.
_LOOKS_PER_TIMEOUT = 4

_HANDED_OVER = BufferedCounter(metrics.HANDED_OVER)
_AWAY, _SLOW, _FULL, _UNDONE, _LOST = (
    BufferedCounter(metrics.DECIDED_ALONE.labels(reason))
    for reason in ("away", "slow", "full", "undone", "lost")
)


@dataclass(frozen=True)
class HandOverLimits:
    """The limits of a connection between two workers.

    At most `commands_max` commands of one worker are at a collector, and at most `max_bytes` of frames
    wait to be sent; a frame has at most as many. `timeout_s` is the time for an answer, and afterwards
    that in which nothing is handed over.
    """

    commands_max: int = 1_000
    max_bytes: int = 1 << 20
    timeout_s: float = 1.0


class WorkerCommit(Protocol):
    """What a link needs of this worker's group commit."""

    def resolve(self, pending: Pending[Any, Any], outcome: Any) -> None: ...

    def decide_alone(self, handler: Any, key: Any, batch: Sequence[Pending[Any, Any]]) -> None: ...

    def look_up(self, handler: Any, key: Any, batch: Sequence[Pending[Any, Any]]) -> None: ...


class _HandedLane(NamedTuple):
    handler: Any
    key: UUID


class CollectorLink(asyncio.Protocol):
    """Hands the commands of this worker to the collector that listens on `path`.

    `forbid` has the look-up of an outcome forbid what the collector has not begun under a number;
    each connection has a number of its own.
    """

    def __init__(
        self,
        path: str,
        group: WorkerCommit,
        forbid: Callable[[int], None],
        limits: HandOverLimits,
        wires: Mapping[int, CommandFormat],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._group = group
        self._forbid = forbid
        self._limits = limits
        self._wires = wires
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._ended = asyncio.Event()
        self._reader = FrameReader(limits.max_bytes)
        self._number = 0
        self._is_welcome = False
        self._has_warned = False
        self._next_id = 0
        # The commands of this turn of the event loop, by lane, and those at the collector, by id.
        self._turn: dict[_HandedLane, list[Pending[Any, Any]]] = {}
        self._turn_count = 0
        self._away: dict[int, tuple[_HandedLane, Pending[Any, Any]]] = {}
        self._silent_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        backoff_s = _BACKOFF_FIRST_S
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._ended.clear()
                try:
                    await loop.create_unix_connection(lambda: self, self._path)
                except OSError:
                    backoff_s = min(2 * backoff_s, _BACKOFF_LAST_S)
                else:
                    await self._ended.wait()
                    backoff_s = _BACKOFF_FIRST_S
                await asyncio.sleep(max(backoff_s, self._silent_until - self._clock()))
        finally:
            self.close()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    def take(self, handler: Any, key: UUID, pending: Pending[Any, Any]) -> bool:
        """Hand a command over at the end of this turn; return False where the collector is away."""
        if not self._is_welcome:
            (_SLOW if self._clock() < self._silent_until else _AWAY).count += 1
            return False
        if len(self._away) + self._turn_count >= self._limits.commands_max:
            _FULL.count += 1
            return False
        if not self._turn_count:
            asyncio.get_running_loop().call_soon(self._flush)
        self._turn_count += 1
        lane = _HandedLane(handler, key)
        commands = self._turn.get(lane)
        if commands is None:
            self._turn[lane] = [pending]
        else:
            commands.append(pending)
        return True

    def _flush(self) -> None:
        """Send the commands of this turn, in one write."""
        turn, self._turn, self._turn_count = self._turn, {}, 0
        transport = self._transport
        if transport is None or not self._is_welcome:
            self._alone(turn, _AWAY)
            return
        if transport.get_write_buffer_size() > self._limits.max_bytes:
            self._alone(turn, _FULL)
            return
        made = [one for one in map(self._frame, turn, turn.values()) if one]
        if made:
            transport.write(b"".join(made))
        if self._timer is None and self._away:
            self._look_soon()

    def _frame(self, lane: _HandedLane, batch: list[Pending[Any, Any]]) -> bytes:
        """Return the frame of one lane's commands, or nothing where they cannot travel."""
        first = self._next_id
        try:
            made = frames.commands(
                lane.handler.wire, lane.key, first, [one.command for one in batch]
            )
        except (TypeError, ValueError):  # a command that cannot be encoded, or a text that is none
            made = b""
        if not made or len(made) > self._limits.max_bytes:
            self._alone({lane: batch}, _FULL)
            return b""
        self._next_id += len(batch)
        self._away.update(enumerate(((lane, one) for one in batch), first))
        _HANDED_OVER.count += len(batch)
        metrics.HAND_OVER_BYTES.observe(len(made))
        return made

    def _alone(
        self, lanes: dict[_HandedLane, list[Pending[Any, Any]]], reason: BufferedCounter
    ) -> None:
        """Decide commands here: the collector has surely done nothing with them."""
        for lane, batch in lanes.items():
            reason.count += len(batch)
            self._group.decide_alone(lane.handler, lane.key, batch)

    def _look_soon(self) -> None:
        every_s = self._limits.timeout_s / _LOOKS_PER_TIMEOUT
        self._timer = asyncio.get_running_loop().call_later(every_s, self._look)

    def _look(self) -> None:
        """End the connection where the oldest command at the collector has no answer in time."""
        self._timer = None
        if not self._away:
            return
        _, oldest = next(iter(self._away.values()))
        # guard: hand_over_ends_where_the_collector_is_slow => if False:
        if self._clock() - oldest.waiting_since >= self._limits.timeout_s:
            self._silent_until = self._clock() + self._limits.timeout_s
            log.warning("collector_slow", commands=len(self._away))
            self._lose()
        else:
            self._look_soon()

    def _lose(self) -> None:
        """Take the connection's commands back: what the collector did with them is looked up."""
        self._is_welcome = False
        self.close()
        away, self._away = self._away, {}
        if not away:
            return
        # guard: hand_over_is_forbidden_before_it_is_looked_up
        self._forbid(self._number)
        _LOST.count += len(away)
        for lane, batch in _by_lane(away.values()).items():
            self._group.look_up(lane.handler, lane.key, batch)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say the number of this connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._reader = FrameReader(self._limits.max_bytes)
        self._number = new_number()
        self._transport.write(frames.hello(self._number, checksum(self._wires)))

    def connection_lost(self, error: Exception | None) -> None:
        """Take back what is at the collector; `run` connects again."""
        self._transport = None
        self._lose()
        self._ended.set()

    def data_received(self, data: bytes) -> None:
        """Read answers."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            for frame in self._reader.read(data):
                self._read(frame)
        except FrameInvalid as error:
            if not self._has_warned:
                log.warning("hand_over_refused", reason=str(error))
            self._has_warned = True
            self._silent_until = self._clock() + self._limits.timeout_s
            self._lose()

    def _read(self, frame: Frame) -> None:
        if frame.type is FrameType.OUTCOMES:
            self._read_outcomes(frame)
        elif frame.type is FrameType.UNDONE:
            back = [self._away.pop(one) for one in frames.ids_of(frame.body) if one in self._away]
            self._alone(_by_lane(back), _UNDONE)
        elif frame.type is FrameType.UNKNOWN:
            self._lose()
        elif frame.type is FrameType.HELLO:
            if frames.hello_of(frame.body).checksum != checksum(self._wires):
                raise FrameInvalid("its commands have other fields")
            self._is_welcome, self._has_warned = True, False

    def _read_outcomes(self, frame: Frame) -> None:
        learned: dict[_HandedLane, list[tuple[Pending[Any, Any], Any]]] = {}
        wire = self._wires.get(frame.kind)
        if wire is None:
            raise FrameInvalid(f"kind {frame.kind}")
        for one, outcome in frames.outcomes_of(wire, frame.body):
            # An answer that comes after the command was taken back is not needed.
            lane, pending = self._away.pop(one, (None, None))
            if lane is not None and pending is not None:
                # Before `learn`, which may fail; the callers wake after both.
                self._group.resolve(pending, outcome)
                learned.setdefault(lane, []).append((pending, outcome))
        for lane, answers in learned.items():
            commands = [pending.command for pending, _ in answers]
            lane.handler.learn(lane.key, commands, [outcome for _, outcome in answers])


def _by_lane(
    pairs: Iterable[tuple[_HandedLane, Pending[Any, Any]]],
) -> dict[_HandedLane, list[Pending[Any, Any]]]:
    lanes: dict[_HandedLane, list[Pending[Any, Any]]] = {}
    for lane, pending in pairs:
        lanes.setdefault(lane, []).append(pending)
    return lanes
