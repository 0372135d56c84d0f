"""Sends claimed deliveries: some at a time to each endpoint, so that a slow one delays no other.

Claim, send, write the result. A crash before the result is written sends again under the same
`webhook-id`.
"""

import asyncio
import random
import time
from collections import deque
from typing import NamedTuple
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.notifications import metrics
from boxoffice.notifications.rules import WEBHOOK_DELAYS_S, delay_s
from boxoffice.notifications.webhooks import rules, store
from boxoffice.notifications.webhooks.client import NotSent, WebhookAnswer, WebhookClient
from boxoffice.notifications.webhooks.rules import Judgement
from boxoffice.notifications.webhooks.store import ClaimedDelivery, DeliveryQueue, DeliveryResult
from boxoffice.observability.logs import log
from boxoffice.observability.tracing import spans
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.settings import NotificationSettings

# Claimed deliveries in memory: of one endpoint, of one whose last try failed, and of all.
_ENDPOINT_MAX = 32
_FAILING_MAX = 2
_CLAIMED_MAX = 2_000
# Lanes of endpoints that have nothing to do are forgotten above this.
_LANES_MAX = 10_000
_RESULTS_AT_ONCE_MAX = 500
_WRITE_AGAIN_AFTER_S = 0.5


class _InMemory(NamedTuple):
    claimed: ClaimedDelivery
    since_s: float


class _Lane:
    """What is claimed for one endpoint, how many tries run, and whether the last one failed."""

    def __init__(self) -> None:
        self.waiting: deque[_InMemory] = deque()
        self.running = 0
        self.is_failing = False

    @property
    def room(self) -> int:
        """How many more may be claimed."""
        most = _FAILING_MAX if self.is_failing else _ENDPOINT_MAX
        return max(0, most - len(self.waiting) - self.running)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in memory or under way."""
        return not self.waiting and not self.running


class WebhookSender:
    """The sender of one process; `fill` claims under a lease, the rest goes by itself."""

    def __init__(
        self, queue: DeliveryQueue, client: WebhookClient, settings: NotificationSettings
    ) -> None:
        self._queue = queue
        self._client = client
        self._settings = settings
        self._lanes: dict[UUID, _Lane] = {}
        self._connections = asyncio.Semaphore(settings.webhook_connections_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: list[DeliveryResult] = []
        self._has_results = asyncio.Event()
        # Set when an endpoint has room again.
        self.wants_more = asyncio.Event()

    @property
    def claim_s(self) -> float:
        """How long a claim lasts: a few tries in a row, each within its deadline."""
        return 30.0 + 3 * self._settings.webhook_timeout_ms / 1000

    async def fill(self, token: int) -> int:
        """Claim what is due and start sending it; return how many. Driver errors pass through."""
        self.wants_more.clear()
        self._forget_idle_lanes()
        claimed = await self._queue.claim(
            token,
            self.claim_s,
            {endpoint_id: lane.room for endpoint_id, lane in self._lanes.items()},
            endpoint_max=_ENDPOINT_MAX,
            total_max=max(0, _CLAIMED_MAX - sum(len(one.waiting) for one in self._lanes.values())),
        )
        now_s = time.monotonic()
        for one in claimed:
            lane = self._lanes.setdefault(one.endpoint_id, _Lane())
            lane.waiting.append(_InMemory(one, now_s))
        for endpoint_id in {one.endpoint_id for one in claimed}:
            self._start(self._lanes[endpoint_id])
        return len(claimed)

    async def take_over(self, token: int) -> None:
        """Make due what an earlier holder of the lease had claimed."""
        await self._queue.requeue(token, self.claim_s)

    def drop(self) -> None:
        """Forget what is claimed and not begun: the lease is another's."""
        for lane in self._lanes.values():
            lane.waiting.clear()

    async def write_results(self) -> None:
        """Write results until cancelled; those that PostgreSQL did not take stay and are repeated."""
        while True:
            await self._has_results.wait()
            try:
                await self._write()
            except Exception as error:  # the results are kept; PostgreSQL may be away for a while
                log.warning("webhook_results_not_written", error=repr(error))
                await asyncio.sleep(_WRITE_AGAIN_AFTER_S)

    async def finish(self, within_s: float) -> None:
        """End the tries that are under way, and write their results; the others are repeated later."""
        self.drop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        await cancel_and_wait(self._tasks, within_s=1.0)
        await self._write()

    async def _write(self) -> None:
        while self._results:
            part = self._results[:_RESULTS_AT_ONCE_MAX]
            await self._queue.write(part)
            del self._results[: len(part)]
        self._has_results.clear()

    def _forget_idle_lanes(self) -> None:
        if len(self._lanes) > _LANES_MAX:
            self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.is_idle}

    def _start(self, lane: _Lane) -> None:
        most = 1 if lane.is_failing else self._settings.webhook_connections_per_endpoint_max
        # guard: webhook_tries_of_endpoint_are_bounded: lane.running < most => True
        while lane.waiting and lane.running < most:
            lane.running += 1
            task = asyncio.create_task(self._work(lane, lane.waiting.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, lane: _Lane, item: _InMemory) -> None:
        try:
            async with self._connections:
                # Another claim may be near; this one would be sent twice.
                age_s = time.monotonic() - item.since_s
                if age_s < self.claim_s - self._settings.webhook_timeout_ms / 1000:
                    await self._try(lane, item)
        finally:
            lane.running -= 1
            self._start(lane)
            if lane.room * 2 >= _ENDPOINT_MAX or lane.is_idle:
                self.wants_more.set()

    async def _try(self, lane: _Lane, item: _InMemory) -> None:
        claimed = item.claimed
        # The database's clock: that of this machine may be wrong.
        sent_at_s = int(claimed.claimed_at_s + time.monotonic() - item.since_s)
        known = [claimed.secret]
        if claimed.previous_secret is not None:
            known.append(claimed.previous_secret)
        headers = rules.headers(known, str(claimed.event_id), sent_at_s, claimed.body)
        with metrics.WEBHOOK_SECONDS.time(), spans.span("webhook", kind="client"):
            outcome = await self._sent(claimed, headers)
        result = await self._judged(claimed, outcome)
        lane.is_failing = result.state != "DELIVERED"
        self._results.append(result)
        self._has_results.set()

    async def _sent(
        self, claimed: ClaimedDelivery, headers: dict[str, str]
    ) -> WebhookAnswer | NotSent:
        try:
            return await self._client.post(claimed.url, headers, claimed.body)
        except NotSent as refusal:
            return refusal
        except Exception as error:  # a bug must not stop the endpoint
            log.error("webhook_failed", endpoint_id=str(claimed.endpoint_id), exc_info=error)
            return NotSent("internal")

    async def _judged(
        self, claimed: ClaimedDelivery, outcome: WebhookAnswer | NotSent
    ) -> DeliveryResult:
        if isinstance(outcome, NotSent):
            return _failed(claimed, error=outcome.reason)
        verdict = rules.judged(outcome.status)
        if verdict is Judgement.DELIVERED:
            metrics.WEBHOOKS.labels("delivered").inc()
            return DeliveryResult(
                claimed=claimed,
                state="DELIVERED",
                status=outcome.status,
                answer=outcome.excerpt,
            )
        if verdict is Judgement.GONE:
            await self._disable(claimed)
        return _failed(claimed, status=outcome.status, answer=outcome.excerpt)

    async def _disable(self, claimed: ClaimedDelivery) -> None:
        """Disable an endpoint that is gone, with an entry in its organization's activity log."""
        metrics.WEBHOOKS.labels("gone").inc()
        try:
            async with self._queue.transaction() as connection:
                organization_id = await store.disable_gone(
                    connection, claimed.endpoint_id, claimed.url
                )
                if organization_id is not None:
                    await record(connection, _disabled(organization_id, claimed))
        except Exception as error:  # the next answer of 410 disables it
            log.warning("webhook_endpoint_not_disabled", error=repr(error))


def _disabled(organization_id: UUID, claimed: ClaimedDelivery) -> Action:
    return Action(
        organization_id=organization_id,
        actor_id=organization_id,
        action="webhook.disabled",
        request_id="",
        details={
            "endpoint_id": str(claimed.endpoint_id),
            "url": claimed.url,
            "reason": "gone",
        },
    )


def _failed(
    claimed: ClaimedDelivery,
    *,
    status: int | None = None,
    error: str | None = None,
    answer: str | None = None,
) -> DeliveryResult:
    wait_s = delay_s(claimed.tries + 1, WEBHOOK_DELAYS_S, random.random())  # noqa: S311 - jitter
    metrics.WEBHOOKS.labels("given_up" if wait_s is None else "failed").inc()
    return DeliveryResult(
        claimed=claimed,
        state="FAILED" if wait_s is None else "WAITING",
        delay_s=wait_s or 0.0,
        status=status,
        error=error,
        answer=answer,
    )
