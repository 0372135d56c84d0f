"""Windows of load: requests and resource usage over the same seconds. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from boxoffice_loadtest.measurement.client_log import LoggedRequest
from boxoffice_loadtest.model import (
    API,
    GENERATOR,
    POSTGRES,
    VALKEY,
    LoadWindow,
    ResourceSample,
)

COMPONENTS = (API, POSTGRES, VALKEY, GENERATOR)


def load_windows(
    requests: Sequence[LoggedRequest],
    samples: Sequence[ResourceSample],
    epoch_s: float,
    seconds_min: float,
) -> list[LoadWindow]:
    """Combine requests and samples into windows of at least `seconds_min`.

    `epoch_s` is when the run's clock started. A request counts in the sample in which it was answered.
    """
    ordered = sorted(requests, key=lambda one: one.ended_ms)
    ends = [one.ended_ms for one in ordered]
    found: list[LoadWindow] = []
    pending: list[LoadWindow] = []
    for sample in samples:
        from_ms = (epoch_s + sample.at_s - sample.seconds) * 1000
        to_ms = (epoch_s + sample.at_s) * 1000
        inside = ordered[bisect_left(ends, from_ms) : bisect_left(ends, to_ms)]
        pending.append(_window(sample, inside))
        if sum(one.seconds for one in pending) >= seconds_min:
            found.append(_joined(pending))
            pending = []
    return found


def _window(sample: ResourceSample, requests: Sequence[LoggedRequest]) -> LoadWindow:
    return LoadWindow(
        seconds=sample.seconds,
        counts=counts_of(requests),
        cpu_s={name: cores_of(sample, name) * sample.seconds for name in COMPONENTS},
        transactions=transactions((sample,)),
        wakeups=sample.wakeups * sample.seconds,
        wal_bytes=sample.database.get("wal_bytes", 0.0) * sample.seconds,
        valkey_commands=sample.valkey.get("commands", 0.0) * sample.seconds,
    )


def _joined(parts: Sequence[LoadWindow]) -> LoadWindow:
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    return LoadWindow(
        seconds=sum(part.seconds for part in parts),
        counts=dict(counts),
        cpu_s={name: sum(part.cpu_s[name] for part in parts) for name in COMPONENTS},
        transactions=sum(part.transactions for part in parts),
        wakeups=sum(part.wakeups for part in parts),
        wal_bytes=sum(part.wal_bytes for part in parts),
        valkey_commands=sum(part.valkey_commands for part in parts),
    )


def processes_of(values: Mapping[str, float], component: str) -> list[float]:
    """Return the values of all processes of a component."""
    return [
        value
        for name, value in values.items()
        if name == component or name.startswith(f"{component}-")
    ]


def cores_of(sample: ResourceSample, component: str) -> float:
    """Return the cores that all processes of a component used."""
    return sum(processes_of(sample.cores, component))


def memory_of(sample: ResourceSample, component: str) -> float:
    """Return the memory in MiB of all processes of a component."""
    return sum(processes_of(sample.memory_mib, component))


def mean_cores(samples: Sequence[ResourceSample]) -> dict[str, float]:
    """Return the mean cores in use by component."""
    if not samples:
        return {}
    seconds = sum(one.seconds for one in samples)
    return {
        name: sum(cores_of(one, name) * one.seconds for one in samples) / seconds
        for name in COMPONENTS
    }


def other_cores(samples: Sequence[ResourceSample], cores: int) -> float:
    """Return the mean cores that programs outside of the test used."""
    known = [(one, one.cpu_busy) for one in samples if one.cpu_busy is not None]
    seconds = sum(one.seconds for one, _ in known)
    used = sum(
        max(0.0, cpu_busy * cores - sum(one.cores.values())) * one.seconds
        for one, cpu_busy in known
    )
    return used / seconds if seconds else 0.0


def transactions(samples: Iterable[ResourceSample]) -> float:
    """Return how many transactions PostgreSQL committed."""
    return sum(one.database.get("commits", 0.0) * one.seconds for one in samples)


def counts_of(requests: Iterable[LoggedRequest]) -> dict[str, int]:
    """Count requests by kind."""
    return dict(Counter(request.kind for request in requests))


def within(samples: Iterable[ResourceSample], from_s: float, to_s: float) -> list[ResourceSample]:
    """Return the samples that lie wholly between two times."""
    return [one for one in samples if one.at_s - one.seconds >= from_s and one.at_s <= to_s]
