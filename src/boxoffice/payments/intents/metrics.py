"""Metrics of payments through providers."""

from prometheus_client import Counter

CONFIRMATIONS = Counter(
    "boxoffice_confirmations_total",
    "Confirmations without a capture, by provider and outcome.",
    ("provider", "outcome"),
)
SETTLEMENTS = Counter(
    "boxoffice_settlements_total",
    "Captures that were settled, by provider and outcome.",
    ("provider", "outcome"),
)
