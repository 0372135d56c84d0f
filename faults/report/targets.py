"""Targets of a whole run: one line per figure, computed from the results. Pure.

A whole run must meet every target. A partial run shows the figures that it has, and marks those
that rest on too few trials.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from faults.checks.record import percentile
from faults.report.result import Result, worst

KILLS_MIN = 300
SEEDED_MIN = 20
ROLLING_RESTARTS_MIN = 20
CASES_MIN = 10_000
STOPS_MIN = 3
OVERLOADS_MIN = 3
GOODPUT_WITHOUT_VALKEY_MIN_PERCENT = 70.0
GOODPUT_OVERLOADED_MIN = 0.9
ACCEPTED_P99_MAX_MS = 1_000.0
MEMORY_GROWTH_MAX_MB = 50.0
ONE_CONNECTION_MAX_MIB = 16
ONE_CONNECTION_KINDS_MIN = 20
SLOWER_MAX = 2.0
RECOVERY_P99_MAX_S = {"API process": 2.0, "Valkey": 2.0, "PostgreSQL": 5.0}
# A p99 of fewer values is their maximum.
RECOVERIES_MIN = 100

CRASH_POINTS = (
    "api_kill_before_commit",
    "api_kill_after_commit",
    "api_kill_with_a_claim",
    "api_kill_before_seat_change",
)


class TargetStatus(StrEnum):
    """Status of a figure."""

    MET = "met"
    MISSED = "MISSED"
    FEWER = "met, of too few"
    NOT_RUN = "not run"


class TargetLine(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: target, measured value, sample size and status."""

    figure: str
    target: str
    measured: str
    n: str
    status: TargetStatus


@dataclass(frozen=True)
class Measured:
    """A figure as text, its sample size, the required size, and whether it is good."""

    text: str
    count: int
    unit: str
    is_good: bool
    wanted: int = 1


@dataclass(frozen=True)
class Target:
    """A figure, the scenarios that it concerns, and how to measure it."""

    figure: str
    target: str
    concerns: Callable[[Result], bool]
    measure: Callable[[Sequence[Result]], Measured]


def lines(results: Sequence[Result], *, is_whole: bool) -> list[TargetLine]:
    """Return the lines of a run; a partial run has only the figures of its scenarios."""
    made = []
    for target in TARGETS:
        concerned = [one for one in results if target.concerns(one)]
        if concerned or is_whole:
            made.append(_line(target, concerned, is_whole=is_whole))
    return made


def _line(target: Target, concerned: Sequence[Result], *, is_whole: bool) -> TargetLine:
    played = [one for one in concerned if not one.not_run]
    if not played:
        return TargetLine(
            figure=target.figure,
            target=target.target,
            measured="",
            n="",
            status=TargetStatus.NOT_RUN,
        )
    seen = target.measure(played)
    return TargetLine(
        figure=target.figure,
        target=target.target,
        measured=seen.text,
        n=f"{seen.count:,} {seen.unit}",
        status=_status(seen, is_whole=is_whole),
    )


def _status(seen: Measured, *, is_whole: bool) -> TargetStatus:
    if not seen.is_good:
        return TargetStatus.MISSED
    if seen.count >= seen.wanted:
        return TargetStatus.MET
    return TargetStatus.MISSED if is_whole else TargetStatus.FEWER


def summary_line(made: Sequence[TargetLine], *, is_whole: bool) -> str:
    """Return the closing sentence of a run."""
    counts = {status: sum(one.status is status for one in made) for status in TargetStatus}
    if is_whole and made and counts[TargetStatus.MET] == len(made):
        return f"A whole run: all {len(made)} figures met."
    text = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    if is_whole:
        return f"A whole run: of {len(made)} figures {text}."
    return f"A partial run, which proves less than a whole one: {text or 'no figure'}."


# -- Measures -----------------------------------------------------------------------------------


def _named(*names: str) -> Callable[[Result], bool]:
    return lambda one: one.name in names


def _has_buyers(one: Result) -> bool:
    return one.requests > 0


def _sum(results: Sequence[Result], name: str) -> int:
    return sum(getattr(one, name) for one in results)


def _lost(results: Sequence[Result]) -> Measured:
    lost, kills = _sum(results, "lost"), _sum(results, "kills")
    text = f"{lost} of {_sum(results, 'acknowledged'):,}"
    return Measured(text, kills, "kills", lost == 0, KILLS_MIN)


def _none_of(name: str, of: str, unit: str) -> Callable[[Sequence[Result]], Measured]:
    """Return the measure of a count that must be zero."""

    def measure(results: Sequence[Result]) -> Measured:
        count = _sum(results, name)
        return Measured(str(count), _sum(results, of), unit, count == 0)

    return measure


def _inexcusable(results: Sequence[Result]) -> Measured:
    count = sum(sum(one.unexcused.values()) for one in results)
    return Measured(str(count), _sum(results, "requests"), "requests", count == 0)


def _seeded(results: Sequence[Result]) -> Measured:
    by = {
        name: int(sum(one.figures.get(f"found_by_{name}_count", 0) for one in results))
        for name in ("histories", "record", "audit")
    }
    seeded = _sum(results, "trials")
    text = ", ".join(f"{count} by the {name}" for name, count in by.items())
    is_good = seeded > 0 and all(count == seeded for count in by.values())
    return Measured(text, seeded, "seeded", is_good and _hold(results), SEEDED_MIN)


def _hold(results: Sequence[Result]) -> bool:
    """Say whether these scenarios saw nothing broken, recovery times aside."""
    return all(one.trials and not one.broken and not one.harm for one in results)


def _crash_points(results: Sequence[Result]) -> Measured:
    converged = [one for one in results if _hold([one]) and not one.unexcused]
    kills = _sum(results, "kills")
    text = f"{len(converged)} of {len(results)} points, {kills} kills"
    return Measured(text, len(results), "points", len(converged) == len(results), len(CRASH_POINTS))


def _recovery(component: str) -> Target:
    limit_s = RECOVERY_P99_MAX_S[component]

    def measure(results: Sequence[Result]) -> Measured:
        times_s = sorted(time_s for one in results for time_s in one.recoveries_s)
        p99_s = percentile(times_s, 99) if times_s else 0.0
        is_good = bool(times_s) and p99_s <= limit_s
        return Measured(f"{p99_s:.2f} s", len(times_s), "faults", is_good, RECOVERIES_MIN)

    return Target(
        f"from a fault to the next sale, p99: {component}",
        f"≤ {limit_s:g} s",
        lambda one: one.component == component and one.recovery_p99_max_s is not None,
        measure,
    )


def _figure(
    name: str, text: str, is_good: Callable[[float], bool], unit: str, wanted: int = 1
) -> Callable[[Sequence[Result]], Measured]:
    """Return the measure of a figure: the worst value of all scenarios concerned."""

    def measure(results: Sequence[Result]) -> Measured:
        values = [one.figures.get(name) for one in results]
        known = [one for one in values if one is not None]
        count = _sum(results, "trials")
        if len(known) < len(values):
            return Measured("not measured", count, unit, is_good=False)
        figure = worst(name, *known)
        return Measured(text.format(figure), count, unit, is_good(figure), wanted)

    return measure


def _rolling(results: Sequence[Result]) -> Measured:
    failed = int(sum(one.figures.get("failed_requests_count", 0) for one in results))
    text = f"{failed} of {_sum(results, 'requests'):,}"
    return Measured(text, _sum(results, "trials"), "restarts", failed == 0, ROLLING_RESTARTS_MIN)


def _guards(results: Sequence[Result]) -> Measured:
    declared = int(sum(one.figures.get("guards_declared_count", 0) for one in results))
    tried, wrong = _sum(results, "trials"), sum(len(one.broken) for one in results)
    text = f"{tried - wrong} of {tried}"
    return Measured(text, tried, "guards", tried > 0 and not wrong, max(declared, 1))


def _schemathesis(results: Sequence[Result]) -> Measured:
    failures = sum(len(one.broken) for one in results)
    cases = _sum(results, "trials")
    forgiven = [one.figures.get("forgiven_count") for one in results]
    if None in forgiven:
        return Measured("not measured", cases, "cases", is_good=False, wanted=CASES_MIN)
    # Forgiven: a reservation that DELETE cancelled stays readable, as the contract wants.
    text = f"{failures} failures, {sum(map(int, filter(None, forgiven)))} forgiven"
    return Measured(text, cases, "cases", not failures, CASES_MIN)


def _measures_memory(one: Result) -> bool:
    others = ("clients_replays", "clients_one_connection")
    return one.name.startswith("clients_") and one.name not in others


TARGETS: tuple[Target, ...] = (
    Target(
        "acknowledged holds and payments lost, over kills",
        f"0, over at least {KILLS_MIN}",
        lambda one: one.kills > 0,
        _lost,
    ),
    Target(
        "seats sold twice",
        "0",
        _has_buyers,
        _none_of("sold_twice", "acknowledged", "acknowledged"),
    ),
    Target(
        "imbalance of the ledger",
        "0",
        _has_buyers,
        _none_of("imbalance", "acknowledged", "acknowledged"),
    ),
    Target(
        "double charges",
        "0",
        _has_buyers,
        _none_of("double_charges", "acknowledged", "acknowledged"),
    ),
    Target("seeded double sales found", "always", _named("seeded_double_sale"), _seeded),
    Target("crash points with exactly one effect", "all", _named(*CRASH_POINTS), _crash_points),
    *map(_recovery, RECOVERY_P99_MAX_S),
    Target(
        "goodput with Valkey down, against before",
        f"≥ {GOODPUT_WITHOUT_VALKEY_MIN_PERCENT:.0f} %",
        _named("valkey_sigstop"),
        _figure(
            "goodput_kept_percent",
            "{:.0f} %",
            lambda percent: percent >= GOODPUT_WITHOUT_VALKEY_MIN_PERCENT,
            "stops",
            STOPS_MIN,
        ),
    ),
    Target("answers that no fault excuses", "0", _has_buyers, _inexcusable),
    Target(
        "goodput at 5 × what saturates, against at saturation",
        f"≥ {GOODPUT_OVERLOADED_MIN:.0%}",
        _named("overload"),
        _figure(
            "goodput_share",
            "{:.0%}",
            lambda share: share >= GOODPUT_OVERLOADED_MIN,
            "trials",
            OVERLOADS_MIN,
        ),
    ),
    Target(
        "p99 of accepted requests at 5 × what saturates",
        f"≤ {ACCEPTED_P99_MAX_MS / 1000:g} s",
        _named("overload"),
        _figure(
            "accepted_p99_ms",
            "{:.0f} ms",
            lambda p99_ms: p99_ms <= ACCEPTED_P99_MAX_MS,
            "trials",
            OVERLOADS_MIN,
        ),
    ),
    Target(
        "failed requests in rolling restarts",
        f"0, in {ROLLING_RESTARTS_MIN}",
        _named("rolling_restart"),
        _rolling,
    ),
    Target(
        "growth of a worker's memory under abusive clients",
        f"≤ {MEMORY_GROWTH_MAX_MB:.0f} MB",
        _measures_memory,
        _figure(
            "memory_growth_mb", "{:.0f} MB", lambda size: size <= MEMORY_GROWTH_MAX_MB, "trials"
        ),
    ),
    Target(
        "p99 of buyers beside abusive clients, against before and after",
        f"≤ {SLOWER_MAX:g} ×",
        _measures_memory,
        _figure("p99_times", "{:.2f} ×", lambda times: times <= SLOWER_MAX, "trials"),
    ),
    Target(
        "growth of a fresh worker's memory by one connection",
        f"≤ {ONE_CONNECTION_MAX_MIB} MiB",
        _named("clients_one_connection"),
        _figure(
            "one_connection_mib",
            "{:.1f} MiB",
            lambda size: size <= ONE_CONNECTION_MAX_MIB,
            "kinds",
            ONE_CONNECTION_KINDS_MIN,
        ),
    ),
    Target("guards whose removal fails a test", "100 %", _named("guards"), _guards),
    Target(
        "schemathesis, all checks and phases",
        f"0 failures, over at least {CASES_MIN:,}",
        _named("schemathesis"),
        _schemathesis,
    ),
)
