"""A queue before its first rebuild."""

from uuid import uuid4

import pytest

from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.queue_state import QueueState
from boxoffice.waiting_room.rules import Mode, WaitingRoomState
from tests.conftest import Servers
from tests.integration.guards.waiting_room.scripts.stand import (
    GRACE_S,
    INSIDE_S,
    QUEUE_TTL_S,
    TICK_MAX,
    Stand,
)


@pytest.fixture
def settings(servers: Servers) -> Settings:
    """The scripts need no database."""
    return Settings.of(valkey_url=servers.valkey_url, valkey_timeout_ms=5_000, log_level="error")


@pytest.fixture
def stand(valkey: Valkey) -> Stand:
    """A room before its first rebuild."""
    room = WaitingRoomState(
        schedule_id=uuid4(), mode=Mode.FIFO, is_paused=False, is_closed=False, rate_per_s=10.0,
        inside_max=10, inside_s=INSIDE_S, grace_s=GRACE_S, opens_at=0.0, seed=b"s" * 32,
        lobby_size=None, epoch=2, numbers_to=1_000, joined=0, called=0,
    )  # fmt: skip
    return Stand(valkey, QueueState(valkey, QUEUE_TTL_S, TICK_MAX), room)
