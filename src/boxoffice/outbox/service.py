"""One round of the relay: read, publish, forget. No transaction spans the call to Valkey.

A crash after the publishing and before the forgetting delivers twice; consumers know an event by
its `event_id`.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

from boxoffice.outbox import metrics
from boxoffice.outbox.rules import Event, present
from boxoffice.outbox.store import OutboxStore
from boxoffice.outbox.stream import EventStream, Fenced
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyAway
from boxoffice.settings import OutboxSettings

ROLE = "relay"


class Relay:
    """Moves events from the outbox to the stream while it holds the lease of the role."""

    def __init__(
        self,
        database: Database,
        valkey: Valkey,
        settings: OutboxSettings,
        holder: UUID | None = None,
    ) -> None:
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
        """How many events the next round takes, and hands over at once, at most."""
        return self._batch_size

    async def relay_once(self) -> int:
        """Deliver the oldest events; return how many, 0 where there are none or another relay leads.

        Raises `ValkeyAway`, `Fenced`, `Unavailable` or an error of the driver; the events stay.
        """
        token = await self._lease.keep()
        if token is None:
            return 0
        events = await self._outbox.oldest(self._batch_size)
        if not events:
            return 0
        try:
            for part in _parts(events, self._batch_size):
                await self._stream.publish([present(event) for event in part], token)
        except ValkeyAway:
            # A batch that is too large for the deadline would fail for ever.
            self._batch_size = max(1, self._batch_size // 2)
            raise
        except Fenced:
            self._lease.forget()
            raise
        self._batch_size = min(self._batch_max, self._batch_size * 2)
        await self._outbox.delete(events)
        metrics.EVENTS_RELAYED.inc(len(events))
        return len(events)

    async def release(self) -> None:
        """Give the lease back, so that another relay takes over at once."""
        await self._lease.release()


def _parts(events: Sequence[Event], size: int) -> Iterator[Sequence[Event]]:
    """Yield the events in parts: a row of the outbox may have more than the stream takes at once."""
    for start in range(0, len(events), size):
        yield events[start : start + size]
