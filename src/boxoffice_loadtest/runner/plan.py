"""Which scenarios are played, for how long, and on how many seats. Pure."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from boxoffice_loadtest.model import Sale

ALL = ("lookup", "reserve", "pay", "onsale", "spike", "steps", "queue", "soak")
BY_DEFAULT = ALL[:-2]
FOR_RUNNING = ("lookup", "onsale", "steps")


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    out: Path
    lang: str = "en"
    is_quick: bool = False
    url: str = ""
    tokens: Path | None = None
    schedule_id: UUID | None = None
    scenarios: tuple[str, ...] = ()
    people: int = 4_000
    seats: int = 1_000
    rate: float = 1.0
    workers: int = 2
    soak_s: float = 900.0
    check: bool | None = None
    share: float = 0.2
    target_per_s: float = 88.0
    peak_per_s: float | None = None
    sale: Sale | None = None
    baseline: Path | None = None
    data_dir: Path | None = None
    command: str = ""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The scenarios in the order in which they are played."""
        names = self.scenarios or (FOR_RUNNING if self.url else BY_DEFAULT)
        return tuple(name for name in ALL if name in names)

    @property
    def is_checked(self) -> bool:
        """Whether the forecast is put to the test; by default in the full run of the embedded shop."""
        return self.check if self.check is not None else not (self.is_quick or self.url)


@dataclass(frozen=True)
class Play:
    """One scenario: how long its arrivals go on, and what it sells."""

    name: str
    seconds: float
    seats: int
    has_room: bool = False
    env: dict[str, str] = field(default_factory=dict)


_SECONDS = {"lookup": 15, "reserve": 15, "pay": 15, "onsale": 24, "spike": 18, "queue": 24}
_QUICK_SECONDS = {"lookup": 4, "reserve": 5, "pay": 4, "onsale": 6, "spike": 6, "queue": 8}
# A house that does not sell out under the staircase.
STAIRCASE_SEATS = 20_000
_PAY_SEATS = 5_000


def play_of(name: str, options: Options) -> Play:
    """Return how one scenario is played."""
    seconds = (_QUICK_SECONDS if options.is_quick else _SECONDS).get(name, 0)
    seats = {"pay": _PAY_SEATS, "soak": _PAY_SEATS}.get(name, options.seats)
    if name == "soak":
        seconds = round(options.soak_s)
    return Play(name, seconds, seats, has_room=name == "queue")


@dataclass(frozen=True)
class Staircase:
    """How the stairs are climbed: up by `factor` until one does not hold, then in between."""

    first_per_s: float
    factor: float
    seconds: float
    between: int
    steps_max: int


def staircase(options: Options) -> Staircase:
    """Return the stairs of a full or of a quick run."""
    if options.is_quick:
        return Staircase(150 * options.rate, 1.8, 4.0, 1, 5)
    return Staircase(100 * options.rate, 1.6, 8.0, 2, 11)


# Of all cores. k6 takes three times as much for a request as the API, and a machine that has little
# left makes every request dearer: with 95 % of two cores in use one took 144 µs, with 60 % 83.
_API_PART = 0.1
# On the stairs and in the test of the forecast alike: how many come at once is part of what one costs.
VISITORS_PER_PROCESS = 100
# The first moments of a stair belong to connections, caches, and a crowd that comes all at once.
_STAIR_LEAD_S = 1.0


def share_in_staircase(cores: int, processes: int) -> float:
    """Return the share of a core that each API process gets on the stairs, 1 being all of it.

    What is to give way first is the API, not k6 and not the machine: so on a small one it is held.
    """
    return min(1.0, _API_PART * cores / processes)


def kept_s(seconds: float) -> float:
    """Return how much of a stair of `seconds` is looked at: all but its first moments."""
    return seconds - min(_STAIR_LEAD_S, seconds / 4)


def next_rate(stairs: Staircase, climbed: list[tuple[float, bool]]) -> float | None:
    """Return the arrivals per second of the next stair, given (rate, whether it held) of those before.

    A stair that does not hold is tried once more, because a machine stumbles now and then. None when
    the place where it breaks is known well enough.
    """
    if not climbed:
        return stairs.first_per_s
    last, is_held = climbed[-1]
    if len(climbed) >= stairs.steps_max:
        return None
    if not is_held and [rate for rate, _ in climbed].count(last) == 1:
        return last
    held = max((rate for rate, ok in climbed if ok), default=0.0)
    rates = list(dict.fromkeys(rate for rate, _ in climbed))
    broken = [rate for rate in rates if rate > held]
    if not broken:
        return round(held * stairs.factor)
    tried_since = len(rates) - 1 - rates.index(_first_broken(rates, climbed))
    return None if tried_since >= stairs.between else round((held + min(broken)) / 2)


def _first_broken(rates: list[float], climbed: list[tuple[float, bool]]) -> float:
    return next(rate for rate in rates if (rate, True) not in climbed)
