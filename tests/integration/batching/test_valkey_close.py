"""A process that ends closes its connections to Valkey, also one that is no longer read."""

import asyncio

from boxoffice.platform.valkey import Script, Valkey
from boxoffice.settings import Settings
from faults.cluster.proxy import Proxy

# More than the buffers of a connection hold.
MUCH_BYTES = 64_000_000
SIZE = Script("size", "return #ARGV[1]")


async def test_an_unread_line_does_not_spoil_the_end(settings: Settings) -> None:
    async with Proxy.of_valkey(settings.valkey.valkey_url).listening() as proxy:
        valkey = Valkey(settings.replace(valkey_url=proxy.url).valkey)
        assert await valkey.run(SIZE, ["{a}"], ["one"]) == 3
        proxy.hold_back()
        asking = asyncio.create_task(valkey.run(SIZE, ["{a}"], [bytes(MUCH_BYTES)]))
        await asyncio.sleep(0.02)
        await valkey.close()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
