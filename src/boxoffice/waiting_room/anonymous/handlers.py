"""The batch handler of redemptions: one script call, and idempotent."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.batching import Outcome, Pending, Retry
from boxoffice.errors import Unavailable
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.waiting_room.anonymous import rules
from boxoffice.waiting_room.engine.queue_state import QueueState, QueueStateLost, TicketHolder
from boxoffice.waiting_room.registry import WaitingRoomRegistry


class RedeemCommand(NamedTuple):
    """Gives the number of a ticket without account to an account; its own identity restores it."""

    user_id: UUID
    holder: TicketHolder
    identity: None = None
    fingerprint: bytes = b""


class RedeemHandler:
    """Gives numbers of one room to accounts; none while Valkey is unavailable."""

    kind = "queue_redeem"

    def __init__(self, queue_state: QueueState, rooms: WaitingRoomRegistry) -> None:
        self._queue_state = queue_state
        self._rooms = rooms

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[RedeemCommand, int]]
    ) -> Sequence[Outcome[int]]:
        """Return the number of each account, 0 for one that was given up."""
        room = self._rooms.by_schedule.get(lane_key)
        if room is None:
            return [Retry("room_is_off", Unavailable)] * len(batch)
        pairs = [(one.command.user_id, one.command.holder) for one in batch]
        try:
            return await self._queue_state.redeem(
                lane_key, pairs, keeps_earlier=rules.keeps_earlier_number(room)
            )
        except (ValkeyUnavailable, QueueStateLost) as error:
            raise Unavailable("The waiting room cannot be reached; try again.") from error

    async def look_up(
        self, lane_key: UUID, commands: Sequence[RedeemCommand]
    ) -> Sequence[int | None]:
        """Return nothing: the commands are idempotent and simply run again."""
        return [None] * len(commands)
