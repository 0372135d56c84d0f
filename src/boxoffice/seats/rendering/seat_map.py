"""The JSON of a seat map: cut once per layout, joined and compressed once per version, part by part,
and of a part in which no seat has changed not even that.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import msgspec

from boxoffice.platform.concurrency.offload import offload
from boxoffice.platform.concurrency.single_flight import SingleFlight
from boxoffice.platform.values import Money
from boxoffice.seats.layout import Layout
from boxoffice.seats.rendering import gzip_parts

_NAMES = (b"AVAILABLE", b"HELD", b"SOLD", b"BLOCKED")
# Seats that are in memory as separate pieces at one time, and that are compressed as one.
_PART = 1_000
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
class MapTemplate:
    """The parts of a map's JSON that do not change: what stands before each status.

    `tag` names the layout's bytes.
    """

    head: bytes
    parts: tuple[bytes, ...]
    tag: str

    def joined(self, version: int, status: bytes) -> Iterator[bytes]:
        """Yield the JSON with one name per byte of `status`."""
        yield self.opening(version)
        for at, part in enumerate(self.parts):
            yield _joined(part, status[at * _PART : (at + 1) * _PART])
        yield self.closing

    def opening(self, version: int) -> bytes:
        """Return what stands before the first seat."""
        return b'%b,"version":%d,"seats":[' % (self.head, version)

    @property
    def closing(self) -> bytes:
        """What stands after the last status."""
        return b'"}]}' if self.parts else b"]}"


def _joined(part: bytes, status: bytes) -> bytes:
    pieces = [b""] * (2 * len(status))
    pieces[0::2] = part.split(_CUT)
    pieces[1::2] = map(_NAMES.__getitem__, status)
    return b"".join(pieces)


class GzipPartCache:
    """The compressed parts of a layout's map as they were made last, each with the states in it."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[bytes, gzip_parts.Part]] = {}

    def stream(self, pieces: MapTemplate, version: int, status: bytes) -> bytes:
        """Return the compressed JSON; may run in several threads at once."""
        parts = [gzip_parts.pack(pieces.opening(version))]
        for at, part in enumerate(pieces.parts):
            states = status[at * _PART : (at + 1) * _PART]
            made = self._made.get(at)
            if made is None or made[0] != states:
                made = self._made[at] = states, gzip_parts.pack(_joined(part, states))
            parts.append(made[1])
        return gzip_parts.stream([*parts, gzip_parts.pack(pieces.closing)])


def cut(layout: Layout) -> MapTemplate:
    """Encode what does not change."""
    encode = msgspec.json.Encoder().encode
    head = encode({"schedule_id": layout.schedule_id, "currency": layout.currency})[:-1]
    parts = tuple(
        _CUT.join(_befores(layout, start, encode)) for start in range(0, len(layout.seats), _PART)
    )
    digest = blake2b(head, digest_size=8)
    for part in parts:
        digest.update(part)
    return MapTemplate(head, parts, digest.hexdigest())


def _befores(layout: Layout, start: int, encode: Callable[[object], bytes]) -> Iterator[bytes]:
    for at in range(start, min(start + _PART, len(layout.seats))):
        seat = layout.seats[at]
        price = Money(seat.price_minor, layout.currency)
        shape = _SeatShape(seat.seat_id, seat.section, seat.row, seat.number, seat.grade, price)
        lead = b'"},' if at else b""
        yield b'%b%b,"status":"' % (lead, encode(shape)[:-1])


class _Rendering:
    """Makes the forms of one version. It knows nothing of who keeps them: see `RenderedMap`."""

    def __init__(
        self,
        pieces: "SingleFlight[MapTemplate]",
        packer: GzipPartCache,
        version: int,
        status: bytes,
    ) -> None:
        self.took_s = 0.0
        self._pieces = pieces
        self._packer = packer
        self._version = version
        self._status = status

    async def encode(self) -> bytes:
        pieces = await self._pieces.get()
        return await offload(
            len(self._status),
            lambda: self._timed(lambda: b"".join(pieces.joined(self._version, self._status))),
        )

    async def compress(self) -> bytes:
        pieces = await self._pieces.get()
        work = partial(self._packer.stream, pieces, self._version, self._status)
        return await offload(len(self._status), lambda: self._timed(work))

    def _timed(self, work: Callable[[], bytes]) -> bytes:
        began = time.monotonic()
        made = work()
        self.took_s += time.monotonic() - began
        return made


class RenderedMap:
    """The JSON of a seat map at one version, plain and compressed, each made when first asked for.

    A version is forgotten as soon as nobody reads it any more: nothing in it leads back to it, or its
    bodies would lie there until the garbage collector, which counts objects and not their size, comes.
    """

    def __init__(
        self,
        pieces: "SingleFlight[MapTemplate]",
        packer: GzipPartCache,
        version: int,
        status: bytes,
    ) -> None:
        self.version = version
        self.status = status
        self._pieces = pieces
        self._tag = ""
        self._rendering = _Rendering(pieces, packer, version, status)
        self._body = SingleFlight(self._rendering.encode)
        self._gzip = SingleFlight(self._rendering.compress)

    @property
    def took_s(self) -> float:
        """How long making its forms has taken so far, in seconds."""
        return self._rendering.took_s

    async def tag(self) -> str:
        """Return a name that no other content has: the layout's own, the version, and the states'.

        Two processes that have heard of different changes may count the same version.
        """
        if not self._tag:
            pieces = await self._pieces.get()
            self._tag = f"{pieces.tag}-{self.version}-{zlib.crc32(self.status):08x}"
        return self._tag

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
