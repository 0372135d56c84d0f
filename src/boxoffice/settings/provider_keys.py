"""Which keys and addresses of payment providers belong together, in words."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from boxoffice.errors import SettingsInvalid
from boxoffice.settings.providers import (
    STRIPE_API_URL,
    STRIPE_SDK_URL,
    TOSS_API_URL,
    TOSS_SDK_URL,
    ProviderSettings,
)
from boxoffice.settings.values import variable

_SECRETS = ("toss_secret_key", "stripe_secret_key")
# What a provider needs beside its secret key.
_BESIDE = {
    "toss_secret_key": ("toss_client_key",),
    "stripe_secret_key": ("stripe_publishable_key", "stripe_webhook_secrets"),
}
_KEYS = (*_SECRETS, "toss_client_key", "stripe_publishable_key")
_OWN_URLS = {
    "toss_api_url": TOSS_API_URL,
    "toss_sdk_url": TOSS_SDK_URL,
    "stripe_api_url": STRIPE_API_URL,
    "stripe_sdk_url": STRIPE_SDK_URL,
}


def check_providers(settings: ProviderSettings) -> None:
    """Raise `SettingsInvalid` for the first key or address that must not be used as it is."""
    for fault in _faults(settings):
        raise SettingsInvalid(fault)


def _faults(settings: ProviderSettings) -> Iterator[str]:
    yield from _missing(settings)
    for name in _KEYS:
        key = getattr(settings, name)
        # guard: provider_key_fits_the_mode => if False:
        if key and ("live" in key.split("_")[:2]) != settings.payments_live:
            yield _wrong_mode(name, is_live=settings.payments_live)
    for name, own in _OWN_URLS.items():
        yield from _url_faults(name, getattr(settings, name), own, settings)


def _missing(settings: ProviderSettings) -> Iterator[str]:
    for secret, others in _BESIDE.items():
        for other in others:
            if getattr(settings, secret) and not getattr(settings, other):
                yield f"{variable(other)} is empty: {variable(secret)} needs it"
            if getattr(settings, other) and not getattr(settings, secret):
                yield f"{variable(secret)} is empty: {variable(other)} is of no use without it"


def _wrong_mode(name: str, *, is_live: bool) -> str:
    live = variable("payments_live")
    if is_live:
        return f"{variable(name)} is a test key: no money would move, and {live} is true"
    return f"{variable(name)} is a live key: it moves real money, and {live} is false"


def _url_faults(name: str, url: str, own: str, settings: ProviderSettings) -> Iterator[str]:
    secret = "toss_secret_key" if name.startswith("toss_") else "stripe_secret_key"
    if not getattr(settings, secret):
        return
    # guard: provider_live_key_goes_to_the_provider => if False:
    if settings.payments_live and url != own:
        yield f"{variable(name)} is {url!r}: live keys are sent to {own} only"
    elif not url:
        yield f"{variable(name)} is empty: {variable(secret)} needs it"
    elif url.startswith("http://") and not _is_loopback(url):
        yield f"{variable(name)} is {url!r}: it must begin with https:// unless it is this machine"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
