"""The deployment, the expected sale, and the validated prediction. Pure."""

from collections.abc import Iterator

from boxoffice_loadtest.model import (
    ComponentDemand,
    DeploymentSpec,
    LoadTestRun,
    MemoryProbe,
    SaleForecast,
)
from boxoffice_loadtest.report.blocks import Block, Heading, Paragraph, Table, number, percent
from boxoffice_loadtest.report.sections.capacity import step_table
from boxoffice_loadtest.report.texts import Texts

_KIB = 1024.0


def deployment(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the deployment; each figure has its formula and inputs."""
    spec, memory = run.deployment, run.memory
    if spec is None or memory is None:
        return
    yield Heading(2, t("section.deployment"))
    text = t(
        "deployment.text", peak=number(spec.peak_per_s, 0), source=t(f"peak.{spec.peak_source}"),
        confidence=t(f"confidence.{spec.confidence}"),
    )  # fmt: skip
    yield Paragraph(text)
    columns = [t("col.what"), t("col.value"), t("col.formula")]
    yield Table(columns, _figures(spec, memory, t))
    yield Paragraph(t("deployment.files", files="values.json", chart="deploy/chart/boxoffice"))


def _figures(spec: DeploymentSpec, memory: MemoryProbe, t: Texts) -> list[list[str]]:
    busy = t("unknown") if spec.busy_connections is None else number(spec.busy_connections)
    values = {
        "pod": f"{number(spec.pod_per_s, 0)} /s",
        "cpu": f"{spec.cpu_request_m}m / {spec.cpu_limit_m}m",
        "memory": f"{spec.memory_request_mib}Mi / {spec.memory_limit_mib}Mi",
        "replicas": f"{spec.replicas_min} / {spec.replicas_max}",
        "hpa": f"{spec.hpa_target_percent} %",
        "pool": f"{spec.pool_per_pod} / {spec.pool_total}",
        "valkey": f"{spec.valkey_per_pod} / {number(spec.valkey_ops_per_s, 0)}",
    }
    inputs = {"memory": _memory_inputs(spec, memory), "pool": {"busy": busy}}
    return [
        [
            t(f"deployment.{name}"),
            value,
            t(f"deployment.{name}.formula", **inputs.get(name, {})),
        ]
        for name, value in values.items()
    ]


def _memory_inputs(spec: DeploymentSpec, memory: MemoryProbe) -> dict[str, str]:
    per_connection = memory.by_connection.high * _KIB if memory.by_connection else 0.0
    return {
        "idle": number(memory.idle_mib / memory.processes, 0),
        "per_connection": number(max(0.0, per_connection), 1),
        "connections": number(spec.connections_per_pod, 0),
        "per_seat": number(spec.cached_seat_kib, 2),
        "seats": number(spec.cached_seats, 0),
    }


def sale(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show what the expected sale needs."""
    forecast = run.forecast
    if forecast is None:
        return
    yield Heading(2, t("section.sale"))
    text = t(
        "sale.text", users=number(forecast.sale.users, 0), seats=number(forecast.sale.seats, 0),
        seconds=number(forecast.sale.sell_out_s, 0), peak=number(forecast.peak_per_s, 0),
    )  # fmt: skip
    yield Paragraph(text)
    text = t(
        "sale.pods", pods=number(forecast.pods, 0), cores=number(forecast.cores, 1),
        memory=number(forecast.memory_mib / 1024, 1),
    )  # fmt: skip
    yield Paragraph(text)
    yield from _bottleneck(forecast, t)
    columns = [t(f"col.{name}") for name in ("component", "needed", "available", "share")]
    yield Table(columns, [_demand(one, t) for one in forecast.demands], frozenset({1, 2, 3}))
    columns = [t("col.kind"), t("series.offered")]
    rows = [
        [t(f"kind.{kind}"), f"{number(rate, 0)} /s"]
        for kind, rate in forecast.per_kind_per_s.items()
    ]
    yield Table(columns, rows, frozenset({1}))
    yield Paragraph(t("sale.note"))


def _bottleneck(forecast: SaleForecast, t: Texts) -> Iterator[Block]:
    known = [one for one in forecast.demands if one.share is not None]
    worst = max(known, key=lambda one: one.share or 0.0, default=None)
    if worst is not None:
        key, tone = ("sale.breaks", "bad") if forecast.bottleneck else ("sale.fits", "good")
        name, share = t(f"component.{worst.component}"), percent(worst.share or 0.0)
        yield Paragraph(t(key, component=name, share=share), tone)


def _demand(one: ComponentDemand, t: Texts) -> list[str]:
    share = "–" if one.share is None else percent(one.share)
    available = "–" if one.available is None else _amount(one.available, one.unit)
    return [t(f"component.{one.component}"), _amount(one.needed, one.unit), available, share]


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{number(value / 1e6, 1)} MB/s"
    return number(value, 0 if unit == "connections" else None)


def prediction(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the prediction against the measurement."""
    one = run.prediction
    if one is None:
        return
    yield Heading(2, t("section.prediction"))
    text = t(
        "prediction.text", share=f"{one.cpu_share:g}", method=t(f"cpu_limit.{one.limit_method}"),
        predicted=number(one.predicted.value, 0), low=number(one.predicted.low, 0),
        high=number(one.predicted.high, 0), measured=number(one.measured_per_s, 0),
        error=f"{100 * one.error:+.1f} %", error_max=percent(one.error_max),
    )  # fmt: skip
    yield Paragraph(text, "good" if one.is_within else "bad")
    yield step_table(one.steps, t)
