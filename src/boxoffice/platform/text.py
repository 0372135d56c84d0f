"""Text that people type, in one spelling: what looks the same is the same, and what is there is seen.

Keyboards and programs differ in how they compose Hangul and accents (Unicode's forms NFC and NFD), in
which of some twenty spaces they write, and in characters without a glyph that come along when text is
copied. People see none of that, so it is settled where text comes in. Pure.
"""

import re
import unicodedata
from functools import lru_cache

# The classes below are written as regular expressions have them, and are part of the API's schema too.

# The property White_Space of the Unicode Character Database, but for line ends and other controls.
_SPACES = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
# Control characters (general category Cc), and what ends a line: U+0085, U+2028 and the like.
_BUT_LINES = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029"
_CONTROLS = _BUT_LINES + r"\u0009\u000a\u000d"
# What is no character at all; half of one (UTF-16) is kept out of JSON already.
_NONE = r"\ufdd0-\ufdef\ufffe\uffff"
_HALF = r"\ud800-\udfff"
# No glyph: soft hyphen, grapheme joiner, zero-width space, word joiner and invisible operators, byte
# order mark, annotations, tags; fillers of Hangul, and the braille pattern without dots. And what turns
# the order of letters around (bidirectional embeddings, overrides and isolates): it makes a text look
# like another one, and mixes up whatever stands beside it.
_HIDDEN = (
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e007f"
)
# Right between visible characters these are how Persian, Hindi, emoji and text of two directions are
# written. Variation selectors choose a glyph for the character before them.
_JOINERS = r"\u061c\u200c-\u200f"
_SELECTORS = r"\ufe00-\ufe0f" + "\U000e0100-\U000e01ef"
# A joiner or selector with nothing visible before it, or a joiner with nothing visible after it. A
# joiner may follow the selector of the character before it, as in emoji.
_LOOSE = (
    rf"(?:^|[\n\r\t{_SPACES}])[{_JOINERS}{_SELECTORS}]"
    rf"|[{_JOINERS}](?:$|[\n\r\t{_SPACES}{_JOINERS}{_SELECTORS}])"
    rf"|[{_SELECTORS}][{_SELECTORS}]"
)


def _pattern(controls: str) -> str:
    bad = controls + _NONE + _HIDDEN
    seen = rf"[^{bad}\n\t\r{_SPACES}{_JOINERS}{_SELECTORS}]"
    return rf"^(?![\s\S]*(?:{_LOOSE}))[^{bad}]*{seen}[^{bad}]*$(?!\n)"


# What a schema says of a line, and of several lines that are not empty.
LINE_PATTERN = _pattern(_CONTROLS)
PARAGRAPH_PATTERN = rf"^$(?!\n)|{_pattern(_BUT_LINES)}"
# One character of the form NFC comes of four at the most (UAX #15): a text that is longer than so many
# times its limit cannot come to it.
TYPED_PER_CHAR_MAX = 4

_CACHED_MAX = 8_192

_space = re.compile(f"[{_SPACES}]+")
_line_end = re.compile("\r\n?")
_ends = re.compile(rf"^[{_SPACES}\n\t]+|[{_SPACES}\n\t]+$")
_control = re.compile(f"[{_CONTROLS}{_NONE}{_HALF}]")
_paragraph_control = re.compile(f"[{_BUT_LINES}{_NONE}{_HALF}]")
_hidden = re.compile(f"[{_HIDDEN}]")
_loose = re.compile(_LOOSE)
_joiner = re.compile(f"[{_JOINERS}]")
_unseen = re.compile(f"[{_HIDDEN}{_JOINERS}{_SELECTORS}]")
_nothing = re.compile(f"[{_SPACES}{_CONTROLS}{_NONE}{_HALF}{_HIDDEN}{_JOINERS}{_SELECTORS}]+")


class TextFault(ValueError):
    """What is wrong with a text: a stable word, and half a sentence for people that goes on from it."""

    def __init__(self, reason: str, complaint: str) -> None:
        super().__init__(complaint)
        self.reason = reason
        self.complaint = complaint


def is_visible(text: str) -> bool:
    """Say whether there is something to be seen in a text."""
    return _nothing.sub("", text) != ""


def composed(text: str) -> str:
    """Return the Unicode form NFC of a text, in which it is kept."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def spellings(text: str) -> tuple[str, ...]:
    """Return what a text that was typed may have been kept as, the normal form first.

    The others are what was kept before there was one.
    """
    forms = (composed(text), unicodedata.normalize("NFD", text), text)
    return tuple(dict.fromkeys(forms))


def normal_line(text: str) -> str:
    """Return a title, a name or any other line as it is kept; raise `TextFault`.

    It is composed (NFC), spaces of every kind become one U+0020 between words and none at the ends, and
    there is something to be seen in it. Refused are control characters, what has no glyph, and joiners
    that join nothing.
    """
    if text.isascii() and text.isprintable() and text == " ".join(text.split()) != "":
        return text
    return _checked(_space.sub(" ", composed(text)), _control)


def normal_paragraph(text: str) -> str:
    """Return a text of several lines as it is kept, also an empty one; raise `TextFault`.

    It is composed, its line ends are LF, and there are no spaces at its ends. Refused is what
    `normal_line` refuses, but for tabs and line ends.
    """
    lines = _line_end.sub("\n", composed(text))
    if not _ends.sub("", lines):
        return ""
    return _checked(lines, _paragraph_control)


@lru_cache(maxsize=_CACHED_MAX)
def normal_label(text: str) -> str:
    """Return a label of a seat map as it is kept; raise `TextFault`.

    As `normal_line`, and without joiners: a label is read aloud, and typed from a ticket.
    """
    label = normal_line(text)
    if _joiner.search(label):
        raise TextFault("invisible", "has an invisible character")
    return label


@lru_cache(maxsize=_CACHED_MAX)
def same_to_people(text: str) -> str:
    """Return a key that is equal for texts that people take for the same.

    Case, width and form make no difference (NFKC and full case folding), nor do spaces at the ends,
    how many there are between words, and what cannot be seen. It is for comparing, never for showing.
    Letters of different scripts that look alike stay apart.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _space.sub(" ", _unseen.sub("", folded)).strip(" ")


def _checked(text: str, control: re.Pattern[str]) -> str:
    if control.search(text):
        raise TextFault("control", "has a control character")
    if not is_visible(text):
        raise TextFault("empty", "is empty")
    if _hidden.search(text) or _loose.search(text):
        raise TextFault("invisible", "has an invisible character")
    return _ends.sub("", text)
