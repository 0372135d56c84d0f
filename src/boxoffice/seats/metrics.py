"""Metrics of the seats in memory and of the messages about their changes."""

from prometheus_client import Counter, Histogram

from boxoffice.observability.metrics import SECONDS

SEAT_CACHE = Counter(
    "boxoffice_seat_cache_total",
    "What the seat cache said to holds: refused, or why the database was asked.",
    ("result",),
)
SEAT_READ_SECONDS = Histogram(
    "boxoffice_seat_read_seconds", "Time to read a schedule's seats.", buckets=SECONDS
)
SEAT_CHANGE_MESSAGES = Counter(
    "boxoffice_seat_change_messages_total",
    "Seat change messages between pods, by result.",
    ("result",),
)
SEAT_READINGS = Counter(
    "boxoffice_seat_readings_total",
    "Readings of a schedule's seats, by source: the database, or another process's reading.",
    ("source",),
)
SEAT_READING_AGE_SECONDS = Histogram(
    "boxoffice_seat_reading_age_seconds",
    "Age of another process's reading when it was taken over.",
    buckets=SECONDS,
)
SHARED_READINGS = Counter(
    "boxoffice_shared_readings_total",
    "Shared readings that were published, or why a process read for itself.",
    ("result",),
)
