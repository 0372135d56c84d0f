"""Settings of the cashier and of the notices that providers send."""

from typing import Annotated

import msgspec
from msgspec import Meta

from boxoffice.settings.values import Count, Milliseconds, Seconds


class CashierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The role that looks up, renews, refunds and reconciles; and the notices of providers."""

    notice_max_bytes: Annotated[int, Meta(ge=1_024, le=1_048_576)] = 262_144
    # Notices that wait for their transaction, of one worker.
    notices_waiting_max: Count = 64
    notice_unknown_for_s: Seconds = 86_400.0
    # Providers send a notice again for up to four days.
    notice_retention_s: Annotated[float, Meta(ge=432_000, le=31_536_000)] = 2_592_000.0
    cashier_interval_ms: Milliseconds = 500
    cashier_lease_ms: Annotated[int, Meta(ge=300, le=60_000)] = 5_000
    # Work and notices in progress, for each provider.
    cashier_concurrent_max: Annotated[int, Meta(ge=1, le=256)] = 16
    cashier_reconcile_interval_s: Seconds = 300.0
    cashier_retry_first_s: Seconds = 2.0
    cashier_retry_max_s: Seconds = 300.0
