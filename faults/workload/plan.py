"""What visitors want and how often they come: by seed and number, whatever happens in between. Pure."""

import random
from dataclasses import dataclass, replace

from faults.workload.fixtures import Fixtures

_SEATS_MAX = 3
# How often somebody wants seats that others have asked for, and how many of the last of these.
_RIVALS = 0.15
_GONE_MAX = 200


@dataclass(frozen=True)
class WorkloadProfile:
    """How much is asked for, and how patient people are.

    `pays`, `releases`: shares of the holds that are paid or given back, the rest lapses; `top_ups` and
    `looks`: shares of the visits that put money into the wallet or look at the seats first. They wait
    for an answer longer than the shop allows itself, so that whatever it has to say is heard.
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
    """What one visitor comes for.

    `person` is who comes, or the next one after them who is not there already; `draw`, in [0, 1), says
    what becomes of the hold.
    """

    person: int
    looks: bool
    top_ups: bool
    seats: tuple[str, ...]
    draw: float


class Workload:
    """What visitor after visitor wants: by seed and number, however long those before them took."""

    def __init__(self, fixtures: Fixtures, profile: WorkloadProfile, seed: int) -> None:
        self._field = fixtures
        self._pace = profile
        self._seed = seed
        self._number = 0
        self._next_seat = 0
        self._gone: list[str] = []

    def next(self) -> Visit:
        """Return the visit of the next visitor."""
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
        """Choose seats: mostly new ones, at times some that somebody before has asked for."""
        count = rng.randint(1, _SEATS_MAX)
        if self._gone and rng.random() < _RIVALS:
            return tuple(rng.sample(self._gone, min(count, len(self._gone))))
        seat_ids, start = self._field.seat_ids, self._next_seat
        self._next_seat += count
        chosen = [seat_ids[(start + step) % len(seat_ids)] for step in range(count)]
        self._gone = (self._gone + chosen)[-_GONE_MAX:]
        return tuple(chosen)


def from_the_end(fixtures: Fixtures) -> Fixtures:
    """Return the fixtures with its seats from the last to the first."""
    return replace(fixtures, seat_ids=fixtures.seat_ids[::-1])
