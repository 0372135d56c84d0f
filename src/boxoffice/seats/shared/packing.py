"""Readings and layouts as bytes: pure."""

import zlib
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import msgspec

from boxoffice.seats.layout import Layout, LayoutSeat, PackedSeats, positions
from boxoffice.seats.store import StatesRow

# The fastest: most of a reading is ends of holds and versions, which are alike.
_LEVEL = 1
_DIGEST_BYTES = 16
# State, end of the hold and version of a seat; then eight bytes for each person.
_SEAT_BYTES = 17
_PERSON_BYTES = 8
# A body that unpacks to more is refused.
_UNPACKED_MAX_BYTES = 64 * 1024 * 1024

_Row = tuple[str, str, str, int, str, int]


class Unreadable(ValueError):
    """A packed reading or layout is damaged, or of another release."""


class ReadingHead(msgspec.Struct, frozen=True, array_like=True):
    """What a reading says besides the seats; times in seconds, `now` by the database's clock."""

    layout_digest: bytes
    now: float
    took_s: float
    seats: int
    layout_version: int
    is_open: bool
    opens_at: float
    closes_at: float


class PackedReading(NamedTuple):
    """A reading as it is published; readings with one `digest` differ in nothing but their times."""

    digest: bytes
    head: bytes
    body: bytes


class PackedLayout(NamedTuple):
    """A layout as it is published."""

    digest: bytes
    body: bytes


class _WireLayout(msgspec.Struct, array_like=True):
    currency: str
    version: int
    seats: list[_Row]


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(ReadingHead).decode
_decode_layout = msgspec.msgpack.Decoder(_WireLayout).decode


def pack_reading(row: StatesRow, took_s: float, layout_digest: bytes) -> PackedReading:
    """Pack a reading that took `took_s`."""
    # Versions and sales have no infinity, but the end of a sale may have none.
    head = ReadingHead(
        layout_digest, row.now, took_s, row.seats, row.layout_version,
        row.is_open, row.opens_at, row.closes_at,
    )  # fmt: skip
    body = b"".join((row.states, row.expires_at, row.versions, row.people))
    lasting = msgspec.structs.replace(head, now=0.0, took_s=0.0)
    return PackedReading(
        _digest((_encode(lasting), body)), _encode(head), zlib.compress(body, _LEVEL)
    )


def unpack_head(head: bytes) -> ReadingHead:
    """Unpack the head of a reading; raise `Unreadable`."""
    try:
        return _decode_head(head)
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from error


def unpack_row(head: ReadingHead, body: bytes) -> StatesRow:
    """Unpack a reading; raise `Unreadable`."""
    raw, seats = _decompressed(body), head.seats
    if len(raw) < seats * _SEAT_BYTES or (len(raw) - seats * _SEAT_BYTES) % _PERSON_BYTES:
        raise Unreadable(f"{len(raw)} bytes for {seats} seats")
    return StatesRow(
        seats,
        head.now,
        raw[:seats],
        raw[seats : 9 * seats],
        raw[9 * seats : _SEAT_BYTES * seats],
        raw[_SEAT_BYTES * seats :],
        head.is_open,
        head.opens_at,
        head.closes_at,
        head.layout_version,
    )


def pack_layout(layout: Layout) -> PackedLayout:
    """Pack the seats of a schedule."""
    rows = [_row(seat) for seat in layout.seats]
    packed = _encode(_WireLayout(layout.currency, layout.version, rows))
    return PackedLayout(_digest((packed,)), zlib.compress(packed, _LEVEL))


def unpack_layout(schedule_id: UUID, body: bytes) -> Layout:
    """Unpack the seats of a schedule; raise `Unreadable`."""
    try:
        wire = _decode_layout(_decompressed(body))
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from error
    seats = PackedSeats()
    for row in wire.seats:
        seats.append(row)
    return Layout(schedule_id, wire.currency, seats, positions(seats.ids), wire.version)


def _row(seat: LayoutSeat) -> _Row:
    return seat.seat_id, seat.section, seat.row, seat.number, seat.grade, seat.price_minor


def _digest(parts: Iterable[bytes]) -> bytes:
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _decompressed(body: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        raw = unpacking.decompress(body, _UNPACKED_MAX_BYTES)
    except zlib.error as error:
        raise Unreadable(str(error)) from error
    if not unpacking.eof:
        raise Unreadable("cut, or too large")
    return raw
