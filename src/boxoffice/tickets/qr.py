"""QR codes of tickets (ISO/IEC 18004). Pure."""

from io import BytesIO

import segno

# Level M tolerates dirt and creases. Choosing the best of the eight masks would take six times as long,
# and readers do not need it.
_LEVEL = "m"
_MASK = 2
# Pixels of a module: a phone's screen and a printer show it sharply.
_PNG_SCALE = 8


def png(text: str) -> bytes:
    """Return the QR code of `text` as a PNG picture with its quiet zone."""
    picture = BytesIO()
    segno.make_qr(text, error=_LEVEL, mask=_MASK, boost_error=False).save(
        picture, kind="png", scale=_PNG_SCALE
    )
    return picture.getvalue()


def rows(text: str) -> list[str]:
    """Return the QR code of `text` as rows of `0` and `1`, without the quiet zone around it."""
    code = segno.make_qr(text, error=_LEVEL, mask=_MASK, boost_error=False)
    return ["".join("1" if square else "0" for square in row) for row in code.matrix]
