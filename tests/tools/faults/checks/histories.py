"""Histories of one seat that are linearizable, and ones that are not."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from faults.checks.record import History, RecordedOperation, SeatEvent

TTL_S = 5.0
# A response comes this long after the effect, and the request this long before.
WIDE_S = 0.4
# More than the checker allows for a released seat.
LONG_S = 30.0


@dataclass
class Told:
    """A seat over time; `free` are times in which it was surely free."""

    seat: str
    events: list[SeatEvent] = field(default_factory=list)
    lived: list[tuple[str, float, float]] = field(default_factory=list)
    free: list[tuple[float, float]] = field(default_factory=list)
    given_back: list[tuple[str, float, float]] = field(default_factory=list)
    lapsed: list[tuple[str, float]] = field(default_factory=list)
    sold: list[tuple[str, float]] = field(default_factory=list)


def live(rng: random.Random, seat: str, holds: int) -> Told:
    """Simulate one seat: holds that are paid, released or lapse, and refusals."""
    told = Told(seat)
    now_s = rng.uniform(0, 1)
    for at in range(holds):
        hold, person = f"{seat}-r{at}", f"p{rng.randrange(9)}"
        began_s = now_s
        _say(rng, told, RecordedOperation.HELD, hold, person, began_s)
        fate = rng.choice(["lapse", "release", "pay"] if at == holds - 1 else ["lapse", "release"])
        ends_s = began_s + (TTL_S if fate == "lapse" else rng.uniform(0.01, TTL_S - 0.01))
        for _ in range(rng.randrange(3)):
            _say(rng, told, RecordedOperation.REFUSED, "", "x", rng.uniform(began_s, ends_s))
        if fate == "pay":
            _say(rng, told, RecordedOperation.PAID, hold, person, ends_s)
            _say(rng, told, RecordedOperation.REFUSED, "", "x", ends_s + rng.uniform(0, 50))
            told.sold.append((hold, ends_s))
            return told
        if fate == "release":
            _say(rng, told, RecordedOperation.RELEASED, hold, person, ends_s)
            told.given_back.append((hold, ends_s, began_s + TTL_S))
        else:
            told.lapsed.append((hold, ends_s))
        told.lived.append((hold, began_s, ends_s))
        now_s = ends_s + rng.choice([0.0, 0.001, rng.uniform(0, 2), LONG_S])
        told.free.append((ends_s, now_s))
        if rng.random() < 0.3:
            _say(rng, told, RecordedOperation.EXPIRED, hold, person, rng.uniform(ends_s, now_s))
    return told


def _say(
    rng: random.Random,
    told: Told,
    operation: RecordedOperation,
    hold: str,
    person: str,
    at_s: float,
) -> None:
    """Place the effect between request and response; one response in ten is lost."""
    begin_s, end_s = at_s - rng.uniform(0, WIDE_S), at_s + rng.uniform(0, WIDE_S)
    told.events.append(SeatEvent(told.seat, person, operation, begin_s, end_s, None, hold))


def history(*told: Told) -> History:
    """Return all events in the order of their responses."""
    events = [event for one in told for event in one.events]
    return History(sorted(events, key=lambda event: event.end_s), TTL_S)


def with_events(told: Told, *events: SeatEvent) -> History:
    """Return a seat's history with more events."""
    return History([*told.events, *events], TTL_S)


def event(
    told: Told, operation: RecordedOperation, begin_s: float, end_s: float, hold: str
) -> SeatEvent:
    """Return an operation on the seat of a history."""
    return SeatEvent(told.seat, "seeded", operation, begin_s, end_s, None, hold)


def without(told: Told, operation: RecordedOperation, hold: str) -> Sequence[SeatEvent]:
    """Return a seat's events without one operation of one hold."""
    return [one for one in told.events if (one.operation, one.reservation_id) != (operation, hold)]


def seats(rng: random.Random, count: int, holds: int) -> Iterator[Told]:
    """Simulate many seats."""
    for at in range(count):
        yield live(rng, f"S{at:05}", rng.randint(1, holds))
