"""What tests of any number of servers share."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from boxoffice.platform.valkey import Valkey
from boxoffice.waiting_room.engine.queue_state import QueueState
from boxoffice.waiting_room.rules import Mode, WaitingRoomState
from tests.integration.catalog.conftest import make_shop
from tests.integration.guards.waiting_room.scripts.stand import (
    GRACE_S,
    INSIDE_S,
    QUEUE_TTL_S,
    TICK_MAX,
    Stand,
)

__all__ = ["make_shop"]


@pytest.fixture
def make_stand() -> Callable[[Valkey], Stand]:
    """Make a queue of a new schedule, before its first rebuild."""

    def make(valkey: Valkey) -> Stand:
        room = WaitingRoomState(
            schedule_id=uuid4(), mode=Mode.FIFO, is_paused=False, is_closed=False, rate_per_s=10.0,
            inside_max=10, inside_s=INSIDE_S, grace_s=GRACE_S, opens_at=0.0, seed=b"s" * 32,
            lobby_size=None, epoch=2, numbers_to=1_000, joined=0, called=0,
        )  # fmt: skip
        return Stand(valkey, QueueState(valkey, QUEUE_TTL_S, TICK_MAX), room)

    return make
