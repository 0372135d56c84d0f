"""Metrics of holds and the seat lock."""

from prometheus_client import Counter, Gauge

SEAT_LOCK = Counter("boxoffice_seat_lock_total", "Seat lock decisions by result.", ("result",))
HOLDS_EXPIRED = Counter("boxoffice_holds_expired_total", "Lapsed holds that the sweeper closed.")
SWEEP_LAG_SECONDS = Gauge(
    "boxoffice_sweep_lag_seconds",
    "Time since the end of the oldest lapsed hold that is not closed, at the last round; 0: none.",
)
