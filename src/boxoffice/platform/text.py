"""Normalizes typed text, so that texts that look the same are equal. Pure.

Keyboards and programs differ in the composition of Hangul and accents (NFC and NFD), in some twenty
kinds of spaces, and in invisible characters of copied text. The differences are invisible, so input
is normalized once.
"""

import re
import unicodedata
from functools import lru_cache

# The character classes are in the syntax of regular expressions; the API's schema uses them as well.

# White_Space of the Unicode Character Database, without line ends and other controls.
_SPACES = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
# Control characters (general category Cc) and line separators such as U+0085 and U+2028.
_BUT_LINES = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029"
_CONTROLS = _BUT_LINES + r"\u0009\u000a\u000d"
# Noncharacters; surrogates (UTF-16) cannot come out of JSON.
_NONE = r"\ufdd0-\ufdef\ufffe\uffff"
_HALF = r"\ud800-\udfff"
# No glyph: soft hyphen, grapheme joiner, zero-width space, word joiner and invisible operators, byte
# order mark, annotations, tags, fillers of Hangul, the empty braille pattern. And bidirectional
# embeddings, overrides and isolates, which make a text look like another one and reorder the text
# beside it.
_HIDDEN = (
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e007f"
)
# Between visible characters, Persian, Hindi, emoji and bidirectional text need these. A variation
# selector selects the glyph of the character before it.
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


# Patterns of the API's schema for a line, and for several lines that are not empty.
LINE_PATTERN = _pattern(_CONTROLS)
PARAGRAPH_PATTERN = rf"^$(?!\n)|{_pattern(_BUT_LINES)}"
# NFC composes at most four characters into one (UAX #15): a text longer than this times its limit is
# too long in any form.
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
    """A fault of a text: a stable reason, and a predicate for a sentence about the text."""

    def __init__(self, reason: str, complaint: str) -> None:
        super().__init__(complaint)
        self.reason = reason
        self.complaint = complaint


def is_visible(text: str) -> bool:
    """Say whether a text has a visible character."""
    return _nothing.sub("", text) != ""


def composed(text: str) -> str:
    """Return the NFC form of a text, in which it is stored."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def spellings(text: str) -> tuple[str, ...]:
    """Return the forms in which a typed text may be stored, the normal form first.

    The other forms were stored before normalization was introduced.
    """
    forms = (composed(text), unicodedata.normalize("NFD", text), text)
    return tuple(dict.fromkeys(forms))


def normal_line(text: str) -> str:
    """Return a line, such as a title or a name, in its stored form; raise `TextFault`.

    It is composed (NFC); spaces of every kind become one U+0020 between words and none at the ends.
    Refused are texts without a visible character, control and invisible characters, and loose joiners.
    """
    if text.isascii() and text.isprintable() and text == " ".join(text.split()) != "":
        return text
    return _checked(_space.sub(" ", composed(text)), _control)


def normal_paragraph(text: str) -> str:
    """Return a text of several lines, or an empty one, in its stored form; raise `TextFault`.

    It is composed, with LF line ends and no spaces at its ends. Refused is what `normal_line` refuses,
    except tabs and line ends.
    """
    lines = _line_end.sub("\n", composed(text))
    if not _ends.sub("", lines):
        return ""
    return _checked(lines, _paragraph_control)


@lru_cache(maxsize=_CACHED_MAX)
def normal_label(text: str) -> str:
    """Return a label of a seat map in its stored form; raise `TextFault`.

    As `normal_line`, and without joiners: a label is read aloud, and typed from a ticket.
    """
    label = normal_line(text)
    if _joiner.search(label):
        raise TextFault("invisible", "has an invisible character")
    return label


@lru_cache(maxsize=_CACHED_MAX)
def same_to_people(text: str) -> str:
    """Return a key that is equal for texts that readers take for the same; never for display.

    It ignores case, width and form (NFKC and full case folding), spaces at the ends, the number of
    spaces between words, and invisible characters. Look-alike letters of different scripts stay
    different.
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
