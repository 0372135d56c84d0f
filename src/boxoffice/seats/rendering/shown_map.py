"""The seat map that is shown of a schedule, and when the next version replaces it."""

import asyncio
import math

from boxoffice.platform.concurrency.offload import INLINE_ITEMS_MAX, offload
from boxoffice.platform.concurrency.single_flight import SingleFlight
from boxoffice.seats.cache.states import LiveStates
from boxoffice.seats.layout import Layout
from boxoffice.seats.rendering.seat_map import GzipPartCache, MapTemplate, RenderedMap, template_of

# Encoding takes at most this share of the time, whatever the size of the map.
_RENDER_SHARE = 1 / 10


class ShownMap:
    """The rendered map of one schedule.

    Times `at` and `rest_s` are monotonic seconds, `now` is in seconds since the epoch.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._template: SingleFlight[MapTemplate] = SingleFlight(self._make_template)
        self._gzip_parts = GzipPartCache()
        self._rendered: RenderedMap | None = None
        self._rendered_at = -math.inf
        self._next: RenderedMap | None = None
        self._rendering: asyncio.Task[None] | None = None
        # The next caller gets the newest version, however recent the last one is.
        self.is_due = True

    def show(self, live: LiveStates, now: float, at: float, rest_s: float) -> RenderedMap:
        """Return the map of these states, or the last map where that is younger than `rest_s`."""
        last = self._rendered
        if last is None:
            return self._renew(live, now, at)
        rest_s = max(rest_s, last.took_s / _RENDER_SHARE)
        if not self.is_due and at - self._rendered_at < rest_s:
            return last
        is_small = len(self._layout.seats) <= INLINE_ITEMS_MAX
        if self.is_due or is_small or not (last.has_body or last.has_gzip):
            return self._renew(live, now, at)
        return self._renew_in_background(last, live, now, at)

    async def _make_template(self) -> MapTemplate:
        return await offload(len(self._layout.seats), lambda: template_of(self._layout))

    def _renew(self, live: LiveStates, now: float, at: float) -> RenderedMap:
        self.is_due = False
        self._rendered_at = at
        status = live.shown(now)
        last = self._rendered
        if last is None or last.version != live.version or last.status != status:
            last = RenderedMap(self._template, self._gzip_parts, live.version, status)
            self._rendered = last
        return last

    def _renew_in_background(
        self, last: RenderedMap, live: LiveStates, now: float, at: float
    ) -> RenderedMap:
        """Keep showing the last map of a large hall until the next one is encoded."""
        if self._rendering is None:
            made = self._renew(live, now, at)
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
