"""`python -m bench.servers.bounded`: what the application answers, on the shop's own server."""

import asyncio
from typing import Any

import uvloop

from bench.baselines import bare_server
from bench.servers.app import SLOW_S, close, in_flight
from boxoffice.errors import Draining, Unauthenticated
from boxoffice.http.api.body import JSON_TYPE
from boxoffice.http.api.operation import Call, RawBody, Reply, RouteDependencies, operation
from boxoffice.http.api.router import Router
from boxoffice.http.server.listening import listen
from boxoffice.http.server.server import serve
from boxoffice.http.streams import Channel, Stream, Streams, limits_of
from boxoffice.observability.access_log import AccessLog
from boxoffice.settings import Settings, load


def _no_caller(_token: str) -> Any:
    raise Unauthenticated


_DEPENDENCIES = RouteDependencies(_no_caller, body_max_bytes=65_536, request_timeout_s=60)
_JSON = RawBody((JSON_TYPE,), 65_536, dict)


class BareHoldResource:
    """Answers a hold as the bare server does."""

    dependencies = _DEPENDENCIES

    @operation("Hold", 201, raw_body=_JSON)
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Decode a hold, and encode an answer."""
        return Reply(encoded=bare_server.hold(call.raw))


class SlowResource:
    """`GET /slow`."""

    dependencies = _DEPENDENCIES

    @operation("Wait")
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Answer after a while."""
        await asyncio.sleep(SLOW_S)
        return Reply(encoded=b"{}")


class DrainReadyResource:
    """`GET /readyz`."""

    dependencies = _DEPENDENCIES

    @operation("Whether the process takes requests")
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Answer, or refuse with 503."""
        if in_flight.draining:
            raise Draining
        return Reply(encoded=b"{}")


class StreamResource:
    """`GET /stream`."""

    dependencies = _DEPENDENCIES

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @operation("Follow", events={"nothing": dict})
    async def on_get(self, _call: Call[None, None]) -> Stream:
        """Open a stream that says nothing."""
        return Stream(self._channel, lambda: b":\n\n")


async def _run(settings: Settings) -> None:
    streams = Streams(limits_of(settings.streams))
    routes = [
        ("/v1/schedules/{schedule_id}/reservations", BareHoldResource()),
        ("/slow", SlowResource()),
        ("/readyz", DrainReadyResource()),
        ("/stream", StreamResource(Channel(streams, "nothing"))),
    ]
    access_log = AccessLog(in_flight, log_requests=False)
    with listen(settings) as sock:
        await serve(Router(routes, _DEPENDENCIES), access_log, settings, sock, streams=streams)
    # As in the shop, the application is closed by its owner, not by a lifespan event.
    close()


if __name__ == "__main__":
    uvloop.run(_run(load()))
