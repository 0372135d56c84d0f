"""The providers that have keys. A third one is a file beside these, its settings, and a line here."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from boxoffice.payments.providers.client import open_session
from boxoffice.payments.providers.port import Provider
from boxoffice.payments.providers.stripe import Stripe
from boxoffice.payments.providers.toss import TossPayments
from boxoffice.settings import ProviderSettings


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
