"""What a seat costs, what a code is, and which terms can be applied. Pure.

Amounts are minor units. A reduction in per cent is rounded down, so a price is rounded up; no price is
below zero. `offers_reduced_v1` in `functions.sql` computes the same; a test compares them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

PERCENT_MAX = 100
# Crockford's base 32: no I, L, O and U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# 80 bits; the suffix shows 20 of them, and 60 are left for those who read the database to guess.
CODE_LENGTH = 16
SUFFIX_LENGTH = 4
# The price of a seat without a choice.
STANDARD = ""
_CODE_SIZE = (3, 40)
_LOOKS_LIKE = str.maketrans({"I": "1", "L": "1", "O": "0"})


class TermsInvalid(ValueError):
    """Terms that cannot be applied; the text names the fault."""


class SeatPrice(NamedTuple):
    """What a seat of a reservation costs: `price_minor` of its type, less a discount, and a fee."""

    price_type: str
    price_minor: int
    discount_minor: int = 0
    fee_minor: int = 0

    @property
    def paid_minor(self) -> int:
        """Return the seat's part of the amount."""
        return self.price_minor - self.discount_minor + self.fee_minor


@dataclass(frozen=True, slots=True)
class Reduction:
    """Less `percent_off` of a price, rounded down, less `amount_off_minor`."""

    percent_off: int = 0
    amount_off_minor: int = 0

    def of(self, price_minor: int) -> int:
        """Return the reduced price, at least 0."""
        off = price_minor * self.percent_off // PERCENT_MAX
        return max(price_minor - off - self.amount_off_minor, 0)


NO_REDUCTION = Reduction()


def seat_price(
    full_minor: int, price_type: str, reduction: Reduction, discount: Reduction, fee_minor: int
) -> SeatPrice:
    """Return what a seat costs: its type first, then the code's discount, then the booking fee.

    A seat that costs nothing has no fee.
    """
    price = reduction.of(full_minor)
    left = discount.of(price)
    return SeatPrice(price_type, price, price - left, fee_minor if left else 0)


class OfferRequest(NamedTuple):
    """What a request for seats asks of offers: a price type for each seat, and a code's digest."""

    price_types: tuple[str, ...]
    code_hash: bytes | None


def normalized(code: str) -> str:
    """Return a code as it is compared: capitals without spaces and hyphens, I and L as 1, O as 0."""
    return _capitals(code).translate(_LOOKS_LIKE)


def _capitals(code: str) -> str:
    return "".join(code.split()).replace("-", "").upper()


def code_hash(schedule_id: UUID, code: str) -> bytes:
    """Return the digest by which a code of a schedule is found.

    The digest is compared, not the code: the time of the comparison does not depend on how much of a
    code was right.
    """
    text = normalized(code).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=32, salt=schedule_id.bytes, person=b"boxoffice-code").digest()


def suffix(code: str) -> str:
    """Return the part of a code that organizers are shown."""
    return _capitals(code)[-SUFFIX_LENGTH:]


def grouped(code: str) -> str:
    """Return a generated code as people read it, in groups of four."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def check_shared_code(code: str) -> None:
    """Raise `TermsInvalid` for a code that is too short, too long or not of letters and digits."""
    text = normalized(code)
    if not (text.isalnum() and _CODE_SIZE[0] <= len(text) <= _CODE_SIZE[1]):
        raise TermsInvalid(f"A code has {_CODE_SIZE[0]} to {_CODE_SIZE[1]} letters and digits.")


@dataclass(frozen=True, slots=True)
class PriceType:
    """What a kind of visitor pays; `grades` is None for all grades."""

    code: str
    name: str
    name_ko: str
    note: str
    note_ko: str
    reduction: Reduction
    grades: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SalesChannel:
    """A way of selling with at most `quota` seats (None: no limit); holds without a code's channel
    count against the default one.
    """

    code: str
    name: str
    quota: int | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a schedule: before `public_from` a hold needs a presale code."""

    public_from: datetime | None
    fee_minor: int
    price_types: tuple[PriceType, ...]
    channels: tuple[SalesChannel, ...]


class SeatPair(NamedTuple):
    """An accessible seat and its companion's seat, which are sold together."""

    accessible_id: str
    companion_id: str


def check_terms(
    terms: Terms, grades: Sequence[str], taken: dict[str, int], used: Collection[str] = ()
) -> None:
    """Raise `TermsInvalid` unless terms fit a schedule with these grades.

    `taken` are the seats that each channel has held or sold. `used` are the channels of codes that
    hold: without theirs, codes would count against the default one.
    """
    _check_distinct("price type", [one.code for one in terms.price_types])
    _check_distinct("channel", [one.code for one in terms.channels])
    for one in terms.price_types:
        unknown = set(one.grades or ()) - set(grades)
        if unknown:
            raise TermsInvalid(f"No seat has the grade {min(unknown)!r}.")
    if sum(one.is_default for one in terms.channels) > 1:
        raise TermsInvalid("One channel at most is the default.")
    lost = set(used) - {one.code for one in terms.channels}
    # guard: channel_of_codes_stays => if False:
    if lost:
        raise TermsInvalid(f"Codes belong to the channel {min(lost)!r}; disable them first.")
    for channel in terms.channels:
        sold = taken.get(channel.code, 0)
        if channel.quota is not None and channel.quota < sold:
            raise TermsInvalid(f"The channel {channel.code!r} has {sold} seats held or sold.")


def check_pairs(pairs: Sequence[SeatPair], seat_ids: frozenset[str]) -> None:
    """Raise `TermsInvalid` unless each seat exists and is in one pair."""
    named = [seat_id for pair in pairs for seat_id in pair]
    _check_distinct("seat", named)
    unknown = [seat_id for seat_id in named if seat_id not in seat_ids]
    if unknown:
        raise TermsInvalid(f"There is no seat {unknown[0]!r}.")


def _check_distinct(what: str, names: Sequence[str]) -> None:
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise TermsInvalid(f"The {what} {twice!r} is named twice.")
