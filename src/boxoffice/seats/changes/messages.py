"""The messages between pods about seats, and the times of a subscription."""

import struct
from collections.abc import Sequence
from typing import Annotated, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.seats.cache.states import BLOCKED, PositionChange

SILENCE_S = 2.5
BACKOFF_FIRST_S = 0.05
BACKOFF_LAST_S = 2.0

_FORMAT = 1
# Format, schedule (zeros for a heartbeat), sender, number. Every format begins with the first two.
_HEAD = struct.Struct(">B16s8sQ")
_WITH_SCHEDULE = 17
_NO_SCHEDULE = bytes(16)


class _WireChange(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A `PositionChange` in a message."""

    position: Annotated[int, Meta(ge=0, lt=1 << 31)]
    state: Annotated[int, Meta(ge=0, le=BLOCKED)]
    expires_at: Annotated[float, Meta(ge=0, le=1e11)]
    version: Annotated[int, Meta(ge=0, lt=1 << 62)]
    person: Annotated[int, Meta(ge=0, lt=1 << 62)]


_Sent = tuple[Annotated[bytes, Meta(min_length=16, max_length=16)], Annotated[int, Meta(ge=1)]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_WireChange]).decode
_decode_sent = msgspec.msgpack.Decoder(list[_Sent]).decode


class Head(NamedTuple):
    """The head of a message; a heartbeat has no schedule."""

    schedule_id: UUID | None
    sender: bytes
    number: int


def encode(
    schedule_id: UUID | None,
    sender: bytes,
    number: int,
    changes: Sequence[PositionChange | None],
) -> bytes:
    """Return the message of changes, or a heartbeat."""
    schedule = schedule_id.bytes if schedule_id else _NO_SCHEDULE
    return _HEAD.pack(_FORMAT, schedule, sender, number) + _encode(changes)


def encode_sent(sender: bytes, number: int, sent: Sequence[tuple[UUID, int]]) -> bytes:
    """Return a heartbeat with the last number sent about each schedule."""
    numbers = [(schedule_id.bytes, last) for schedule_id, last in sent]
    return _HEAD.pack(_FORMAT, _NO_SCHEDULE, sender, number) + _encode(numbers)


def head_of(message: bytes) -> Head | None:
    """Return the head; None for another format."""
    if len(message) < _HEAD.size or message[0] != _FORMAT:
        return None
    _, schedule, sender, number = _HEAD.unpack_from(message)
    return Head(None if schedule == _NO_SCHEDULE else UUID(bytes=schedule), sender, number)


def changes_of(message: bytes) -> list[PositionChange] | None:
    """Return the changes, empty where the schedule is to be read again; None for damaged ones."""
    try:
        decoded = _decode(message[_HEAD.size :])
    except msgspec.DecodeError:
        return None
    return [
        PositionChange(one.position, one.state, one.expires_at, one.version, one.person)
        for one in decoded
    ]


def sent_of(message: bytes) -> list[tuple[UUID, int]] | None:
    """Return the numbers in a heartbeat; None for damaged ones."""
    try:
        decoded = _decode_sent(message[_HEAD.size :])
    except msgspec.DecodeError:
        return None
    return [(UUID(bytes=schedule), number) for schedule, number in decoded]


def damaged_schedule(message: bytes) -> UUID | None:
    """Return the schedule that an unreadable message is about; None for a heartbeat.

    Raises `ValueError` where it does not say so.
    """
    if len(message) < _WITH_SCHEDULE:
        raise ValueError("the message is too short")
    schedule = message[1:_WITH_SCHEDULE]
    return None if schedule == _NO_SCHEDULE else UUID(bytes=schedule)
