"""What follows: knee, costs, deployment, forecast and limits, as blocks. Pure."""

from collections.abc import Iterator, Sequence

from boxoffice_loadtest.analysis import aggregation
from boxoffice_loadtest.model import (
    API,
    GENERATOR,
    OTHERS,
    POSTGRES,
    VALKEY,
    Estimate,
    Fit,
    Line,
    Load,
    MemoryProbe,
    Refusal,
    Run,
    Spec,
    Step,
)
from boxoffice_loadtest.report.blocks import (
    Block,
    Bullets,
    Chart,
    Heading,
    Paragraph,
    Series,
    Table,
    number,
    percent,
    shown,
)
from boxoffice_loadtest.report.texts import Texts

_US = 1e6
_KIB = 1024.0
_SEATS_HOT = 1_000


def staircase(run: Run, t: Texts) -> Iterator[Block]:
    """Show the stairs and where they broke."""
    steps = [
        step for one in run.scenarios if one.name == aggregation.STAIRCASE for step in one.steps
    ]
    if not steps:
        return
    yield Heading(2, t("section.staircase"))
    knee = run.inference.knee
    if knee is not None and knee.broke_at_per_s is None:
        yield Paragraph(t("knee.open", sustained=number(knee.sustained_per_s, 0)))
    elif knee is not None:
        yield Paragraph(
            t(
                "knee.found",
                sustained=number(knee.sustained_per_s, 0),
                broke=number(knee.broke_at_per_s or 0, 0),
                limit=t(f"limit.{knee.limited_by}"),
            )
        )
        if knee.is_lower_bound:
            yield Paragraph(t("knee.bound"), "note")
    else:
        yield from (
            Paragraph(because(one, t), "note")
            for one in run.inference.refusals
            if one.what == "knee"
        )
    if run.inference.held_to is not None:
        yield Paragraph(t("knee.held", share=f"{run.inference.held_to:g}"))
    yield stairs(steps, t)
    yield from _stair_charts(steps, t)


def stairs(steps: Sequence[Step], t: Texts) -> Table:
    """Return the table of the stairs."""
    names = ("offered", "started", "answered", "dropped")
    columns = [*(t(f"col.{name}") for name in names), "p95 ms", t("col.api"), t("col.generator"),
               t("col.others"), t("col.busy"), t("col.held")]  # fmt: skip
    rows = [
        [
            number(one.offered_per_s, 0),
            number(one.started_per_s, 0),
            number(one.answers_per_s, 0),
            number(one.dropped, 0),
            number(one.p95_ms, 1),
            number(one.cores.get(API, 0.0)),
            number(one.cores.get(GENERATOR, 0.0)),
            number(one.cores.get(OTHERS, 0.0)),
            t("unknown") if one.busy is None else percent(one.busy),
            t("yes") if aggregation.holds(one) else t("no"),
        ]
        for one in steps
    ]
    return Table(columns, rows, frozenset(range(9)))


def _stair_charts(steps: Sequence[Step], t: Texts) -> Iterator[Chart]:
    ordered = sorted(steps, key=lambda one: one.offered_per_s)
    answered = [(one.offered_per_s, one.answers_per_s) for one in ordered]
    offered = [(one.offered_per_s, one.offered_per_s) for one in ordered]
    lines = [Series(t("series.answered"), answered), Series(t("series.offered"), offered)]
    yield Chart(t("chart.stairs"), t("chart.stair"), lines)
    latency = [(one.offered_per_s, one.p95_ms) for one in ordered]
    yield Chart(t("chart.stairs_latency"), t("chart.stair"), [Series(t("series.p95"), latency)])


def costs(run: Run, t: Texts) -> Iterator[Block]:
    """Show what a request costs, with the formula and how sure that is."""
    inference = run.inference
    if not inference.fits:
        return
    yield Heading(2, t("section.costs"))
    yield Paragraph(t("costs.text", windows=inference.fits[API].windows))
    there = [name for name in (API, POSTGRES, VALKEY, GENERATOR) if name in inference.fits]
    kinds = list(inference.fits[API].per_request)
    columns = [t("col.kind"), *(t(f"component.{name}") for name in there)]
    rows = [[t(f"kind.{kind}"), *(_cost(inference.fits[n], kind) for n in there)] for kind in kinds]
    rows.append([t("costs.transaction"), *(_shared(inference.fits[n]) for n in there)])
    rows.append([t("costs.wakeup"), *(_woken(inference.fits[n]) for n in there)])
    rows.append([t("costs.idle"), *(_range(inference.fits[n].idle, 1, 3) for n in there)])
    rows.append([t("costs.misfit"), *(percent(inference.fits[n].error_share) for n in there)])
    yield Table(columns, rows, frozenset(range(1, len(columns))))
    yield from _mix(run, t)
    yield from _memory_charts(run, t)


def _cost(fit: Fit, kind: str) -> str:
    return _range(fit.per_request[kind], _US, 0) if kind in fit.per_request else "–"


def _shared(fit: Fit) -> str:
    return _range(fit.per_transaction, _US, 0) if fit.per_transaction else "–"


def _woken(fit: Fit) -> str:
    return _range(fit.per_wakeup, _US, 0) if fit.per_wakeup else "–"


def _range(one: Estimate, factor: float, digits: int) -> str:
    value, low, high = (number(factor * x, digits) for x in (one.value, one.low, one.high))
    return f"{value} ({low}–{high})"


def _mix(run: Run, t: Texts) -> Iterator[Block]:
    inference = run.inference
    cost, rate = inference.cost_of_mix_s, inference.per_core_per_s
    if cost is not None and rate is not None:
        mix = ", ".join(
            f"{t(f'kind.{kind}')} {percent(share)}" for kind, share in inference.mix.items()
        )
        yield Paragraph(
            t(
                "costs.mix",
                mix=mix,
                shared=number(inference.transactions_per_write),
                cost=number(cost.value * _US, 0),
                low=number(cost.low * _US, 0),
                high=number(cost.high * _US, 0),
                rate=number(rate.value, 0),
                rate_low=number(rate.low, 0),
                rate_high=number(rate.high, 0),
            )
        )
    if inference.valkey_per_request is not None:
        yield Paragraph(
            t(
                "costs.wal",
                hold=_bytes(inference.wal_per_hold_bytes, t),
                pay=_bytes(inference.wal_per_pay_bytes, t),
                valkey=number(inference.valkey_per_request),
            )
        )


def _bytes(one: Estimate | None, t: Texts) -> str:
    if one is None:
        return t("unknown")
    return f"{_range(one, 1 / _KIB, 1)} KiB"


def _memory_charts(run: Run, t: Texts) -> Iterator[Chart]:
    if run.memory is None:
        return
    for key, line in (
        ("connections", run.memory.by_connection),
        ("hot_seats", run.memory.by_hot_seat),
    ):
        if line is not None:
            yield Chart(t(f"chart.{key}"), "", _fitted(line, t))


def _fitted(line: Line, t: Texts) -> list[Series]:
    ends = (line.points[0][0], line.points[-1][0])
    straight = [(x, line.intercept + line.slope * x) for x in ends]
    return [
        Series(t("series.measured"), line.points, is_dots=True),
        Series(t("series.line"), straight),
    ]


def spec(run: Run, t: Texts) -> Iterator[Block]:
    """Show the deployment, each figure with its formula and inputs."""
    one, memory = run.spec, run.memory
    if one is None or memory is None:
        return
    yield Heading(2, t("section.spec"))
    yield Paragraph(
        t(
            "spec.text",
            peak=number(one.peak_per_s, 0),
            origin=t(f"origin.{one.peak_from}"),
            confidence=t(f"confidence.{one.confidence}"),
        )
    )
    rows = _figures(one, memory, t)
    yield Table([t("col.what"), t("col.value"), t("col.formula")], rows)
    yield Paragraph(t("spec.files", files="kubernetes.yaml, values.yaml"))
    yield Paragraph(_validated(run.manifests, t))


def _figures(one: Spec, memory: MemoryProbe, t: Texts) -> list[list[str]]:
    """Return each figure with its formula and inputs."""
    per_connection = memory.by_connection.high * _KIB if memory.by_connection else 0.0
    formula = t(
        "spec.memory.formula",
        rest=number(memory.at_rest_mib / memory.processes, 0),
        per_connection=number(max(0.0, per_connection), 1),
        connections=number(one.connections_per_pod, 0),
        per_seat=number(one.hot_seat_kib, 2),
        seats=number(one.hot_schedules * _SEATS_HOT, 0),
    )
    busy = t("unknown") if one.busy_connections is None else number(one.busy_connections)
    return [
        [t("spec.pod"), f"{number(one.pod_per_s, 0)} /s", t("spec.pod.formula")],
        [t("spec.cpu"), f"{one.cpu_request_m}m / {one.cpu_limit_m}m", t("spec.cpu.formula")],
        [t("spec.memory"), f"{one.memory_request_mib}Mi / {one.memory_limit_mib}Mi", formula],
        [
            t("spec.replicas"),
            f"{one.replicas_min} / {one.replicas_max}",
            t("spec.replicas.formula"),
        ],
        [t("spec.hpa"), f"{one.hpa_target_percent} %", t("spec.hpa.formula")],
        [
            t("spec.pool"),
            f"{one.pool_per_pod} / {one.pool_total}",
            t("spec.pool.formula", busy=busy),
        ],
        [
            t("spec.valkey"),
            f"{one.valkey_per_pod} / {number(one.valkey_ops_per_s, 0)}",
            t("spec.valkey.formula"),
        ],
    ]


def _validated(manifests: str, t: Texts) -> str:
    """Say what kubernetes-validate found: `valid VERSION`, `invalid SENTENCE`, or nothing."""
    outcome, _, more = manifests.partition(" ")
    if outcome == "valid":
        return t("spec.validated", version=more)
    return t("spec.invalid", error=more) if outcome == "invalid" else t("spec.not_validated")


def sale(run: Run, t: Texts) -> Iterator[Block]:
    """Show what the expected sale would take."""
    one = run.forecast
    if one is None:
        return
    yield Heading(2, t("section.sale"))
    yield Paragraph(
        t(
            "sale.text",
            users=number(one.sale.users, 0),
            seats=number(one.sale.seats, 0),
            seconds=number(one.sale.sell_out_s, 0),
            peak=number(one.peak_per_s, 0),
        )
    )
    yield Paragraph(
        t(
            "sale.pods",
            pods=number(one.pods, 0),
            cores=number(one.cores, 1),
            memory=number(one.memory_mib / 1024, 1),
        )
    )
    known = [load for load in one.loads if load.share is not None]
    tight = max(known, key=lambda load: load.share or 0.0, default=None)
    if tight is not None:
        key = "sale.breaks" if one.first_to_break else "sale.fits"
        name, share = t(f"component.{tight.component}"), percent(tight.share or 0.0)
        tone = "bad" if one.first_to_break else "good"
        yield Paragraph(t(key, component=name, share=share), tone)
    columns = [t(f"col.{name}") for name in ("component", "needed", "available", "share")]
    yield Table(columns, [_load(load, t) for load in one.loads], frozenset({1, 2, 3}))
    columns = [t("col.kind"), t("series.offered")]
    rows = [[t(f"kind.{kind}"), f"{number(x, 0)} /s"] for kind, x in one.per_kind_per_s.items()]
    yield Table(columns, rows, frozenset({1}))
    yield Paragraph(t("sale.note"))


def _load(load: Load, t: Texts) -> list[str]:
    share = "–" if load.share is None else percent(load.share)
    there = "–" if load.available is None else _amount(load.available, load.unit)
    return [t(f"component.{load.component}"), _amount(load.needed, load.unit), there, share]


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{number(value / 1e6, 1)} MB/s"
    return number(value, 0 if unit == "connections" else None)


def prediction(run: Run, t: Texts) -> Iterator[Block]:
    """Show the forecast against what was measured."""
    one = run.prediction
    if one is None:
        return
    yield Heading(2, t("section.prediction"))
    text = t(
        "prediction.text", share=f"{one.share:g}", way=t(f"way.{one.held_by}"),
        predicted=number(one.predicted.value, 0), low=number(one.predicted.low, 0),
        high=number(one.predicted.high, 0), measured=number(one.measured_per_s, 0),
        error=f"{100 * one.error:+.1f} %", limit=percent(one.limit),
    )  # fmt: skip
    yield Paragraph(text, "good" if one.is_within else "bad")
    yield stairs(one.steps, t)


def baseline(run: Run, before: Run | None, t: Texts) -> Iterator[Block]:
    """Compare with an earlier run."""
    if before is None:
        return
    yield Heading(2, t("section.baseline"))
    yield Paragraph(t("baseline.text", when=before.started_at))
    rows = [row for row in _compared(run, before, t) if row]
    columns = [t(f"col.{name}") for name in ("what", "before", "now", "change")]
    yield Table(columns, rows, frozenset({1, 2, 3}))


def _compared(run: Run, before: Run, t: Texts) -> Iterator[list[str]]:
    failures = [float(sum(one.failures for one in r.scenarios)) for r in (before, run)]
    yield _change(t("baseline.reliability"), *failures)
    knees = [r.inference.knee.sustained_per_s if r.inference.knee else None for r in (before, run)]
    yield _change(t("baseline.knee"), *knees)
    priced = [r.inference.cost_of_mix_s for r in (before, run)]
    yield _change(t("baseline.cost"), *(one.value * _US if one else None for one in priced))
    earlier = {(s.name, r.what): r.p95_ms for s in before.scenarios for r in s.routes}
    for scenario in run.scenarios:
        for route in scenario.routes:
            was = earlier.get((scenario.name, route.what))
            name = t(
                "baseline.scenario_p95", scenario=t(f"scenario.{scenario.name}"), what=route.what
            )
            if was is not None:
                yield _change(name, was, route.p95_ms)


def _change(name: str, was: float | None, now: float | None) -> list[str]:
    if was is None and now is None:
        return []
    both = ["–" if one is None else number(one) for one in (was, now)]
    change = "–" if was is None or now is None or not was else f"{100 * (now / was - 1):+.0f} %"
    return [name, *both, change]


def limits(run: Run, t: Texts) -> Iterator[Block]:
    """Say what was not concluded, and what was not seen."""
    yield Heading(2, t("section.limits"))
    said = [f"{t(f'refused.{one.what}')}: {because(one, t)}" for one in _refusals(run)]
    said += [t(f"unseen.{name}") for name in run.not_sampled]
    if run.target == "embedded":
        said.append(t("limits.shared"))
    yield Bullets(said or [t("limits.none")])


def _refusals(run: Run) -> list[Refusal]:
    return [*run.inference.refusals, *run.refusals]


def because(one: Refusal, t: Texts) -> str:
    """Say why a conclusion is not drawn."""
    return t(f"because.{one.why}", **shown(one.details))
