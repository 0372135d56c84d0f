"""The visits of buyers, determined by seed and number only. Pure."""

import random
from dataclasses import dataclass, replace

from faults.workload.fixtures import Fixtures

_SEATS_MAX = 3
# Share of visits for seats that others asked for, and how many of the last count.
_RIVALS = 0.15
_GONE_MAX = 200


@dataclass(frozen=True)
class WorkloadProfile:
    """Rates and shares of the workload.

    `pays`, `releases`: shares of the holds that are paid or released, the rest lapses; `top_ups`,
    `looks`: shares of the visits that top up the wallet or read the seats first. Buyers wait longer
    than the product's own timeouts, so that every response arrives.
    """

    visits_per_s: float = 25.0
    pays: float = 0.6
    releases: float = 0.25
    top_ups: float = 0.15
    looks: float = 0.1
    patience_s: float = 15.0
    call_deadline_s: float = 60.0
    visits_in_flight_max: int = 400


@dataclass(frozen=True)
class Visit:
    """One visit.

    `person` is the buyer, or the next idle one; `draw`, in [0, 1), decides what becomes of the
    hold.
    """

    person: int
    looks: bool
    top_ups: bool
    seats: tuple[str, ...]
    draw: float


class Workload:
    """The sequence of visits by seed and number, independent of timing."""

    def __init__(self, fixtures: Fixtures, profile: WorkloadProfile, seed: int) -> None:
        self._field = fixtures
        self._pace = profile
        self._seed = seed
        self._number = 0
        self._next_seat = 0
        self._gone: list[str] = []

    def next(self) -> Visit:
        """Return the next visit."""
        rng = random.Random(f"{self._seed}/{self._number}")
        self._number += 1
        return Visit(
            person=rng.randrange(len(self._field.people)),
            looks=rng.random() < self._pace.looks,
            top_ups=rng.random() < self._pace.top_ups,
            seats=self._choose(rng),
            draw=rng.random(),
        )

    def _choose(self, rng: random.Random) -> tuple[str, ...]:
        """Choose seats: mostly new ones, sometimes seats that others asked for."""
        count = rng.randint(1, _SEATS_MAX)
        if self._gone and rng.random() < _RIVALS:
            return tuple(rng.sample(self._gone, min(count, len(self._gone))))
        seat_ids, start = self._field.seat_ids, self._next_seat
        self._next_seat += count
        chosen = [seat_ids[(start + step) % len(seat_ids)] for step in range(count)]
        self._gone = (self._gone + chosen)[-_GONE_MAX:]
        return tuple(chosen)


def from_the_end(fixtures: Fixtures) -> Fixtures:
    """Return the fixtures with their seats reversed."""
    return replace(fixtures, seat_ids=fixtures.seat_ids[::-1])
