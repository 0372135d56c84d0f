"""What a scenario is: its data, its server, and the requests that it sends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.client import load
from bench.environment.environment import Dataset, DatasetPlan, SeededSchedule
from bench.environment.processes import APP, ServerProcess
from bench.scenarios import http_requests

_WARMUP_SHARE = 10
_WARMUP_MIN = 400
# Cheap scenarios get more requests, so that each is measured for about as long.
_CHEAP_FACTOR = 4
_HOLDERS = 1_000
SEED = 88
SMALL, LARGE, HUGE = 1_000, 60_000, 1_000_000
SEAT_TAKEN = frozenset({"seat_taken"})


@dataclass(frozen=True)
class Sizes:
    """How much of everything: `holds` is the number of requests of a scenario of accepted holds."""

    holds: int
    open_s: float
    huge: bool
    stream_readers: int = 5_000
    # Of the hall of the spike.
    areas: int = 160

    @property
    def warmup(self) -> int:
        """Requests that are sent first and not measured, until plans and caches are warm."""
        return max(min(_WARMUP_MIN, self.holds), self.holds // _WARMUP_SHARE)

    @property
    def users(self) -> int:
        """One buyer for each accepted hold, warm-up included, and two groups of 1,000 users."""
        return self.holds + self.warmup + 2 * _HOLDERS

    def dataset(self, seats: int) -> DatasetPlan:
        """Return the data of a scenario: enough schedules of `seats` seats for all holds."""
        wanted = self.holds + self.warmup
        return DatasetPlan(seats, 2 + -(-wanted // seats) if seats == SMALL else 1, self.users)


@dataclass(frozen=True)
class RequestSet:
    """What the client sends: `count` requests; when they run out, it repeats them."""

    requests: Sequence[bytes]
    warmup: Sequence[bytes]
    count: int
    rate_per_s: float | None = None
    # All requests are offered at the start, and what is shed is repeated after its `Retry-After`.
    at_once: bool = False


@dataclass(frozen=True)
class ScenarioContext:
    """The data and the server of one run."""

    sizes: Sizes
    dataset: Dataset
    server: ServerProcess
    # Of the simulated provider; 0: there is none.
    provider_port: int = 0

    @property
    def holders(self) -> list[str]:
        """Tokens of the users who hold the full schedule."""
        return self.dataset.tokens[:_HOLDERS]

    @property
    def others(self) -> list[str]:
        """Tokens of users who request seats that are taken."""
        return self.dataset.tokens[_HOLDERS : 2 * _HOLDERS]

    @property
    def buyers(self) -> list[str]:
        """Tokens of users who have sent nothing yet."""
        return self.dataset.tokens[2 * _HOLDERS :]

    @property
    def first_schedule(self) -> SeededSchedule:
        """The schedule that `fill` sells out."""
        return self.dataset.schedules[0]

    def free_seats(self) -> list[tuple[str, list[str]]]:
        """Return (schedule, [seat]) of the other schedules, one schedule after the other."""
        schedules = self.dataset.schedules[1:] or self.dataset.schedules
        return [
            (schedule.schedule_id, [seat_id])
            for schedule in schedules
            for seat_id in schedule.seat_ids
        ]

    def fill(self) -> None:
        """Hold every seat of the first schedule, through the shop itself."""
        holds = [
            http_requests.hold(
                self.first_schedule.schedule_id,
                self.holders[at % _HOLDERS],
                f"fill-{at}",
                [seat_id],
            )
            for at, seat_id in enumerate(self.first_schedule.seat_ids)
        ]
        load.send_all(self.server.port, holds)


@dataclass(frozen=True)
class BenchScenario:
    """One scenario: `build` prepares data through the server and returns what to measure.

    `env` is added to the server's environment. If `may_oversell`, seats sold twice are a result and no
    failure. With `relay` the measurement ends when all events are delivered. `has_stream_readers` opens
    event streams of the first schedule, as many as the sizes say or `stream_readers`;
    `has_waiting_room` gives each schedule a waiting room, which is open if it has an `inside_max`;
    `has_provider` runs a simulated payment provider beside the server; `has_offers` gives each schedule
    price types, a fee, a quota and a code. `dataset` replaces the usual data for schedules of `seats`
    seats, and `connections` the usual number of the client's connections.
    """

    name: str
    build: Callable[[ScenarioContext], RequestSet]
    expect: frozenset[str] = frozenset({"201"})
    codes: frozenset[str] = frozenset()
    server: tuple[str, ...] = APP
    seats: int = SMALL
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    may_oversell: bool = False
    relay: bool = False
    has_stream_readers: bool = False
    stream_readers: int | None = None
    has_waiting_room: bool = False
    inside_max: int | None = None
    has_provider: bool = False
    has_offers: bool = False
    about: str = ""
    dataset: Callable[[Sizes], DatasetPlan] | None = None
    connections: int = 64

    def plan(self, sizes: Sizes) -> DatasetPlan:
        """Return the data that a run needs."""
        return self.dataset(sizes) if self.dataset else sizes.dataset(self.seats)


def split(requests: list[bytes], sizes: Sizes, count: int) -> RequestSet:
    """Take the warm-up from the front, so that each measured request is sent for the first time."""
    warmup = sizes.warmup
    return RequestSet(requests[warmup : warmup + count], requests[:warmup], count)


def repeat(requests: Sequence[bytes], sizes: Sizes) -> RequestSet:
    """Send the same cheap requests again and again."""
    warmup = [requests[at % len(requests)] for at in range(sizes.warmup)]
    return RequestSet(requests, warmup, _CHEAP_FACTOR * sizes.holds)
