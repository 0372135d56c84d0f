"""The frames between workers: heads of fixed size, commands and outcomes as arrays in MessagePack.

A frame begins with its length in bytes without the length itself, the version of the format, its type
and the kind of its commands. Frames of another version are not read: the connection ends.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID
from zlib import crc32

import msgspec

from boxoffice.batching.commands import BatchHandler, C, K_contra, O

VERSION = 1

# Length of what follows it, version, type, kind.
_HEAD = struct.Struct(">IBBB")
_LENGTH_BYTES = 4
# The lane's key, and the number of the first command; the others follow in order.
_LANE = struct.Struct(">16sQ")
# The number under which the peer may forbid decisions, and a checksum of the wire formats.
_HELLO = struct.Struct(">QI")

_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_decode_ids = msgspec.msgpack.Decoder(list[int]).decode


class FrameType(IntEnum):
    """What a frame says."""

    HELLO = 1
    COMMANDS = 2
    OUTCOMES = 3
    # Nothing was done with these commands.
    UNDONE = 4
    # It is not known what was done with these commands.
    UNKNOWN = 5


class FrameInvalid(Exception):
    """A peer sent what is no frame of this version, or one that is too large."""


class CommandFormat(NamedTuple):
    """How the commands and outcomes of one kind travel; `code` stands for the kind, 1 to 255."""

    code: int
    decode_commands: Any
    decode_outcomes: Any
    checksum: int

    @classmethod
    def of(cls, code: int, command: Any, outcome: Any) -> "CommandFormat":
        """Return the format of two types that encode as arrays."""
        fields = repr([msgspec.inspect.type_info(one) for one in (command, outcome)])
        return cls(
            code,
            msgspec.msgpack.Decoder(list[command]).decode,
            msgspec.msgpack.Decoder(list[tuple[int, outcome]]).decode,
            crc32(fields.encode()),
        )


def checksum(wires: Mapping[int, CommandFormat]) -> int:
    """Return a number that differs where the commands or outcomes of two processes do."""
    return crc32(repr([(code, wires[code].checksum) for code in sorted(wires)]).encode())


class WireHandler(BatchHandler[K_contra, C, O], Protocol[K_contra, C, O]):
    """A handler whose commands may be handed over."""

    wire: CommandFormat

    def learn(self, lane_key: K_contra, commands: Sequence[C], outcomes: Sequence[O]) -> None:
        """Apply to this process what a collector decided for it."""


class Frame(NamedTuple):
    """One frame without its head."""

    type: FrameType
    kind: int
    body: bytes


class Hello(NamedTuple):
    """The first frame of either side: `number` is the worker's."""

    number: int
    checksum: int


def hello(number: int, checksum: int) -> bytes:
    """Return the first frame."""
    return _frame(FrameType.HELLO, 0, _HELLO.pack(number, checksum))


def hello_of(body: bytes) -> Hello:
    """Read the first frame; raise `FrameInvalid`."""
    try:
        return Hello(*_HELLO.unpack(body))
    except struct.error as error:
        raise FrameInvalid(str(error)) from error


def commands(wire: CommandFormat, key: UUID, first: int, of: Sequence[Any]) -> bytes:
    """Return the frame of commands of one lane, numbered from `first`."""
    return _frame(FrameType.COMMANDS, wire.code, _LANE.pack(key.bytes, first) + _encode(of))


def commands_of(wire: CommandFormat, body: bytes) -> tuple[UUID, int, list[Any]]:
    """Read commands: the lane's key, the number of the first one, and all; raise `FrameInvalid`."""
    try:
        key, first = _LANE.unpack_from(body)
        return UUID(bytes=key), first, wire.decode_commands(memoryview(body)[_LANE.size :])
    except (struct.error, msgspec.DecodeError) as error:
        raise FrameInvalid(str(error)) from error


def outcomes(wire: CommandFormat, of: Sequence[tuple[int, Any]]) -> bytes:
    """Return the frame of outcomes by the numbers of their commands."""
    return _frame(FrameType.OUTCOMES, wire.code, _encode(of))


def outcomes_of(wire: CommandFormat, body: bytes) -> list[tuple[int, Any]]:
    """Read outcomes; raise `FrameInvalid`."""
    try:
        found: list[tuple[int, Any]] = wire.decode_outcomes(body)
    except msgspec.DecodeError as error:
        raise FrameInvalid(str(error)) from error
    return found


def ids(what: FrameType, of: Sequence[int]) -> bytes:
    """Return a frame that names commands by their numbers."""
    return _frame(what, 0, _encode(of))


def ids_of(body: bytes) -> list[int]:
    """Read numbers of commands; raise `FrameInvalid`."""
    try:
        return _decode_ids(body)
    except msgspec.DecodeError as error:
        raise FrameInvalid(str(error)) from error


def _frame(what: FrameType, kind: int, body: bytes) -> bytes:
    return _HEAD.pack(_HEAD.size - _LENGTH_BYTES + len(body), VERSION, what, kind) + body


class FrameReader:
    """Cuts received bytes into frames of at most `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._received = bytearray()

    def read(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now; raise `FrameInvalid`."""
        self._received += data
        at, received = 0, self._received
        try:
            while len(received) - at >= _HEAD.size:
                length, version, what, kind = _HEAD.unpack_from(received, at)
                if version != VERSION or length > self._max_bytes:
                    raise FrameInvalid(f"version {version}, {length} bytes")
                end = at + _LENGTH_BYTES + length
                if len(received) < end:
                    return
                body = bytes(received[at + _HEAD.size : end])
                at = end
                yield Frame(_type(what), kind, body)
        finally:
            del received[:at]


def _type(what: int) -> FrameType:
    try:
        return FrameType(what)
    except ValueError as error:
        raise FrameInvalid(f"type {what}") from error
