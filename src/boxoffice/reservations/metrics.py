"""Metrics of holds and the seat lock."""

from prometheus_client import Counter

SEAT_LOCK = Counter("boxoffice_seat_lock_total", "Seat lock decisions by result.", ("result",))
HOLDS_EXPIRED = Counter("boxoffice_holds_expired_total", "Lapsed holds that the sweeper closed.")
