"""The use cases of seats after the opening: block, release, reprice, add."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.catalog.rules import NewSeat, spelled_differently
from boxoffice.errors import (
    Invalid,
    ScheduleNotFound,
    SeatExists,
    SeatMapInvalid,
    SeatNotFound,
)
from boxoffice.inventory import rules, store
from boxoffice.inventory.rules import SeatCommand
from boxoffice.inventory.store import (
    NO_LINE,
    BlockedSeat,
    Connection,
    InventoryStore,
    LockedSeats,
    SeatsForLine,
    SeatsOutcome,
)
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.seats.cache.states import AVAILABLE, BLOCKED
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher

_ACTIONS = {"block": "seats.blocked", "release": "seats.released", "reprice": "seats.repriced"}
# An organizer's command is of no buyer.
_NOBODY = UUID(int=0)
_NAMED_MAX = 20


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did: the seats that changed, and the others with their states."""

    schedule_id: UUID
    changed: Sequence[str]
    unchanged: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class InventoryLimits:
    """The most seats of one command, and of a schedule."""

    seats_per_command_max: int
    seats_per_schedule_max: int


class Inventory:
    """Commands of organizers about seats that are not held or sold.

    `changed` is called with the concert whose seats changed, for caches of counts and prices.
    """

    def __init__(
        self,
        inventory: InventoryStore,
        publisher: SeatChangePublisher,
        changed: Callable[[UUID], None],
        limits: InventoryLimits,
        line: SeatsForLine = NO_LINE,
    ) -> None:
        self._store = inventory
        self._publisher = publisher
        self._changed = changed
        self._limits = limits
        self._line = line

    async def change(
        self, actor: Actor, schedule_id: UUID, command: SeatCommand, *, request_id: str = ""
    ) -> CommandResult:
        """Block, release or reprice seats; those that are held or sold stay as they are.

        Every open map shows the change within a second of the return. Raises `Invalid`,
        `ScheduleNotFound`, and `SeatNotFound` with the `seat_ids`.
        """
        command.check()
        async with self._store.transaction() as connection:
            schedule = await self._lock(connection, schedule_id, actor)
            seat_ids = await self._seats_of(connection, schedule_id, command)
            outcome = await store.change(connection, schedule_id, seat_ids, command, actor.user_id)
            done = _change_of(schedule_id, seat_ids, outcome)
            # guard: line_comes_before_the_public => if False:
            if done.changed and command.command == "release":
                offered = await self._line.offer(connection, schedule_id, done.changed)
                outcome = outcome.without(seat_ids, offered)
            if done.changed:
                details = rules.details_of(command, done.changed, len(done.unchanged))
                action = _action(actor, schedule, schedule_id, _ACTIONS[command.command])
                await record(connection, action(request_id, details))
        await self._publish(schedule.concert_id, command, done, seat_ids, outcome)
        return done

    async def add(
        self,
        actor: Actor,
        schedule_id: UUID,
        seats: Sequence[NewSeat],
        *,
        blocked: bool,
        request_id: str = "",
    ) -> int:
        """Add seats at the end of the seat map, on sale or blocked; return how many there are now.

        Those on sale are first offered to people who wait for seats.
        Raises `ScheduleNotFound`, `SeatExists` with the `seat_ids`, and `SeatMapInvalid` where there
        would be too many or where labels are spelled differently from those of existing seats.
        """
        async with self._store.transaction() as connection:
            schedule = await self._lock(connection, schedule_id, actor)
            total = await self._check_new(connection, schedule_id, seats)
            await store.add(connection, schedule_id, seats, blocked=blocked)
            # guard: line_comes_before_the_public_for_new_seats => if False:
            if not blocked:
                await self._line.offer(connection, schedule_id, [one.seat_id for one in seats])
            details: dict[str, object] = {
                "seats_added": len(seats),
                "seats_total": total,
                "blocked": blocked,
            }
            action = _action(actor, schedule, schedule_id, "seats.added")
            await record(connection, action(request_id, details))
        self._publisher.replace_layout(schedule_id)
        self._changed(schedule.concert_id)
        return total

    async def blocks(
        self, organization_ids: OrganizationIds, schedule_id: UUID, after: str | None, count: int
    ) -> list[BlockedSeat]:
        """Return at most `count` blocked seats of a schedule; none of another organization's."""
        return await self._store.blocks(schedule_id, organization_ids, after, count)

    async def _lock(self, connection: Connection, schedule_id: UUID, actor: Actor) -> LockedSeats:
        schedule = await store.lock_schedule(connection, schedule_id, actor.organization_ids)
        # guard: inventory_of_own_schedule => if False:
        if schedule is None:
            raise ScheduleNotFound
        return schedule

    async def _seats_of(
        self, connection: Connection, schedule_id: UUID, command: SeatCommand
    ) -> Sequence[str]:
        selection, seats_max = command.selection, self._limits.seats_per_command_max
        seat_ids = selection.seat_ids or await store.selected(
            connection, schedule_id, selection, seats_max + 1
        )
        if not seat_ids:
            raise SeatNotFound("No seat is in this section, row or grade.")
        # guard: command_is_bounded => if False:
        if len(seat_ids) > seats_max:
            raise Invalid(f"One command is about at most {seats_max} seats.")
        return seat_ids

    async def _check_new(
        self, connection: Connection, schedule_id: UUID, seats: Sequence[NewSeat]
    ) -> int:
        known = await store.conflicting_seats(connection, schedule_id, seats, _NAMED_MAX)
        if known:
            raise SeatExists(seat_ids=known)
        count, labels = await store.labels(connection, schedule_id)
        for _, complaint in spelled_differently(seats, labels):
            raise SeatMapInvalid(complaint, reason="spelling")
        seats_max = self._limits.seats_per_schedule_max
        # guard: added_seats_are_bounded => if False:
        if count + len(seats) > seats_max:
            raise SeatMapInvalid(f"A schedule may have {seats_max} seats.", seats_max=seats_max)
        return count + len(seats)

    async def _publish(
        self,
        concert_id: UUID,
        command: SeatCommand,
        done: CommandResult,
        seat_ids: Sequence[str],
        outcome: SeatsOutcome,
    ) -> None:
        if not done.changed:
            return
        if command.command == "reprice":
            self._publisher.replace_layout(done.schedule_id)
        else:
            state = BLOCKED if command.command == "block" else AVAILABLE
            change = SeatChange(_NOBODY, state, seat_ids, outcome.versions)
            await self._publisher.publish_and_wait(done.schedule_id, [change])
        self._changed(concert_id)


def _change_of(schedule_id: UUID, seat_ids: Sequence[str], outcome: SeatsOutcome) -> CommandResult:
    """Return what happened; raise `SeatNotFound` where a seat does not exist."""
    columns = zip(seat_ids, outcome.states, strict=True)
    unknown = [seat_id for seat_id, state in columns if state is None]
    if unknown:
        raise SeatNotFound(seat_ids=unknown[:_NAMED_MAX])
    states = [str(state) for state in outcome.states]
    changed = [
        seat_id for seat_id, version in zip(seat_ids, outcome.versions, strict=True) if version
    ]
    return CommandResult(
        schedule_id, changed, rules.unchanged_of(seat_ids, states, outcome.versions)
    )


def _action(
    actor: Actor, schedule: LockedSeats, schedule_id: UUID, name: str
) -> Callable[[str, dict[str, object]], Action]:
    return lambda request_id, details: Action(
        organization_id=schedule.organization_id,
        actor_id=actor.user_id,
        action=name,
        request_id=request_id,
        concert_id=schedule.concert_id,
        schedule_id=schedule_id,
        details=details,
    )
