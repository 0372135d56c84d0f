"""Checks that the responses about each seat are linearizable. Pure.

Linearizability (Herlihy and Wing, 1990): each operation takes effect at one moment between request
and response, and in the order of those moments a single seat would give the same responses. Seats
are independent, so each is checked alone (Horn and Kroening, 2015). The search walks along the
times and keeps every possible state of the seat with the operations that have taken effect; an open
operation takes effect no sooner than a response requires it (Lowe, 2017).

Specific to a seat:

- A hold lapses at the end of its time to live, without a response.
- A refusal may be stale: a released seat may be refused until all processes know (decision 0013),
  but not past the end of its former hold.
- A refusal after the retry time of a busy seat says nothing about the seat.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import NamedTuple, TypeAlias

from faults.checks.record import History, RecordedOperation, SeatEvent

# A released seat may be refused that long: the Valkey mark of a pod that died between release and
# notification lives `seat_lock_ttl_ms`; caches follow within 2 s.
STALE_S = 10.0
# Retry time of a locked seat (`batch_retry_for_ms`), less the time of a round.
BUSY_S = 1.2
# Difference between the database's clock and the clients'.
SLACK_S = 0.1
# Beyond so many states a seat stays undecided, which counts as a violation.
STATES_MAX = 20_000


@dataclass(frozen=True)
class Violation:
    """A seat whose history is not linearizable, and the reason."""

    seat: str
    reason: str


class _State(Enum):
    FREE = "free"
    HELD = "held"
    SOLD = "sold"
    # Released before its end: free, but refusals may be stale.
    GIVEN_BACK = "given back"


class _Seat(NamedTuple):
    """State of the seat, and the hold that it belongs to."""

    now: _State
    hold: str = ""


_FREE = _Seat(_State.FREE)


class _Configuration(NamedTuple):
    """One possible past; `done` are open operations that have taken effect."""

    seat: _Seat
    done: frozenset[int]


_Predicate: TypeAlias = Callable[[_Configuration], bool]


@dataclass(frozen=True)
class _SearchStep:
    """One operation on the seat; `hold` identifies the hold."""

    operation: RecordedOperation
    hold: str
    begin_s: float
    end_s: float
    person: str


class _Lapse(NamedTuple):
    """The interval in which a hold ends."""

    from_s: float
    until_s: float


def check(
    history: History,
    *,
    stale_s: float = STALE_S,
    busy_s: float = BUSY_S,
    slack_s: float = SLACK_S,
) -> list[Violation]:
    """Return the first contradiction of each seat, sorted by seat.

    `stale_s`: how long a released seat may be refused. `busy_s`: retry time of a locked seat.
    `slack_s`: difference of clocks at the end of a hold.
    """
    seats: dict[str, list[SeatEvent]] = defaultdict(list)
    for event in history.events:
        seats[event.seat].append(event)
    found = []
    for seat, events in sorted(seats.items()):
        search = _Search(list(_steps(events, busy_s)), history.hold_ttl_s, stale_s, slack_s)
        if reason := search.contradiction():
            found.append(Violation(seat, reason))
    return found


def _steps(events: Iterable[SeatEvent], busy_s: float) -> Iterator[_SearchStep]:
    """Yield each operation once; a repeated response reports the same effect."""
    effects: dict[tuple[RecordedOperation, str], _SearchStep] = {}
    for at, event in enumerate(events):
        end_s = event.end_s if event.is_known else inf
        step = _SearchStep(event.operation, _name(event, at), event.begin_s, end_s, event.person)
        if event.operation is RecordedOperation.REFUSED:
            if event.end_s - event.begin_s < busy_s:
                yield step
        elif event.operation is RecordedOperation.EXPIRED:
            yield step
        else:
            key = (step.operation, step.hold)
            effects[key] = _same(effects[key], step) if key in effects else step
    yield from effects.values()


def _name(event: SeatEvent, at: int) -> str:
    """Return the identity of a hold; without a response it is its position."""
    return event.reservation_id or f"?{at}"


def _same(one: _SearchStep, other: _SearchStep) -> _SearchStep:
    return _SearchStep(
        one.operation,
        one.hold,
        min(one.begin_s, other.begin_s),
        min(one.end_s, other.end_s),
        one.person,
    )


class _Search:
    """Searches the times of one seat for a contradiction."""

    def __init__(
        self, steps: Sequence[_SearchStep], hold_ttl_s: float, stale_s: float, slack_s: float
    ) -> None:
        self._steps = steps
        self._stale_s = stale_s
        self._lapses: Mapping[str, _Lapse] = {
            step.hold: _Lapse(
                step.begin_s + hold_ttl_s - slack_s, step.end_s + hold_ttl_s + slack_s
            )
            for step in steps
            if step.operation is RecordedOperation.HELD
        }
        self._released_s = {
            step.hold: step.end_s for step in steps if step.operation is RecordedOperation.RELEASED
        }
        self._open: set[int] = set()
        self._configurations = {_Configuration(_FREE, frozenset())}

    def contradiction(self) -> str:
        """Return why the history is impossible, or nothing."""
        for at_s, is_end, kind, what in self._times():
            if not is_end:
                self._begin(what)
            elif kind:
                self._end_hold(self._steps[what].hold, at_s)
            else:
                self._end(what, at_s)
            if not self._configurations:
                return self._sentence(what, is_lapse=bool(kind))
            if len(self._configurations) > STATES_MAX:
                return f"has more than {STATES_MAX} ways to have happened and was not decided"
        return ""

    def _times(self) -> list[tuple[float, int, int, int]]:
        """Return the sorted events, begins before ends of the same moment."""
        times = []
        for at, step in enumerate(self._steps):
            times.append((step.begin_s, 0, 0, at))
            if step.end_s < inf:
                times.append((step.end_s, 1, 0, at))
            if step.operation is RecordedOperation.HELD and step.end_s < inf:
                times.append((self._lapses[step.hold].until_s, 1, 1, at))
        return sorted(times)

    def _begin(self, what: int) -> None:
        self._open.add(what)
        if self._is_look(what):
            self._configurations = {
                self._looked(configuration) for configuration in self._configurations
            }

    def _end(self, what: int, at_s: float) -> None:
        """Keep the pasts in which the operation has taken effect, and close it."""
        having = self._having(lambda configuration: what in configuration.done, at_s)
        self._open.discard(what)
        self._configurations = {_Configuration(one.seat, one.done - {what}) for one in having}

    def _end_hold(self, hold: str, at_s: float) -> None:
        """Keep the pasts in which the hold is over."""
        over = (_Seat(_State.HELD, hold), _Seat(_State.GIVEN_BACK, hold))
        self._configurations = self._having(
            lambda configuration: configuration.seat not in over, at_s
        )

    def _having(self, holds: _Predicate, at_s: float) -> set[_Configuration]:
        """Return the pasts that reach `holds`, with as few further effects as necessary."""
        reached = {configuration for configuration in self._configurations if holds(configuration)}
        seen = set(self._configurations)
        ahead = [
            configuration for configuration in self._configurations if configuration not in reached
        ]
        while ahead and len(seen) <= STATES_MAX:
            for after in self._next(ahead.pop(), at_s):
                if after not in seen:
                    seen.add(after)
                    if holds(after):
                        reached.add(after)
                    else:
                        ahead.append(after)
        return reached if len(seen) <= STATES_MAX else seen

    def _next(self, configuration: _Configuration, at_s: float) -> Iterator[_Configuration]:
        lapse = self._lapses.get(configuration.seat.hold)
        if (
            lapse
            and lapse.from_s <= at_s
            and configuration.seat.now in (_State.HELD, _State.GIVEN_BACK)
        ):
            yield self._looked(_Configuration(_FREE, configuration.done))
        for what in self._open - configuration.done:
            after = _after(configuration.seat, self._steps[what])
            if after is not None:
                yield self._looked(_Configuration(after, configuration.done | {what}))

    def _looked(self, configuration: _Configuration) -> _Configuration:
        """Complete the open reads that agree with the state: a read changes nothing."""
        content = {
            what
            for what in self._open - configuration.done
            if self._is_look(what) and self._agrees(configuration.seat, self._steps[what])
        }
        return (
            _Configuration(configuration.seat, configuration.done | content)
            if content
            else configuration
        )

    def _is_look(self, what: int) -> bool:
        return self._steps[what].operation in (RecordedOperation.REFUSED, RecordedOperation.EXPIRED)

    def _agrees(self, seat: _Seat, look: _SearchStep) -> bool:
        if look.operation is RecordedOperation.EXPIRED:
            return seat not in (_Seat(_State.HELD, look.hold), _Seat(_State.SOLD, look.hold))
        if seat.now is _State.GIVEN_BACK:
            return self._released_s[seat.hold] >= look.begin_s - self._stale_s
        return seat.now is not _State.FREE

    def _sentence(self, what: int, *, is_lapse: bool) -> str:
        step = self._steps[what]
        if is_lapse:
            return f"was held by {step.hold} for longer than a hold lasts"
        reason = {
            RecordedOperation.HELD: f"cannot have been held by {step.hold}",
            RecordedOperation.PAID: f"cannot have been sold to {step.hold}",
            RecordedOperation.RELEASED: f"cannot have been given back by {step.hold}",
            RecordedOperation.EXPIRED: f"was still {step.hold}'s when that was reported as lapsed",
            RecordedOperation.REFUSED: f"was free when {step.person} was refused it",
        }[step.operation]
        return f"{reason} between {step.begin_s:.3f} s and {step.end_s:.3f} s"


def _after(seat: _Seat, step: _SearchStep) -> _Seat | None:
    """Return the state after an effect, None where it cannot take effect."""
    if step.operation is RecordedOperation.HELD:
        is_free = seat.now in (_State.FREE, _State.GIVEN_BACK)
        return _Seat(_State.HELD, step.hold) if is_free else None
    if seat != _Seat(_State.HELD, step.hold):
        return None
    if step.operation is RecordedOperation.PAID:
        return _Seat(_State.SOLD, step.hold)
    return (
        _Seat(_State.GIVEN_BACK, step.hold)
        if step.operation is RecordedOperation.RELEASED
        else None
    )
