"""The QR codes of tickets: pure."""

import segno

# Level M bears some dirt and creases. The choice among the eight masks is for looks that readers do not
# need, and costs six times as much as everything else.
_LEVEL = "m"
_MASK = 2


def rows(text: str) -> list[str]:
    """Return the QR code of `text` as rows of `0` and `1`, without the quiet zone around it."""
    code = segno.make_qr(text, error=_LEVEL, mask=_MASK, boost_error=False)
    return ["".join("1" if square else "0" for square in row) for row in code.matrix]
