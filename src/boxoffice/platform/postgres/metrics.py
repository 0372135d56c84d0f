"""Metrics of the connections to PostgreSQL."""

from boxoffice.observability.metrics import SECONDS, BufferedTimings, Timings

POOL_WAIT_SECONDS = Timings(
    "boxoffice_db_pool_wait_seconds",
    "Wait for a connection to PostgreSQL: a read's turn beside the batches, then a connection.",
    ("step",),
    buckets=SECONDS,
)
observe_turn = BufferedTimings(POOL_WAIT_SECONDS.labels("turn")).observe
observe_wait = BufferedTimings(POOL_WAIT_SECONDS.labels("connection")).observe
