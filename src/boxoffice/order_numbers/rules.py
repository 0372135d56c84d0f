"""How order numbers are shown and read: Crockford's base 32 with a check character. Pure.

Source of the characters: https://www.crockford.com/base32.html. The check character is in the same
alphabet, see `docs/decisions/0031-order-numbers.md`.
"""

import re
import unicodedata

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 9
# Letters that are in no number, and what they are mistaken for.
_MISTAKEN = str.maketrans("OILU", "011V")
_BETWEEN = re.compile(r"[\s\-\u00ad\u2010-\u2015\u2212._/]+")
# x^5 + x^2 + 1: x is of order 31 in GF(32), so that each place has a weight of its own.
_POLYNOMIAL = 0b100101


def shown(number: str | None) -> str | None:
    """Return a stored number in groups, as `4KX7-92MQ-X`; None before a reservation is confirmed."""
    return None if number is None else f"{number[:4]}-{number[4:8]}-{number[8:]}"


def check_sign(signs: str) -> str:
    """Return the check character of the first eight."""
    total = 0
    for sign in signs:
        total ^= SIGNS.index(sign)
        total = total << 1 ^ (total >> 4) * _POLYNOMIAL
    return SIGNS[total]


def normal(text: str) -> str:
    """Return what a person typed in the characters of numbers, without what is between groups.

    Other characters stay, so that the result need not be a part of a number.
    """
    plain = unicodedata.normalize("NFKC", text).upper()
    return _BETWEEN.sub("", plain).translate(_MISTAKEN)


def read(text: str) -> str | None:
    """Return the stored form of a number that a person typed, None unless its check character fits."""
    number = normal(text)
    return number if is_part(number) and is_whole(number) else None


def is_whole(number: str) -> bool:
    """Whether normal characters are a whole number with the right check character."""
    return len(number) == LENGTH and number[-1] == check_sign(number[:-1])


def is_part(number: str) -> bool:
    """Whether normal characters can begin a number."""
    return 0 < len(number) <= LENGTH and all(sign in SIGNS for sign in number)
