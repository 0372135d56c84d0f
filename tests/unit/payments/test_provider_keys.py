"""Keys and addresses of payment providers are checked at the start, in words."""

import pytest

from boxoffice.errors import SettingsInvalid
from boxoffice.settings import load

TOSS = {
    "BOXOFFICE_TOSS_SECRET_KEY": "test_sk_abcdefgh12345678",
    "BOXOFFICE_TOSS_CLIENT_KEY": "test_ck_abcdefgh12345678",
}
STRIPE = {
    "BOXOFFICE_STRIPE_SECRET_KEY": "sk_test_abcdefgh12345678",
    "BOXOFFICE_STRIPE_PUBLISHABLE_KEY": "pk_test_abcdefgh12345678",
    "BOXOFFICE_STRIPE_WEBHOOK_SECRETS": "whsec_abcdefgh12345678",
}
LIVE = {
    name: value.replace("test_", "live_") if "whsec" not in value else value
    for name, value in {**TOSS, **STRIPE}.items()
} | {"BOXOFFICE_PAYMENTS_LIVE": "true"}


def _sentence(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        load(environ)
    return str(refused.value)


@pytest.mark.parametrize("environ", [{}, TOSS, STRIPE, {**TOSS, **STRIPE}, LIVE])
def test_keys_that_belong_together_are_accepted(environ: dict[str, str]) -> None:
    assert load(environ).providers.payments_live is ("BOXOFFICE_PAYMENTS_LIVE" in environ)


def test_a_test_provider_may_be_on_this_machine() -> None:
    here = {
        "BOXOFFICE_TOSS_API_URL": "http://127.0.0.1:9000",
        "BOXOFFICE_TOSS_SDK_URL": "http://[::1]/sdk.js",
    }
    assert load({**TOSS, **here}).providers.toss_api_url == "http://127.0.0.1:9000"


@pytest.mark.parametrize("name", [*TOSS, *STRIPE])
def test_a_key_without_what_belongs_to_it_is_refused(name: str) -> None:
    rest = {key: value for key, value in {**TOSS, **STRIPE}.items() if key != name}
    assert f"{name} is empty" in _sentence(rest)


@pytest.mark.parametrize("name", [name for name in LIVE if "KEY" in name])
def test_a_test_key_in_production_is_refused(name: str) -> None:
    sentence = _sentence({**LIVE, name: {**TOSS, **STRIPE}[name]})
    assert (
        sentence
        == f"{name} is a test key: no money would move, and BOXOFFICE_PAYMENTS_LIVE is true"
    )


@pytest.mark.parametrize("name", [name for name in LIVE if "KEY" in name])
def test_a_live_key_in_a_test_is_refused(name: str) -> None:
    sentence = _sentence({**TOSS, **STRIPE, name: LIVE[name]})
    assert (
        sentence
        == f"{name} is a live key: it moves real money, and BOXOFFICE_PAYMENTS_LIVE is false"
    )


@pytest.mark.parametrize(
    "name", ["TOSS_API_URL", "TOSS_SDK_URL", "STRIPE_API_URL", "STRIPE_SDK_URL"]
)
@pytest.mark.parametrize("url", ["https://example.com", "http://127.0.0.1:9000", ""])
def test_a_live_key_is_sent_to_its_provider_only(name: str, url: str) -> None:
    sentence = _sentence({**LIVE, f"BOXOFFICE_{name}": url})
    assert sentence.startswith(f"BOXOFFICE_{name} is {url!r}: live keys are sent to https://")


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://10.0.0.1:80", "http://127.0.0.1.example.com"]
)
def test_a_secret_key_does_not_cross_a_network_in_the_clear(url: str) -> None:
    sentence = _sentence({**TOSS, "BOXOFFICE_TOSS_API_URL": url})
    assert sentence.startswith(f"BOXOFFICE_TOSS_API_URL is {url!r}: it must begin with https://")


@pytest.mark.parametrize(
    "url", ["ftp://a", "https://", "https://user:word@host", "https://a b", "//a", "https://a?x=1"]
)
def test_an_address_of_another_form_is_refused(url: str) -> None:
    assert _sentence({**TOSS, "BOXOFFICE_TOSS_API_URL": url}).startswith(
        "BOXOFFICE_TOSS_API_URL is "
    )


def test_a_wrong_key_is_not_shown() -> None:
    sentence = _sentence({**TOSS, "BOXOFFICE_TOSS_SECRET_KEY": "sk_test_mistaken_for_stripe"})
    assert "mistaken" not in sentence
    assert "a secret key of Toss Payments, such as test_sk_…" in sentence
