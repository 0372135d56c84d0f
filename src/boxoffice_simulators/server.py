"""The process of a simulator: two ports of this machine, one book."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from boxoffice_simulators.book import SimulatorBook
from boxoffice_simulators.control import ControlServer, SimulatedProvider
from boxoffice_simulators.errors import SimulatorError
from boxoffice_simulators.options import SimulatorKeys, SimulatorOptions
from boxoffice_simulators.port import Port
from boxoffice_simulators.stripe.api import StripeSimulator
from boxoffice_simulators.toss.api import TossSimulator

PROVIDERS: Mapping[str, Callable[[SimulatorBook, SimulatorKeys], SimulatedProvider]] = {
    "toss": TossSimulator,
    "stripe": StripeSimulator,
}


async def run(options: SimulatorOptions) -> None:
    """Serve until SIGTERM or SIGINT; print one line of JSON with both addresses when ready."""
    if options.provider not in PROVIDERS:
        raise SimulatorError(f"{options.provider!r} is none of {', '.join(PROVIDERS)}")
    book = SimulatorBook(options.data / f"{options.provider}.sqlite3")
    provider = PROVIDERS[options.provider](book, options.keys)
    api = Port(provider.routes(), options.port)
    control = Port(
        ControlServer(book, provider, options.webhook_url, api).routes(), options.control_port
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sender = asyncio.create_task(provider.notices.run())
    try:
        urls = [await one.open() for one in (api, control)]
        ready = {"provider": options.provider, "url": urls[0], "control_url": urls[1]}
        if not options.is_quiet:
            sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
            sys.stdout.flush()
        await stop.wait()
    finally:
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender
        for one in (control, api):
            await one.close()
        book.close()
