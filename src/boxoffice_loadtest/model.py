"""What a run is made of, as it stands in `report.json`. Times are seconds since the run began."""

from typing import Any

import msgspec

FORMAT = 1

# The kinds of request that the fit tells apart, in the order of a sale.
KINDS = ("lookup", "seats", "hold", "refused", "pay", "release")
# The components whose CPU is accounted for, as the sampler names them.
API, POSTGRES, VALKEY, GENERATOR = "api", "postgres", "valkey", "generator"
# Programs that have nothing to do with the test.
OTHERS = "others"
# The kinds that PostgreSQL decides, many in one transaction.
WRITES = ("hold", "refused", "pay", "release")


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of call got: `codes` counts by status, or by status and problem code."""

    what: str
    count: int
    failures: int
    rejections: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    codes: dict[str, int]


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """One second of a scenario, counted by when the answers came."""

    at_s: int
    answers: int
    failures: int
    rejections: int
    p50_ms: float
    p95_ms: float
    seats_taken: int


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A few seconds of load: the answers by kind, and what each component used meanwhile."""

    seconds: float
    counts: dict[str, int]
    cpu_s: dict[str, float]
    transactions: float = 0.0
    wakeups: float = 0.0
    wal_bytes: float = 0.0
    valkey_commands: float = 0.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One stair: arrivals offered and visits made, per second, and how the machine was."""

    offered_per_s: float
    started_per_s: float
    answers_per_s: float
    p95_ms: float
    failures: int
    dropped: int
    seconds: float
    cores: dict[str, float]
    busy: float | None
    counts: dict[str, int]
    transactions: float = 0.0
    wakeups: float = 0.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A disagreement between the client's record and the database, or a count that is explained."""

    kind: str
    count: int
    samples: list[str]
    is_broken: bool


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario as it went."""

    name: str
    started_s: float
    seconds: float
    planned: int
    visits: int
    dropped: int
    routes: list[Route]
    series: list[Second]
    seats_total: int
    seats_taken: int
    sold_out_s: float | None
    acknowledged: dict[str, int]
    thresholds: dict[str, bool]
    integrity_failures: int
    reported_requests: int
    findings: list[Finding]
    steps: list[Step] = []
    batches: dict[str, float] = {}
    seats_bytes: float = 0.0

    @property
    def answers(self) -> int:
        """How many requests were answered or failed."""
        return sum(route.count for route in self.routes)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(route.failures for route in self.routes)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look at everything: cores in use since the look before, and the counters as rates."""

    at_s: float
    seconds: float
    cores: dict[str, float]
    memory_mib: dict[str, float]
    busy: float | None
    wakeups: float = 0.0
    database: dict[str, float] = {}
    valkey: dict[str, float] = {}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A straight line through measured points, with the 95 % interval of its slope."""

    intercept: float
    slope: float
    low: float
    high: float
    points: list[tuple[float, float]]


class MemoryProbe(msgspec.Struct, frozen=True, kw_only=True):
    """Memory in MiB of all API processes: at rest, and by what was added."""

    processes: int
    at_rest_mib: float
    peak_mib: float
    by_connection: Line | None
    by_hot_seat: Line | None
    hot_seats_each: int


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds of one component: per second at rest, per request of each kind, per transaction.

    What a transaction costs is shared by all the requests that it decided, and so is a wake-up.
    """

    component: str
    idle: Estimate
    per_request: dict[str, Estimate]
    per_transaction: Estimate | None
    per_wakeup: Estimate | None
    windows: int
    error_share: float


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """The most answers per second that were sustained, and the first that was too much."""

    sustained_per_s: float
    broke_at_per_s: float | None
    limited_by: str
    is_lower_bound: bool


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A conclusion that is not drawn, and why (a key of the texts, and what goes into it)."""

    what: str
    why: str
    details: dict[str, float | str] = {}


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """What the measurement says about costs."""

    fits: dict[str, Fit] = {}
    knee: Knee | None = None
    mix: dict[str, float] = {}
    transactions_per_write: float = 0.0
    held_to: float | None = None
    cost_of_mix_s: Estimate | None = None
    per_core_per_s: Estimate | None = None
    wal_per_hold_bytes: Estimate | None = None
    wal_per_pay_bytes: Estimate | None = None
    valkey_per_request: float | None = None
    refusals: list[Refusal] = []


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale that somebody expects; what one buyer does is taken from the run."""

    users: int
    seats: int
    sell_out_s: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one component would have to do at the peak, against what it has."""

    component: str
    needed: float
    available: float | None
    unit: str

    @property
    def share(self) -> float | None:
        """The part of what is there that is needed."""
        return self.needed / self.available if self.available else None


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment, for a peak in answers per second."""

    peak_per_s: float
    peak_from: str
    pod_per_s: float
    cpu_request_m: int
    cpu_limit_m: int
    memory_request_mib: int
    memory_limit_mib: int
    connections_per_pod: int
    hot_schedules: int
    hot_seat_kib: float
    replicas_min: int
    replicas_max: int
    hpa_target_percent: int
    pool_per_pod: int
    pool_total: int
    busy_connections: float | None
    valkey_per_pod: int
    valkey_ops_per_s: float
    confidence: str


class SaleForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a stated sale would take, and what would give way first."""

    sale: Sale
    peak_per_s: float
    per_kind_per_s: dict[str, float]
    pods: int
    cores: float
    memory_mib: float
    loads: list[Load]
    first_to_break: str | None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What was foretold for one held process, and what it did.

    `disturbance` is the share of the machine that other programs took around either knee.
    """

    share: float
    held_by: str
    predicted: Estimate
    measured_per_s: float
    error: float
    limit: float
    steps: list[Step]
    disturbance: float = 0.0

    @property
    def is_within(self) -> bool:
        """Whether the error is within the target."""
        return abs(self.error) <= self.limit


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table: PASS, FAIL, or NOTE where nothing is required or nothing could be seen."""

    metric: str
    measured: str
    target: str
    outcome: str
    remark: str = ""
    details: dict[str, float | str] = {}


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant of the shop's own audit."""

    name: str
    violations: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one load test."""

    format: int = FORMAT
    run_id: str
    started_at: str
    command: str
    seconds: float
    stopped: str | None
    target: str
    is_quick: bool
    environment: dict[str, str]
    not_sampled: list[str]
    scenarios: list[Scenario]
    samples: list[Sample]
    audit: list[AuditCheck] | None
    memory: MemoryProbe | None = None
    inference: Inference = msgspec.field(default_factory=Inference)
    spec: Spec | None = None
    forecast: SaleForecast | None = None
    prediction: Prediction | None = None
    refusals: list[Refusal] = []
    verdicts: list[Verdict] = []
    manifests: str = ""

    @property
    def is_passed(self) -> bool:
        """Whether every threshold holds and the run came to its end."""
        return self.stopped is None and not any(one.outcome == "FAIL" for one in self.verdicts)


def as_json(run: Run) -> bytes:
    """Return the run as readable JSON."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1)


def from_json(raw: bytes) -> Run:
    """Read a run; raise `msgspec.MsgspecError` where it is none."""
    return msgspec.json.decode(raw, type=Run)


def builtins(value: Any) -> Any:
    """Return a value of this module as plain dictionaries and lists."""
    return msgspec.to_builtins(value)
