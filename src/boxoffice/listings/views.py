"""The facts of a concert in a list, as the API shows them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from boxoffice.platform.values import Money
from boxoffice.posters.views import Poster

SaleState = Literal["on_sale", "few_left", "sold_out", "soon", "ended", "cancelled"]


class ConcertSale(msgspec.Struct, frozen=True, kw_only=True):
    """The sale of all upcoming performances of a concert together, a few seconds old.

    `few_left` is one with few seats, `soon` one that opens at `opens_at`. `price_from` is the lowest
    price of a seat, sold ones included.
    """

    state: SaleState
    opens_at: datetime | None
    price_from: Money | None


class ListedVenue(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a venue; `name_en` and `name_ko` replace it for readers of that language."""

    name: str
    name_en: str | None
    name_ko: str | None


class PriceOfGrade(msgspec.Struct, frozen=True, kw_only=True):
    """The prices of a grade over all upcoming performances."""

    grade: str
    price_min: Money
    price_max: Money


class PageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of a concert shows besides its texts; prices are the highest first."""

    poster: Poster | None = None
    prices: list[PriceOfGrade] = []


class ListingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows of a concert; no sale where none is upcoming, or where it was not counted.

    One concert of the shop `is_featured` at most: an operator has chosen it.
    """

    poster: Poster | None = None
    cities: list[str] = []
    venues: list[ListedVenue] = []
    sale: ConcertSale | None = None
    is_featured: bool = False


class FeaturedConcert(msgspec.Struct, frozen=True, kw_only=True):
    """The concert at the top of the shop's list; null where lists choose by themselves."""

    concert_id: UUID | None
    title: str | None
