"""What the answers of a scenario come to, and what passes. Pure."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from boxoffice_loadtest.measurement.client_log import Answer, Record, by_second, percentile
from boxoffice_loadtest.model import (
    API,
    GENERATOR,
    POSTGRES,
    VALKEY,
    Route,
    Sample,
    Second,
    Step,
    Window,
)
from boxoffice_loadtest.runner.plan import Staircase, next_rate

P95_MAX_MS = 500.0
# The least share of the planned visits that must have begun: else the load was not what it says.
STARTED_MIN = 0.95
# Whose end is looked for has no threshold for latency or failures beyond what it sustained.
STAIRCASE, CHECK = "steps", "check"
# The scenario whose length is what it is about.
SOAK = "soak"
COMPONENTS = (API, POSTGRES, VALKEY, GENERATOR)


def routes(answers: Iterable[Answer]) -> list[Route]:
    """Return the answers by what was asked for."""
    by_what: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_what[answer.what].append(answer)
    return [_route(what, found) for what, found in by_what.items()]


def _route(what: str, answers: Sequence[Answer]) -> Route:
    took = sorted(answer.took_ms for answer in answers)
    codes = Counter(f"{one.status} {one.code}".strip() for one in answers)
    return Route(
        what=what,
        count=len(answers),
        failures=sum(answer.is_failure for answer in answers),
        rejections=sum(answer.is_rejection for answer in answers),
        p50_ms=percentile(took, 50),
        p95_ms=percentile(took, 95),
        p99_ms=percentile(took, 99),
        max_ms=took[-1] if took else 0.0,
        codes=dict(codes.most_common()),
    )


def series(record: Record) -> list[Second]:
    """Return the answers of each second, and how many seats were taken by its end."""
    if record.started_ms is None:
        return []
    taken_at = _seats_over_time(record)
    found = []
    *whole, cut = by_second(record.answers, record.started_ms) or [(0, [])]
    # The last second is cut off somewhere, and would look like a collapse.
    for at_s, answers in whole or [cut]:
        took = sorted(answer.took_ms for answer in answers)
        found.append(
            Second(
                at_s=at_s,
                answers=len(answers),
                failures=sum(answer.is_failure for answer in answers),
                rejections=sum(answer.is_rejection for answer in answers),
                p50_ms=percentile(took, 50),
                p95_ms=percentile(took, 95),
                seats_taken=bisect_left(taken_at, record.started_ms + 1000 * (at_s + 1)),
            )
        )
    return found


def _seats_over_time(record: Record) -> list[float]:
    """Return when each seat was acknowledged for the first time, in order."""
    first: dict[str, float] = {}
    for hold in record.holds:
        for seat in hold.seats:
            first[seat] = min(first.get(seat, hold.answered_ms), hold.answered_ms)
    return sorted(first.values())


def sold_out_s(record: Record, seats_total: int) -> float | None:
    """Return when the last seat was taken, in seconds from the start; None where some were left."""
    taken_at = _seats_over_time(record)
    if record.started_ms is None or not seats_total or len(taken_at) < seats_total:
        return None
    return (taken_at[seats_total - 1] - record.started_ms) / 1000


def windows(
    answers: Sequence[Answer], samples: Sequence[Sample], epoch_s: float, seconds_min: float
) -> list[Window]:
    """Put answers and samples side by side, in windows of at least `seconds_min`.

    `epoch_s` is when the run's own clock began. An answer counts in the sample in which it came.
    """
    ordered = sorted(answers, key=lambda one: one.ended_ms)
    ends = [one.ended_ms for one in ordered]
    found: list[Window] = []
    gathered: list[Window] = []
    for sample in samples:
        from_ms = (epoch_s + sample.at_s - sample.seconds) * 1000
        to_ms = (epoch_s + sample.at_s) * 1000
        inside = ordered[bisect_left(ends, from_ms) : bisect_left(ends, to_ms)]
        gathered.append(_window(sample, inside))
        if sum(one.seconds for one in gathered) >= seconds_min:
            found.append(_joined(gathered))
            gathered = []
    return found


def _window(sample: Sample, answers: Sequence[Answer]) -> Window:
    return Window(
        seconds=sample.seconds,
        counts=dict(Counter(answer.kind for answer in answers)),
        cpu_s={name: cores_of(sample, name) * sample.seconds for name in COMPONENTS},
        transactions=transactions((sample,)),
        wakeups=sample.wakeups * sample.seconds,
        wal_bytes=sample.database.get("wal_bytes", 0.0) * sample.seconds,
        valkey_commands=sample.valkey.get("commands", 0.0) * sample.seconds,
    )


def _joined(parts: Sequence[Window]) -> Window:
    counts: Counter[str] = Counter()
    cpu_s: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
        for name, used in part.cpu_s.items():
            cpu_s[name] += used  # type: ignore[assignment]  # a counter of seconds
    return Window(
        seconds=sum(part.seconds for part in parts),
        counts=dict(counts),
        cpu_s={name: float(used) for name, used in cpu_s.items()},
        transactions=sum(part.transactions for part in parts),
        wakeups=sum(part.wakeups for part in parts),
        wal_bytes=sum(part.wal_bytes for part in parts),
        valkey_commands=sum(part.valkey_commands for part in parts),
    )


def cores_of(sample: Sample, component: str) -> float:
    """Return the cores that all processes of a component used."""
    return sum(
        used
        for name, used in sample.cores.items()
        if name == component or name.startswith(f"{component}-")
    )


def memory_of(sample: Sample, component: str) -> float:
    """Return the memory in MiB of all processes of a component."""
    return sum(
        used
        for name, used in sample.memory_mib.items()
        if name == component or name.startswith(f"{component}-")
    )


def mean_cores(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the cores in use by component, on average."""
    if not samples:
        return {}
    seconds = sum(one.seconds for one in samples)
    return {
        name: sum(cores_of(one, name) * one.seconds for one in samples) / seconds
        for name in COMPONENTS
    }


def others(samples: Sequence[Sample], cores: int) -> float:
    """Return the cores that programs used which have nothing to do with this test, on average."""
    seconds = sum(one.seconds for one in samples if one.busy is not None)
    used = sum(
        max(0.0, (one.busy or 0.0) * cores - sum(one.cores.values())) * one.seconds
        for one in samples
        if one.busy is not None
    )
    return used / seconds if seconds else 0.0


def transactions(samples: Iterable[Sample]) -> float:
    """Return how many transactions PostgreSQL committed."""
    return sum(one.database.get("commits", 0.0) * one.seconds for one in samples)


def counts_of(answers: Iterable[Answer]) -> dict[str, int]:
    """Count answers by kind."""
    return dict(Counter(answer.kind for answer in answers))


def within(samples: Iterable[Sample], from_s: float, to_s: float) -> list[Sample]:
    """Return the samples that lie wholly between two times."""
    return [one for one in samples if one.at_s - one.seconds >= from_s and one.at_s <= to_s]


def holds(step: Step) -> bool:
    """Whether a stair held: nearly all visits began, and answers were quick enough.

    Visits that did not begin are not only those that k6 dropped: where it has no CPU, it comes late
    and counts nothing.
    """
    is_begun = step.started_per_s >= STARTED_MIN * step.offered_per_s
    return step.offered_per_s > 0 and is_begun and step.p95_ms <= P95_MAX_MS


def climbing(stairs: Staircase) -> Callable[[list[Step]], float | None]:
    """Return what tells the next stair of a staircase, given those climbed so far."""

    def rates(steps: list[Step]) -> float | None:
        return next_rate(stairs, [(step.offered_per_s, holds(step)) for step in steps])

    return rates
