"""Metrics of the messenger."""

from prometheus_client import Counter, Gauge, Histogram

WEBHOOKS = Counter(
    "boxoffice_webhooks_total",
    "Tries to deliver a webhook: delivered, failed (tried again), given_up, gone.",
    ["result"],
)
WEBHOOK_SECONDS = Histogram(
    "boxoffice_webhook_seconds",
    "Duration of a try to deliver a webhook.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
WEBHOOKS_WAITING = Gauge(
    "boxoffice_webhooks_waiting",
    "Deliveries that wait for active endpoints, as the leading messenger counts them.",
)
WEBHOOKS_OVERDUE_SECONDS = Gauge(
    "boxoffice_webhooks_overdue_seconds",
    "For how long the oldest of these deliveries has been due; below zero if none is.",
)
MAILS = Counter(
    "boxoffice_mails_total",
    "Tries to send a mail: sent, failed (tried again), refused, given_up.",
    ["kind", "result"],
)
MAILS_OVERDUE_SECONDS = Gauge(
    "boxoffice_mails_overdue_seconds",
    "For how long the oldest mail that waits has been due; below zero if none is.",
)
MAILS_WAITING = Gauge(
    "boxoffice_mails_waiting", "Mails that wait, as the leading messenger counts them."
)


def forget_backlog() -> None:
    """Clear what only the leading messenger counts: another process leads."""
    for gauge in (WEBHOOKS_WAITING, WEBHOOKS_OVERDUE_SECONDS, MAILS_WAITING, MAILS_OVERDUE_SECONDS):
        gauge.set(0)
