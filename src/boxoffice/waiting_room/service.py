"""The use cases of the waiting room: join, poll the position, leave, and the organizer's settings."""

import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from boxoffice.activity_log import Action, record
from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    Overloaded,
    QueueAccountRequired,
    QueueClosed,
    QueuePassRequired,
    QueueRoomLimit,
    QueueTicketExpired,
    QueueTicketInvalid,
    ScheduleNotFound,
    Unavailable,
)
from boxoffice.observability.metrics import BufferedCounter
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room import metrics, rules, store
from boxoffice.waiting_room.anonymous.rules import is_anonymous
from boxoffice.waiting_room.anonymous.service import (
    AnonymousPlaces,
    TicketBearer,
    holder_of,
    require_secret,
)
from boxoffice.waiting_room.departures import record_paid_exits
from boxoffice.waiting_room.engine import shuffle
from boxoffice.waiting_room.engine.queue_state import QueueState, QueueStateLost
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
    QueuePosition,
    WaitingRoomChange,
    WaitingRoomState,
    WaitingRoomView,
)
from boxoffice.waiting_room.store import QueueStore, RoomDefaults

_JOINS = BufferedCounter(metrics.WAITING_ROOM_JOINS)


class WaitingRoomDependencies(NamedTuple):
    """`now` is the database's time in seconds since the epoch."""

    store: QueueStore
    queue_state: QueueState
    rooms: WaitingRoomRegistry
    tickets: QueueTicketSigner
    join_writer: JoinWriter
    group_commit: GroupCommit
    now: Callable[[], float]
    anonymous: AnonymousPlaces


class WaitingRoom:
    """All waiting rooms; `require_schedule` raises `ScheduleNotFound`."""

    def __init__(
        self,
        settings: WaitingRoomSettings,
        dependencies: WaitingRoomDependencies,
        require_schedule: Callable[[UUID], Awaitable[object]],
        run_in_background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._settings = settings
        self._store, self._queue_state, self._rooms, self._tickets = dependencies[:4]
        self._group_commit, self._now = dependencies.group_commit, dependencies.now
        self._anonymous = dependencies.anonymous
        self._require_schedule = require_schedule
        self._run_in_background = run_in_background
        self._limits = RequestRateLimits(settings)
        self._joins = JoinHandler(dependencies.queue_state, dependencies.join_writer)
        self._enters = EnterHandler(
            dependencies.queue_state, dependencies.store, dependencies.rooms, dependencies.now
        )

    async def join(self, schedule_id: UUID, user_id: UUID, address: str) -> QueuePosition:
        """Issue a number, or return the one that the user has.

        Raises `ScheduleNotFound`, `QueueClosed` without an open waiting room, and `Unavailable` without
        Valkey.
        """
        self._limits.count(user_id, address)
        room = self._rooms.by_schedule.get(schedule_id)
        if room is None or self._is_closed(room):
            room = await self._require_joinable(schedule_id)
        joined = await self._group_commit.submit(self._joins, schedule_id, JoinCommand(user_id))
        _JOINS.count += 1
        room = self._rooms.by_schedule.get(schedule_id) or room
        ticket = self._tickets.issue_ticket(schedule_id, user_id, joined.epoch, joined.number)
        return self._waiting_position(room, joined.number, ticket, joined.epoch)

    async def join_anonymously(self, schedule_id: UUID, secret: str, address: str) -> QueuePosition:
        """Issue a number to a browser without an account, or return the one that its secret has.

        Raises `Unauthenticated` where the organizer wants accounts, `TooMany`, and as `join`.
        """
        user_id = await self._anonymous.identity(schedule_id, secret, address)
        position = await self.join(schedule_id, user_id, address)
        metrics.WAITING_ROOM_ANONYMOUS_JOINS.inc()
        return position

    def _is_closed(self, room: WaitingRoomState) -> bool:
        """Whether joins are refused."""
        # guard: room_no_join_when_closed: is_closed or room. =>
        # guard: room_no_join_after_the_sale: room.has_sale_ended(self._now()) or =>
        # guard: room_no_join_of_drafts: or not room.is_public =>
        return room.is_closed or room.has_sale_ended(self._now()) or not room.is_public

    async def _require_joinable(self, schedule_id: UUID) -> WaitingRoomState:
        """Read the room afresh before refusing; return it if users may join."""
        await self._require_schedule(schedule_id)
        # guard: room_is_read_before_refusing => room = self._rooms.by_schedule.get(schedule_id)
        room = await self._rooms.get_fresh(schedule_id)
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
        """Return a room, None only after a fresh read."""
        return self._rooms.by_schedule.get(schedule_id) or await self._rooms.get_fresh(schedule_id)

    async def position(
        self, schedule_id: UUID, text: str | None, bearer: TicketBearer, address: str
    ) -> QueuePosition:
        """Return the position of a ticket, from memory until it is called; then admit its owner.

        A ticket without account is redeemed by the account that presents it. Raises
        `QueueTicketInvalid`, `QueueTicketExpired`, `QueueAccountRequired` at the turn of a ticket
        without account, and the errors of a redemption.
        """
        ticket = self._ticket(schedule_id, text, bearer.user_id)
        self._limits.count(ticket.user_id, address)
        room = self._rooms.by_schedule.get(schedule_id) or await self._room(schedule_id)
        if room is None:
            return self._admitted_without_room(ticket)
        if not self._rooms.has_counters(schedule_id):
            await self._rooms.refresh_counters(schedule_id)
        if not is_anonymous(ticket.user_id):
            return await self._own_position(room, ticket)
        require_secret(room, ticket, bearer)
        if bearer.user_id is None:
            return await self._anonymous_position(room, ticket)
        ticket = await self._anonymous.redeem(room, ticket, bearer.user_id)
        position = await self._own_position(room, ticket)
        if position.queue_ticket is None:
            position = self._with_new_ticket(room.epoch, ticket, position)
        return position

    async def _anonymous_position(
        self, room: WaitingRoomState, ticket: QueueTicket
    ) -> QueuePosition:
        """Return the position of a ticket without account; raise `QueueAccountRequired` at its turn."""
        number, epoch = ticket.number, room.epoch
        if ticket.epoch < room.epoch:
            try:
                number = await self._anonymous.give(room, ticket, ticket.user_id)
            except Unavailable:
                epoch = ticket.epoch
            if number == 0:
                raise QueueTicketExpired
        position = replace(self._waiting_position(room, number), is_anonymous=True)
        if position.position == 0 and not room.is_lobby:
            # guard: anonymous_turn_needs_an_account => if False:
            if position.notice is not Notice.SALE_ENDED:
                raise QueueAccountRequired(come_within_s=room.grace_s)
            position = rules.still_waiting(position)
        if self._tickets.needs_renewal(ticket, epoch):
            position = self._with_new_ticket(epoch, ticket, position)
        return position if position.epoch else replace(position, epoch=ticket.epoch)

    async def _own_position(self, room: WaitingRoomState, ticket: QueueTicket) -> QueuePosition:
        """Return the position of an account's ticket, and admit it if it is called."""
        position = self._waiting_position(room, ticket.number)
        is_turn = position.position == 0 and not room.is_lobby
        epoch = room.epoch
        if is_turn or ticket.epoch < room.epoch:
            result = await self._enter(ticket)
            position = self._after_enter(room, ticket, position, result)
            # A number of an earlier epoch may be known from its ticket alone, until the queue has it.
            # guard: ticket_keeps_its_epoch_until_the_queue_has_it: ticket.epoch if => room.epoch if
            epoch = ticket.epoch if result.status == "unknown" else room.epoch
        if position.queue_ticket is None and self._tickets.needs_renewal(ticket, epoch):
            position = self._with_new_ticket(epoch, ticket, position)
        return position if position.epoch else replace(position, epoch=ticket.epoch)

    async def authorize_stream(
        self, schedule_id: UUID, text: str | None, bearer: TicketBearer, address: str
    ) -> tuple[WaitingRoomState, QueueTicket]:
        """Return the room and the ticket of a stream; raise as `position`, or `QueueClosed`."""
        ticket = self._ticket(schedule_id, text, bearer.user_id)
        self._limits.count(ticket.user_id, address)
        room = await self._room(schedule_id)
        if room is None:
            raise QueueClosed("This schedule has no waiting room at the moment.")
        require_secret(room, ticket, bearer)
        if not self._rooms.has_counters(schedule_id):
            await self._rooms.refresh_counters(schedule_id)
        return room, ticket

    async def leave(
        self, schedule_id: UUID, text: str | None, bearer: TicketBearer, address: str
    ) -> None:
        """Give up the place in the queue or inside; idempotent.

        Raises as `position`, and `Unavailable` without Valkey.
        """
        ticket = self._ticket(schedule_id, text, bearer.user_id)
        self._limits.count(ticket.user_id, address)
        room = await self._room(schedule_id)
        if room is None:
            return
        require_secret(room, ticket, bearer)
        holder = holder_of(room, ticket)
        try:
            await self._queue_state.leave(schedule_id, int(self._now() * 1000), "left", [holder])
        except (ValkeyUnavailable, QueueStateLost) as error:
            raise Unavailable("The waiting room cannot be reached; try again.") from error

    def release_paid(self, schedule_id: UUID, user_ids: Sequence[UUID]) -> None:
        """Free the places of users who have paid, in the background."""
        if user_ids and schedule_id in self._rooms.by_schedule:
            leaving = record_paid_exits(self._queue_state, self._now(), schedule_id, user_ids)
            self._run_in_background(leaving)

    def may_hold_by_cache(self, schedule_id: UUID, user_id: UUID, text: str | None) -> bool:
        """Whether the user may hold seats, from memory; False means that `may_hold` has to decide.

        A pass is valid while its owner is inside, so the cache of departures must be fresh.
        """
        if schedule_id not in self._rooms.by_schedule:
            return True
        try:
            found = self._tickets.own_pass(text, schedule_id, user_id)
        except QueuePassRequired:
            # guard: pass_required_from_memory => return True
            return False
        # guard: pass_needs_fresh_exits => return self._is_valid(found)
        return self._rooms.departures.is_fresh and self._is_valid(found)

    async def may_hold(self, schedule_id: UUID, user_id: UUID, text: str | None) -> bool:
        """Whether the user may hold seats; False for an expired pass.

        Raises `QueuePassRequired` without a pass of this user, and `Unavailable`.
        """
        if await self._rooms.get_fresh(schedule_id) is None:
            return True
        # guard: pass_required => return True
        return self._is_valid(self._tickets.own_pass(text, schedule_id, user_id))

    def _is_valid(self, found: QueuePass) -> bool:
        has_left = self._rooms.departures.has_left(found.schedule_id, found.number)
        # guard: pass_old_pass_holds_nothing => return not has_left
        # guard: pass_it_ends_with_its_place: has_left and not =>
        return not has_left and not self._tickets.is_pass_expired(found)

    async def room(self, schedule_id: UUID) -> WaitingRoomState:
        """Return a public waiting room; raise `ScheduleNotFound`."""
        room = await self._room(schedule_id)
        if room is None or not room.is_public:
            raise ScheduleNotFound("This schedule has no waiting room at the moment.")
        return room

    async def view(self, organization_ids: OrganizationIds, schedule_id: UUID) -> WaitingRoomView:
        """Return a room of these organizations, or of any if None; raise `ScheduleNotFound`."""
        sale = await self._store.sale(schedule_id, organization_ids)
        if sale is None:
            raise ScheduleNotFound
        room = await self._store.room(schedule_id)
        return await self._view(room or self._default_room(schedule_id, sale.opens_at))

    async def configure(
        self,
        actor: Actor,
        schedule_id: UUID,
        change: WaitingRoomChange,
        *,
        request_id: str = "",
    ) -> WaitingRoomView:
        """Change a room, or create it with the first change; other pods follow within a second.

        Raises `ScheduleNotFound`, `QueueDrawn`, `Invalid`, `QueueRoomLimit` at the organization's limit
        of open rooms, `Overloaded` at the limit of all rooms, and the errors of `Database.writing`.
        """
        sale = await self._store.sale(schedule_id, actor.organization_ids)
        if sale is None:
            raise ScheduleNotFound
        defaults = self._defaults(sale.opens_at)
        action = Action(
            organization_id=sale.organization_id,
            actor_id=actor.user_id,
            action="queue.changed",
            request_id=request_id,
            concert_id=sale.concert_id,
            schedule_id=schedule_id,
            details=rules.changed_settings(change),
        )
        async with self._store.transaction() as connection:
            before = await store.lock_room(connection, schedule_id, defaults)
            room = rules.apply_change(before, change)
            if before.mode is rules.Mode.OFF and room.mode is not rules.Mode.OFF:
                # guard: room_number_of_rooms_is_bounded => pass
                await self._require_below_limit(connection, schedule_id, sale.organization_id)
            await store.set_room(connection, room)
            await record(connection, action)
        # The change is committed; when this read fails, the next refresh brings it.
        with contextlib.suppress(Unavailable):
            await self._rooms.refresh()
        return await self._view(room)

    async def _require_below_limit(
        self, connection: store.Connection, schedule_id: UUID, organization_id: UUID
    ) -> None:
        """Enforce the limits of open rooms, since processes cache no more than that."""
        rooms, own = await store.rooms_open(connection, schedule_id, organization_id)
        own_max = self._settings.queue_rooms_per_organizer_max
        # guard: room_rooms_per_organizer_are_bounded => if False:
        if own >= own_max:
            raise QueueRoomLimit(
                f"An organization may have {own_max} waiting rooms open.", rooms_max=own_max
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

    def _default_room(self, schedule_id: UUID, opens_at: float) -> WaitingRoomState:
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
        """Return a ticket of this account, or one without account, whose secret is to be checked."""
        ticket = self._tickets.read_ticket(text, schedule_id)
        is_foreign = caller_id is not None and caller_id != ticket.user_id
        # guard: ticket_owner_only => if False:
        if is_foreign and not is_anonymous(ticket.user_id):
            raise QueueTicketInvalid("This ticket belongs to another account.")
        # guard: ticket_expires {
        if self._tickets.is_ticket_expired(ticket):
            raise QueueTicketExpired
        # guard: }
        return ticket

    def _waiting_position(
        self, room: WaitingRoomState, number: int, ticket: str | None = None, epoch: int = 0
    ) -> QueuePosition:
        """Return the position of a number that is not known to be inside."""
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
                epoch=epoch,
            )
        position = rules.position(room, counters, room.place_of(number))
        eta = rules.eta_s(room, counters, position, reason, now)
        wait_s = rules.poll_after_s(eta, room.grace_s)
        return QueuePosition(
            PositionState.WAITING,
            number,
            position,
            eta,
            wait_s,
            reason,
            ticket,
            room=room,
            epoch=epoch,
        )

    async def _enter(self, ticket: QueueTicket) -> EnterResult:
        command = EnterCommand(ticket.user_id, ticket.number, ticket.epoch)
        return await self._group_commit.submit(self._enters, ticket.schedule_id, command)

    def _after_enter(
        self,
        room: WaitingRoomState,
        ticket: QueueTicket,
        position: QueuePosition,
        result: EnterResult,
    ) -> QueuePosition:
        """Return the position after the result of `enter`."""
        if result.status == "spent":
            raise QueueTicketExpired
        if result.status == "other":
            waiting = self._waiting_position(room, result.number)
            return self._with_new_ticket(room.epoch, ticket, waiting)
        if result.status != "inside":
            return rules.still_waiting(position)
        return self._admitted_position(
            room, ticket, result.number, result.pass_ends_at, result.ends_at
        )

    def _admitted_position(
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
            queue_pass=self._tickets.issue_pass(
                ticket.schedule_id, ticket.user_id, number, pass_ends_at
            ),
            pass_ends_at=pass_ends_at,
            leaves_at=ends_at,
            room=room,
            epoch=0 if room else ticket.epoch,
        )

    def _admitted_without_room(self, ticket: QueueTicket) -> QueuePosition:
        """Admit without a waiting room: it was switched off, and no pass is needed."""
        ends_at = self._now() + self._settings.queue_grace_default_s
        position = self._admitted_position(None, ticket, ticket.number, ends_at, ends_at)
        # The room may be switched on again: then the browser needs its secret.
        # guard: without_room_a_ticket_stays_anonymous => return position
        return replace(position, is_anonymous=is_anonymous(ticket.user_id))

    def _with_new_ticket(
        self, epoch: int, ticket: QueueTicket, position: QueuePosition
    ) -> QueuePosition:
        text = self._tickets.issue_ticket(
            ticket.schedule_id, ticket.user_id, epoch, position.number
        )
        return replace(position, queue_ticket=text, epoch=epoch)
