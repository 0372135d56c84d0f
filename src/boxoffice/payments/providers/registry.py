"""The providers that have keys. A third one is a file beside these, its settings, and a line here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

from boxoffice.payments.providers.client import open_session
from boxoffice.payments.providers.port import Provider, ProviderError
from boxoffice.payments.providers.stripe import Stripe
from boxoffice.payments.providers.toss import TossPayments
from boxoffice.platform.concurrency.supervision import supervised
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


# An order that no shop has; a provider that answers this look-up is back.
_PROBED_ORDER = "boxoffice-probe"


@asynccontextmanager
async def open_providers(settings: ProviderSettings) -> AsyncIterator[Mapping[str, Provider]]:
    """Lend the clients of the providers with a secret key, by name, in the order of the page."""
    async with open_session(settings) as session:
        found: dict[str, Provider] = {}
        if settings.toss_secret_key:
            found[TossPayments.name] = TossPayments(settings, session)
        if settings.stripe_secret_key:
            found[Stripe.name] = Stripe(settings, session)
        every_s = settings.provider_breaker_open_ms / 1000
        probes = {f"probe_{name}": partial(_probe, one, every_s) for name, one in found.items()}
        async with supervised(probes):
            yield found


async def _probe(provider: Provider, every_s: float) -> None:
    """Look up an order in vain while a provider is away, because buyers and cashiers spare it then."""
    while True:
        await asyncio.sleep(every_s)
        if not provider.is_available:
            with suppress(ProviderError):
                await provider.look_up(_PROBED_ORDER, None)


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
