"""Metrics of the waiting room."""

from prometheus_client import Counter, Gauge, Histogram

from boxoffice.observability.metrics import SECONDS

WAITING_ROOM_JOINS = Counter(
    "boxoffice_waiting_room_joins_total", "Answered joins of a waiting room."
)
WAITING_ROOM_ANONYMOUS_JOINS = Counter(
    "boxoffice_waiting_room_anonymous_joins_total", "Answered joins without an account."
)
WAITING_ROOM_REDEMPTIONS = Counter(
    "boxoffice_waiting_room_redemptions_total",
    "Places without an account that accounts have redeemed.",
)
WAITING_ROOM_ADMISSIONS = Counter(
    "boxoffice_waiting_room_admissions_total", "Users admitted from a waiting room."
)
WAITING_ROOM_EXITS = Counter(
    "boxoffice_waiting_room_exits_total", "Admitted users that have left, by reason.", ("reason",)
)
WAITING_ROOM_LENGTH = Gauge(
    "boxoffice_waiting_room_length", "Numbers not yet called.", multiprocess_mode="livesum"
)
WAITING_ROOM_INSIDE = Gauge(
    "boxoffice_waiting_room_inside", "Admitted users that are inside.", multiprocess_mode="livesum"
)
WAITING_ROOM_TICK_SECONDS = Histogram(
    "boxoffice_waiting_room_tick_seconds",
    "Duration of a leader's tick over all waiting rooms.",
    buckets=SECONDS,
)
WAITING_ROOM_REBUILDS = Counter("boxoffice_waiting_room_rebuilds_total", "Waiting-room rebuilds.")
