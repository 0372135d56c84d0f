"""A connection to Valkey does not outlive its server's role either."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable
from boxoffice.settings import Settings
from boxoffice_embedded.servers.home import FALLBACK_ROOT, open_home
from boxoffice_embedded.servers.valkey import EmbeddedValkey
from tests.support.waiting import until

_WRITE = Script("write", "return redis.call('SET', KEYS[1], ARGV[1]) and 'done'")


@pytest.fixture(scope="module")
def two() -> Iterator[list[str]]:
    """The addresses of two servers."""
    with contextlib.ExitStack() as stack:
        urls = []
        for _ in range(2):
            home = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            opened = open_home(
                Path(home),
                fallback_root=FALLBACK_ROOT,
                say=lambda text: print(text, file=sys.stderr),
            )
            server = EmbeddedValkey(opened)
            server.start()
            stack.callback(server.stop)
            urls.append(server.url)
        # One password for both, as installations with a replica have it.
        password = urlsplit(urls[0]).password or ""
        with Redis.from_url(urls[1]) as second:
            second.config_set("requirepass", password)
        yield [urls[0], urls[1].replace(urlsplit(urls[1]).password or "", password)]


class Name:
    """An address behind which first one server stands and then the other, as with a name in DNS.

    Lines that were made before stay with the one that they were made with.
    """

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self.at = 0

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = urlsplit(self.urls[self.at])
        answers, server = await asyncio.open_connection(target.hostname, target.port)

        async def carry(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65_536):
                    to.write(data)
                    await to.drain()
            to.close()

        await asyncio.gather(carry(reader, server), carry(answers, writer))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Stand there and return the address."""
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        password = urlsplit(self.urls[0]).password
        yield f"redis://:{password}@127.0.0.1:{port}/0"
        server.close()


@pytest.mark.parametrize("is_script", [True, False])
async def test_a_demoted_server_is_left(
    two: list[str], is_script: bool, settings: Settings
) -> None:
    name = Name(two)
    with Redis.from_url(two[0]) as old, Redis.from_url(two[1]) as new:
        async with name.listening() as url:
            client = Valkey(
                Settings.of(valkey_url=url, breaker_open_ms=20, valkey_timeout_ms=10_000).valkey
            )

            async def write() -> object:
                if is_script:
                    return await client.run(_WRITE, ["k"], ["v"])
                return await client.command("SET", "k", "v")

            async def is_written() -> bool:
                with contextlib.suppress(ValkeyUnavailable):
                    return bool(await write())
                return False

            try:
                # As many as the pool has: each connection is asked at least once.
                await asyncio.gather(*(write() for _ in range(settings.valkey.valkey_pool_max)))
                target = urlsplit(two[1])
                old.replicaof(target.hostname, target.port)
                name.at = 1
                await until(is_written)
                assert await asyncio.gather(*(write() for _ in range(4)))
                assert new.get("k") == b"v"
            finally:
                old.replicaof("NO", "ONE")
                await client.close()
