"""The use cases of people without an account: an identity to join with, and the redemption of a place.

A ticket without account is bound to the secret of a browser, and an account that presents both redeems
it: the number becomes that of the account, whose ticket and pass are like any other.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    QueuePlaceTaken,
    QueueTicketExpired,
    QueueTicketInvalid,
    Unauthenticated,
)
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room import metrics, store
from boxoffice.waiting_room.anonymous import rules
from boxoffice.waiting_room.anonymous.handlers import RedeemCommand, RedeemHandler
from boxoffice.waiting_room.anonymous.limits import JoinLimits
from boxoffice.waiting_room.engine.queue_state import IssuedNumbers, QueueState, TicketHolder
from boxoffice.waiting_room.join_writer import JoinWriter
from boxoffice.waiting_room.queue_tickets import QueueTicket
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import WaitingRoomState
from boxoffice.waiting_room.store import QueueStore

_RECORDED_MAX = 100_000


class TicketBearer(NamedTuple):
    """The account of a valid access token and the secret of a browser that come with a ticket."""

    user_id: UUID | None = None
    secret: str = ""


class AnonymousPlaces:
    """Places of people without an account, in all waiting rooms.

    `require_verified` raises `EmailNotVerified` where the organizer asks for an address that the
    account lacks.
    """

    def __init__(
        self,
        settings: WaitingRoomSettings,
        store: QueueStore,
        queue_state: QueueState,
        rooms: WaitingRoomRegistry,
        join_writer: JoinWriter,
        group_commit: GroupCommit,
        require_verified: Callable[[UUID, UUID], Awaitable[None]],
    ) -> None:
        self._store, self._rooms, self._join_writer = store, rooms, join_writer
        self._group_commit, self._require_verified = group_commit, require_verified
        self._limits = JoinLimits(settings)
        self._redeems = RedeemHandler(queue_state, rooms)
        # Redeemed numbers (schedule, number) that this process has recorded.
        self._recorded: OrderedDict[tuple[UUID, int], None] = OrderedDict()

    async def identity(self, schedule_id: UUID, secret: str, address: str) -> UUID:
        """Return the identity that a browser joins with, and count the join.

        Raises `Unauthenticated` where the organizer wants accounts, `TooMany` and `Unavailable`.
        """
        room = self._rooms.by_schedule.get(schedule_id)
        if room is None or not room.allows_anonymous:
            # Another process may have switched it on a moment ago.
            room = await self._rooms.get_fresh(schedule_id)
        # guard: anonymous_joins_are_switched_on => if room is None:
        if room is None or not room.allows_anonymous:
            raise Unauthenticated
        self._limits.count(address)
        return rules.anonymous_id(room, secret)

    async def redeem(
        self, room: WaitingRoomState, ticket: QueueTicket, user_id: UUID
    ) -> QueueTicket:
        """Give the place of a ticket without account to an account; return the account's ticket.

        PostgreSQL decides whose a number is, then the queue has it. Repeated, also after a lost answer,
        it returns the same. Raises `EmailNotVerified`, `QueueTicketInvalid` for a place of another
        account, `QueuePlaceTaken` for an account with a place of its own, `QueueTicketExpired` for a
        place that was given up, and as `Database.writing`.
        """
        # guard: redeem_needs_a_verified_address
        await self._require_verified(room.schedule_id, user_id)
        async with self._store.transaction() as connection:
            found = await store.redeem(connection, room.schedule_id, ticket.number, user_id)
        # guard: redeem_by_one_account => if False:
        if found.is_redeemed and not found.is_theirs:
            raise QueueTicketInvalid("This place was given to another account.")
        # guard: redeem_one_per_account: not found.is_theirs or =>
        # guard: redeem_not_after_another_turn: or found.had_turn =>
        if not found.is_theirs or found.had_turn:
            raise QueuePlaceTaken
        number = await self.give(room, ticket, user_id)
        if number == 0:
            raise QueueTicketExpired
        # guard: redeem_own_place_is_reported => if False:
        if number != ticket.number:
            raise QueuePlaceTaken
        # guard: redeem_is_recorded
        self._record(room.schedule_id, number, user_id)
        return ticket._replace(user_id=user_id, epoch=room.epoch)

    def _record(self, schedule_id: UUID, number: int, user_id: UUID) -> None:
        """Record a redeemed number once in this process, however often its account polls."""
        # guard: redeem_is_recorded_once => if False:
        if (schedule_id, number) in self._recorded:
            return
        self._recorded[schedule_id, number] = None
        # no guard: Bounds the memory; a number that is recorded again stays the same.
        if len(self._recorded) > _RECORDED_MAX:
            self._recorded.popitem(last=False)
        self._join_writer.add(schedule_id, IssuedNumbers([number], user_id.bytes))
        metrics.WAITING_ROOM_REDEMPTIONS.inc()

    async def give(self, room: WaitingRoomState, ticket: QueueTicket, user_id: UUID) -> int:
        """Return the number that an account has after it was given that of a ticket; see redeem.lua.

        Raises `Unavailable` without Valkey.
        """
        command = RedeemCommand(user_id, holder_of(room, ticket))
        return await self._group_commit.submit(self._redeems, room.schedule_id, command)


def require_secret(room: WaitingRoomState, ticket: QueueTicket, bearer: TicketBearer) -> None:
    """Raise `QueueTicketInvalid` for a ticket without account that another browser presents."""
    # guard: ticket_browser_only => return
    if not rules.is_anonymous(ticket.user_id):
        return
    if rules.anonymous_id(room, bearer.secret) != ticket.user_id:
        raise QueueTicketInvalid("This ticket needs the Queue-Secret that it was issued for.")


def holder_of(room: WaitingRoomState, ticket: QueueTicket) -> TicketHolder:
    """Return the content of a ticket with its place, 0 before the draw."""
    place = 0 if room.is_lobby else room.place_of(ticket.number)
    return TicketHolder(ticket.user_id, ticket.number, place, ticket.epoch)
