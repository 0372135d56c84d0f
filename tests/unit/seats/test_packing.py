"""Readings and layouts survive their way through Valkey; damaged ones are refused."""

import asyncio
from uuid import uuid4

import msgspec
import pytest

from boxoffice.seats.layout import Layout, packed, positions
from boxoffice.seats.shared import packing
from boxoffice.seats.shared.packing import Unreadable
from boxoffice.seats.store import StatesRow

ROW = StatesRow(
    2, 5.5, b"\x00\x02", bytes(range(16)), bytes(range(16, 32)), b"p" * 24, True, 1.0, 9.0, 3
)


def _layout() -> Layout:
    async def rows() -> object:
        yield [("A-1-1", "A", "1", 1, "VIP", 5_000), ("A-1-2", "A", "1", 2, "R", 4_000)]

    seats = asyncio.run(packed(rows()))  # type: ignore[arg-type]  # rows as tuples
    return Layout(uuid4(), "KRW", seats, positions(seats.ids), 3)


def test_a_reading_is_the_same_afterwards() -> None:
    reading = packing.pack_reading(ROW, 0.25, b"layout")
    head = packing.unpack_head(reading.head)
    assert (head.took_s, head.layout_digest) == (0.25, b"layout")
    assert packing.unpack_row(head, reading.body) == ROW


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({"now": 6.5}, True),
        ({"states": b"\x01\x02"}, False),
        ({"people": b"q" * 24}, False),
        ({"closes_at": 8.0}, False),
        ({"is_open": False}, False),
        ({"layout_version": 4}, False),
    ],
)
def test_the_digest_differs_with_all_but_the_time(
    changed: dict[str, object], is_same: bool
) -> None:
    other = packing.pack_reading(ROW._replace(**changed), 0.5, b"layout")  # type: ignore[arg-type]  # any member
    assert (other.digest == packing.pack_reading(ROW, 0.25, b"layout").digest) is is_same


def test_a_layout_is_the_same_afterwards() -> None:
    layout = _layout()
    published = packing.pack_layout(layout)
    found = packing.unpack_layout(layout.schedule_id, published.body)
    assert list(found.seats) == list(layout.seats)
    assert (found.index, found.currency, found.version) == (layout.index, "KRW", 3)
    assert packing.pack_layout(found).digest == published.digest


@pytest.mark.parametrize("damage", ["cut", "garbage", "short", "person"])
def test_a_damaged_reading_is_refused(damage: str) -> None:
    reading = packing.pack_reading(ROW, 0.25, b"layout")
    head = packing.unpack_head(reading.head)
    body, seats = {
        "cut": (reading.body[:-3], 2),
        "garbage": (b"\xff" * 30, 2),
        "short": (reading.body, 9),
        "person": (packing.pack_reading(ROW._replace(people=b"123"), 0, b"").body, 2),
    }[damage]
    with pytest.raises(Unreadable):
        packing.unpack_row(msgspec.structs.replace(head, seats=seats), body)


def test_a_damaged_head_or_layout_is_refused() -> None:
    with pytest.raises(Unreadable):
        packing.unpack_head(b"\x91\x01")
    with pytest.raises(Unreadable):
        packing.unpack_layout(uuid4(), packing.pack_reading(ROW, 0.0, b"").body)
