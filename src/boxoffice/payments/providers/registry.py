"""The providers that have keys. A third one is a file beside these, its settings, and a line here."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from boxoffice.payments.providers.client import open_session
from boxoffice.payments.providers.port import Provider
from boxoffice.payments.providers.stripe import Stripe
from boxoffice.payments.providers.toss import TossPayments
from boxoffice.settings import ProviderSettings
from boxoffice.settings.providers import STRIPE_SDK_URL, TOSS_SDK_URL

# What a provider's own script loads, frames and calls beside the origin that it comes from.
_SDK_ORIGINS = {
    TOSS_SDK_URL: ("https://*.tosspayments.com",),
    STRIPE_SDK_URL: (
        "https://*.js.stripe.com",
        "https://hooks.stripe.com",
        "https://api.stripe.com",
    ),
}


@asynccontextmanager
async def open_providers(settings: ProviderSettings) -> AsyncIterator[Mapping[str, Provider]]:
    """Lend the clients of the providers with a secret key, by name, in the order of the page."""
    async with open_session(settings) as session:
        found: dict[str, Provider] = {}
        if settings.toss_secret_key:
            found[TossPayments.name] = TossPayments(settings, session)
        if settings.stripe_secret_key:
            found[Stripe.name] = Stripe(settings, session)
        yield found


def sdk_origins(settings: ProviderSettings) -> tuple[str, ...]:
    """Return the origins that a page must allow for the scripts of the providers with a secret key."""
    used = [
        url
        for secret, url in (
            (settings.toss_secret_key, settings.toss_sdk_url),
            (settings.stripe_secret_key, settings.stripe_sdk_url),
        )
        if secret
    ]
    found = [origin for url in used for origin in (_origin(url), *_SDK_ORIGINS.get(url, ()))]
    return tuple(dict.fromkeys(found))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
