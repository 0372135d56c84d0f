"""Shops that use one Valkey show nothing of each other."""

import pytest

from boxoffice.app import compose
from boxoffice.app_parts import shop_of
from boxoffice.settings import Settings

ADDRESS = "postgresql://ann:one@h1:5432,[::1]:5433/shop?password=x&host=a"


def _settings(database_url: str, **changed: object) -> Settings:
    return Settings.of(database_url=database_url, valkey_url="redis://", **changed)


@pytest.mark.parametrize(
    ("address", "is_same"),
    [
        (ADDRESS, True),
        (ADDRESS.replace("one", "two"), True),
        (ADDRESS.replace("=x", "=y"), True),
        (ADDRESS.replace("/shop", "/other"), False),
        (ADDRESS.replace("5433", "5434"), False),
        (ADDRESS.replace("host=a", "host=b"), False),
        (ADDRESS.replace("ann", "bob"), False),
    ],
)
def test_a_shop_is_its_database_without_the_password(address: str, is_same: bool) -> None:
    assert (shop_of(_settings(address)) == shop_of(_settings(ADDRESS))) is is_same


def test_another_stream_is_another_shop() -> None:
    assert shop_of(_settings(ADDRESS, relay_stream="other")) != shop_of(_settings(ADDRESS))


def test_the_keys_of_readings_and_lookups_name_the_shop() -> None:
    settings = _settings(ADDRESS)
    services = compose(settings).services
    shop = shop_of(settings)
    assert shop in services.seats.shared.prefix
    lookups = services.catalog.lookups._shared
    assert lookups is not None
    assert all(shop in key for key in lookups._keys("page:(20, None)"))
