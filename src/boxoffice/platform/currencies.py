"""The decimals of each currency (ISO 4217, list one, of 1 January 2026). Pure.

Browsers and language libraries show customary decimals (CLDR), which are fewer for many currencies.
HUF has two decimals here, as in the minor units of banks and payment providers. The pages use the
same table (`web/assets.py`). Currencies without a minor unit (gold, funds, test codes) are not in it.
"""

from types import MappingProxyType

_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
        "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
        "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
        "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
        "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
        "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST "
        "XAD XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

DECIMALS = MappingProxyType(
    {code: decimals for decimals, codes in _CODES.items() for code in codes.split()}
)


def as_module() -> str:
    """Return the table as a JavaScript module of the pages."""
    cases = ", ".join(f"{code}: {decimals}" for code, decimals in sorted(DECIMALS.items()))
    return (
        "/** How many decimals an amount of a currency has (ISO 4217); made by the server. */\n"
        f"export const DECIMALS = {{ {cases} }};\n"
    )
