"""No script and no style uses what the oldest browsers of the pages do not have."""

import re
from pathlib import Path

import pytest

from boxoffice.web import assets

WEB = Path(assets.__file__).parent
ROOT = Path(__file__).parents[3]
# Made by `scripts/browser_floor.py`.
NEWER = frozenset(Path(__file__).with_name("newer_than_floor.txt").read_text().split())
FLOOR = ("Safari 16.4", "111", "Firefox 115")

# A page without these works and looks nearly the same.
DECORATION = {
    "accent-color:",
    "text-size-adjust:",
    "text-wrap:",
    ":-webkit-meter-bar",
    ":-webkit-meter-optimum-value",
    ":-webkit-meter-suboptimum-value",
}
# Members of our own objects that are called like a new member of a browser's.
OWN = {
    *(".added", ".camera", ".changed", ".check", ".draw", ".drop", ".entry", ".font", ".forget"),
    *(".ink", ".layer", ".lost", ".path", ".resize", ".role", ".run", ".silent", ".token"),
    # Of a venue.
    *(".address", ".city", ".country"),
    # Of a statement or a dispute of a payment provider, and of an organizer's form of offers.
    *(".provider", ".lines", ".inputs", ".quota"),
    # Of a gap in a board of a waiting room.
    ".to",
    # Of a device in the list of them, and of an amount in the form of a refund policy.
    *(".system", ".unit"),
    # Of an account, of an error of our own, and of what is kept of a page.
    *(".organization", ".isError", ".component", ".details"),
    # `URL`'s have been there for long; those of `StorageAccessHandle` have not.
    *(".createObjectURL", ".revokeObjectURL"),
    # Looked for before it is used (`navigator.share`).
    ".share",
    # `Intl`'s has been there for long; `format` of a list of parts has not.
    ".format",
}


def newer_in_script(text: str) -> set[str]:
    """Return what is too new in a module: globals, statics and members."""
    code = re.sub(r"//.*|/\*[\s\S]*?\*/", "", text)
    code = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', code)
    used = {*re.findall(r"(?<![\w.#])[A-Z]\w*", code), *re.findall(r"\b[A-Z]\w*\.\w+", code)}
    # What follows three dots is no member.
    used |= {f".{name}" for name in re.findall(r"(?<!\.)\.(\w+)\b", code)}
    return used & NEWER - OWN


def newer_in_style(text: str) -> set[str]:
    """Return what is too new in a style sheet: properties, selectors and rules."""
    code = re.sub(r"/\*[\s\S]*?\*/", "", text)
    used = {f"{name}:" for name in re.findall(r"(?:^|[{;\s])([a-z-]+)\s*:", code)}
    used |= set(re.findall(r":[a-z-]+", code)) | set(re.findall(r"@[a-z-]+", code))
    return used & NEWER - DECORATION


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.js")), ids=lambda path: path.name)
def test_a_script_uses_nothing_newer_than_the_floor(path: Path) -> None:
    assert newer_in_script(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.css")), ids=lambda path: path.name)
def test_a_style_uses_nothing_newer_than_the_floor(path: Path) -> None:
    assert newer_in_style(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("AbortSignal.any([one, other]); // AbortSignal.any", {"AbortSignal.any", ".any"}),
        ("Object.groupBy(items, name)", {".groupBy"}),
        ("element.checkVisibility()", {".checkVisibility"}),
        ('say("Object.groupBy"); new AbortController();', set()),
    ],
)
def test_what_is_too_new_in_a_script_is_found(script: str, found: set[str]) -> None:
    assert newer_in_script(script) == found & NEWER


@pytest.mark.parametrize(
    ("style", "found"),
    [
        ("main:has(.selection) { color: red }", {":has"}),
        ("p { text-wrap-style: pretty }", {"text-wrap-style:"}),
        ("/* :has */ p:not(.one) { margin: 0 }", set()),
    ],
)
def test_what_is_too_new_in_a_style_is_found(style: str, found: set[str]) -> None:
    assert newer_in_style(style) == found


@pytest.mark.parametrize(
    "path",
    [ROOT / "README.md", ROOT / "README.ko.md", WEB / "boot.js"],
    ids=lambda path: path.name,
)
def test_the_floor_is_declared(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert all(words in text for words in FLOOR)
