"""One round of the relay: read, publish, delete. No transaction spans the call to Valkey.

The stream is not durable, so webhooks and mails are queued in the transaction that deletes. A crash
between publish and delete delivers twice; consumers deduplicate by `event_id`.
"""

from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from boxoffice.observability.tracing import spans
from boxoffice.outbox import metrics
from boxoffice.outbox.rules import Event, Message, to_message
from boxoffice.outbox.store import OutboxStore
from boxoffice.outbox.stream import EventStream, RelayFenced
from boxoffice.outbox.topics import TOPICS, Scope
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.settings import OutboxSettings

ROLE = "relay"
# The topics after which the number of sold seats is another one.
_SALES = frozenset({"reservation.confirmed", "payment.refunded"})


class Relay:
    """Moves events from the outbox to the stream while it holds the lease."""

    def __init__(
        self,
        database: Database,
        valkey: Valkey,
        settings: OutboxSettings,
        holder: UUID | None = None,
        on_sold: Callable[[set[UUID]], None] = lambda _schedule_ids: None,
    ) -> None:
        """`on_sold` is called with schedules whose sold seats have changed, once that is relayed."""
        self._on_sold = on_sold
        self._outbox = OutboxStore(database)
        self._stream = EventStream(valkey, settings)
        self._lease = Lease(LeaseStore(database, ROLE, holder or new_id()), settings.relay_lease_ms)
        self._batch_max = settings.relay_batch_max
        self._batch_size = self._batch_max

    @property
    def leads(self) -> bool:
        """Whether this relay holds the lease now."""
        return self._lease.token is not None

    @property
    def batch_size(self) -> int:
        """The most events that the next round reads and publishes at once."""
        return self._batch_size

    async def relay_once(self) -> int:
        """Deliver the oldest events; return their count, 0 while another relay leads.

        Raises `ValkeyUnavailable`, `RelayFenced`, `Unavailable` or a driver error; the events stay.
        """
        token = await self._lease.keep()
        if token is None:
            return 0
        events = await self._outbox.oldest(self._batch_size)
        if not events:
            return 0
        try:
            for part in _parts(events, self._batch_size):
                with spans.span("relay", {"boxoffice.events": len(part)}):
                    await self._stream.publish([to_message(event) for event in part], token)
        except ValkeyUnavailable:
            # A batch too large for the deadline would fail for ever.
            self._batch_size = max(1, self._batch_size // 2)
            raise
        except RelayFenced:
            self._lease.forget()
            raise
        self._batch_size = min(self._batch_max, self._batch_size * 2)
        queued = await self._outbox.delete(events, await self._wanted(events))
        metrics.EVENTS_RELAYED.inc(len(events))
        metrics.NOTIFICATIONS_QUEUED.labels("mail").inc(queued.mails)
        metrics.NOTIFICATIONS_QUEUED.labels("webhook").inc(queued.deliveries)
        self._on_sold({event.scope_id for event in events if event.topic in _SALES})
        return len(events)

    async def _wanted(self, events: Sequence[Event]) -> list[tuple[UUID, Message]]:
        """Return the messages that an organizer's endpoint may want, with their schedules.

        Read after the events, so that it sees every endpoint that was there when they were written.
        """
        schedule_ids = {one.scope_id for one in events if TOPICS[one.topic].scope is Scope.SCHEDULE}
        if not schedule_ids:
            return []
        subscribed = await self._outbox.subscribed(schedule_ids)
        return [(one.scope_id, to_message(one)) for one in events if one.scope_id in subscribed]

    async def release(self) -> None:
        """Release the lease, so that another relay takes over at once."""
        await self._lease.release()


def _parts(events: Sequence[Event], size: int) -> Iterator[Sequence[Event]]:
    """Split the events: an outbox row may have more than one publish takes."""
    for start in range(0, len(events), size):
        yield events[start : start + size]
