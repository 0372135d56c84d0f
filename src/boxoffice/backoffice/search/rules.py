"""What a search may mean: an order number, a seat, or words of a name or address. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from boxoffice.order_numbers import rules as order_number
from boxoffice.platform.text import spellings

WORDS_MAX = 4
# Fewer characters begin too many numbers; letters alone may be a name.
_NUMBER_CHARS_MIN = 3
_LETTERS_MIN = 5
# A word of Hangul has two or three letters per syllable.
_TEXT_CHARS_MIN = 2
# As in `search_text` of migrations 0024 and 0026.
_BLANKS = re.compile(r"[\s.@_+\-/,()]+")
_ACCENTS = (
    "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u031b\u0323\u0327\u0328"
)
_MARKS = dict.fromkeys(map(ord, _ACCENTS))
_SEAT_PARTS = re.compile(
    r"[\s\-/,·]+|구역|열|번|(?<![a-z])(?:section|row|seat)(?![a-z])", re.IGNORECASE
)

# More letters are a word with a number, as in addresses.
_SHORT = re.compile(r"([^\W\d_]{1,2})(\d{1,4})")


class SeatPlace(NamedTuple):
    """A seat as people say it: its possible ids, and row and number where it has only these."""

    seat_ids: tuple[str, ...]
    row_labels: tuple[str, ...] = ()
    number: int = 0


class SearchTerms(NamedTuple):
    """The readings of one text; an empty one is none."""

    number_prefix: str = ""
    numbers: tuple[str, ...] = ()
    place: SeatPlace | None = None
    words: tuple[str, ...] = ()

    @property
    def patterns(self) -> list[str]:
        """The words as patterns that find them at the beginning of a word, `WORDS_MAX` of them."""
        found = [f"% {_escaped(word)}%" for word in self.words]
        return found + ["%"] * (WORDS_MAX - len(found))


def terms(text: str) -> SearchTerms:
    """Return what a text may mean."""
    named = place(text)
    prefix, numbers = _numbers(text, _LETTERS_MIN if named else _NUMBER_CHARS_MIN)
    return SearchTerms(prefix, numbers, named, words(text))


def words(text: str) -> tuple[str, ...]:
    """Return the longest words of a text as they are stored, in order; none of a short text."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).lower())
    found = list(dict.fromkeys(filter(None, _BLANKS.split(folded.translate(_MARKS)))))
    longest = sorted(found, key=len, reverse=True)[:WORDS_MAX]
    is_enough = sum(map(len, longest)) >= _TEXT_CHARS_MIN
    return tuple(one for one in found if one in longest) if is_enough else ()


def _numbers(text: str, chars_min: int) -> tuple[str, tuple[str, ...]]:
    """Return the prefix that a text may be of a number, and whole numbers that it may mean."""
    number = order_number.normal(text)
    has_digits = any(sign.isdigit() for sign in text)
    if len(number) < (chars_min if has_digits else _LETTERS_MIN) or not order_number.is_part(
        number
    ):
        return "", ()
    if order_number.is_whole(number):
        return "", (number,)
    # Several words without a digit are a name; one may be a number, most of whose signs are letters.
    is_name = not has_digits and len(text.split()) > 1
    meant = () if is_name else tuple(dict.fromkeys(_near(number)))
    return number if len(number) < order_number.LENGTH else "", meant


def _near(number: str) -> Iterator[str]:
    """Yield the numbers of which one mistake makes `number`: a wrong, a swapped or a missing sign."""
    if len(number) < order_number.LENGTH - 1:
        return
    # Nothing is left out where a sign is missing, else the sign at that place.
    width = 0 if len(number) < order_number.LENGTH else 1
    made = (
        number[:at] + sign + number[at + width :]
        for at in range(len(number) + 1 - width)
        for sign in order_number.SIGNS
    )
    yield from filter(order_number.is_whole, made)
    for at in range(len(number) - 1):
        swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
        if order_number.is_whole(swapped):
            yield swapped


def place(text: str) -> SeatPlace | None:
    """Return the seat that a text names.

    As `A-1-12`, as `A-12` or `A12` (row and number), or in words, such as `A구역 1열 12번`.
    """
    parts = [part for part in _SEAT_PARTS.split(text.strip()) if part]
    short = _SHORT.fullmatch(text.strip())
    if short:
        parts = [short[1], short[2]]
    if len(parts) < 2 or not parts[-1].isdecimal() or len(parts[-1]) > 4:
        return None
    ids = [text.strip(), "-".join(parts)]
    seat_ids = tuple(dict.fromkeys(form for one in ids for form in _cases(one)))
    if len(parts) > 2:
        return SeatPlace(seat_ids)
    return SeatPlace(seat_ids, tuple(dict.fromkeys(_cases(parts[0]))), int(parts[1]))


def _cases(text: str) -> Iterator[str]:
    for form in spellings(text):
        yield from (form, form.upper(), form.lower())


def _escaped(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)
