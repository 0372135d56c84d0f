"""Metrics of the audit."""

from prometheus_client import Gauge

from boxoffice.audit.runs import AuditFigures

AGE_SECONDS = Gauge("boxoffice_audit_age_seconds", "Time since the end of the last audit.")
DURATION_SECONDS = Gauge("boxoffice_audit_duration_seconds", "Duration of the last audit.")
VIOLATED = Gauge(
    "boxoffice_audit_violated_checks",
    "Checks of the last audit with violations; 0 after a failure.",
)
FAILED = Gauge(
    "boxoffice_audit_failed", "1 where the last audit ended without a result, as after a timeout."
)


def show(figures: AuditFigures) -> None:
    """Set the metrics."""
    AGE_SECONDS.set(figures.age_s)
    DURATION_SECONDS.set(figures.duration_s)
    VIOLATED.set(figures.violated or 0)
    FAILED.set(figures.violated is None)
