"""Settings of payment providers; a provider without a secret key is not offered."""

from typing import Annotated

import msgspec
from msgspec import Meta

from boxoffice.settings.values import Bytes, Count, Milliseconds, Seconds

WebUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[^\s/?#@]+(/[!-~]*)?)?$",
        description="an address that begins with https:// (http:// for a test), or empty for none",
    ),
]
TossSecretKey = Annotated[
    str,
    Meta(
        pattern="^((test|live)_g?sk_[A-Za-z0-9_-]{8,200})?$",
        description="a secret key of Toss Payments, such as test_sk_…, or empty for none",
    ),
]
TossClientKey = Annotated[
    str,
    Meta(
        pattern="^((test|live)_g?ck_[A-Za-z0-9_-]{8,200})?$",
        description="a client key of Toss Payments, such as test_ck_…, or empty for none",
    ),
]
StripeSecretKey = Annotated[
    str,
    Meta(
        pattern="^([sr]k_(test|live)_[A-Za-z0-9_]{8,240})?$",
        description="a secret key of Stripe, such as sk_test_…, or empty for none",
    ),
]
StripePublishableKey = Annotated[
    str,
    Meta(
        pattern="^(pk_(test|live)_[A-Za-z0-9_]{8,240})?$",
        description="a publishable key of Stripe, such as pk_test_…, or empty for none",
    ),
]
WebhookSecrets = Annotated[
    str,
    Meta(
        pattern="^(whsec_[A-Za-z0-9+/=_-]{8,240}(,whsec_[A-Za-z0-9+/=_-]{8,240}){0,4})?$",
        description="up to five signing secrets such as whsec_…, with commas between",
    ),
]

TOSS_API_URL = "https://api.tosspayments.com"
TOSS_SDK_URL = "https://js.tosspayments.com/v2/standard"
STRIPE_API_URL = "https://api.stripe.com"
STRIPE_SDK_URL = "https://js.stripe.com/v3/"


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Keys and addresses of payment providers, and the bounds of calls to them."""

    # Whether the keys move real money.
    payments_live: bool = False
    toss_secret_key: TossSecretKey = ""
    toss_client_key: TossClientKey = ""
    toss_api_url: WebUrl = TOSS_API_URL
    toss_sdk_url: WebUrl = TOSS_SDK_URL
    stripe_secret_key: StripeSecretKey = ""
    stripe_publishable_key: StripePublishableKey = ""
    # Several while a secret is rotated.
    stripe_webhook_secrets: WebhookSecrets = ""
    stripe_api_url: WebUrl = STRIPE_API_URL
    stripe_sdk_url: WebUrl = STRIPE_SDK_URL
    provider_connections_max: Annotated[int, Meta(ge=1, le=1_000)] = 32
    provider_connect_timeout_ms: Milliseconds = 3_000
    provider_timeout_ms: Milliseconds = 10_000
    confirm_timeout_ms: Milliseconds = 60_000
    provider_statement_timeout_ms: Milliseconds = 90_000
    provider_answer_max_bytes: Bytes = 16 * 1024 * 1024
    provider_breaker_failures_max: Count = 5
    provider_breaker_open_ms: Milliseconds = 5_000
    # How old or how far ahead the time of a signed notice may be.
    notice_tolerance_s: Seconds = 300.0
