"""One run of one scenario, as it is measured."""

from dataclasses import dataclass, field

CLEAN = "clean"


@dataclass(frozen=True)
class RunSample:
    """CPU in microseconds per request, memory in MiB of the largest process of each group.

    All `streams` together received `events`; each took `stream_kib` of memory.
    """

    round: int
    cpu_us: dict[str, float]
    client_cpu_us: float
    rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    memory_mib: dict[str, float]
    statuses: dict[str, int]
    codes: dict[str, int]
    audit: str
    unexpected: int
    memory_all_mib: float = 0.0
    sold_twice: int = 0
    batch_mean: float = 0.0
    batch_sizes: dict[str, int] = field(default_factory=dict)
    streams: int = 0
    events: int = 0
    stream_kib: float = 0.0
    # Answers of overload after which the client repeated the request.
    retried: int = 0
    connections: int = 0

    @property
    def total_us(self) -> float:
        """CPU of all servers together."""
        return sum(self.cpu_us.values())

    @property
    def answers(self) -> int:
        """How many requests were answered."""
        return sum(self.statuses.values())

    @property
    def us_per_success(self) -> float | None:
        """CPU of all servers for each answer 201; None without one."""
        created = self.statuses.get("201", 0)
        return self.total_us * self.answers / created if created else None

    @property
    def us_per_event(self) -> float | None:
        """CPU of the application for each delivered event; None without one."""
        return self.cpu_us["app"] * self.answers / self.events if self.events else None

    @property
    def events_per_s(self) -> float:
        """Events that were delivered in a second."""
        return self.events / self.answers * self.rps
