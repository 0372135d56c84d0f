"""The QR codes of tickets, read back by a reader that is not the writer's."""

import pytest
import zxingcpp

from boxoffice.platform.ids import ScopedId, new_id, parse_scoped
from boxoffice.tickets import qr

_QUIET = 4
_SQUARE_PX = 4


def picture(rows: list[str]) -> memoryview:
    """Return the code as pixels, dark on light, with the quiet zone that ISO/IEC 18004 asks for."""
    size = len(rows) + 2 * _QUIET
    light = "0" * size
    framed = [light] * _QUIET + [f"{'0' * _QUIET}{row}{'0' * _QUIET}" for row in rows]
    framed += [light] * _QUIET
    lines = [
        b"".join((b"\0" if square == "1" else b"\xff") * _SQUARE_PX for square in row)
        for row in framed
    ]
    pixels = b"".join(line * _SQUARE_PX for line in lines)
    return memoryview(pixels).cast("B", (size * _SQUARE_PX, size * _SQUARE_PX))


def read(rows: list[str]) -> list[str]:
    """Return the texts that a reader finds."""
    return [found.text for found in zxingcpp.read_barcodes(picture(rows))]


@pytest.mark.parametrize("attempt", range(20))
def test_a_reader_reads_the_ticket(attempt: int) -> None:
    ticket = ScopedId(new_id(), new_id())
    rows = qr.rows(str(ticket))
    assert {len(row) for row in rows} == {len(rows)}
    (text,) = read(rows)
    assert parse_scoped(text) == ticket


def test_a_reader_does_not_read_what_is_spoilt() -> None:
    rows = qr.rows(str(ScopedId(new_id(), new_id())))
    middle = len(rows) // 2
    spoilt = [*rows[: middle - 8], *["1" * len(rows)] * 16, *rows[middle + 8 :]]
    assert read(spoilt) == []
