"""A reader of QR codes that is not the writer's."""

import zxingcpp

_QUIET = 4
_SQUARE_PX = 4


def read(rows: list[str]) -> list[str]:
    """Return the texts that a reader finds."""
    return [found.text for found in zxingcpp.read_barcodes(_picture(rows))]


def _picture(rows: list[str]) -> memoryview:
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
