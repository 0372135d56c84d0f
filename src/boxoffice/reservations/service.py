"""The use cases of reservations: hold, get, list, release."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Never, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    HoldCooldown,
    IdempotencyKeyReused,
    IntegrityError,
    NoAdjacentSeats,
    NotHeld,
    NotOnSale,
    PaymentInProgress,
    Problem,
    QueuePassRequired,
    ReservationNotFound,
    ScheduleNotFound,
    SeatNotFound,
    SeatTaken,
    SoldOut,
    TicketLimit,
)
from boxoffice.offers.errors import (
    CodeInvalid,
    CodeLimit,
    CodeUsedUp,
    CompanionRequired,
    PresaleOnly,
    PriceTypeUnknown,
    QuotaExhausted,
)
from boxoffice.offers.rules import STANDARD, OfferRequest, code_hash
from boxoffice.platform.concurrency.offload import offload
from boxoffice.platform.concurrency.single_flight import SingleFlight
from boxoffice.platform.ids import ScopedId, fingerprint_of, new_id
from boxoffice.reservations import rules
from boxoffice.reservations.best_seats import BestSeatAllocator, FreeSeatsReading, Seating
from boxoffice.reservations.handlers import HoldHandler, ReleaseHandler
from boxoffice.reservations.store import (
    ActiveFilter,
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

# How often a request for the best seats is tried while other requests take its choice. Each try reads
# the database again and keeps a larger distance from the choices of other pods.
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
    "payment_in_progress": PaymentInProgress,
    "code_invalid": CodeInvalid,
    "code_used_up": CodeUsedUp,
    "code_limit": CodeLimit,
    "presale_only": PresaleOnly,
    "quota_exhausted": QuotaExhausted,
    "price_type_unknown": PriceTypeUnknown,
    "companion_required": CompanionRequired,
}


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """The limits of one request."""

    seats_per_hold_max: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks of offers: price types by seat and a code, from an address."""

    price_types: Mapping[str, str]
    code: str = ""
    address: str = ""


class CodeAttempts(Protocol):
    """Limits attempts with wrong codes."""

    async def counted(
        self,
        user_id: UUID,
        address: str,
        attempt: Callable[[], Awaitable[HoldOutcome]],
        is_wrong: Callable[[HoldOutcome], bool],
        /,
    ) -> HoldOutcome:
        """Make an attempt, or raise `TooMany`."""
        ...


class PairedSeats(Protocol):
    """Which seats are sold together with another one."""

    async def paired_seats(self, schedule_id: UUID, /) -> frozenset[str]:
        """Return the ids of those seats."""
        ...


class AddressCheck(Protocol):
    """Whether a person may hold seats where the organizer asks for a verified address."""

    def may_hold_by_cache(self, schedule_id: UUID, user_id: UUID, /) -> bool:
        """Return whether it is known that the person may; otherwise `require` decides."""
        ...

    async def require(self, schedule_id: UUID, user_id: UUID, /) -> None:
        """Raise `EmailNotVerified` where the person may not."""
        ...


class PassCheck(Protocol):
    """Checks the waiting room's pass of a request for seats."""

    def may_hold_by_cache(self, schedule_id: UUID, user_id: UUID, text: str | None, /) -> bool:
        """Return whether the pass is known to be valid; otherwise `may_hold` decides."""
        ...

    async def may_hold(self, schedule_id: UUID, user_id: UUID, text: str | None, /) -> bool:
        """Return whether the pass is valid, False for one that has expired.

        Raises `QueuePassRequired` for a pass that is missing, forged or of another person.
        """
        ...


class _NoPasses:
    """A sale without a waiting room: every request may hold seats."""

    def may_hold_by_cache(self, _schedule_id: UUID, _user_id: UUID, _text: str | None, /) -> bool:
        return True

    async def may_hold(self, _schedule_id: UUID, _user_id: UUID, _text: str | None, /) -> bool:
        return True


_NO_PASSES = _NoPasses()


@dataclass(frozen=True, slots=True)
class HoldChecks:
    """What other modules know about requests for seats and the people who send them."""

    passes: PassCheck = _NO_PASSES
    codes: CodeAttempts | None = None
    pairs: PairedSeats | None = None
    people: AddressCheck | None = None


class _HoldRequest(msgspec.Struct, frozen=True, gc=False):
    """What identifies one request for seats and its repetitions; `meaning` is what it asks for."""

    user_id: UUID
    schedule_id: UUID
    key: str
    meaning: tuple[str, ...]
    wanted: Wanted | None = None

    def command(self, seat_ids: Sequence[str] = ()) -> HoldCommand:
        """Return the command to hold these seats, or to look up what the key did before."""
        meaning, offer = self.meaning, None
        if self.wanted is not None:
            meaning = meaning + _meaning_of(self.wanted)
            offer = _offer_of(self.schedule_id, self.wanted, seat_ids)
        fingerprint = fingerprint_of(*meaning)
        return HoldCommand(self.user_id, self.key, fingerprint, new_id(), tuple(seat_ids), offer)


def _offer_of(schedule_id: UUID, wanted: Wanted, seat_ids: Sequence[str]) -> OfferRequest:
    types = tuple(wanted.price_types.get(seat_id, STANDARD) for seat_id in seat_ids)
    return OfferRequest(types, code_hash(schedule_id, wanted.code) if wanted.code else None)


def _meaning_of(wanted: Wanted) -> tuple[str, ...]:
    """Return what a request asks of offers."""
    # guard: fingerprint_price_types_of_hold => types: tuple[str, ...] = ()
    types = tuple(part for pair in sorted(wanted.price_types.items()) for part in pair)
    # guard: fingerprint_code_of_hold: wanted.code => ""
    return ("offers", wanted.code, *types)


class Reservations:
    """Holds and their ends; every write goes through the group commit."""

    def __init__(
        self,
        store: ReservationStore,
        group_commit: GroupCommit,
        holds: HoldHandler,
        releases: ReleaseHandler,
        seats: SeatReadModel,
        refusals: SeatRefusals,
        limits: HoldLimits,
        checks: HoldChecks | None = None,
    ) -> None:
        self._store = store
        self._group_commit = group_commit
        self._holds = holds
        self._releases = releases
        self._seats = seats
        self._refusals = refusals
        self._limits = limits
        checks = checks or HoldChecks()
        self._passes = checks.passes
        self._codes = checks.codes
        self._pairs = checks.pairs
        self._people = checks.people
        # An allocator lives as long as its layout, which the seat cache owns.
        self._allocators: WeakKeyDictionary[Layout, SingleFlight[BestSeatAllocator]] = (
            WeakKeyDictionary()
        )

    async def hold(
        self,
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        seat_ids: Sequence[str],
        queue_pass: str | None = None,
        wanted: Wanted | None = None,
    ) -> Held:
        """Hold exactly these seats, all or none; the same key and seats return the same hold.

        Raises the refusals of `docs/api.md`. Seats that are surely taken are refused from memory,
        before other requests get a turn on the event loop.
        """
        # guard: hold_list_of_seats_that_makes_sense
        rules.check_seat_ids(seat_ids, self._limits.seats_per_hold_max)
        # guard: fingerprint_seats_of_hold: "seats", *seat_ids => "seats",
        request = _HoldRequest(user_id, schedule_id, key, ("seats", *seat_ids), wanted)
        passes, asked = self._passes, (schedule_id, user_id, queue_pass)
        if not (passes.may_hold_by_cache(*asked) or await passes.may_hold(*asked)):
            return await self._held_before(request)
        try:
            layout = await self._seats.layout_on_offer(schedule_id)
            if not layout.index.keys() >= {*seat_ids}:
                unknown = [seat_id for seat_id in seat_ids if seat_id not in layout.index]
                raise SeatNotFound(seat_ids=unknown)
            taken = self._refusals.taken(schedule_id, seat_ids, user_id)
            if taken:
                raise SeatTaken(seat_ids=taken)
            return await self._answer(request, await self._decide(request, seat_ids))
        except (ScheduleNotFound, EmailNotVerified) as error:
            return await self._held_before_a_change(request, error)

    async def hold_best(
        self,
        user_id: UUID,
        schedule_id: UUID,
        key: str,
        quantity: int,
        grade: str | None,
        queue_pass: str | None = None,
        wanted: Wanted | None = None,
    ) -> Held:
        """Hold the best `quantity` adjacent seats, of `grade` where one is given.

        Raises `SoldOut` or `NoAdjacentSeats`: from memory where the person has surely never had a hold
        in the schedule, otherwise after a reading of the database that began after the request. Raises
        `SeatTaken` where other requests took every choice.
        """
        # guard: hold_number_of_seats_that_makes_sense
        rules.check_quantity(quantity, self._limits.seats_per_hold_max)
        # guard: fingerprint_number_and_grade_of_hold => meaning: tuple[str, ...] = ("best",)
        meaning = ("best", str(quantity), grade or "")
        request = _HoldRequest(user_id, schedule_id, key, meaning, wanted)
        passes, asked = self._passes, (schedule_id, user_id, queue_pass)
        if not (passes.may_hold_by_cache(*asked) or await passes.may_hold(*asked)):
            return await self._held_before(request)
        try:
            return await self._hold_best(request, quantity, grade)
        except (ScheduleNotFound, EmailNotVerified) as error:
            return await self._held_before_a_change(request, error)

    async def _hold_best(self, request: _HoldRequest, quantity: int, grade: str | None) -> Held:
        await self._seats.layout_on_offer(request.schedule_id)
        if self._refusals.is_sold_out(request.schedule_id, request.user_id):
            raise SoldOut
        outcome = HoldOutcome("seat_taken")
        lost = 0
        for attempt in range(_BEST_ATTEMPTS):
            tried = await self._try_best(request, quantity, grade, attempt, lost)
            if tried is not None:
                outcome, lost = tried, lost + 1
                if outcome.name != "seat_taken":
                    break
        return await self._answer(request, outcome)

    async def _try_best(
        self, request: _HoldRequest, quantity: int, grade: str | None, attempt: int, lost: int
    ) -> HoldOutcome | None:
        """Try to hold the best choice of a new reading; None where the next attempt has to choose.

        `lost` counts the earlier choices that other requests took.
        """
        layout, states = await self._seats.layout_and_states(
            request.schedule_id, max_age_s=0 if attempt else None
        )
        allocator = await self._allocator(request.schedule_id, layout)
        reading = allocator.reading(states.status, states.read_at)
        choice = reading.choose(quantity, grade, lost * (1 + hash(request.key) % 4))
        if not choice and attempt == 0:
            self._refuse_from_memory(allocator, request, quantity, grade)
            return None
        if not choice:
            choice = reading.choose(quantity, grade, with_pending=True)
            if choice and attempt < _BEST_ATTEMPTS - 1:
                # Pending holds of this process cover all that is left, and may fail.
                await asyncio.sleep(_BEST_PAUSE_S * attempt)
                return None
        # An empty choice is decided as well: an earlier request with this key may have got seats.
        with allocator.pending(choice) as free:
            outcome = await self._decide(request, [layout.seats[at].seat_id for at in choice])
            free.extend(_still_free(layout, choice, outcome))
        if outcome.name == "companion_required":
            # The pairs of seats have changed since the allocator was made.
            self._allocators.pop(layout, None)
            return HoldOutcome("seat_taken")
        if outcome.name == "no_seats":
            _refuse_best(reading, grade)
        return outcome

    def _refuse_from_memory(
        self, allocator: BestSeatAllocator, request: _HoldRequest, quantity: int, grade: str | None
    ) -> None:
        """Raise where memory may refuse this person and shows no such seats."""
        states = self._refusals.states_for_refusal(request.schedule_id, request.user_id)
        if states is not None:
            reading = allocator.reading(states.status, states.read_at)
            if not reading.choose(quantity, grade, with_pending=True):
                _refuse_best(reading, grade)

    async def _held_before(self, request: _HoldRequest) -> Held:
        """Return the hold of an earlier request with this key, whose pass was still valid."""
        outcome = await self._find(request)
        if outcome is None:
            raise QueuePassRequired(
                "This pass has expired: poll the queue position to get the next one."
            )
        return _held(outcome)

    async def _held_before_a_change(self, request: _HoldRequest, error: Problem) -> Held:
        """Return the hold of an earlier request where its concert was changed since, or raise."""
        await self._seats.layout(request.schedule_id)  # Raises for an id that does not exist.
        outcome = await self._find(request)
        if outcome is None:
            raise error
        return _held(outcome)

    async def _find(self, request: _HoldRequest) -> HoldOutcome | None:
        """Look up what earlier requests with this key did; None where they did nothing."""
        (outcome,) = await self._store.find_holds(request.schedule_id, [request.command()])
        return outcome

    async def _decide(self, request: _HoldRequest, seat_ids: Sequence[str]) -> HoldOutcome:
        people, asked = self._people, (request.schedule_id, request.user_id)
        if people is not None and not people.may_hold_by_cache(*asked):
            await people.require(*asked)
        command, wanted = request.command(seat_ids), request.wanted
        if wanted is None or not wanted.code or self._codes is None:
            return await self._group_commit.submit(self._holds, request.schedule_id, command)
        decide = partial(self._group_commit.submit, self._holds, request.schedule_id, command)
        return await self._codes.counted(
            request.user_id, wanted.address, decide, lambda one: one.name == "code_invalid"
        )

    async def _answer(self, request: _HoldRequest, outcome: HoldOutcome) -> Held:
        if outcome.name == "ticket_limit":
            raise await self._ticket_limit(request)
        return _held(outcome)

    async def _ticket_limit(self, request: _HoldRequest) -> TicketLimit:
        """Return the refusal with its numbers, or without them where they cannot be read now.

        They are read for this refusal alone, so that the rest of its batch does not wait for them.
        """
        try:
            count = await self._store.ticket_count(request.schedule_id, request.user_id)
        except Problem:
            count = None
        if count is None:
            return TicketLimit()
        limit, held = count
        text = f"One person may have {limit} tickets of this schedule, and you have {held}."
        return TicketLimit(text, limit=limit, held=held, remaining=max(0, limit - held))

    async def _allocator(self, schedule_id: UUID, layout: Layout) -> BestSeatAllocator:
        flight = self._allocators.get(layout)
        if flight is None:
            # The seats and not the layout: a reference to the key would keep the entry for ever.
            make = partial(_new_allocator, layout.seats, self._pairs, schedule_id)
            flight = self._allocators[layout] = SingleFlight(make)
        return await flight.get()

    async def get(self, user_id: UUID, reservation: ScopedId) -> Reservation:
        """Return a reservation of this person; raise `ReservationNotFound` otherwise."""
        found = await self._store.get(reservation.schedule_id, reservation.own_id, user_id)
        if found is None:
            raise ReservationNotFound
        return found

    async def of_user(self, user_id: UUID, before: UUID | None, count: int) -> list[Reservation]:
        """Return at most `count` reservations of this person, the newest first."""
        return await self._store.list_of_user(user_id, before, count)

    async def active_of_user(
        self, user_id: UUID, before: UUID | None, count: int, only: ActiveFilter
    ) -> list[Reservation]:
        """Return at most `count` held or confirmed reservations of this person, the newest first."""
        return await self._store.active_of_user(user_id, before, count, only)

    async def release(self, user_id: UUID, reservation: ScopedId) -> None:
        """Release the seats of a hold.

        Raises `NotHeld` where it is paid, expired or released, and `PaymentInProgress` while a provider
        is being paid.
        """
        try:
            # From memory, so that requests with invented ids never enter the group commit.
            await self._seats.layout(reservation.schedule_id)
        except ScheduleNotFound:
            raise ReservationNotFound from None
        command = ReleaseCommand(user_id, reservation.own_id, new_id())
        outcome = await self._group_commit.submit(self._releases, reservation.schedule_id, command)
        if outcome.name != "released":
            _refuse(outcome.name, ())
        self._seats.show_newest(reservation.schedule_id)


async def _new_allocator(
    seats: Sequence[LayoutSeat], pairs: PairedSeats | None, schedule_id: UUID
) -> BestSeatAllocator:
    """Return an allocator that never chooses a seat which is sold together with another one."""
    paired = frozenset() if pairs is None else await pairs.paired_seats(schedule_id)
    return await offload(len(seats), lambda: BestSeatAllocator(Seating(seats, paired)))


def _still_free(layout: Layout, choice: Sequence[int], outcome: HoldOutcome) -> list[int]:
    if outcome.held is not None and outcome.name == "held":
        return []
    return [at for at in choice if layout.seats[at].seat_id not in outcome.seat_ids]


def _refuse_best(reading: FreeSeatsReading, grade: str | None) -> Never:
    """Refuse where a reading has no such seats: other seats of the grade may be left."""
    if seats_left := reading.seats_left(grade):
        raise NoAdjacentSeats(seats_left=seats_left)
    raise SoldOut


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
