"""Which scenarios run, for how long, and on how many seats. Pure."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from boxoffice_loadtest.analysis.steps import StepPlan
from boxoffice_loadtest.model import SOAK, STEPS, ExpectedSale

ALL = ("lookup", "reserve", "pay", "onsale", "spike", STEPS, "queue", SOAK)
BY_DEFAULT = ALL[:-2]
FOR_RUNNING_TARGET = ("lookup", "onsale", STEPS)


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

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
    validate: bool | None = None
    cpu_share: float = 0.2
    target_per_s: float = 88.0
    peak_per_s: float | None = None
    sale: ExpectedSale | None = None
    baseline: Path | None = None
    data_dir: Path | None = None
    command: str = ""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The scenarios in the order in which they run."""
        names = self.scenarios or (FOR_RUNNING_TARGET if self.url else BY_DEFAULT)
        return tuple(name for name in ALL if name in names)

    @property
    def is_validated(self) -> bool:
        """Whether the prediction is validated; by default in full runs of the embedded shop."""
        return self.validate if self.validate is not None else not (self.is_quick or self.url)


@dataclass(frozen=True)
class ScenarioPlan:
    """One scenario: for how long users arrive, and how many seats are on sale."""

    name: str
    seconds: float
    seats: int
    has_waiting_room: bool = False


_SECONDS = {"lookup": 15, "reserve": 15, "pay": 15, "onsale": 24, "spike": 18, "queue": 24}
_QUICK_SECONDS = {"lookup": 4, "reserve": 5, "pay": 4, "onsale": 6, "spike": 6, "queue": 8}
# More seats than the steps can sell.
STEPS_SEATS = 20_000
_PAY_SEATS = 5_000


def scenario_plan(name: str, options: Options) -> ScenarioPlan:
    """Return the plan of a scenario with a fixed load."""
    seconds: float = (_QUICK_SECONDS if options.is_quick else _SECONDS).get(name, 0)
    if name == SOAK:
        seconds = round(options.soak_s)
    seats = _PAY_SEATS if name in ("pay", SOAK) else options.seats
    return ScenarioPlan(name, seconds, seats, has_waiting_room=name == "queue")


def step_plan(options: Options) -> StepPlan:
    """Return the steps of a full or of a quick run."""
    if options.is_quick:
        return StepPlan(150 * options.rate, 1.8, 4.0, 1, 5)
    return StepPlan(100 * options.rate, 1.6, 8.0, 2, 11)


# The CPU of all API processes during the steps, as a share of the machine. k6 uses three times the CPU
# of the API per request, and on a saturated machine every request costs more: 144 µs with 95 % of two
# cores in use, 83 µs with 60 %.
_API_CPU_SHARE = 0.1
# The same in the steps and in the validation, because concurrency is part of the cost of a request.
VUS_PER_PROCESS = 100
# The start of a step is left out: all virtual users connect at once, and caches are cold.
_STEP_LEAD_S = 1.0


def cpu_share_for_steps(cores: int, processes: int) -> float:
    """Return the CPU limit of each API process during the steps, as a share of a core.

    The limit makes the API the bottleneck, not k6 and not the machine.
    """
    return min(1.0, _API_CPU_SHARE * cores / processes)


def measured_s(seconds: float) -> float:
    """Return how much of a step of `seconds` is measured: all but its start."""
    return seconds - min(_STEP_LEAD_S, seconds / 4)
