"""The contents of `report.json`. Times are seconds since the run began."""

import msgspec

FORMAT = 2

# The kinds of request that the fit distinguishes, in the order of a sale.
KINDS = ("lookup", "seats", "hold", "refused", "pay", "release")
# The kinds that PostgreSQL decides, many in one transaction.
WRITES = ("hold", "refused", "pay", "release")
# The components whose CPU the sampler measures.
API, POSTGRES, VALKEY, GENERATOR = "api", "postgres", "valkey", "generator"
# Programs that do not belong to the test.
OTHERS = "others"
PASS, FAIL, NOTE = "PASS", "FAIL", "NOTE"
# The scenarios with rising load; only their sustained steps count for latency and failures.
STEPS, VALIDATION = "steps", "validation"
WITH_STEPS = (STEPS, VALIDATION)
SOAK = "soak"


class RequestStats(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to one kind of call; `codes` counts by status, or by status and problem code."""

    request: str
    count: int
    failures: int
    rejections: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    codes: dict[str, int]


class SecondStats(msgspec.Struct, frozen=True, kw_only=True):
    """The answers that arrived within one second of a scenario."""

    at_s: int
    answers: int
    failures: int
    rejections: int
    p50_ms: float
    p95_ms: float
    seats_taken: int


class LoadWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A few seconds of load: answers by kind, and what each component used."""

    seconds: float
    counts: dict[str, int]
    cpu_s: dict[str, float]
    transactions: float = 0.0
    wakeups: float = 0.0
    wal_bytes: float = 0.0
    valkey_commands: float = 0.0


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """One step of rising load: arrivals offered, iterations started, and the state of the machine.

    `cpu_busy` is the share of the machine's CPU in use, `cores` is by component, and `transactions` and
    `wakeups` are per second.
    """

    offered_per_s: float
    started_per_s: float
    answers_per_s: float
    p95_ms: float
    failures: int
    dropped_iterations: int
    seconds: float
    cores: dict[str, float]
    cpu_busy: float | None
    counts: dict[str, int]
    transactions: float = 0.0
    wakeups: float = 0.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of disagreement between the client's log and the database, or a counted explanation."""

    kind: str
    count: int
    samples: list[str]
    is_broken: bool


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one scenario did; `k6_thresholds` and `k6_requests` are k6's own counts."""

    name: str
    started_s: float
    seconds: float
    planned_iterations: int
    iterations: int
    dropped_iterations: int
    requests: list[RequestStats]
    timeline: list[SecondStats]
    seats_total: int
    seats_taken: int
    sold_out_s: float | None
    acknowledged: dict[str, int]
    k6_thresholds: dict[str, bool]
    integrity_failures: int
    k6_requests: int
    findings: list[Finding]
    steps: list[StepResult] = []
    batch_counters: dict[str, float] = {}
    seat_map_bytes: float = 0.0

    @property
    def answers(self) -> int:
        """How many requests were sent, failed ones included."""
        return sum(one.count for one in self.requests)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(one.failures for one in self.requests)

    def request(self, name: str) -> RequestStats | None:
        """Return the answers to one kind of call."""
        return next((one for one in self.requests if one.request == name), None)

    def batch_sum(self, name: str) -> float:
        """Return one counter of the group commit over all kinds of command."""
        return sum(
            value for key, value in self.batch_counters.items() if key.startswith(f"{name}.")
        )


class ResourceSample(msgspec.Struct, frozen=True, kw_only=True):
    """One sample per second: cores and memory by process, and the servers' counters as rates."""

    at_s: float
    seconds: float
    cores: dict[str, float]
    memory_mib: dict[str, float]
    cpu_busy: float | None
    wakeups: float = 0.0
    database: dict[str, float] = {}
    valkey: dict[str, float] = {}


class LineFit(msgspec.Struct, frozen=True, kw_only=True):
    """A least-squares line; `low` and `high` are the 95 % interval of its slope."""

    intercept: float
    slope: float
    low: float
    high: float
    points: list[tuple[float, float]]


class MemoryProbe(msgspec.Struct, frozen=True, kw_only=True):
    """Memory in MiB of all API processes: idle, per open connection and per cached seat."""

    processes: int
    idle_mib: float
    peak_mib: float
    by_connection: LineFit | None
    by_cached_seat: LineFit | None
    seats_per_schedule: int


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class CostFit(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds of one component: per second idle, per request of each kind, per transaction.

    Requests of one batch share a transaction, and requests of one event loop turn share a wake-up.
    """

    component: str
    idle: Estimate
    per_request: dict[str, Estimate]
    per_transaction: Estimate | None
    per_wakeup: Estimate | None
    windows: int
    error_share: float


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """The highest sustained throughput, and the first offered load that was not sustained."""

    sustained_per_s: float
    failed_at_per_s: float | None
    limited_by: str
    is_lower_bound: bool


class Inconclusive(msgspec.Struct, frozen=True, kw_only=True):
    """A conclusion that the run does not support: text keys of its subject and of the reason."""

    subject: str
    reason: str
    details: dict[str, float | str] = {}


class CapacityAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """What the measurement says about costs and throughput."""

    fits: dict[str, CostFit] = {}
    knee: Knee | None = None
    mix: dict[str, float] = {}
    transactions_per_write: float = 0.0
    cpu_limit_cores: float | None = None
    cost_of_mix_s: Estimate | None = None
    per_core_per_s: Estimate | None = None
    wal_per_hold_bytes: Estimate | None = None
    wal_per_pay_bytes: Estimate | None = None
    valkey_per_request: float | None = None
    inconclusive: list[Inconclusive] = []


class ExpectedSale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale to size for; what one buyer does is measured in the run."""

    users: int
    seats: int
    sell_out_s: float


class ComponentDemand(msgspec.Struct, frozen=True, kw_only=True):
    """What one component needs at the peak, and what this machine has of it."""

    component: str
    needed: float
    available: float | None
    unit: str

    @property
    def share(self) -> float | None:
        """The needed part of what is available."""
        return self.needed / self.available if self.available else None


class DeploymentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment for a peak in answers per second."""

    peak_per_s: float
    peak_source: str
    pod_per_s: float
    cpu_request_m: int
    cpu_limit_m: int
    memory_request_mib: int
    memory_limit_mib: int
    connections_per_pod: int
    cached_seats: int
    cached_seat_kib: float
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
    """What an expected sale needs, and which component is short first."""

    sale: ExpectedSale
    peak_per_s: float
    per_kind_per_s: dict[str, float]
    pods: int
    cores: float
    memory_mib: float
    demands: list[ComponentDemand]
    bottleneck: str | None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The predicted and the measured throughput of one process with limited CPU.

    `other_load` is the share of the machine that other programs used around either knee.
    """

    cpu_share: float
    limit_method: str
    predicted: Estimate
    measured_per_s: float
    error: float
    error_max: float
    steps: list[StepResult]
    other_load: float = 0.0

    @property
    def is_within(self) -> bool:
        """Whether the error is within the target."""
        return abs(self.error) <= self.error_max


class ThresholdResult(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the results: PASS, FAIL, or NOTE if there is no bound or nothing was measured."""

    metric: str
    measured: str
    target: str
    outcome: str
    remark: str = ""
    details: dict[str, float | str] = {}


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant of the shop's audit."""

    name: str
    violations: int


class LoadTestRun(msgspec.Struct, frozen=True, kw_only=True):
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
    scenarios: list[ScenarioResult]
    samples: list[ResourceSample]
    audit: list[AuditCheck] | None
    memory: MemoryProbe | None = None
    analysis: CapacityAnalysis = msgspec.field(default_factory=CapacityAnalysis)
    deployment: DeploymentSpec | None = None
    forecast: SaleForecast | None = None
    prediction: Prediction | None = None
    inconclusive: list[Inconclusive] = []
    thresholds: list[ThresholdResult] = []

    @property
    def is_passed(self) -> bool:
        """Whether every threshold holds and the run was not stopped."""
        return self.stopped is None and not any(one.outcome == FAIL for one in self.thresholds)


def as_json(run: LoadTestRun) -> bytes:
    """Return the run as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1)


def from_json(raw: bytes) -> LoadTestRun:
    """Read a run; raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(raw, type=LoadTestRun)
