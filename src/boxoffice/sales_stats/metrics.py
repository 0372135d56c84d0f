"""Metrics of the sales statistics."""

from prometheus_client import Counter

DROPPED = Counter(
    "boxoffice_sales_stats_dropped_total",
    "Traffic sums for sales statistics that Valkey did not accept.",
)
