"""The seat map that is shown of a schedule: its template is made once per layout, its body per version.

Compression works on parts of the map; a part without a changed seat is reused.
"""

import asyncio
import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import msgspec

from boxoffice.platform.concurrency.offload import INLINE_ITEMS_MAX, offload
from boxoffice.platform.concurrency.single_flight import SingleFlight
from boxoffice.platform.values import Money
from boxoffice.seats.cache.states import LiveStates
from boxoffice.seats.layout import Layout
from boxoffice.seats.rendering import gzip_parts

_NAMES = (b"AVAILABLE", b"HELD", b"SOLD", b"BLOCKED")
# Seats per part: joined at one time, and compressed together.
_PART = 1_000
# Separates the pieces of a part; JSON escapes it, so no piece contains it.
_SEPARATOR = b"\0"
# Encoding takes at most this share of the time, whatever the size of the map.
_RENDER_SHARE = 1 / 10


class _SeatShape(msgspec.Struct):
    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price: Money


@dataclass(frozen=True)
class MapTemplate:
    """The parts of a map's JSON that do not change: the text before each status.

    `tag` identifies the layout's bytes.
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
        """Return the text before the first seat."""
        return b'%b,"version":%d,"seats":[' % (self.head, version)

    @property
    def closing(self) -> bytes:
        """The text after the last status."""
        return b'"}]}' if self.parts else b"]}"


def _joined(part: bytes, status: bytes) -> bytes:
    pieces = [b""] * (2 * len(status))
    pieces[0::2] = part.split(_SEPARATOR)
    pieces[1::2] = map(_NAMES.__getitem__, status)
    return b"".join(pieces)


class GzipPartCache:
    """The last compressed form of each part of a map, with the states that it shows."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[bytes, gzip_parts.Part]] = {}

    def stream(self, template: MapTemplate, version: int, status: bytes) -> bytes:
        """Return the compressed JSON; may run in several threads at once."""
        parts = [gzip_parts.compress(template.opening(version))]
        for at, part in enumerate(template.parts):
            states = status[at * _PART : (at + 1) * _PART]
            made = self._made.get(at)
            if made is None or made[0] != states:
                made = self._made[at] = states, gzip_parts.compress(_joined(part, states))
            parts.append(made[1])
        return gzip_parts.stream([*parts, gzip_parts.compress(template.closing)])


def template_of(layout: Layout) -> MapTemplate:
    """Encode the parts of a map that do not change."""
    encode = msgspec.json.Encoder().encode
    head = encode(
        {
            "schedule_id": layout.schedule_id,
            "currency": layout.currency,
            "layout_version": layout.version,
        }
    )[:-1]
    parts = tuple(
        _SEPARATOR.join(_befores(layout, start, encode))
        for start in range(0, len(layout.seats), _PART)
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
    """Encodes and compresses one version. It holds no reference to its `RenderedMap`."""

    def __init__(
        self,
        template: "SingleFlight[MapTemplate]",
        parts_cache: GzipPartCache,
        version: int,
        status: bytes,
    ) -> None:
        self.took_s = 0.0
        self._template = template
        self._parts_cache = parts_cache
        self._version = version
        self._status = status

    async def encode(self) -> bytes:
        template = await self._template.get()
        return await offload(
            len(self._status),
            lambda: self._timed(lambda: b"".join(template.joined(self._version, self._status))),
        )

    async def compress(self) -> bytes:
        template = await self._template.get()
        work = partial(self._parts_cache.stream, template, self._version, self._status)
        return await offload(len(self._status), lambda: self._timed(work))

    def _timed(self, work: Callable[[], bytes]) -> bytes:
        began = time.monotonic()
        made = work()
        self.took_s += time.monotonic() - began
        return made


class RenderedMap:
    """The JSON of a seat map at one version, plain and compressed, each made on first use.

    It is in no reference cycle, so that its bodies are freed with the last reader: the garbage
    collector counts objects and not their size, and would come too late.
    """

    def __init__(
        self,
        template: "SingleFlight[MapTemplate]",
        parts_cache: GzipPartCache,
        version: int,
        status: bytes,
    ) -> None:
        self.version = version
        self.status = status
        self._template = template
        self._tag = ""
        self._rendering = _Rendering(template, parts_cache, version, status)
        self._body = SingleFlight(self._rendering.encode)
        self._gzip = SingleFlight(self._rendering.compress)

    @property
    def took_s(self) -> float:
        """Time spent on encoding and compressing so far, in seconds."""
        return self._rendering.took_s

    async def tag(self) -> str:
        """Return a unique name of the content, made of the layout, the version and the states.

        The version is not enough: two processes that know different changes may count the same one.
        """
        if not self._tag:
            template = await self._template.get()
            self._tag = f"{template.tag}-{self.version}-{zlib.crc32(self.status):08x}"
        return self._tag

    async def body(self) -> bytes:
        """Return the JSON."""
        return self._body.value or await self._body.get()

    async def gzip(self) -> bytes:
        """Return the JSON compressed (RFC 1952)."""
        return self._gzip.value or await self._gzip.get()

    @property
    def has_body(self) -> bool:
        """Whether the plain form is made."""
        return self._body.value is not None

    @property
    def has_gzip(self) -> bool:
        """Whether the compressed form is made."""
        return self._gzip.value is not None

    async def make_like(self, other: "RenderedMap") -> None:
        """Make the forms in advance that `other` was asked for."""
        if other.has_gzip:
            await self.gzip()
        if other.has_body:
            await self.body()


class ShownMap:
    """The rendered map of one schedule.

    Times `at` and `rest_s` are monotonic seconds, `now` returns seconds since the epoch.
    """

    def __init__(self, layout: Layout, now: Callable[[], float]) -> None:
        self._layout = layout
        self._now = now
        self._template: SingleFlight[MapTemplate] = SingleFlight(self._make_template)
        self._gzip_parts = GzipPartCache()
        self._rendered: RenderedMap | None = None
        self._rendered_at = -math.inf
        self._next: RenderedMap | None = None
        self._rendering: asyncio.Task[None] | None = None
        # The next caller gets the newest version, however recent the last one is.
        self.is_due = True

    def show(self, live: LiveStates, at: float, rest_s: float) -> RenderedMap:
        """Return the map of these states, or the last map where that is younger than `rest_s`."""
        last = self._rendered
        if last is None:
            return self._renew(live, at)
        age_s = at - self._rendered_at
        if not self.is_due and (age_s < rest_s or age_s < last.took_s / _RENDER_SHARE):
            return last
        is_small = len(self._layout.seats) <= INLINE_ITEMS_MAX
        if self.is_due or is_small or not (last.has_body or last.has_gzip):
            return self._renew(live, at)
        return self._renew_in_background(last, live, at)

    async def _make_template(self) -> MapTemplate:
        return await offload(len(self._layout.seats), lambda: template_of(self._layout))

    def _renew(self, live: LiveStates, at: float) -> RenderedMap:
        self.is_due = False
        self._rendered_at = at
        status = live.shown(self._now())
        last = self._rendered
        if last is None or last.version != live.version or last.status != status:
            last = RenderedMap(self._template, self._gzip_parts, live.version, status)
            self._rendered = last
        return last

    def _renew_in_background(self, last: RenderedMap, live: LiveStates, at: float) -> RenderedMap:
        """Keep showing the last map of a large hall until the next one is encoded."""
        if self._rendering is None:
            made = self._renew(live, at)
            if made is last:
                return last
            self._rendered, self._next = last, made
            self._rendering = asyncio.create_task(made.make_like(last))
            self._rendering.add_done_callback(self._finish)
        return last

    def _finish(self, rendering: "asyncio.Task[None]") -> None:
        self._rendering = None
        made, self._next = self._next, None
        if rendering.cancelled() or rendering.exception() is not None or made is None:
            return
        # A caller that was due the newest version may have replaced the map meanwhile.
        if self._rendered is None or made.version > self._rendered.version:
            self._rendered = made
