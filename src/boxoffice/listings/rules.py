"""The state of a concert's sale from those of its performances. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from boxoffice.listings.views import ConcertSale, ListedVenue, SaleState
from boxoffice.platform.values import Money


class Performance(NamedTuple):
    """An upcoming performance: its sale, seats and place, read at `read_at`; a venue may be unknown."""

    read_at: datetime
    status: str
    sale_opens_at: datetime
    sale_ends_at: datetime
    currency: str
    city: str
    venue: str | None
    venue_en: str | None
    venue_ko: str | None
    seats_total: int
    seats_available: int
    price_from_minor: int | None


def sale_of(performances: Sequence[Performance], few_left_percent: int) -> ConcertSale | None:
    """Return the sale of a concert, None without performances.

    What can be bought now decides; then what opens next.
    """
    if not performances:
        return None
    state = _state(performances, few_left_percent)
    opens_at = min((one.sale_opens_at for one in performances if _is_soon(one)), default=None)
    return ConcertSale(
        state=state,
        opens_at=opens_at if state == "soon" else None,
        price_from=_price_from(performances),
    )


def cities_of(performances: Sequence[Performance]) -> list[str]:
    """Return the cities of performances, in their order."""
    return list(dict.fromkeys(one.city for one in performances if one.city))


def venues_of(performances: Sequence[Performance]) -> list[ListedVenue]:
    """Return the names of the venues of performances, in their order."""
    names = ((one.venue, one.venue_en, one.venue_ko) for one in performances)
    return [
        ListedVenue(name=name, name_en=name_en, name_ko=name_ko)
        for name, name_en, name_ko in dict.fromkeys(names)
        if name is not None
    ]


def _state(performances: Sequence[Performance], few_left_percent: int) -> SaleState:
    if all(one.status == "CANCELLED" for one in performances):
        return "cancelled"
    on_sale = [one for one in performances if _is_on_sale(one)]
    available = sum(one.seats_available for one in on_sale)
    total = sum(one.seats_total for one in on_sale)
    if available:
        return "few_left" if available * 100 <= total * few_left_percent else "on_sale"
    if any(map(_is_soon, performances)):
        return "soon"
    return "sold_out" if on_sale else "ended"


def _is_on_sale(one: Performance) -> bool:
    return one.status == "OPEN" and one.sale_opens_at <= one.read_at < one.sale_ends_at


def _is_soon(one: Performance) -> bool:
    return one.status == "OPEN" and one.read_at < one.sale_opens_at


def _price_from(performances: Sequence[Performance]) -> Money | None:
    prices = [
        (one.price_from_minor, one.currency)
        for one in performances
        if one.price_from_minor is not None and one.status != "CANCELLED"
    ]
    return Money(*min(prices)) if prices else None
