"""The state of a concert's sale is that of what can be bought, then of what opens next."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boxoffice.listings.rules import Performance, cities_of, sale_of, venues_of
from boxoffice.platform.values import Money

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def performance(**changed: Any) -> Performance:
    """A performance on sale with all of its 100 seats."""
    given: dict[str, Any] = {
        "read_at": NOW, "status": "OPEN", "sale_opens_at": NOW - HOUR, "sale_ends_at": NOW + HOUR,
        "currency": "KRW", "city": "", "venue": None, "venue_en": None, "venue_ko": None,
        "seats_total": 100, "seats_available": 100, "price_from_minor": 5_000,
    }  # fmt: skip
    return Performance(**(given | changed))


SOON = performance(sale_opens_at=NOW + HOUR)
LATER = performance(sale_opens_at=NOW + 2 * HOUR)
SOLD_OUT = performance(seats_available=0)
FEW = performance(seats_available=10)
CLOSED = performance(status="CLOSED")
OVER = performance(sale_ends_at=NOW)
CANCELLED = performance(status="CANCELLED", price_from_minor=1)


@pytest.mark.parametrize(
    ("performances", "state"),
    [
        ([performance()], "on_sale"),
        ([FEW], "few_left"),
        ([performance(seats_available=11)], "on_sale"),
        ([FEW, performance()], "on_sale"),
        ([FEW, SOLD_OUT], "few_left"),
        ([SOLD_OUT], "sold_out"),
        ([SOLD_OUT, SOON], "soon"),
        ([SOON, LATER], "soon"),
        ([performance(sale_opens_at=NOW)], "on_sale"),
        ([CLOSED], "ended"),
        ([OVER], "ended"),
        ([CANCELLED], "cancelled"),
        ([CANCELLED, CLOSED], "ended"),
        ([CANCELLED, performance()], "on_sale"),
        ([performance(status="CLOSED", sale_opens_at=NOW + HOUR)], "ended"),
    ],
)
def test_a_concert_has_one_state(performances: list[Performance], state: str) -> None:
    sale = sale_of(performances, few_left_percent=10)
    assert sale is not None
    assert sale.state == state


def test_venues_are_named_once_in_their_order() -> None:
    hall = performance(venue="Hall", venue_ko="홀")
    named = venues_of([hall, performance(), performance(venue="Arena"), hall])
    assert [(one.name, one.name_en, one.name_ko) for one in named] == [
        ("Hall", None, "홀"),
        ("Arena", None, None),
    ]


def test_the_next_opening_counts() -> None:
    sale = sale_of([LATER, SOON], 10)
    assert sale is not None
    assert sale.opens_at == NOW + HOUR
    on_sale = sale_of([performance(), SOON], 10)
    assert on_sale is not None
    assert on_sale.opens_at is None


def test_the_lowest_price_is_that_of_what_takes_place() -> None:
    sale = sale_of([CANCELLED, performance(price_from_minor=7), performance()], 10)
    assert sale is not None
    assert sale.price_from == Money(7, "KRW")
    without_seats = sale_of([performance(price_from_minor=None, seats_total=0)], 10)
    assert without_seats is not None
    assert without_seats.price_from is None


def test_without_performances_there_is_no_sale() -> None:
    assert sale_of([], 10) is None


def test_cities_are_in_the_order_of_the_performances() -> None:
    found = [performance(city=city) for city in ("Busan", "", "Seoul", "Busan")]
    assert cities_of(found) == ["Busan", "Seoul"]
