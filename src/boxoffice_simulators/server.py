"""The process of a simulator: two ports of this machine, one book."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
from aiohttp import web

from boxoffice_simulators.book import SimulatorBook
from boxoffice_simulators.control import ControlServer, SimulatedProvider
from boxoffice_simulators.errors import SimulatorError
from boxoffice_simulators.options import SimulatorKeys, SimulatorOptions
from boxoffice_simulators.stripe.api import StripeSimulator
from boxoffice_simulators.toss.api import TossSimulator

HOST = "127.0.0.1"
PROVIDERS: Mapping[str, Callable[[SimulatorBook, SimulatorKeys], SimulatedProvider]] = {
    "toss": TossSimulator,
    "stripe": StripeSimulator,
}
_BODY_MAX_BYTES = 1 << 20


async def run(options: SimulatorOptions) -> None:
    """Serve until SIGTERM or SIGINT; print one line of JSON with both addresses when ready."""
    if options.provider not in PROVIDERS:
        raise SimulatorError(f"{options.provider!r} is none of {', '.join(PROVIDERS)}")
    book = SimulatorBook(options.data / f"{options.provider}.sqlite3")
    provider = PROVIDERS[options.provider](book, options.keys)
    control = ControlServer(book, provider, options.webhook_url)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    both = (provider.routes(), control.routes())
    runners = [web.AppRunner(_app(routes), shutdown_timeout=1.0) for routes in both]
    sender = asyncio.create_task(provider.notices.run())
    try:
        ports = (options.port, options.control_port)
        urls = [await _listen(*one) for one in zip(runners, ports, strict=True)]
        ready = {"provider": options.provider, "url": urls[0], "control_url": urls[1]}
        if not options.is_quiet:
            sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
            sys.stdout.flush()
        await stop.wait()
    finally:
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender
        for runner in runners:
            await runner.cleanup()
        book.close()


def _app(routes: Sequence[web.RouteDef]) -> web.Application:
    app = web.Application(client_max_size=_BODY_MAX_BYTES)
    app.add_routes(routes)
    return app


async def _listen(runner: web.AppRunner, port: int) -> str:
    await runner.setup()
    site = web.TCPSite(runner, HOST, port)
    await site.start()
    return f"http://{HOST}:{runner.addresses[0][1]}"
