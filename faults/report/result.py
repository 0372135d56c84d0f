"""The result of one scenario, and its verdict. Pure."""

from enum import StrEnum

import msgspec

from faults.checks.record import percentile

# Figures of which more is better.
_SHARES = ("_share", "_share_min", "_kept_percent")


def worst(name: str, *figures: float) -> float:
    """Return the worst value: the minimum of shares, the maximum of all else."""
    return min(figures) if name.endswith(_SHARES) else max(figures)


class Verdict(StrEnum):
    """The verdict on a scenario."""

    PASS = "pass"  # noqa: S105 — it opens nothing
    FAIL = "FAIL"
    NOT_RUN = "not run"


class Result(msgspec.Struct, kw_only=True):
    """One scenario: trials, harm and failures.

    `failures` counts responses that are neither success nor business refusal, by kind; `unexcused`
    counts those outside of any fault. With no failure in N trials the rate is below 3/N at 95 %
    (`bound`).
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
        """Return the verdict; no trials is no pass."""
        if self.not_run:
            return Verdict.NOT_RUN
        if self.broken or self.unexcused or self.harm:
            return Verdict.FAIL
        return Verdict.PASS if self.trials and not self.is_slow else Verdict.FAIL

    @property
    def harm(self) -> int:
        """Return the number of broken promises."""
        return self.lost + self.sold_twice + self.imbalance + self.double_charges

    @property
    def is_slow(self) -> bool:
        """Whether recovery took longer than allowed."""
        limit_s = self.recovery_p99_max_s
        if limit_s is None:
            return False
        return not self.recoveries_s or self.recovery_s(99) > limit_s

    @property
    def bound(self) -> float | None:
        """Return 3/N, an upper bound of a rate without observed events; None without trials."""
        return 3 / self.trials if self.trials else None

    def recovery_s(self, percent: float) -> float:
        """Return a percentile of the recovery times; 0 without any."""
        return percentile(sorted(self.recoveries_s), percent) if self.recoveries_s else 0.0
