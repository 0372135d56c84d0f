"""Metrics of look-ups."""

from prometheus_client import Counter

LOOKUP_READINGS = Counter(
    "boxoffice_lookup_readings_total",
    "Look-ups of concerts and schedules while processes share them, by source.",
    ("source",),
)
