"""Metrics of waiting lists."""

from prometheus_client import Counter, Gauge

OFFERS = Counter(
    "boxoffice_waiting_list_offers_total",
    "Entries of waiting lists that were decided: most got seats.",
)
ENTRIES = Gauge(
    "boxoffice_waiting_list_entries",
    "Entries of waiting lists that wait for seats, over all schedules.",
    # The files of a worker that was killed must go with it.
    multiprocess_mode="livemostrecent",
)
