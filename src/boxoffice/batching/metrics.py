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
HANDED_OVER = Counter(
    "boxoffice_batch_handed_over_total", "Commands handed to another worker that collects them."
)
DECIDED_ALONE = Counter(
    "boxoffice_batch_decided_alone_total",
    "Commands of another worker's schedules that were decided here, by reason.",
    ("reason",),
)
HAND_OVER_BYTES = Histogram(
    "boxoffice_batch_hand_over_bytes",
    "Size of the frames in which commands are handed over.",
    buckets=(128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 65_536, 262_144, 1_048_576),
)
