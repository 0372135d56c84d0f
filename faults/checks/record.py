"""The clients' record: acknowledged effects, refusals, and how each request ended. Pure.

Times are monotonic seconds of the process that runs all buyers.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from math import inf
from typing import TypeAlias

# Business refusals are correct responses.
_REFUSALS = frozenset({402, 409, 410})
# Operations that count as a sale.
_SALES = frozenset({"hold", "pay"})
# A fault excuses failures for this long after the affected processes have sold again: requests in
# flight on other connections still end.
SETTLING_S = 0.3

# Operation, person, seats, reservation, begin and end.
_SeatOperation: TypeAlias = tuple["RecordedOperation", int, Sequence[str], str, float, float]


class CallEnding(StrEnum):
    """How an attempt ended."""

    ANSWERED = "answered"
    CUT = "cut"  # the connection ended before the response
    UNREACHED = "unreached"  # no connection: nothing was sent
    SILENT = "silent"  # the client's timeout


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one API process, and how it ended."""

    what: str
    key: str
    endpoint: str
    begin_s: float
    end_s: float
    ending: CallEnding
    status: int = 0
    code: str = ""
    has_retry_after: bool = False

    @property
    def kind(self) -> str:
        """Return the ending in short: `201`, `409 seat_taken`, `cut`."""
        if self.ending is not CallEnding.ANSWERED:
            return self.ending.value
        return f"{self.status} {self.code}".strip()

    @property
    def is_fine(self) -> bool:
        """Whether it is a success or a business refusal."""
        is_answered = self.ending is CallEnding.ANSWERED
        is_meant = self.status in _REFUSALS or self.code == "idempotency_key_reused"
        return is_answered and (200 <= self.status < 400 or is_meant)

    @property
    def is_sale(self) -> bool:
        """Whether it is an acknowledged sale."""
        is_answered = self.ending is CallEnding.ANSWERED
        return is_answered and self.what in _SALES and 200 <= self.status < 300

    @property
    def is_excusable(self) -> bool:
        """Whether a fault excuses it: a 503 with `Retry-After`, or a cut connection."""
        if self.ending is CallEnding.ANSWERED:
            return self.status == 503 and self.has_retry_after
        return self.ending is not CallEnding.SILENT


@dataclass(frozen=True, slots=True)
class HeldSeats:
    """An acknowledged hold; `person` is the position of the buyer."""

    reservation_id: str
    person: int
    seats: tuple[str, ...]
    amount_minor: int
    key: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Paid:
    """An acknowledged payment."""

    payment_id: str
    reservation_id: str
    person: int
    amount_minor: int
    key: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Released:
    """An acknowledged release."""

    reservation_id: str
    person: int
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """An acknowledged top-up."""

    top_up_id: str
    person: int
    amount_minor: int
    key: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Seats reported as taken, or a hold reported as lapsed."""

    person: int
    seats: tuple[str, ...]
    reservation_id: str
    code: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A call with an open outcome: it took effect after `begin_s`, or never."""

    what: str
    key: str
    person: int
    seats: tuple[str, ...]
    reservation_id: str
    begin_s: float


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """A fault from `begin_s` to `over_s`, and the failures that it excuses.

    It excuses failures of the `affected` endpoints (None: all) until each of them has completed a
    sale that began after `over_s`, plus `SETTLING_S`, at the latest until `end_s`. Timeouts are
    excused only if the affected processes were paused (`is_stopped`). If a database was lost with
    unacknowledged commits (`is_lossy`), refusals of that time may rest on them.
    """

    name: str
    begin_s: float
    over_s: float
    end_s: float
    affected: Collection[str] | None = None
    is_stopped: bool = False
    is_lossy: bool = False

    def excuses(self, one: Attempt) -> bool:
        """Say whether this fault excuses the failure."""
        is_of_a_kind = one.is_excusable or (self.is_stopped and one.ending is CallEnding.SILENT)
        return is_of_a_kind and self.covers(one)

    def covers(self, one: Attempt) -> bool:
        """Say whether the attempt was in flight during this fault, at an affected endpoint."""
        is_struck = self.affected is None or one.endpoint in self.affected
        return is_struck and one.begin_s <= self.end_s and one.end_s >= self.begin_s


class RecordedOperation(StrEnum):
    """An operation on a seat, or a response about it."""

    HELD = "held"
    RELEASED = "released"
    PAID = "paid"
    EXPIRED = "expired"  # the hold was reported as lapsed
    REFUSED = "refused"  # the seat was reported as taken


@dataclass(frozen=True, slots=True)
class SeatEvent:
    """One operation on one seat, between two times.

    Without a response `end_s` is infinite and `is_known` false: it took effect after `begin_s`, or
    never. `version` is the seat's, where the response has it.
    """

    seat: str
    person: str
    operation: RecordedOperation
    begin_s: float
    end_s: float
    version: int | None = None
    reservation_id: str = ""
    is_known: bool = True


@dataclass(frozen=True)
class History:
    """The operations on the seats of one schedule, unordered."""

    events: Sequence[SeatEvent]
    hold_ttl_s: float


@dataclass
class Record:
    """Everything that the clients of one sale saw."""

    attempts: list[Attempt] = field(default_factory=list)
    holds: list[HeldSeats] = field(default_factory=list)
    payments: list[Paid] = field(default_factory=list)
    releases: list[Released] = field(default_factory=list)
    top_ups: list[ToppedUp] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    unsettled: dict[str, Unsettled] = field(default_factory=dict)
    # Holds refused in the end, with an attempt that may still be in a paused process.
    late: dict[str, Unsettled] = field(default_factory=dict)
    windows: list[FaultWindow] = field(default_factory=list)
    skipped: int = 0

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged effects."""
        return len(self.holds) + len(self.payments) + len(self.releases) + len(self.top_ups)

    def next_sale_s(self, at_s: float) -> float | None:
        """Return the time from `at_s` to the first sale that began since then, if any."""
        sales: Iterable[HeldSeats | Paid] = (*self.holds, *self.payments)
        ends = (one.end_s for one in sales if one.begin_s >= at_s)
        first_s = min(ends, default=None)
        return None if first_s is None else first_s - at_s

    def longest_gap_s(self, since_s: float = -inf) -> float:
        """Return the longest time without an acknowledged sale.

        With `since_s`, the time until the first one counts too.
        """
        sales: Iterable[HeldSeats | Paid] = (*self.holds, *self.payments)
        ends_s = sorted(one.end_s for one in sales if one.end_s >= since_s)
        times_s = [since_s, *ends_s] if since_s > -inf else ends_s
        return max((after - before for before, after in pairwise(times_s)), default=0.0)

    def in_flight(self, at_s: float, endpoints: Collection[str]) -> int:
        """Return how many of the ended requests to these processes were in flight at that time."""
        return sum(
            one.begin_s <= at_s < one.end_s and one.endpoint in endpoints for one in self.attempts
        )

    def sales_between(self, begin_s: float, end_s: float) -> int:
        """Return the number of sales acknowledged in that time."""
        sales: Iterable[HeldSeats | Paid] = (*self.holds, *self.payments)
        return sum(begin_s <= one.end_s < end_s for one in sales)

    def failures(self) -> Counter[str]:
        """Return responses that are neither success nor business refusal, by kind."""
        return Counter(one.kind for one in self.attempts if not one.is_fine)

    def unexcused(self) -> list[Attempt]:
        """Return the failures that no fault excuses."""
        windows = self.closed_windows()
        failed = (one for one in self.attempts if not one.is_fine)
        return [one for one in failed if not any(window.excuses(one) for window in windows)]

    def without_a_fault(self) -> int:
        """Return how many attempts were outside of every fault."""
        windows = self.closed_windows()
        return sum(not any(window.covers(one) for window in windows) for one in self.attempts)

    def closed_windows(self) -> list[FaultWindow]:
        """Return the fault windows, each ended when its processes have sold again."""
        sales = sorted((one for one in self.attempts if one.is_sale), key=lambda one: one.end_s)
        endpoints = {one.endpoint for one in self.attempts}
        return [_closed(window, sales, endpoints) for window in self.windows]

    def retried_to_an_answer(self) -> int:
        """Return how many calls succeeded after a lost response."""
        lost = {
            one.key for one in self.attempts if one.ending in (CallEnding.CUT, CallEnding.SILENT)
        }
        return len({one.key for one in self.attempts if one.is_fine} & lost - {""})

    def history(self, people: Sequence[str], hold_ttl_s: float) -> History:
        """Return the seat history; `people` are the user ids by position."""
        events = [
            SeatEvent(
                seat, people[person], operation, begin_s, end_s, None, reservation_id, end_s < inf
            )
            for operation, person, seats, reservation_id, begin_s, end_s in self._operations()
            for seat in seats
        ]
        return History(events, hold_ttl_s)

    def _operations(self) -> Iterator[_SeatOperation]:
        seats = {one.reservation_id: one.seats for one in self.holds}
        for held in self.holds:
            yield _operation(RecordedOperation.HELD, held, held.seats)
        for paid in self.payments:
            yield _operation(RecordedOperation.PAID, paid, seats.get(paid.reservation_id, ()))
        for released in self.releases:
            yield _operation(
                RecordedOperation.RELEASED, released, seats.get(released.reservation_id, ())
            )
        for refused in self.refusals:
            if self._rests_on_what_was_lost(refused):
                continue
            operation = _REFUSED.get(refused.code, RecordedOperation.REFUSED)
            yield _operation(operation, refused, refused.seats)
        for one in (*self.unsettled.values(), *self.late.values()):
            if one.what in _UNSETTLED:
                operation = _UNSETTLED[one.what]
                yield operation, one.person, one.seats, one.reservation_id, one.begin_s, inf

    def _rests_on_what_was_lost(self, refused: Refused) -> bool:
        """Say whether the refusal may rest on a hold that was never acknowledged and is lost."""
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


def _operation(
    operation: RecordedOperation, one: HeldSeats | Paid | Released | Refused, seats: Sequence[str]
) -> _SeatOperation:
    return operation, one.person, seats, one.reservation_id, one.begin_s, one.end_s


_UNSETTLED = {
    "hold": RecordedOperation.HELD,
    "pay": RecordedOperation.PAID,
    "release": RecordedOperation.RELEASED,
}
_REFUSED = {"hold_expired": RecordedOperation.EXPIRED}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile by nearest rank."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]
