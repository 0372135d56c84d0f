"""Accent colours that can be read: contrast of WCAG 2.2, and shades derived from a colour. Pure."""

# The grounds of the pages, as `1-tokens.css` has them; text on an accent has the second one's colour.
LIGHT_GROUNDS = ("#f6f5f2", "#ffffff")
DARK_GROUNDS = ("#1d2125", "#14171a")
# WCAG 2.2, 1.4.3: text of any size.
CONTRAST_MIN = 4.5

_BLACK, _WHITE = "#000000", "#ffffff"
_STEPS = 50


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours `#rrggbb`, from 1 to 21 (WCAG 2.2)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def light_shade(colour: str) -> str:
    """Return the colour, darkened until it can be read on light grounds."""
    return _shade(colour, _BLACK, LIGHT_GROUNDS)


def dark_shade(colour: str) -> str:
    """Return the colour, lightened until it can be read on dark grounds."""
    return _shade(colour, _WHITE, DARK_GROUNDS)


def _shade(colour: str, towards: str, grounds: tuple[str, ...]) -> str:
    mixed = (_mixed(colour, towards, step / _STEPS) for step in range(_STEPS))
    return next((one for one in mixed if _is_readable(one, grounds)), towards)


def _is_readable(colour: str, grounds: tuple[str, ...]) -> bool:
    # guard: accent_can_be_read => return True
    return all(contrast(colour, ground) >= CONTRAST_MIN for ground in grounds)


def _mixed(one: str, other: str, share: float) -> str:
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
