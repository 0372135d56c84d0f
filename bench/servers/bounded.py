"""`python -m bench.servers.bounded`: the application on the shop's own server code."""

import uvloop

from bench.servers.app import asgi, close, in_flight
from boxoffice.http.server.listening import listen
from boxoffice.http.server.server import serve
from boxoffice.settings import Settings, load


async def _run(settings: Settings) -> None:
    with listen(settings) as sock:
        await serve(asgi, settings, in_flight, sock)
    # As in the shop, the application is closed by whoever opened it, not by a lifespan event.
    close()


if __name__ == "__main__":
    uvloop.run(_run(load()))
