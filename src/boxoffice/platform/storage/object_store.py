"""A client of an S3-compatible store, path-style; each request has a deadline."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from boxoffice.errors import Unavailable
from boxoffice.platform.storage.signature import AccessKey, quoted_query, signed_headers

_RETRY_AFTER_S = 0.2
_SERVER_ERRORS = 500
_ONLY_NEW = {"if-none-match": "*"}
_PRECONDITION_FAILED = frozenset({409, 412})
_EMPTY: Mapping[str, str] = {}


class Bucket(NamedTuple):
    """A bucket: the store's address, its name there, the key, and the deadline of a request."""

    url: str
    name: str
    key: AccessKey
    timeout_s: float


class StoredObject(NamedTuple):
    """An object of a list: its name, its size in bytes, and when it was written."""

    name: str
    size_bytes: int
    written_at: datetime


class StoreReply(NamedTuple):
    """What a store answered; names of headers are in small letters."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class ObjectStore:
    """Objects of one bucket; raises `Unavailable` where the store does not answer as it should.

    A request is sent up to `tries_max` times after errors of the store or of the network. Objects are
    moved seldom, so a connection per request is enough.
    """

    def __init__(
        self, bucket: Bucket, now_s: Callable[[], float], max_bytes: int, tries_max: int = 1
    ) -> None:
        """An answer may have `max_bytes`; `now_s` is the time in seconds since the Unix epoch."""
        self._tries_max = tries_max
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._timeout = aiohttp.ClientTimeout(total=bucket.timeout_s)
        self._now_s = now_s

    async def put(
        self, name: str, content: bytes, media_type: str, headers: Mapping[str, str] = _EMPTY
    ) -> None:
        """Store an object; one of this name is replaced."""
        await self.call("PUT", name, content, {"content-type": media_type, **headers})

    async def put_new(self, name: str, content: bytes, media_type: str) -> bool:
        """Store an object unless there is one of this name; return whether it was stored.

        A store that ignores `If-None-Match` replaces what another client has just written.
        """
        if await self.size(name) is not None:
            return False
        headers = {"content-type": media_type, **_ONLY_NEW}
        reply = await self.call("PUT", name, content, headers, expected=_PRECONDITION_FAILED)
        return reply.status not in _PRECONDITION_FAILED

    async def get(self, name: str) -> bytes | None:
        """Return an object; None where there is none."""
        reply = await self.call("GET", name, expected={404})
        return None if reply.status == 404 else reply.body

    async def size(self, name: str) -> int | None:
        """Return the bytes of an object; None where there is none."""
        reply = await self.call("HEAD", name, expected={404})
        return None if reply.status == 404 else int(reply.headers.get("content-length", 0))

    async def delete(self, name: str) -> None:
        """Delete an object; one that is missing is no error."""
        await self.call("DELETE", name, expected={404})

    async def listed(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield the objects whose names begin so, by name."""
        query = {"list-type": "2", "prefix": prefix}
        while True:
            reply = await self.call("GET", "", query=query)
            page = ET.fromstring(reply.body)  # noqa: S314 - of our own store, and of bounded size
            for one in page.iterfind("{*}Contents"):
                yield StoredObject(
                    one.findtext("{*}Key", ""),
                    int(one.findtext("{*}Size", "0")),
                    datetime.fromisoformat(one.findtext("{*}LastModified", "")),
                )
            token = page.findtext("{*}NextContinuationToken")
            if not token:
                return
            query = {**query, "continuation-token": token}

    async def call(
        self,
        method: str,
        name: str,
        body: bytes = b"",
        headers: Mapping[str, str] = _EMPTY,
        *,
        query: Mapping[str, str] = _EMPTY,
        expected: "set[int] | frozenset[int]" = frozenset(),
    ) -> StoreReply:
        """Send a request about an object, or the bucket; raise `Unavailable` for other failures."""
        failure = Unavailable("The object store does not answer.")
        for tried in range(self._tries_max):
            if tried:
                await asyncio.sleep(_RETRY_AFTER_S * 2**tried)
            try:
                reply = await self._send(method, name, body, headers, query)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                failure.__cause__ = error
                continue
            if reply.status < 300 or reply.status in expected:
                return reply
            failure = Unavailable(f"The object store answered {reply.status}.")
            if reply.status < _SERVER_ERRORS:
                break
        raise failure

    async def _send(
        self,
        method: str,
        name: str,
        body: bytes,
        headers: Mapping[str, str],
        query: Mapping[str, str],
    ) -> StoreReply:
        parts = urlsplit(self._bucket.url.rstrip("/"))
        path = f"{parts.path}/{self._bucket.name}/{name}"
        at = datetime.fromtimestamp(self._now_s(), UTC)
        key = self._bucket.key
        signed = signed_headers(key, method, parts.netloc, path, headers, body, at, query)
        asked = f"?{quoted_query(query)}" if query else ""
        url = URL(f"{parts.scheme}://{parts.netloc}{quote(path)}{asked}", encoded=True)
        async with (
            aiohttp.ClientSession(timeout=self._timeout, auto_decompress=False) as session,
            session.request(
                method,
                url,
                data=BytesIO(body) if body else None,
                headers=signed,
                allow_redirects=False,
            ) as answer,
        ):
            found = {name.lower(): value for name, value in answer.headers.items()}
            return StoreReply(answer.status, await _read(answer, self._max_bytes), found)


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    content = bytearray()
    async for part in answer.content.iter_chunked(65_536):
        content += part
        if len(content) > max_bytes:
            raise Unavailable(f"The object store answered with more than {max_bytes} bytes.")
    return bytes(content)
