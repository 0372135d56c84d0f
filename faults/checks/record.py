"""The client's own record: what was acknowledged to whom and when, and how everything else ended. Pure.

Times are monotonic seconds of the one process that plays all clients.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from math import inf
from typing import TypeAlias

# What the business refuses; it is a correct answer.
_REFUSALS = frozenset({402, 409, 410})
# What counts as a sale.
_SALES = frozenset({"hold", "pay"})
# How long a fault still excuses failures when those whom it affected have sold again: what was
# under way
# on their other connections comes to its end.
SETTLING_S = 0.3

# Operation, person, seats, reservation, begin and end.
_Told: TypeAlias = tuple["Operation", int, Sequence[str], str, float, float]


class Ending(StrEnum):
    """How an attempt ended."""

    ANSWERED = "answered"
    CUT = "cut"  # the connection ended before the answer did
    UNREACHED = "unreached"  # no connection came about: nothing was sent
    SILENT = "silent"  # the client lost its patience


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one API process, and how it ended."""

    what: str
    key: str
    endpoint: str
    begin_s: float
    end_s: float
    ending: Ending
    status: int = 0
    code: str = ""
    has_retry_after: bool = False

    @property
    def kind(self) -> str:
        """Return how it ended in a word or two: `201`, `409 seat_taken`, `cut`."""
        if self.ending is not Ending.ANSWERED:
            return self.ending.value
        return f"{self.status} {self.code}".strip()

    @property
    def is_fine(self) -> bool:
        """Whether it is a success or a refusal that the business means."""
        is_answered = self.ending is Ending.ANSWERED
        is_meant = self.status in _REFUSALS or self.code == "idempotency_key_reused"
        return is_answered and (200 <= self.status < 400 or is_meant)

    @property
    def is_sale(self) -> bool:
        """Whether it sold something, to somebody who was told so."""
        is_answered = self.ending is Ending.ANSWERED
        return is_answered and self.what in _SALES and 200 <= self.status < 300

    @property
    def is_excusable(self) -> bool:
        """Whether a fault under way excuses it: a 503 that says when to come back, or a cut."""
        if self.ending is Ending.ANSWERED:
            return self.status == 503 and self.has_retry_after
        return self.ending is not Ending.SILENT


@dataclass(frozen=True, slots=True)
class Held:
    """A hold that was acknowledged; `person` is a position in the field's people."""

    reservation_id: str
    person: int
    seats: tuple[str, ...]
    amount_minor: int
    key: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that was acknowledged."""

    payment_id: str
    reservation_id: str
    person: int
    amount_minor: int
    key: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Released:
    """A release that was acknowledged."""

    reservation_id: str
    person: int
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """A top-up of a wallet that was acknowledged."""

    top_up_id: str
    person: int
    amount_minor: int
    key: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Seats that were said to be taken, or a hold that was said to have lapsed."""

    person: int
    seats: tuple[str, ...]
    reservation_id: str
    code: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A call whose outcome is open: it took effect at some time after `begin_s`, or never."""

    what: str
    key: str
    person: int
    seats: tuple[str, ...]
    reservation_id: str
    begin_s: float


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """A fault, from `begin_s` until it was over, and what it excuses.

    It excuses failures of the endpoints that it affected, of all where `affected` is None. For these it
    lasts until each of them has sold something that was asked for after `over_s`, and `SETTLING_S`
    more, and at the latest until `end_s`. Silence it excuses only where the affected ones were stopped,
    and so could not say anything (`is_stopped`). Where a database was lost with commits that nobody was
    told of (`is_lossy`), refusals of that time may rest on these.
    """

    name: str
    begin_s: float
    over_s: float
    end_s: float
    affected: Collection[str] | None = None
    is_stopped: bool = False
    is_lossy: bool = False

    def excuses(self, one: Attempt) -> bool:
        """Say whether that failure is this fault's."""
        is_of_a_kind = one.is_excusable or (self.is_stopped and one.ending is Ending.SILENT)
        return is_of_a_kind and self.covers(one)

    def covers(self, one: Attempt) -> bool:
        """Say whether the attempt was in flight during this fault, at an affected endpoint."""
        is_struck = self.affected is None or one.endpoint in self.affected
        return is_struck and one.begin_s <= self.end_s and one.end_s >= self.begin_s


class Operation(StrEnum):
    """What somebody did with a seat, or was told of it."""

    HELD = "held"
    RELEASED = "released"
    PAID = "paid"
    EXPIRED = "expired"  # was told that the hold has lapsed
    REFUSED = "refused"  # was told that the seat is taken


@dataclass(frozen=True, slots=True)
class SeatEvent:
    """One operation on one seat, somewhere between its two times.

    `end_s` is infinite and `is_known` false where no answer ever came: it may have happened at any
    time after `begin_s`, or not at all. `version` is the seat's where the client was told of it.
    """

    seat: str
    person: str
    operation: Operation
    begin_s: float
    end_s: float
    version: int | None = None
    reservation_id: str = ""
    is_known: bool = True


@dataclass(frozen=True)
class History:
    """What happened to the seats of one schedule, in no order; a hold lapses after `hold_ttl_s`."""

    events: Sequence[SeatEvent]
    hold_ttl_s: float


@dataclass
class Record:
    """Everything that the clients of one field saw."""

    attempts: list[Attempt] = field(default_factory=list)
    holds: list[Held] = field(default_factory=list)
    payments: list[Paid] = field(default_factory=list)
    releases: list[Released] = field(default_factory=list)
    top_ups: list[ToppedUp] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    unsettled: dict[str, Unsettled] = field(default_factory=dict)
    # Holds that were refused in the end, and one of whose attempts may still be in a stopped process.
    late: dict[str, Unsettled] = field(default_factory=dict)
    windows: list[FaultWindow] = field(default_factory=list)
    skipped: int = 0

    @property
    def acknowledged(self) -> int:
        """How many effects were acknowledged."""
        return len(self.holds) + len(self.payments) + len(self.releases) + len(self.top_ups)

    def next_sale_s(self, at_s: float) -> float | None:
        """Return how long after `at_s` the first sale that had begun since then was acknowledged."""
        sales: Iterable[Held | Paid] = (*self.holds, *self.payments)
        ends = (one.end_s for one in sales if one.begin_s >= at_s)
        first_s = min(ends, default=None)
        return None if first_s is None else first_s - at_s

    def longest_gap_s(self, since_s: float = -inf) -> float:
        """Return the longest time without the acknowledgement of a hold or payment since then.

        The time until the first one counts too, where `since_s` is given.
        """
        sales: Iterable[Held | Paid] = (*self.holds, *self.payments)
        ends_s = sorted(one.end_s for one in sales if one.end_s >= since_s)
        times_s = [since_s, *ends_s] if since_s > -inf else ends_s
        return max((after - before for before, after in pairwise(times_s)), default=0.0)

    def in_flight(self, at_s: float, endpoints: Collection[str]) -> int:
        """Return how many requests to these processes were under way then, of those that have ended."""
        return sum(
            one.begin_s <= at_s < one.end_s and one.endpoint in endpoints for one in self.attempts
        )

    def sales_between(self, begin_s: float, end_s: float) -> int:
        """Return how many holds and payments were acknowledged in that time."""
        sales: Iterable[Held | Paid] = (*self.holds, *self.payments)
        return sum(begin_s <= one.end_s < end_s for one in sales)

    def failures(self) -> Counter[str]:
        """Return what was neither a success nor a refusal of the business, by kind."""
        return Counter(one.kind for one in self.attempts if not one.is_fine)

    def unexcused(self) -> list[Attempt]:
        """Return the failures that no fault excuses: of a kind that none does, or outside of any."""
        windows = self.closed_windows()
        failed = (one for one in self.attempts if not one.is_fine)
        return [one for one in failed if not any(window.excuses(one) for window in windows)]

    def without_a_fault(self) -> int:
        """Return how many attempts no fault would have excused, whatever had become of them."""
        windows = self.closed_windows()
        return sum(not any(window.covers(one) for window in windows) for one in self.attempts)

    def closed_windows(self) -> list[FaultWindow]:
        """Return the windows, each ended as early as those whom its fault affected had sold again."""
        sales = sorted((one for one in self.attempts if one.is_sale), key=lambda one: one.end_s)
        endpoints = {one.endpoint for one in self.attempts}
        return [_closed(window, sales, endpoints) for window in self.windows]

    def retried_to_an_answer(self) -> int:
        """Return how many calls got no answer at first and a fine one in the end."""
        lost = {one.key for one in self.attempts if one.ending in (Ending.CUT, Ending.SILENT)}
        return len({one.key for one in self.attempts if one.is_fine} & lost - {""})

    def history(self, people: Sequence[str], hold_ttl_s: float) -> History:
        """Return what happened to the seats; `people` are the ids by position."""
        events = [
            SeatEvent(
                seat, people[person], operation, begin_s, end_s, None, reservation_id, end_s < inf
            )
            for operation, person, seats, reservation_id, begin_s, end_s in self._operations()
            for seat in seats
        ]
        return History(events, hold_ttl_s)

    def _operations(self) -> Iterator[_Told]:
        seats = {one.reservation_id: one.seats for one in self.holds}
        for held in self.holds:
            yield _told(Operation.HELD, held, held.seats)
        for paid in self.payments:
            yield _told(Operation.PAID, paid, seats.get(paid.reservation_id, ()))
        for released in self.releases:
            yield _told(Operation.RELEASED, released, seats.get(released.reservation_id, ()))
        for refused in self.refusals:
            if self._rests_on_what_was_lost(refused):
                continue
            operation = _REFUSED.get(refused.code, Operation.REFUSED)
            yield _told(operation, refused, refused.seats)
        for one in (*self.unsettled.values(), *self.late.values()):
            if one.what in _UNSETTLED:
                operation = _UNSETTLED[one.what]
                yield operation, one.person, one.seats, one.reservation_id, one.begin_s, inf

    def _rests_on_what_was_lost(self, refused: Refused) -> bool:
        """Say whether somebody may have been refused for a hold that no promise was ever made of."""
        return refused.code not in _REFUSED and any(
            one.is_lossy and one.begin_s <= refused.end_s and refused.begin_s <= one.over_s
            for one in self.windows
        )


def _closed(
    window: FaultWindow, sales: Sequence[Attempt], endpoints: Collection[str]
) -> FaultWindow:
    """End a window `SETTLING_S` after each affected endpoint has sold again; `sales` are in order."""
    affected = endpoints if window.affected is None else window.affected
    since = [one for one in sales if one.begin_s >= window.over_s and one.begin_s <= window.end_s]
    firsts_s = [
        next((one.end_s for one in since if one.endpoint == endpoint), inf) for endpoint in affected
    ]
    return replace(window, end_s=min(window.end_s, max(firsts_s, default=inf) + SETTLING_S))


def _told(
    operation: Operation, one: Held | Paid | Released | Refused, seats: Sequence[str]
) -> _Told:
    return operation, one.person, seats, one.reservation_id, one.begin_s, one.end_s


_UNSETTLED = {"hold": Operation.HELD, "pay": Operation.PAID, "release": Operation.RELEASED}
_REFUSED = {"hold_expired": Operation.EXPIRED}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed (nearest rank)."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]
