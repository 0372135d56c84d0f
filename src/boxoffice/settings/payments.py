"""Settings of money."""

from typing import Annotated

import msgspec
from msgspec import Meta

from boxoffice.settings.values import Currency, Milliseconds, Minor, PerSecond, Seconds, TimeZone


class PaymentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Wallets and payments."""

    currency: Currency = "KRW"
    wallet_top_up_free: bool = False
    wallet_top_up_max_minor: Minor = 10_000_000
    wallet_balance_max_minor: Minor = 1_000_000_000_000
    venue_time_zone: TimeZone = "Asia/Seoul"
    refund_job_max_per_s: PerSecond = 20
    # The longest that a transaction lasts which began before a performance was changed.
    schedule_change_settle_s: Annotated[int, Meta(ge=1, le=3_600)] = 60
    # A hold lasts at least this long once its buyer goes to a provider.
    payment_extension_s: Annotated[int, Meta(ge=0, le=3_600)] = 300
    # From the begin of a confirmation on, and in all.
    payment_fence_s: Annotated[int, Meta(ge=2, le=3_600)] = 90
    payment_fence_max_s: Annotated[int, Meta(ge=2, le=86_400)] = 900
    confirm_wait_ms: Milliseconds = 8_000
    # The database allows five.
    intent_attempts_max: Annotated[int, Meta(ge=1, le=5)] = 5
    statement_overlap_s: Seconds = 3_600
    statement_lag_s: Seconds = 7_200
