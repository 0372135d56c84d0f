"""The HTTP client of payment providers: one bounded pool, deadlines, a circuit breaker each.

It sorts what goes wrong by one question: may the call have arrived? No connection, or an open breaker:
`ProviderUnavailable`. Everything after that, without a whole answer: `ProviderUnknown`. Answers below
500 are returned as they are; what their codes mean is each provider's own.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import aiohttp
import msgspec
from prometheus_client import Counter, Histogram

from boxoffice.observability.logs import log
from boxoffice.observability.tracing import spans
from boxoffice.payments.providers.port import (
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    ProviderUnknown,
)
from boxoffice.platform.circuit_breaker import CircuitBreaker
from boxoffice.settings import ProviderSettings

PROVIDER_CALLS = Counter(
    "boxoffice_provider_calls_total",
    "Calls to payment providers.",
    ["provider", "operation", "outcome"],
)
PROVIDER_SECONDS = Histogram(
    "boxoffice_provider_call_seconds",
    "Duration of calls to payment providers.",
    ["provider", "operation"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)

Shape = TypeVar("Shape")

# Shorter than providers keep idle connections: a call on one that they close meanwhile is unknown.
_KEEP_ALIVE_S = 15.0
_DNS_CACHE_S = 60
_CHUNK_BYTES = 65_536
_PROCESSING_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """A call; `key` is its idempotency key, `timeout_ms` replaces the usual deadline."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: object = None
    form: Mapping[str, str] | None = None
    key: str | None = None
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """A whole answer: its status, the decoded JSON and whether it repeats an earlier answer."""

    status: int
    body: object
    is_replay: bool = False


@contextmanager
def after_sending() -> Iterator[None]:
    """Turn *not sent* into an unknown outcome where an earlier call of the same operation was sent."""
    try:
        yield
    except (ProviderUnavailable, ProviderMisconfigured) as error:
        # guard: what_follows_a_sent_call_is_unknown => raise
        raise ProviderUnknown(f"after a call that was sent: {error}") from error


@asynccontextmanager
async def open_session(settings: ProviderSettings) -> AsyncIterator[aiohttp.ClientSession]:
    """Lend the session that all providers share."""
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=settings.provider_connections_max,
        keepalive_timeout=_KEEP_ALIVE_S,
        ttl_dns_cache=_DNS_CACHE_S,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "boxoffice", "Accept": "application/json"},
    ) as session:
        yield session


class ProviderHttp:
    """Calls to one provider at `base_url`, each with `headers` (its authorization)."""

    def __init__(
        self,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        session: aiohttp.ClientSession,
        settings: ProviderSettings,
    ) -> None:
        self.name = name
        self._base_url = base_url.rstrip("/")
        self._headers = headers
        self._session = session
        self._settings = settings
        self._breaker = CircuitBreaker(
            settings.provider_breaker_failures_max, settings.provider_breaker_open_ms / 1000
        )

    @property
    def is_available(self) -> bool:
        """Whether the breaker is closed; one that lets a probe through is open until it passes."""
        # guard: provider_is_offered_after_a_probe => return self._breaker.would_admit(time.monotonic())
        return not self._breaker.is_open

    async def call(self, request: ProviderRequest) -> ProviderAnswer:
        """Return the answer, which is below 500.

        While another call with the same key is in progress (409), it is asked again until the deadline.
        """
        timeout_ms = request.timeout_ms or self._settings.provider_timeout_ms
        ends_at = time.monotonic() + timeout_ms / 1000
        answer = await self._attempt(request, timeout_ms / 1000)
        while True:
            # guard: provider_first_call_is_waited_for: answer.status != HTTPStatus.CONFLICT => True
            if answer.status != HTTPStatus.CONFLICT or request.key is None:
                return answer
            if time.monotonic() + _PROCESSING_PAUSE_S >= ends_at:
                raise ProviderUnknown(f"{self.name}: the first {request.operation} goes on")
            await asyncio.sleep(_PROCESSING_PAUSE_S)
            with after_sending():
                answer = await self._attempt(request, ends_at - time.monotonic())

    async def _attempt(self, request: ProviderRequest, timeout_s: float) -> ProviderAnswer:
        labels = (self.name, request.operation)
        # guard: provider_that_fails_is_spared: not self._breaker.admits(time.monotonic()) => False
        if not self._breaker.admits(time.monotonic()):
            PROVIDER_CALLS.labels(*labels, "not_sent").inc()
            raise ProviderUnavailable(f"{self.name} failed lately; it is spared")
        try:
            span = spans.span(
                f"{self.name} {request.operation}", _attributes(self, request), "client"
            )
            with PROVIDER_SECONDS.labels(*labels).time(), span:
                answer = await self._exchange(request, timeout_s)
        except ProviderError as error:
            is_sent = isinstance(error, ProviderUnknown)
            PROVIDER_CALLS.labels(*labels, "unknown" if is_sent else "not_sent").inc()
            self._breaker.failed(time.monotonic())
            log.warning(
                "provider_failed", provider=self.name, operation=request.operation, error=str(error)
            )
            raise
        PROVIDER_CALLS.labels(*labels, "answered").inc()
        self._breaker.succeeded()
        if 300 <= answer.status < 400:
            raise ProviderMisconfigured(
                f"{self.name} redirects; its address is not {self._base_url}"
            )
        return answer

    async def _exchange(self, request: ProviderRequest, timeout_s: float) -> ProviderAnswer:
        connect_s = self._settings.provider_connect_timeout_ms / 1000
        headers = {**self._headers}
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        try:
            async with self._session.request(
                request.method,
                self._base_url + request.path,
                params=request.query,
                data=_encoded(request, headers),
                headers=headers,
                # guard: provider_redirect_is_not_followed: False => True
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s, connect=connect_s),
            ) as response:
                raw = await self._read(response)
                replayed = response.headers.get("Idempotent-Replayed") == "true"
                status = response.status
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ProviderUnavailable(f"{self.name}: no connection: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderUnknown(f"{self.name}: no answer: {error!r}") from error
        return self._decoded(status, raw, is_replay=replayed)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts = bytearray()
        async for part in response.content.iter_chunked(_CHUNK_BYTES):
            parts += part
            # guard: provider_answer_has_a_limit => if False:
            if len(parts) > self._settings.provider_answer_max_bytes:
                raise ProviderUnknown(f"{self.name}: the answer is too long")
        return bytes(parts)

    def _decoded(self, status: int, raw: bytes, *, is_replay: bool) -> ProviderAnswer:
        if status >= 500:
            raise ProviderFailed(self.name, status, is_replay=is_replay)
        try:
            body = msgspec.json.decode(raw) if raw else None
        except msgspec.DecodeError as error:
            if 300 <= status < 400:
                return ProviderAnswer(status, None)
            raise ProviderUnknown(f"{self.name}: {status} with a body that is not JSON") from error
        return ProviderAnswer(status, body, is_replay)


def shaped(provider: str, body: object, shape: type[Shape]) -> Shape:
    """Return an answer's body as `shape`; another form is an unknown outcome."""
    try:
        # Not strict: an amount such as 1000.0 or "1000" is a whole number, 1000.5 is refused.
        return msgspec.convert(body, shape, strict=False)
    except msgspec.ValidationError as error:
        raise ProviderUnknown(f"{provider}: an answer of another form: {error}") from error


class ProviderFailed(ProviderUnknown):
    """The provider answered 500 or above; `is_replay` says that the answer is an earlier call's."""

    def __init__(self, provider: str, status: int, *, is_replay: bool) -> None:
        super().__init__(f"{provider} answered {status}")
        self.is_replay = is_replay


def _attributes(provider: ProviderHttp, request: ProviderRequest) -> spans.Attributes:
    # Without the path, which has keys of payments.
    return {"boxoffice.provider": provider.name, "http.request.method": request.method}


def _encoded(request: ProviderRequest, headers: dict[str, str]) -> bytes | aiohttp.FormData | None:
    if request.form is not None:
        return aiohttp.FormData(request.form)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        return msgspec.json.encode(request.body)
    return None
