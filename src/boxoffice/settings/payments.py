"""Settings of money."""

import msgspec

from boxoffice.settings.values import Currency, Minor, PerSecond, TimeZone


class PaymentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Wallets and payments."""

    currency: Currency = "KRW"
    wallet_top_up_free: bool = False
    wallet_top_up_max_minor: Minor = 10_000_000
    wallet_balance_max_minor: Minor = 1_000_000_000_000
    venue_time_zone: TimeZone = "Asia/Seoul"
    refund_job_max_per_s: PerSecond = 20
