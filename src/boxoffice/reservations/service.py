"""The use cases of reservations: hold, look at, list, release."""

import asyncio
import math
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Never, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    HoldCooldown,
    IdempotencyKeyReused,
    IntegrityError,
    NoAdjacentSeats,
    NotHeld,
    NotOnSale,
    Problem,
    QueuePassRequired,
    ReservationNotFound,
    ScheduleNotFound,
    SeatNotFound,
    SeatTaken,
    SoldOut,
    TicketLimit,
)
from boxoffice.platform.concurrency.offload import offload
from boxoffice.platform.concurrency.single_flight import SingleFlight
from boxoffice.platform.fingerprint import fingerprint_of
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.reservations import rules
from boxoffice.reservations.best_seats import Chase, Seating
from boxoffice.reservations.handlers import HoldHandler, ReleaseHandler
from boxoffice.reservations.store import (
    Active,
    Held,
    HoldCommand,
    HoldOutcome,
    ReleaseCommand,
    Reservation,
    ReservationStore,
)
from boxoffice.seats.layout import Layout, LayoutSeat
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.refusals import SeatRefusals

# How often "best seats" runs after other seats when somebody was faster; each time it looks at the
# database anew and stands further apart from the others who do the same.
_BEST_ATTEMPTS = 8
_BEST_PAUSE_S = 0.004

_REFUSALS: dict[str, type[Problem]] = {
    "schedule_not_found": ScheduleNotFound,
    "not_on_sale": NotOnSale,
    "seat_not_found": SeatNotFound,
    "seat_taken": SeatTaken,
    "ticket_limit": TicketLimit,
    "key_reused": IdempotencyKeyReused,
    "no_seats": SoldOut,
    "reservation_not_found": ReservationNotFound,
    "not_held": NotHeld,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for."""

    seats_per_hold_max: int


class PassCheck(Protocol):
    """Says who may hold seats of a schedule, by the pass that they bring."""

    def may_hold_by_cache(self, schedule_id: UUID, user_id: UUID, text: str | None, /) -> bool:
        """Say so from memory; where not, `may_hold` says it."""
        ...

    async def may_hold(self, schedule_id: UUID, user_id: UUID, text: str | None, /) -> bool:
        """Say whether they may, False where their pass is over.

        Raises `QueuePassRequired` where it is none of theirs.
        """
        ...


class _NoPasses:
    """Nobody has to wait anywhere."""

    def may_hold_by_cache(self, _schedule_id: UUID, _user_id: UUID, _text: str | None, /) -> bool:
        return True

    async def may_hold(self, _schedule_id: UUID, _user_id: UUID, _text: str | None, /) -> bool:
        return True


class Reservations:
    """Holds and what becomes of them; every write goes through the group commit."""

    def __init__(
        self,
        store: ReservationStore,
        group_commit: GroupCommit,
        holds: HoldHandler,
        releases: ReleaseHandler,
        seats: SeatReadModel,
        refusals: SeatRefusals,
        limits: Limits,
        passes: PassCheck | None = None,
    ) -> None:
        self._store = store
        self._group_commit = group_commit
        self._holds = holds
        self._releases = releases
        self._seats = seats
        self._refusals = refusals
        self._limits = limits
        self._passes = passes or _NoPasses()
        # Goes with its layout, which the catalog keeps as long as somebody asks for it.
        self._chases: WeakKeyDictionary[Layout, SingleFlight[Chase]] = WeakKeyDictionary()

    async def hold(
        self,
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        seat_ids: Sequence[str],
        queue_pass: str | None = None,
    ) -> Held:
        """Hold exactly these seats, all or none.

        Raises the refusals of API.md; the same key and seats return the same hold. Seats that are known
        to be gone are refused from memory, without giving way to anybody.
        """
        # guard: hold_list_of_seats_that_makes_sense
        rules.check_seat_ids(seat_ids, self._limits.seats_per_hold_max)
        # guard: fingerprint_seats_of_hold: "seats", *seat_ids => "seats"
        fingerprint = fingerprint_of("seats", *seat_ids)
        passes, asked = self._passes, (schedule_id, user_id, queue_pass)
        if not (passes.may_hold_by_cache(*asked) or await passes.may_hold(*asked)):
            return await self._held_before(user_id, schedule_id, key, fingerprint)
        asking = self._hold(user_id, schedule_id, key, fingerprint, seat_ids)
        return await self._even_taken_down(asking, user_id, schedule_id, key, fingerprint)

    async def _hold(
        self,
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        fingerprint: bytes,
        seat_ids: Sequence[str],
    ) -> Held:
        layout = await self._seats.layout_on_offer(schedule_id)
        unknown = [seat_id for seat_id in seat_ids if seat_id not in layout.index]
        if unknown:
            raise SeatNotFound(seat_ids=unknown)
        taken = self._refusals.taken(schedule_id, seat_ids, user_id)
        if taken:
            raise SeatTaken(seat_ids=taken)
        outcome = await self._decide(user_id, schedule_id, key, fingerprint, seat_ids)
        return await self._answer(user_id, schedule_id, outcome)

    async def hold_best(
        self,
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        quantity: int,
        grade: str | None,
        queue_pass: str | None = None,
    ) -> Held:
        """Hold the best `quantity` adjacent seats, of `grade` where one is given.

        Raises `SoldOut` or `NoAdjacentSeats` from memory to those who have never had a hold here, to
        others only after a look at the database that began after the request; `SeatTaken` where others
        were faster every time.
        """
        # guard: hold_number_of_seats_that_makes_sense
        rules.check_quantity(quantity, self._limits.seats_per_hold_max)
        # guard: fingerprint_number_and_grade_of_hold => fingerprint = fingerprint_of("best")
        fingerprint = fingerprint_of("best", str(quantity), grade or "")
        passes, asked = self._passes, (schedule_id, user_id, queue_pass)
        if not (passes.may_hold_by_cache(*asked) or await passes.may_hold(*asked)):
            return await self._held_before(user_id, schedule_id, key, fingerprint)
        asking = self._hold_best(user_id, schedule_id, key, fingerprint, quantity, grade)
        return await self._even_taken_down(asking, user_id, schedule_id, key, fingerprint)

    async def _hold_best(
        self,
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        fingerprint: bytes,
        quantity: int,
        grade: str | None,
    ) -> Held:
        await self._seats.layout_on_offer(schedule_id)
        if self._refusals.is_sold_out(schedule_id, user_id):
            raise SoldOut
        outcome = HoldOutcome("seat_taken")
        faster = 0
        for attempt in range(_BEST_ATTEMPTS):
            layout, states = await self._seats.layout_and_states(
                schedule_id, max_age_s=0 if attempt else None
            )
            chase = await self._chase(layout)
            board = chase.board(states.status, states.read_at)
            skip = faster * (1 + hash(key) % 4)
            choice = board.choose(quantity, grade, skip)
            if not choice:
                if attempt == 0:
                    self._refuse_from_memory(chase, schedule_id, user_id, quantity, grade)
                    continue
                choice = board.choose(quantity, grade, picked=True)
                if choice and attempt < _BEST_ATTEMPTS - 1:
                    # Others of this process go after all that is left, and may fail.
                    await asyncio.sleep(_BEST_PAUSE_S * attempt)
                    continue
            seat_ids = [layout.seats[at].seat_id for at in choice]
            with _picking(chase, choice) as free:
                # Without a choice the key is still asked for: an earlier request may have got seats.
                outcome = await self._decide(user_id, schedule_id, key, fingerprint, seat_ids)
                free.extend(_still_free(layout, choice, outcome))
            if outcome.name == "no_seats" and (seats_left := board.seats_left(grade)):
                raise NoAdjacentSeats(seats_left=seats_left)
            if outcome.name != "seat_taken":
                break
            faster += 1
        return await self._answer(user_id, schedule_id, outcome)

    def _refuse_from_memory(
        self, chase: Chase, schedule_id: UUID, user_id: UUID, quantity: int, grade: str | None
    ) -> None:
        """Refuse where this process knows that nothing is left and may say so."""
        left = self._refusals.states_for_refusal(schedule_id, user_id)
        if left is None:
            return
        board = chase.board(left.status, left.read_at)
        if board.choose(quantity, grade, picked=True):
            return
        if seats_left := board.seats_left(grade):
            raise NoAdjacentSeats(seats_left=seats_left)
        raise SoldOut

    async def _held_before(
        self, user_id: UUID, schedule_id: UUID, key: str, fingerprint: bytes
    ) -> Held:
        """Answer a request again whose answer was lost, after the pass that it came in with."""
        outcome = await self._found(user_id, schedule_id, key, fingerprint)
        if outcome is None:
            raise QueuePassRequired(
                "This pass has expired: poll the queue position to get the next one."
            )
        return _held(outcome)

    async def _even_taken_down(
        self,
        asking: Coroutine[Any, Any, Held],
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        fingerprint: bytes,
    ) -> Held:
        """Return what a hold brings, or brought before the concert was taken down."""
        try:
            return await asking
        except ScheduleNotFound:
            await self._seats.layout(schedule_id)  # Ids that somebody made up end here.
            outcome = await self._found(user_id, schedule_id, key, fingerprint)
            if outcome is None:
                raise
            return _held(outcome)

    async def _found(
        self, user_id: UUID, schedule_id: UUID, key: str, fingerprint: bytes
    ) -> HoldOutcome | None:
        """Look up what a key has brought; None where that is nothing."""
        # A deadline needs a task (`http/server/fast_path.py`).
        await asyncio.sleep(0)
        command = HoldCommand(user_id, key, fingerprint, new_id(), ())
        (outcome,) = await self._store.find_holds(schedule_id, [command])
        return outcome

    async def _decide(
        self,
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        fingerprint: bytes,
        seat_ids: Sequence[str],
    ) -> HoldOutcome:
        command = HoldCommand(user_id, key, fingerprint, new_id(), tuple(seat_ids))
        return await self._group_commit.submit(self._holds, schedule_id, command)

    async def _answer(self, user_id: UUID, schedule_id: UUID, outcome: HoldOutcome) -> Held:
        if outcome.name == "ticket_limit":
            raise await self._beyond_limit(user_id, schedule_id)
        return _held(outcome)

    async def _beyond_limit(self, user_id: UUID, schedule_id: UUID) -> TicketLimit:
        """Return the refusal with its numbers; it stands without them where they cannot be read now.

        Looked up for this refusal alone: nobody else of its batch waits for it.
        """
        # A deadline needs a task (`http/server/fast_path.py`).
        await asyncio.sleep(0)
        try:
            standing = await self._store.standing(schedule_id, user_id)
        except Problem:
            standing = None
        if standing is None:
            return TicketLimit()
        limit, held = standing
        text = f"One person may have {limit} tickets of this schedule, and you have {held}."
        return TicketLimit(text, limit=limit, held=held, remaining=max(0, limit - held))

    async def _chase(self, layout: Layout) -> Chase:
        once = self._chases.get(layout)
        if once is None:
            seats = layout.seats  # and not the layout, which would then keep itself
            once = self._chases[layout] = SingleFlight(partial(_new_chase, seats))
        return await once.get()

    async def get(self, user_id: UUID, reservation: ScopedId) -> Reservation:
        """Return a reservation of this person; raise `ReservationNotFound` for anybody else's."""
        found = await self._store.get(reservation.schedule_id, reservation.own_id, user_id)
        if found is None:
            raise ReservationNotFound
        return found

    async def of_user(self, user_id: UUID, before: UUID | None, count: int) -> list[Reservation]:
        """Return at most `count` reservations of this person, the newest first."""
        return await self._store.list_of_user(user_id, before, count)

    async def active_of_user(
        self, user_id: UUID, before: UUID | None, count: int, wish: Active
    ) -> list[Reservation]:
        """Return at most `count` reservations of this person that still count, the newest first."""
        return await self._store.active_of_user(user_id, before, count, wish)

    async def release(self, user_id: UUID, reservation: ScopedId) -> None:
        """Give the seats of a hold back; raise `NotHeld` where it is paid, lapsed or released."""
        try:
            # From memory, and before the group commit: ids that somebody made up do not queue there.
            await self._seats.layout(reservation.schedule_id)
        except ScheduleNotFound:
            raise ReservationNotFound from None
        command = ReleaseCommand(user_id, reservation.own_id, new_id())
        outcome = await self._group_commit.submit(self._releases, reservation.schedule_id, command)
        if outcome.name != "released":
            _refuse(outcome.name, ())
        self._seats.show_newest(reservation.schedule_id)

    async def layout(self, schedule_id: UUID) -> Layout:
        """Return the seats of a schedule, to describe a reservation with."""
        return await self._seats.layout(schedule_id)


async def _new_chase(seats: Sequence[LayoutSeat]) -> Chase:
    return await offload(len(seats), lambda: Chase(Seating(seats)))


@contextmanager
def _picking(chase: Chase, choice: Sequence[int]) -> Iterator[list[int]]:
    """Keep others of this process away from `choice`; the list gets those that turn out to be free."""
    free: list[int] = []
    chase.pick(choice)
    try:
        yield free
    finally:
        chase.decided(choice, free)


def _still_free(layout: Layout, choice: Sequence[int], outcome: HoldOutcome) -> list[int]:
    if outcome.held is not None and outcome.name == "held":
        return []
    return [at for at in choice if layout.seats[at].seat_id not in outcome.seat_ids]


def _held(outcome: HoldOutcome) -> Held:
    if outcome.cooldown is not None:
        seconds, available_at = outcome.cooldown
        raise HoldCooldown(retry_after_s=math.ceil(seconds), available_at=available_at)
    if outcome.held is None or outcome.name == "key_reused":
        _refuse(outcome.name, outcome.seat_ids)
    return outcome.held


def _refuse(name: str, seat_ids: Sequence[str]) -> Never:
    problem = _REFUSALS.get(name)
    if problem is None:
        raise IntegrityError(f"the database answered {name!r}")
    if seat_ids:
        raise problem(seat_ids=list(seat_ids))
    raise problem
