"""Metrics of the outbox."""

from prometheus_client import Counter, Gauge

EVENTS_RELAYED = Counter("boxoffice_events_relayed_total", "Outbox events published to the stream.")
OUTBOX_AGE_SECONDS = Gauge(
    "boxoffice_outbox_age_seconds",
    "Age of the oldest event that is not relayed, of the topics that this release knows; 0: none.",
)
NOTIFICATIONS_QUEUED = Counter(
    "boxoffice_notifications_queued_total",
    "Webhook deliveries and mails that the relay queued.",
    ["kind"],
)
