"""Metrics of the group commit."""

from prometheus_client import Counter, Gauge, Histogram

from boxoffice.observability.metrics import SECONDS

BATCH_COMMANDS = Histogram(
    "boxoffice_batch_commands",
    "Commands decided by one transaction.",
    ("kind",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
BATCH_SECONDS = Histogram(
    "boxoffice_batch_seconds",
    "Time of one batch, its commit included.",
    ("kind",),
    buckets=SECONDS,
)
BATCH_RETRIES = Counter(
    "boxoffice_batch_retries_total", "Commands decided again, by reason.", ("kind", "reason")
)
BATCH_QUEUE_LENGTH = Gauge(
    "boxoffice_batch_queue_length", "Commands without an outcome.", multiprocess_mode="livesum"
)
