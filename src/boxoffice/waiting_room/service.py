"""The use cases of the waiting room: join, ask for one's place, leave, and what an organizer sets."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    Overloaded,
    QueueClosed,
    QueuePassRequired,
    QueueRoomLimit,
    QueueTicketExpired,
    QueueTicketInvalid,
    ScheduleNotFound,
    Unavailable,
)
from boxoffice.observability.logs import log
from boxoffice.observability.metrics import BufferedCounter
from boxoffice.platform.valkey import ValkeyAway
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room import metrics, rules, store
from boxoffice.waiting_room.engine import shuffle
from boxoffice.waiting_room.engine.queue_state import QueueState, QueueStateLost, TicketHolder
from boxoffice.waiting_room.handlers import (
    EnterCommand,
    EnterHandler,
    EnterResult,
    JoinCommand,
    JoinHandler,
)
from boxoffice.waiting_room.join_writer import JoinWriter
from boxoffice.waiting_room.limits import RequestRateLimits
from boxoffice.waiting_room.queue_tickets import QueuePass, QueueTicket, QueueTicketSigner
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import (
    Notice,
    PositionState,
    QueueCounters,
    WaitingRoomChange,
    WaitingRoomState,
)
from boxoffice.waiting_room.store import QueueStore, RoomDefaults

_JOINED = BufferedCounter(metrics.WAITING_ROOM_JOINS)
# Who is next, or waits for Valkey, asks again soon.
_SOON_S = 2


class QueuePosition(NamedTuple):
    """Where somebody stands; times in seconds since the epoch.

    `position` counts from 1, is 0 for who was called, and None in a lobby, where all are equal.
    `queue_ticket` is one to be used from now on, None where the old one is good.
    """

    state: PositionState
    number: int
    position: int | None
    eta_s: int | None
    poll_after_s: int
    notice: Notice | None = None
    queue_ticket: str | None = None
    queue_pass: str | None = None
    pass_ends_at: float = 0.0
    leaves_at: float = 0.0
    room: WaitingRoomState | None = None


class WaitingRoomView(NamedTuple):
    """A room as its organizer sees it."""

    room: WaitingRoomState
    counters: QueueCounters
    notice: Notice | None


class WaitingRoomDependencies(NamedTuple):
    """What a waiting room is made of; `now` is the database's time in seconds since the epoch."""

    store: QueueStore
    queue_state: QueueState
    rooms: WaitingRoomRegistry
    tickets: QueueTicketSigner
    join_writer: JoinWriter
    group_commit: GroupCommit
    now: Callable[[], float]


class WaitingRoom:
    """Waiting rooms as people meet them; `require_schedule` raises `ScheduleNotFound`."""

    def __init__(
        self,
        settings: WaitingRoomSettings,
        parts: WaitingRoomDependencies,
        require_schedule: Callable[[UUID], Awaitable[object]],
        in_background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._settings = settings
        self._store, self._queue_state, self._rooms, self._tickets = parts[:4]
        self._group_commit, self._now = parts.group_commit, parts.now
        self._require_schedule = require_schedule
        self._in_background = in_background
        self._limits = RequestRateLimits(settings)
        self._joins = JoinHandler(parts.queue_state, parts.join_writer)
        self._enters = EnterHandler(parts.queue_state, parts.store, parts.rooms, parts.now)

    async def join(self, schedule_id: UUID, user_id: UUID, address: str) -> QueuePosition:
        """Give a person a number, or the one that they have.

        Raises `ScheduleNotFound`, `QueueClosed` where there is no waiting room or nobody is taken, and
        `Unavailable` while Valkey is away.
        """
        self._limits.count(user_id, address)
        room = self._rooms.get(schedule_id)
        if room is None or self._is_shut(room):
            room = await self._open_room(schedule_id)
        joined = await self._group_commit.submit(self._joins, schedule_id, JoinCommand(user_id))
        _JOINED.count += 1
        room = self._rooms.get(schedule_id) or room
        ticket = self._tickets.ticket(schedule_id, user_id, joined.epoch, joined.number)
        return self._waiting(room, joined.number, ticket)

    def _is_shut(self, room: WaitingRoomState) -> bool:
        """Say whether nobody may join."""
        # guard: room_nobody_joins_closed_one: is_closed or room. =>
        # guard: room_nobody_joins_once_sale_has_ended: room.has_sale_ended(self._now()) or =>
        # guard: room_nobody_joins_drafts: or not room.is_public =>
        return room.is_closed or room.has_sale_ended(self._now()) or not room.is_public

    async def _open_room(self, schedule_id: UUID) -> WaitingRoomState:
        """Return a room that people may join, as it is now: what is known of it here said no."""
        await self._require_schedule(schedule_id)
        # guard: room_is_read_before_refusing => room = self._rooms.get(schedule_id)
        room = await self._rooms.read_again(schedule_id)
        if room is None:
            raise QueueClosed("This schedule has no waiting room at the moment.")
        if not room.is_public:
            raise ScheduleNotFound
        if room.has_sale_ended(self._now()):
            raise QueueClosed("The sale has ended.")
        if room.is_closed:
            raise QueueClosed
        return room

    async def _room(self, schedule_id: UUID) -> WaitingRoomState | None:
        """Return a room, None where there is surely none at this moment."""
        return self._rooms.get(schedule_id) or await self._rooms.read_again(schedule_id)

    async def standing(
        self, schedule_id: UUID, text: str | None, caller_id: UUID | None, address: str
    ) -> QueuePosition:
        """Say where the owner of a ticket stands, from memory while it is not their turn.

        `caller_id` is who asks, where that is known. Raises `QueueTicketInvalid` and
        `QueueTicketExpired`.
        """
        ticket = self._ticket(schedule_id, text, caller_id)
        self._limits.count(ticket.user_id, address)
        room = self._rooms.get(schedule_id) or await self._room(schedule_id)
        if room is None:
            return self._let_through(ticket)
        if not self._rooms.has_counters(schedule_id):
            # A deadline needs a task (`http/server/fast_path.py`).
            await asyncio.sleep(0)
            await self._rooms.refresh_counters(schedule_id)
        standing = self._waiting(room, ticket.number)
        is_turn = standing.position == 0 and not room.is_lobby
        if is_turn or ticket.epoch < room.epoch:
            entered = await self._enter(ticket)
            standing = self._told(room, ticket, standing, entered)
        if standing.queue_ticket is None and self._tickets.wants_renewal(ticket, room.epoch):
            standing = self._renewed(room, ticket, standing)
        return standing

    async def follow(
        self, schedule_id: UUID, text: str | None, caller_id: UUID | None, address: str
    ) -> tuple[WaitingRoomState, QueueTicket]:
        """Return whom a stream is for, and the room; raise as `standing`, or `QueueClosed`."""
        ticket = self._ticket(schedule_id, text, caller_id)
        self._limits.count(ticket.user_id, address)
        room = await self._room(schedule_id)
        if room is None:
            raise QueueClosed("This schedule has no waiting room at the moment.")
        if not self._rooms.has_counters(schedule_id):
            # A deadline needs a task (`http/server/fast_path.py`).
            await asyncio.sleep(0)
            await self._rooms.refresh_counters(schedule_id)
        return room, ticket

    async def leave(
        self, schedule_id: UUID, text: str | None, caller_id: UUID | None, address: str
    ) -> None:
        """Give a place in the line, or inside, back; doing it again is no error.

        Raises as `standing`, and `Unavailable` while Valkey is away.
        """
        ticket = self._ticket(schedule_id, text, caller_id)
        self._limits.count(ticket.user_id, address)
        room = await self._room(schedule_id)
        if room is None:
            return
        place = 0 if room.is_lobby else room.place_of(ticket.number)
        holder = TicketHolder(ticket.user_id, ticket.number, place, ticket.epoch)
        try:
            await self._queue_state.leave(schedule_id, int(self._now() * 1000), "left", [holder])
        except (ValkeyAway, QueueStateLost) as error:
            raise Unavailable("The waiting room cannot be reached; try again.") from error

    def paid(self, schedule_id: UUID, user_ids: Sequence[UUID]) -> None:
        """Free the places of people who have paid, in the background."""
        if user_ids and self._rooms.get(schedule_id) is not None:
            self._in_background(self._free_paid(schedule_id, user_ids))

    async def _free_paid(self, schedule_id: UUID, user_ids: Sequence[UUID]) -> None:
        holders = [TicketHolder(user_id, 0, 0, 0) for user_id in user_ids]
        try:
            await self._queue_state.leave(schedule_id, int(self._now() * 1000), "paid", holders)
        except (ValkeyAway, QueueStateLost) as error:
            # Silence frees them.
            log.warning("waiting_room_paid_exit_not_recorded", error=str(error))

    def may_hold_by_cache(self, schedule_id: UUID, user_id: UUID, text: str | None) -> bool:
        """Say whether this person may hold seats there, from memory; where not, `may_hold` says it.

        A pass counts while its owner is inside: who has left is known here, or was not long ago.
        """
        if self._rooms.get(schedule_id) is None:
            return True
        try:
            found = self._tickets.own_pass(text, schedule_id, user_id)
        except QueuePassRequired:
            # guard: pass_nobody_without_one_from_memory => return True
            return False
        # guard: pass_it_is_believed_while_it_is_known_who_has_left => return self._is_good(found)
        return self._rooms.departures.is_fresh and self._is_good(found)

    async def may_hold(self, schedule_id: UUID, user_id: UUID, text: str | None) -> bool:
        """Say whether this person may hold seats there, False where their pass is over.

        Raises `QueuePassRequired` where it is none of theirs, and `Unavailable` where nobody knows who
        is inside.
        """
        if await self._rooms.read_again(schedule_id) is None:
            return True
        # guard: pass_nobody_without_one => return True
        return self._is_good(self._tickets.own_pass(text, schedule_id, user_id))

    def _is_good(self, found: QueuePass) -> bool:
        has_left = self._rooms.departures.has_left(found.schedule_id, found.number)
        # guard: pass_old_one_lets_nobody_hold_anew => return not has_left
        # guard: pass_it_ends_with_its_place: has_left and not =>
        return not has_left and not self._tickets.has_ended(found)

    async def room(self, schedule_id: UUID) -> WaitingRoomState:
        """Return a room for whoever wants to check its draw; raise `ScheduleNotFound`."""
        room = await self._room(schedule_id)
        if room is None or not room.is_public:
            raise ScheduleNotFound("This schedule has no waiting room at the moment.")
        return room

    async def look(self, organizer_id: UUID | None, schedule_id: UUID) -> WaitingRoomView:
        """Show a room to its organizer, or to None; raise `ScheduleNotFound` for anybody else's."""
        sale = await self._store.sale(schedule_id, organizer_id)
        if sale is None:
            raise ScheduleNotFound
        room = await self._store.room(schedule_id)
        return await self._view(room or self._unset(schedule_id, sale.opens_at))

    async def configure(
        self,
        organizer_id: UUID,
        schedule_id: UUID,
        change: WaitingRoomChange,
        *,
        request_id: str = "",
    ) -> WaitingRoomView:
        """Change a room, which exists from the first change on; other pods follow within a second.

        Raises `ScheduleNotFound`, `QueueDrawn`, `Invalid`, `QueueRoomLimit` where this organizer has as
        many open as one may have, `Overloaded` where all together have, and what `Database.writing`
        does.
        """
        sale = await self._store.sale(schedule_id, organizer_id)
        if sale is None:
            raise ScheduleNotFound
        defaults = self._defaults(sale.opens_at)
        action = Action(
            organizer_id=organizer_id,
            actor_id=organizer_id,
            action="queue.changed",
            request_id=request_id,
            concert_id=sale.concert_id,
            schedule_id=schedule_id,
            details=rules.changed_settings(change),
        )
        async with self._store.transaction() as connection:
            before = await store.lock_room(connection, schedule_id, defaults)
            room = rules.changed(before, change)
            if before.mode is rules.Mode.OFF and room.mode is not rules.Mode.OFF:
                # guard: room_none_that_processes_would_not_know_of => pass
                await self._require_room_left(connection, schedule_id, organizer_id)
            await store.set_room(connection, room)
            await record(connection, action)
        # It is done; where reading fails, the next one of every process brings it.
        with contextlib.suppress(Unavailable):
            await self._rooms.refresh()
        return await self._view(room)

    async def _require_room_left(
        self, connection: store.Connection, schedule_id: UUID, organizer_id: UUID
    ) -> None:
        """No process knows of more rooms, and who does not know of one asks nobody for a pass.

        No organizer has so many that none is left for the others.
        """
        rooms, own = await store.rooms_open(connection, schedule_id, organizer_id)
        own_max = self._settings.queue_rooms_per_organizer_max
        # guard: room_organizer_leaves_some_for_others => if False:
        if own >= own_max:
            raise QueueRoomLimit(
                f"An organizer may have {own_max} waiting rooms open.", rooms_max=own_max
            )
        if rooms >= self._settings.queue_rooms_max:
            raise Overloaded("As many waiting rooms are open as there may be.")

    async def _view(self, room: WaitingRoomState) -> WaitingRoomView:
        await self._rooms.refresh_counters(room.schedule_id)
        counters = self._rooms.counters(room.schedule_id)
        return WaitingRoomView(room, counters, rules.notice(room, counters, self._now()))

    def _defaults(self, opens_at: float) -> RoomDefaults:
        settings = self._settings
        return RoomDefaults(
            settings.queue_rate_default_per_s,
            settings.queue_inside_default_max,
            settings.queue_inside_default_s,
            settings.queue_grace_default_s,
            opens_at,
            secrets.token_bytes(shuffle.SEED_BYTES),
        )

    def _unset(self, schedule_id: UUID, opens_at: float) -> WaitingRoomState:
        rate_per_s, inside_max, inside_s, grace_s, opens_at, _ = self._defaults(opens_at)
        return WaitingRoomState(
            schedule_id=schedule_id,
            mode=rules.Mode.OFF,
            is_paused=False,
            is_closed=False,
            rate_per_s=rate_per_s,
            inside_max=inside_max,
            inside_s=inside_s,
            grace_s=grace_s,
            opens_at=opens_at,
            seed=b"",
            lobby_size=None,
            epoch=0,
            numbers_to=0,
            joined=0,
            called=0,
        )

    def _ticket(self, schedule_id: UUID, text: str | None, caller_id: UUID | None) -> QueueTicket:
        ticket = self._tickets.read_ticket(text, schedule_id)
        # guard: ticket_only_for_its_owner => if False:
        if caller_id is not None and caller_id != ticket.user_id:
            raise QueueTicketInvalid("This ticket is somebody else's.")
        # guard: ticket_old_one_is_over {
        if self._tickets.is_over(ticket):
            raise QueueTicketExpired
        # guard: }
        return ticket

    def _waiting(
        self, room: WaitingRoomState, number: int, ticket: str | None = None
    ) -> QueuePosition:
        """Say where a number stands as long as nobody says that it is inside."""
        counters = self._rooms.counters(room.schedule_id)
        now = self._now()
        reason = rules.notice(room, counters, now)
        if room.is_lobby:
            eta = rules.eta_s(room, counters, 0, reason, now)
            return QueuePosition(
                PositionState.LOBBY,
                number,
                None,
                eta,
                rules.poll_after_s(eta, room.grace_s),
                reason,
                ticket,
                room=room,
            )
        position = rules.position(room, counters, room.place_of(number))
        eta = rules.eta_s(room, counters, position, reason, now)
        wait_s = rules.poll_after_s(eta, room.grace_s)
        return QueuePosition(
            PositionState.WAITING, number, position, eta, wait_s, reason, ticket, room=room
        )

    async def _enter(self, ticket: QueueTicket) -> EnterResult:
        command = EnterCommand(ticket.user_id, ticket.number, ticket.epoch)
        return await self._group_commit.submit(self._enters, ticket.schedule_id, command)

    def _told(
        self,
        room: WaitingRoomState,
        ticket: QueueTicket,
        standing: QueuePosition,
        entered: EnterResult,
    ) -> QueuePosition:
        """Return a standing after the line was asked."""
        if entered.word == "spent":
            raise QueueTicketExpired
        if entered.word == "other":
            return self._renewed(room, ticket, self._waiting(room, entered.number))
        if entered.word != "inside":
            # Somebody who was called and is not let in yet is next.
            position = standing.position if standing.position is None else max(1, standing.position)
            if standing.notice is Notice.SALE_ENDED:
                return standing._replace(position=position)
            return standing._replace(
                position=position, poll_after_s=min(standing.poll_after_s, _SOON_S)
            )
        return self._admitted(room, ticket, entered.number, entered.pass_ends_at, entered.ends_at)

    def _admitted(
        self,
        room: WaitingRoomState | None,
        ticket: QueueTicket,
        number: int,
        pass_ends_at: float,
        ends_at: float,
    ) -> QueuePosition:
        grace_s = room.grace_s if room else self._settings.queue_grace_default_s
        return QueuePosition(
            PositionState.ADMITTED,
            number,
            0,
            0,
            rules.poll_after_s(None, grace_s),
            queue_pass=self._tickets.pass_until(
                ticket.schedule_id, ticket.user_id, number, pass_ends_at
            ),
            pass_ends_at=pass_ends_at,
            leaves_at=ends_at,
            room=room,
        )

    def _let_through(self, ticket: QueueTicket) -> QueuePosition:
        """The room was switched off: nobody needs a pass, and everybody may have one."""
        ends_at = self._now() + self._settings.queue_grace_default_s
        return self._admitted(None, ticket, ticket.number, ends_at, ends_at)

    def _renewed(
        self, room: WaitingRoomState, ticket: QueueTicket, standing: QueuePosition
    ) -> QueuePosition:
        text = self._tickets.ticket(ticket.schedule_id, ticket.user_id, room.epoch, standing.number)
        return standing._replace(queue_ticket=text)
