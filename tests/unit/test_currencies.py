"""The decimals of currencies: those of ISO 4217, on the server and on the pages."""

import json
import re

import pytest

from boxoffice.errors import SettingsInvalid
from boxoffice.platform.currencies import DECIMALS, as_module
from boxoffice.settings import load
from boxoffice.web import assets


@pytest.mark.parametrize(
    ("decimals", "codes"),
    [
        (0, "KRW JPY VND CLP ISK PYG UGX RWF XAF XOF XPF UYI"),
        # Of these, browsers and CLDR show none.
        (2, "HUF IDR ALL AMD COP CRC IRR LAK LBP MMK MNT PKR RSD SYP TZS UZS YER"),
        (2, "EUR USD GBP CNY TWD CHF INR THB MXN XCG SLE VED ZWG"),
        (3, "IQD BHD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    ],
)
def test_the_minor_unit_is_that_of_the_standard(decimals: int, codes: str) -> None:
    assert {code: DECIMALS[code] for code in codes.split()} == dict.fromkeys(
        codes.split(), decimals
    )


def test_the_table_is_whole() -> None:
    assert len(DECIMALS) == 165
    assert all(re.fullmatch("[A-Z]{3}", code) for code in DECIMALS)
    assert set(DECIMALS.values()) == {0, 2, 3, 4}
    assert not {"XAU", "XXX", "XTS", "XDR", "HRK", "BGN", "DEM"} & set(DECIMALS)


def test_the_pages_get_the_same_table() -> None:
    found = assets.load()
    served = found.find(found.hash, assets.CURRENCIES)
    assert served is not None
    assert served.plain.decode() == as_module()
    told = re.search(r"\{(.*)\}", as_module())
    assert told is not None
    assert json.loads("{" + re.sub(r"(\w{3}):", r'"\1":', told[1]) + "}") == DECIMALS
    assert assets.CURRENCIES in found.modules(assets.ENTRY)


@pytest.mark.parametrize("currency", ["KRX", "XXX", "XAU", "krw", "DEM", ""])
def test_a_shop_sells_in_a_currency(currency: str) -> None:
    with pytest.raises(SettingsInvalid, match="BOXOFFICE_CURRENCY"):
        load({"BOXOFFICE_CURRENCY": currency})
    assert load({"BOXOFFICE_CURRENCY": "HUF"}).payments.currency == "HUF"
