"""Metrics of the outbox."""

from prometheus_client import Counter

EVENTS_RELAYED = Counter("boxoffice_events_relayed_total", "Outbox events published to the stream.")
NOTIFICATIONS_QUEUED = Counter(
    "boxoffice_notifications_queued_total",
    "Webhook deliveries and mails that the relay queued.",
    ["kind"],
)
