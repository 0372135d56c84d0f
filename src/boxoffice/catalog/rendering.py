"""The JSON of a seat map: cut once per layout, joined and compressed once per version, part by part."""

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from boxoffice.catalog.cache import Once
from boxoffice.catalog.layouts import Layout, compute
from boxoffice.platform.values import Money

_NAMES = (b"AVAILABLE", b"HELD", b"SOLD", b"BLOCKED")
# A map changes many times a second while it sells: the quickest level already takes nine tenths off.
_GZIP_LEVEL = 1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
# Seats that are in memory as separate pieces at one time.
_PART = 2_000
# Stands between two pieces of a part; JSON has it escaped.
_CUT = b"\0"


class _SeatShape(msgspec.Struct):
    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price: Money


@dataclass(frozen=True)
class Pieces:
    """The parts of a map's JSON that do not change: what stands before each status.

    `tag` names the layout's bytes.
    """

    head: bytes
    parts: tuple[bytes, ...]
    tag: str

    def joined(self, version: int, status: bytes) -> Iterator[bytes]:
        """Yield the JSON with one name per byte of `status`."""
        yield b'%b,"version":%d,"seats":[' % (self.head, version)
        for at, part in enumerate(self.parts):
            befores = part.split(_CUT)
            pieces = [b""] * (2 * len(befores))
            pieces[0::2] = befores
            pieces[1::2] = map(_NAMES.__getitem__, status[at * _PART : at * _PART + len(befores)])
            yield b"".join(pieces)
        yield b'"}]}' if self.parts else b"]}"


def cut(layout: Layout) -> Pieces:
    """Encode what does not change."""
    encode = msgspec.json.Encoder().encode
    head = encode({"schedule_id": layout.schedule_id, "currency": layout.currency})[:-1]
    parts = tuple(
        _CUT.join(_befores(layout, start, encode)) for start in range(0, len(layout.seats), _PART)
    )
    digest = blake2b(head, digest_size=8)
    for part in parts:
        digest.update(part)
    return Pieces(head, parts, digest.hexdigest())


def _befores(layout: Layout, start: int, encode: Callable[[object], bytes]) -> Iterator[bytes]:
    for at in range(start, min(start + _PART, len(layout.seats))):
        seat = layout.seats[at]
        price = Money(seat.price_minor, layout.currency)
        shape = _SeatShape(seat.seat_id, seat.section, seat.row, seat.number, seat.grade, price)
        lead = b'"},' if at else b""
        yield b'%b%b,"status":"' % (lead, encode(shape)[:-1])


class RenderedMap:
    """The JSON of a seat map at one version, plain and compressed, each made when first asked for.

    `took_s` is how long that has taken so far, in seconds.
    """

    def __init__(self, pieces: "Once[Pieces]", version: int, status: bytes) -> None:
        self.version = version
        self.status = status
        self.took_s = 0.0
        self._pieces = pieces
        self._body = Once(self._encode)
        self._gzip = Once(self._compress)

    async def tag(self) -> str:
        """Return a name that no other content has: the layout's own, the version, and the states'.

        Two processes that have heard of different changes may count the same version.
        """
        pieces = await self._pieces.get()
        return f"{pieces.tag}-{self.version}-{zlib.crc32(self.status):08x}"

    async def body(self) -> bytes:
        """Return the JSON."""
        return await self._body.get()

    async def gzip(self) -> bytes:
        """Return the JSON compressed (RFC 1952)."""
        return await self._gzip.get()

    @property
    def has_body(self) -> bool:
        """Whether the plain form is there."""
        return self._body.is_made

    @property
    def has_gzip(self) -> bool:
        """Whether the compressed form is there."""
        return self._gzip.is_made

    async def make_like(self, other: "RenderedMap") -> None:
        """Make in advance what people asked `other` for."""
        if other.has_gzip:
            await self.gzip()
        if other.has_body:
            await self.body()

    async def _encode(self) -> bytes:
        pieces = await self._pieces.get()
        return await compute(
            len(self.status),
            lambda: self._timed(lambda: b"".join(pieces.joined(self.version, self.status))),
        )

    async def _compress(self) -> bytes:
        pieces = await self._pieces.get()
        return await compute(len(self.status), lambda: self._timed(lambda: self._gzipped(pieces)))

    def _gzipped(self, pieces: Pieces) -> bytes:
        # No time stamp goes into the header, so equal bodies have equal bytes on every pod.
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
        packed = [compressor.compress(part) for part in pieces.joined(self.version, self.status)]
        return b"".join((*packed, compressor.flush()))

    def _timed(self, work: Callable[[], bytes]) -> bytes:
        began = time.monotonic()
        made = work()
        self.took_s += time.monotonic() - began
        return made
