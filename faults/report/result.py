"""What one scenario saw, and the verdict on it. Pure."""

from enum import StrEnum

import msgspec

from faults.checks.record import percentile

# Figures of which more is better.
_SHARES = ("_share", "_share_min", "_kept_percent")


def worst(name: str, *figures: float) -> float:
    """Return the worst of several figures of that name: the smallest share, the most of all else."""
    return min(figures) if name.endswith(_SHARES) else max(figures)


class Verdict(StrEnum):
    """What came of a scenario."""

    PASS = "pass"  # noqa: S105 — it opens nothing
    FAIL = "FAIL"
    NOT_RUN = "not run"


class Result(msgspec.Struct, kw_only=True):
    """One scenario: `trials` faults, what they cost, and what broke.

    `failures` counts by kind what was neither a success nor a refusal of the business; `unexcused`
    those of them that no fault excuses. Without a failure in N trials the rate may still be 3/N
    (`bound`, at 95 %).
    """

    name: str
    component: str
    trials: int = 0
    kills: int = 0
    requests: int = 0
    acknowledged: int = 0
    lost: int = 0
    sold_twice: int = 0
    imbalance: int = 0
    double_charges: int = 0
    recoveries_s: list[float] = []
    recovery_p99_max_s: float | None = None
    failures: dict[str, int] = {}
    unexcused: dict[str, int] = {}
    figures: dict[str, float] = {}
    broken: list[str] = []
    not_run: str = ""
    took_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Return whether everything that the scenario is held to was seen; nothing seen is no pass."""
        if self.not_run:
            return Verdict.NOT_RUN
        if self.broken or self.unexcused or self.harm:
            return Verdict.FAIL
        return Verdict.PASS if self.trials and not self.is_slow else Verdict.FAIL

    @property
    def harm(self) -> int:
        """Return how often a promise was broken."""
        return self.lost + self.sold_twice + self.imbalance + self.double_charges

    @property
    def is_slow(self) -> bool:
        """Whether the sale took longer to go on than the scenario allows."""
        limit_s = self.recovery_p99_max_s
        if limit_s is None:
            return False
        return not self.recoveries_s or self.recovery_s(99) > limit_s

    @property
    def bound(self) -> float | None:
        """Return 3/N, which bounds a rate of which nothing was seen; None without trials."""
        return 3 / self.trials if self.trials else None

    def recovery_s(self, percent: float) -> float:
        """Return a percentile of the times from fault to sale; 0 of none."""
        return percentile(sorted(self.recoveries_s), percent) if self.recoveries_s else 0.0
