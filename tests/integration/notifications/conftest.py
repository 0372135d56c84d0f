"""An organizer with a schedule, receivers on this machine, and the outbox's relay."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from boxoffice.notifications.webhooks.service import ActingMember, Webhooks, WithSecret
from boxoffice.notifications.webhooks.store import WebhookStore
from boxoffice.outbox.service import Relay
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall

from .receivers import Receiver

CreateEndpoint = Callable[..., Awaitable[WithSecret]]
Deliver = Callable[[], Awaitable[int]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that allow receivers on this machine, with short deadlines."""
    return settings.replace(
        webhook_loopback_allowed=True,
        webhook_timeout_ms=1_000,
        messenger_interval_ms=10,
        messenger_lease_ms=1_000,
        relay_stream=f"test:notifications:{uuid4().hex}",
    )


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A schedule on sale; its organizer has the schedule's id."""
    return await open_hall(db, balance_minor=100_000)


@pytest.fixture
def webhooks(db: Database, settings: Settings) -> Webhooks:
    """The use cases of organizers."""
    return Webhooks(WebhookStore(db), settings.notifications)


@pytest.fixture
def create(webhooks: Webhooks, hall: Hall) -> CreateEndpoint:
    """Create an endpoint of the hall's organizer."""

    async def create(
        url: str, topics: list[str] | None = None, organizer: UUID | None = None
    ) -> WithSecret:
        caller = ActingMember(hall.schedule_id, [organizer or hall.schedule_id], "request")
        return await webhooks.create(caller, url, topics, uuid4().hex)

    return create


@pytest.fixture
async def relay(db: Database, valkey: Valkey, settings: Settings) -> AsyncIterator[Deliver]:
    """Relay everything that is in the outbox; return how many events."""
    role = Relay(db, valkey, settings.outbox)

    async def relay_all() -> int:
        count = 0
        while True:
            # On a busy machine Valkey may miss the deadline of a call; the role goes on then too.
            with contextlib.suppress(ValkeyUnavailable):
                relayed = await role.relay_once()
                if not relayed:
                    return count
                count += relayed

    yield relay_all
    await valkey.command("DEL", settings.outbox.relay_stream)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 204."""
    async with Receiver() as one:
        yield one
