"""Batch sizes of the group commit, from a server's metrics."""

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"boxoffice_batch_commands_(sum|count|bucket)\{(.*)\} (\S+)$")
_BOUND = re.compile(r'le="([^"]+)"')


@dataclass(frozen=True)
class BatchCounters:
    """Commands and batches so far; `buckets` counts batches by upper bound of their size."""

    commands: float = 0.0
    batches: float = 0.0
    buckets: dict[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, metrics: str) -> "BatchCounters":
        """Read the metrics page of a server; zero if it has no batches."""
        sums = {"sum": 0.0, "count": 0.0}
        buckets: dict[str, float] = {}
        for line in metrics.splitlines():
            found = _LINE.match(line)
            if found is None:
                continue
            if found[1] == "bucket":
                bound = _BOUND.search(found[2])
                name = bound[1].removesuffix(".0") if bound else ""
                buckets[name] = buckets.get(name, 0.0) + float(found[3])
            else:
                sums[found[1]] += float(found[3])
        return cls(sums["sum"], sums["count"], buckets)

    def since(self, before: "BatchCounters") -> "BatchCounters":
        """Return the difference to an earlier reading."""
        buckets = {
            bound: count - before.buckets.get(bound, 0.0) for bound, count in self.buckets.items()
        }
        return BatchCounters(
            self.commands - before.commands, self.batches - before.batches, buckets
        )

    @property
    def mean(self) -> float:
        """The mean size; 0 without batches."""
        return self.commands / self.batches if self.batches else 0.0

    @property
    def sizes(self) -> dict[str, int]:
        """Batches per bucket, each without those of the buckets below."""
        sizes, below = {}, 0.0
        for bound, count in self.buckets.items():
            if count > below:
                sizes[bound] = round(count - below)
            below = max(below, count)
        return sizes
