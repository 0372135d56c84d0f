"""The seats of a schedule over HTTP: the seat map, and the stream of its changes."""

from functools import partial
from math import ceil

from boxoffice.catalog.paths import SCHEDULE
from boxoffice.http.api.headers import FixedHeaders, accepts_gzip
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.streams import Stream, Streams
from boxoffice.seats.feed.broadcast import SeatBroadcast, keep_alive_of
from boxoffice.seats.feed.feed import FeedInterval, SeatFeeds
from boxoffice.seats.feed.history import ALIVE, CHANGES, SALE, SNAPSHOT
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.views import SaleEvent, SeatMap, SeatsAlive, SeatsChange, SeatsSnapshot
from boxoffice.settings import SeatSettings


class Seats:
    """`/v1/schedules/{schedule_id}/seats`."""

    def __init__(
        self, seats: SeatReadModel, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._seats = seats
        self._headers = headers
        self._gzip_headers = FixedHeaders({**headers, "Content-Encoding": "gzip"})

    @operation("Get the seat map", path=SCHEDULE, returns=SeatMap, cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """A seat that is shown as available may be taken: only a hold decides."""
        rendered = await self._seats.rendered(call.ids["schedule_id"])
        tag = await rendered.tag()
        if not accepts_gzip(call.req.get_header("Accept-Encoding")):
            return Reply(encoded=await rendered.body(), etag=f'"{tag}"', headers=self._headers)
        # A strong tag names bytes, and the compressed ones are others (RFC 9110, section 8.8.3).
        return Reply(
            encoded=await rendered.gzip(),
            etag=f'"{tag}-gzip"',
            headers=self._gzip_headers,
        )


class SeatEvents:
    """`/v1/schedules/{schedule_id}/seats/events`."""

    def __init__(self, feeds: SeatFeeds[SeatBroadcast], dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._feeds = feeds

    @operation(
        "Follow the seats",
        path=SCHEDULE,
        events={
            SNAPSHOT: SeatsSnapshot,
            CHANGES: SeatsChange,
            SALE: SaleEvent,
            ALIVE: SeatsAlive,
        },
    )
    async def on_get(self, call: Call[None, None]) -> Stream:
        """A stream that begins with the status of every seat, or with the changes since Last-Event-ID.

        An event was missed where `seq` is not one more than that of the event before. `alive` has no
        `seq`: it is sent when nothing has changed for a while. A client that receives no event for a
        few times `next_within_ms` has lost the connection.
        """
        feed = await self._feeds.of(call.ids["schedule_id"])
        seats = feed.broadcast
        return Stream(
            seats.channel,
            lambda: seats.encoded(feed.history.since(call.last_event_id)),
            opened=lambda _subscriber: feed.start(),
        )


def routes(
    seats: SeatReadModel,
    dependencies: RouteDependencies,
    settings: SeatSettings,
    streams: Streams,
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    # A buyer who has just held a seat wants to see it, so browsers revalidate by ETag. Shared caches
    # keep the map for as long as this process does; HAProxy only where `public` comes last.
    shared_s = ceil(settings.seats_cache_ms / 1000)
    seat_map = FixedHeaders(
        {"Cache-Control": f"max-age=0, s-maxage={shared_s}, public", "Vary": "Accept-Encoding"}
    )
    feeds = SeatFeeds(
        seats,
        FeedInterval(settings.seat_events_interval_ms / 1000, settings.seats_cache_ms / 1000),
        settings.seat_events_history_max,
        partial(SeatBroadcast, streams, keep_alive_of(settings)),
    )
    return [
        ("/v1/schedules/{schedule_id}/seats", Seats(seats, dependencies, seat_map)),
        ("/v1/schedules/{schedule_id}/seats/events", SeatEvents(feeds, dependencies)),
    ]
