"""Sends one webhook: to a checked public address, without redirects, bounded in bytes and time."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from boxoffice.errors import BoxofficeError, WebhookUrlInvalid
from boxoffice.notifications.webhooks import rules
from boxoffice.settings import NotificationSettings

_USER_AGENT = "boxoffice-webhooks"
# Name servers of some receivers do not answer; a look-up that waits holds a thread.
_RESOLVING_MAX = 64
_KEEP_ALIVE_S = 15.0

AddressInfo: TypeAlias = "tuple[int, int, int, str, tuple[Any, ...]]"
# `socket.getaddrinfo`, or a substitute of a test.
LookUp = Callable[..., list[Any]]


class WebhookAnswer(NamedTuple):
    """The status of an answer, and the beginning of its body as text."""

    status: int
    excerpt: str


class NotSent(BoxofficeError):
    """No status was received; `reason` is a stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CheckedResolver(AbstractResolver):
    """Resolves a name and refuses it where one of its addresses is not public.

    The client connects to the addresses that were checked, so a name server cannot answer a check with
    one address and a connection with another.
    """

    def __init__(self, *, is_loopback_allowed: bool, look_up: LookUp = socket.getaddrinfo) -> None:
        self._is_loopback_allowed = is_loopback_allowed
        self._look_up = look_up
        self._threads = ThreadPoolExecutor(_RESOLVING_MAX, "webhook-dns")
        self._running: dict[tuple[str, int], asyncio.Future[list[AddressInfo]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host`; raise `OSError` where it has none or a refused one."""
        found = await self._found(host, port)
        addresses = [(kind, place[0]) for kind, _, _, _, place in found]
        if not addresses:
            raise OSError(f"{host} has no address")
        for _, address in addresses:
            # guard: webhook_every_address_is_checked => if False:
            if not rules.is_public(address, is_loopback_allowed=self._is_loopback_allowed):
                raise WebhookUrlInvalid(f"{host} has the address {address}, which is not public.")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in addresses
        ]

    async def _found(self, host: str, port: int) -> list[AddressInfo]:
        """Look a name up once for all that ask at the same time."""
        running = self._running.get((host, port))
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: self._look_up(host, port, type=socket.SOCK_STREAM)
            )
            self._running[host, port] = running
            running.add_done_callback(lambda _: self._running.pop((host, port), None))
        return await asyncio.shield(running)

    async def close(self) -> None:
        """Forget the look-ups that wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class WebhookClient:
    """One pool of connections for all endpoints; the caller bounds how many are used."""

    def __init__(
        self, settings: NotificationSettings, look_up: LookUp = socket.getaddrinfo
    ) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._look_up = look_up

    async def open(self) -> None:
        """Prepare the pool; needs a running event loop."""
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(
                is_loopback_allowed=self._settings.webhook_loopback_allowed, look_up=self._look_up
            ),
            use_dns_cache=False,
            limit=0,
            keepalive_timeout=_KEEP_ALIVE_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.webhook_timeout_ms / 1000),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        """Send one webhook; raise `NotSent` where no status came back.

        A status decides, also where the body after it stalls, is cut or has no end.
        """
        if self._session is None:
            raise NotSent("closed")
        try:
            host = urlsplit(url).hostname or ""
            # The connector resolves names only.
            rules.require_public_literal(
                host, is_loopback_allowed=self._settings.webhook_loopback_allowed
            )
            request = self._session.post(
                url, data=body.encode(), headers=headers, allow_redirects=False
            )
            async with request as response:
                return WebhookAnswer(
                    response.status, rules.excerpt(await self._beginning(response))
                )
        except WebhookUrlInvalid as error:
            raise NotSent("address_not_public") from error
        except TimeoutError as error:
            raise NotSent("timeout") from error
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            raise NotSent("tls") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise NotSent("name_not_resolved") from error
        except (aiohttp.ClientConnectorError, ConnectionRefusedError) as error:
            raise NotSent("not_connected") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotSent("no_answer") from error

    async def _beginning(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the first bytes of a body; the connection is dropped where there are more."""
        bytes_max = self._settings.webhook_answer_max_bytes
        read = bytearray()
        try:
            while len(read) < bytes_max:
                part = await response.content.read(bytes_max - len(read))
                if not part:
                    return bytes(read)
                read += part
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        response.close()
        return bytes(read)
