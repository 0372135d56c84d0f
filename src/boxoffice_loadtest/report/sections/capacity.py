"""Steps and their knee, and the cost of a request. Pure."""

from collections.abc import Iterator, Sequence

from boxoffice_loadtest.analysis.steps import is_sustained, offered
from boxoffice_loadtest.model import (
    API,
    GENERATOR,
    OTHERS,
    POSTGRES,
    STEPS,
    VALKEY,
    CapacityAnalysis,
    Estimate,
    Knee,
    LineFit,
    LoadTestRun,
    StepResult,
)
from boxoffice_loadtest.report.blocks import (
    Block,
    Chart,
    Heading,
    Paragraph,
    Series,
    Table,
    number,
    percent,
)
from boxoffice_loadtest.report.sections.limits import because
from boxoffice_loadtest.report.texts import Texts

_US = 1e6
_KIB = 1024.0


def steps(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the steps and the knee."""
    found = steps_of(run)
    if not found:
        return
    yield Heading(2, t("section.steps"))
    if run.analysis.knee is not None:
        yield from _knee(run.analysis.knee, t)
    for one in run.analysis.inconclusive:
        if run.analysis.knee is None and one.subject == "knee":
            yield Paragraph(because(one, t), "note")
    if run.analysis.cpu_limit_cores is not None:
        yield Paragraph(t("knee.cpu_limit", share=f"{run.analysis.cpu_limit_cores:g}"))
    yield step_table(found, t)


def steps_of(run: LoadTestRun) -> list[StepResult]:
    """Return the steps of the run, in the order in which they were tried."""
    return [step for one in run.scenarios if one.name == STEPS for step in one.steps]


def _knee(knee: Knee, t: Texts) -> Iterator[Block]:
    sustained = number(knee.sustained_per_s, 0)
    if knee.failed_at_per_s is None:
        yield Paragraph(t("knee.open", sustained=sustained))
        return
    failed, limit = number(knee.failed_at_per_s, 0), t(f"limit.{knee.limited_by}")
    yield Paragraph(t("knee.found", sustained=sustained, failed=failed, limit=limit))
    if knee.is_lower_bound:
        yield Paragraph(t("knee.lower_bound"), "note")


def step_table(found: Sequence[StepResult], t: Texts) -> Table:
    """Return the table of the steps."""
    names = ("offered", "started", "answered", "dropped")
    columns = [*(t(f"col.{name}") for name in names), "p95 ms", t("col.api"), t("col.generator"),
               t("col.others"), t("col.cpu_busy"), t("col.sustained")]  # fmt: skip
    rows = [
        [
            number(one.offered_per_s, 0),
            number(one.started_per_s, 0),
            number(one.answers_per_s, 0),
            number(one.dropped_iterations, 0),
            number(one.p95_ms, 1),
            number(one.cores.get(API, 0.0)),
            number(one.cores.get(GENERATOR, 0.0)),
            number(one.cores.get(OTHERS, 0.0)),
            t("unknown") if one.cpu_busy is None else percent(one.cpu_busy),
            t("yes") if is_sustained(one) else t("no"),
        ]
        for one in found
    ]
    return Table(columns, rows, frozenset(range(9)))


def step_charts(found: Sequence[StepResult], t: Texts) -> Iterator[Chart]:
    """Draw answers and latency against the offered load."""
    ordered = sorted(found, key=offered)
    answered = [(one.offered_per_s, one.answers_per_s) for one in ordered]
    diagonal = [(one.offered_per_s, one.offered_per_s) for one in ordered]
    lines = [Series(t("series.answered"), answered), Series(t("series.offered"), diagonal)]
    yield Chart(t("chart.steps"), t("chart.step"), lines)
    latency = [(one.offered_per_s, one.p95_ms) for one in ordered]
    yield Chart(t("chart.steps_latency"), t("chart.step"), [Series(t("series.p95"), latency)])


def costs(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show what a request costs, with the formula and the intervals."""
    if not run.analysis.fits:
        return
    yield Heading(2, t("section.costs"))
    yield Paragraph(t("costs.text", windows=run.analysis.fits[API].windows))
    yield _cost_table(run.analysis, t)
    yield from _mix(run.analysis, t)
    yield from _memory_charts(run, t)


def _cost_table(analysis: CapacityAnalysis, t: Texts) -> Table:
    fits = [
        analysis.fits[name] for name in (API, POSTGRES, VALKEY, GENERATOR) if name in analysis.fits
    ]
    columns = [t("col.kind"), *(t(f"component.{one.component}") for one in fits)]
    rows = [
        [t(f"kind.{kind}"), *(_cost_us(one.per_request.get(kind)) for one in fits)]
        for kind in analysis.fits[API].per_request
    ]
    rows.append([t("costs.transaction"), *(_cost_us(one.per_transaction) for one in fits)])
    rows.append([t("costs.wakeup"), *(_cost_us(one.per_wakeup) for one in fits)])
    rows.append([t("costs.idle"), *(_interval(one.idle, 1, 3) for one in fits)])
    rows.append([t("costs.misfit"), *(percent(one.error_share) for one in fits)])
    return Table(columns, rows, frozenset(range(1, len(columns))))


def _cost_us(one: Estimate | None) -> str:
    return _interval(one, _US, 0) if one else "–"


def _interval(one: Estimate, factor: float, digits: int) -> str:
    value, low, high = (number(factor * x, digits) for x in (one.value, one.low, one.high))
    return f"{value} ({low}–{high})"


def _mix(analysis: CapacityAnalysis, t: Texts) -> Iterator[Block]:
    cost, rate = analysis.cost_of_mix_s, analysis.per_core_per_s
    if cost is not None and rate is not None:
        mix = ", ".join(
            f"{t(f'kind.{kind}')} {percent(share)}" for kind, share in analysis.mix.items()
        )
        text = t(
            "costs.mix", mix=mix, shared=number(analysis.transactions_per_write),
            cost=number(cost.value * _US, 0), low=number(cost.low * _US, 0),
            high=number(cost.high * _US, 0), rate=number(rate.value, 0),
            rate_low=number(rate.low, 0), rate_high=number(rate.high, 0),
        )  # fmt: skip
        yield Paragraph(text)
    if analysis.valkey_per_request is not None:
        text = t(
            "costs.wal", hold=_kib(analysis.wal_per_hold_bytes, t),
            pay=_kib(analysis.wal_per_pay_bytes, t), valkey=number(analysis.valkey_per_request),
        )  # fmt: skip
        yield Paragraph(text)


def _kib(one: Estimate | None, t: Texts) -> str:
    return t("unknown") if one is None else f"{_interval(one, 1 / _KIB, 1)} KiB"


def _memory_charts(run: LoadTestRun, t: Texts) -> Iterator[Chart]:
    if run.memory is None:
        return
    lines = (
        ("connections", run.memory.by_connection),
        ("cached_seats", run.memory.by_cached_seat),
    )
    for key, line in lines:
        if line is not None:
            yield Chart(t(f"chart.{key}"), "", _fitted(line, t))


def _fitted(line: LineFit, t: Texts) -> list[Series]:
    ends = (line.points[0][0], line.points[-1][0])
    straight = [(x, line.intercept + line.slope * x) for x in ends]
    return [
        Series(t("series.measured"), line.points, is_dots=True),
        Series(t("series.line"), straight),
    ]
