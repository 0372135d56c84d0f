"""Metrics of accounts."""

from prometheus_client import Counter

ATTEMPTS_REFUSED = Counter(
    "boxoffice_attempts_refused_total", "Log-ins and sign-ups that a limit refused.", ("limit",)
)
