"""Metrics of the sales statistics."""

from prometheus_client import Counter

FIGURES_DROPPED = Counter(
    "boxoffice_figures_dropped_total", "Sums for the live figures that Valkey did not take."
)
