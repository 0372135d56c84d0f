"""QR codes of tickets (ISO/IEC 18004). Pure."""

import segno

# Level M tolerates dirt and creases. Choosing the best of the eight masks would take six times as long,
# and readers do not need it.
_LEVEL = "m"
_MASK = 2


def rows(text: str) -> list[str]:
    """Return the QR code of `text` as rows of `0` and `1`, without the quiet zone around it."""
    code = segno.make_qr(text, error=_LEVEL, mask=_MASK, boost_error=False)
    return ["".join("1" if square else "0" for square in row) for row in code.matrix]
