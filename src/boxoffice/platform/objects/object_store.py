"""A client of an S3-compatible store, path-style: put, get and delete, each with a deadline."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import aiohttp

from boxoffice.errors import Unavailable
from boxoffice.platform.objects.signature import AccessKey, signed_headers
from boxoffice.settings import PosterSettings

_IMMUTABLE = "public, max-age=31536000, immutable"


class ObjectStore:
    """Objects of one bucket; raises `Unavailable` where the store does not answer as it should.

    Objects are read once per process and cache, so a connection per call is enough.
    """

    def __init__(self, settings: PosterSettings, now_s: Callable[[], float]) -> None:
        self._endpoint = settings.s3_url.rstrip("/")
        self._bucket = settings.s3_bucket
        self._key = AccessKey(settings.s3_access_key, settings.s3_secret_key, settings.s3_region)
        self._max_bytes = settings.poster_max_bytes
        self._timeout = aiohttp.ClientTimeout(total=settings.s3_timeout_ms / 1000)
        self._now_s = now_s

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        """Store an object; one of this name is replaced."""
        headers = {"content-type": media_type, "cache-control": _IMMUTABLE}
        await self._call("PUT", name, content, headers)

    async def get(self, name: str) -> bytes | None:
        """Return an object; None where there is none."""
        return await self._call("GET", name)

    async def delete(self, name: str) -> None:
        """Delete an object; one that is missing is no error."""
        await self._call("DELETE", name)

    async def _call(
        self, method: str, name: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> bytes | None:
        parts = urlsplit(self._endpoint)
        path = f"{parts.path}/{self._bucket}/{name}"
        at = datetime.fromtimestamp(self._now_s(), UTC)
        signed = signed_headers(self._key, method, parts.netloc, path, headers or {}, body, at)
        url = f"{parts.scheme}://{parts.netloc}{quote(path)}"
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.request(
                    method, url, data=body or None, headers=signed, allow_redirects=False
                ) as answer,
            ):
                if answer.status == 404:
                    return None
                if answer.status >= 300:
                    raise Unavailable(f"The object store answered {answer.status}.")
                return await _read(answer, self._max_bytes)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("The object store does not answer.") from error


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    content = bytearray()
    async for part in answer.content.iter_chunked(65_536):
        content += part
        if len(content) > max_bytes:
            raise Unavailable("The object store answered with more than a poster.")
    return bytes(content)
