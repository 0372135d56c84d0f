"""Metrics of the notices of payment providers."""

from prometheus_client import Counter

NOTICES_RECEIVED = Counter(
    "boxoffice_notices_received_total",
    "Notices of payment providers, by provider and outcome.",
    ("provider", "outcome"),
)
