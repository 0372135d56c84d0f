"""What a User-Agent says of a device; the text itself is not kept."""

import re
from typing import NamedTuple

# The first match counts: most browsers name others that they are like.
_BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Whale", r"\bWhale/"),
    ("Opera", r"\bOPR/|\bOpera\b"),
    ("KakaoTalk", r"\bKAKAOTALK\b"),
    ("Firefox", r"\bFirefox/|\bFxiOS/"),
    ("Chrome", r"\bChrome/|\bCriOS/|\bHeadlessChrome/"),
    ("Safari", r"\bSafari/"),
)
_SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMacintosh\b|\bMac OS X\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)
_READ_CHARS = 512


class Device(NamedTuple):
    """A browser and an operating system by their names, empty where they are not known."""

    browser: str
    system: str


def device_of(user_agent: str) -> Device:
    """Return the device that a `User-Agent` names (RFC 9110, section 10.1.5)."""
    text = user_agent[:_READ_CHARS]
    return Device(_first(_BROWSERS, text), _first(_SYSTEMS, text))


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for name, pattern in patterns if re.search(pattern, text)), "")
