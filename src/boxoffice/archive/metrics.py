"""Metrics of the archive."""

from prometheus_client import Counter

ARCHIVED = Counter("boxoffice_archived_total", "Rows that were moved into the archive.")
