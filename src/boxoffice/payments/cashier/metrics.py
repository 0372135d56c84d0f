"""Metrics of the cashier."""

from prometheus_client import Counter, Gauge

WORK_DONE = Counter(
    "boxoffice_cashier_work_total",
    "Work of the cashier, by kind and outcome.",
    ("kind", "outcome"),
)
WORK_LENGTH = Gauge(
    "boxoffice_cashier_work_length",
    "Work of the cashier that is due, by kind.",
    ("kind",),
)
WORK_AGE_SECONDS = Gauge(
    "boxoffice_cashier_work_age_seconds",
    "How long the oldest due work has waited, by kind.",
    ("kind",),
)
PROVIDER_AVAILABLE = Gauge(
    "boxoffice_provider_available",
    "Whether calls to a provider are sent: 0 while its breaker is open.",
    ("provider",),
)


def forget_work() -> None:
    """Clear what only the leading cashier measures."""
    for gauge in (WORK_LENGTH, WORK_AGE_SECONDS, PROVIDER_AVAILABLE):
        gauge.clear()
