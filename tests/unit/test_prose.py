"""The prose of pages and code: no word for an actor without a name, no metaphor for a term."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boxoffice.app import describe

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CODE = sorted(
    path
    for folder in ("src", "tests", "bench", "faults")
    for suffix in ("py", "sql", "lua", "toml")
    for path in (ROOT / folder).rglob(f"*.{suffix}")
)
# The changelog names what was replaced; the Korean page has rules of its own.
EXEMPT = {"CHANGELOG.md", "README.ko.md"}

# A word, and what to write instead.
WORDS = {
    r"somebody|someone": "the acting part: the buyer, another transaction, the worker",
    r"anybody|anyone else": "any client, any buyer",
    r"nobody|no one": "no client, no buyer; or say what does not happen",
    r"everybody": "every client, all buyers",
    r"who(?:m|so)?ever": "the client that …, the process that …",
    r"by heart": "from memory, in a cache",
    r"(?<!source of )the truth": "the source of truth, or: correct",
    r"(?:in|out of) the way of|in (?:its|their|anybody's) way": "blocked by, conflicts with",
    r"swift": "fast path",
    r"decider": "batch handler",
    r"comebacks?": "Retry-After",
    r"logbook": "activity log",
    r"deeds?": "action",
    r"errands?": "request",
}
FORBIDDEN = [(re.compile(rf"\b(?:{word})\b", re.IGNORECASE), why) for word, why in WORDS.items()]


def _faults(text: str) -> Iterator[tuple[str, str]]:
    for pattern, instead in FORBIDDEN:
        for found in pattern.findall(text):
            yield found, instead


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page without its code."""
    is_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, re.sub(r"`[^`]*`", "", line)


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path.name not in EXEMPT], ids=lambda path: path.name
)
def test_a_page_is_plain(path: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word!r}: write {instead}"
        for number, line in _lines(path)
        for word, instead in _faults(line)
    ]
    assert not found, "\n".join(found)


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of comments and docstrings, without code in backquotes."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        lines = [*_docstrings(text), *_python_comments(text)]
    else:
        sign = "#" if path.suffix == ".toml" else "--"
        lines = [
            (number, line)
            for number, line in enumerate(text.splitlines(), 1)
            if line.lstrip().startswith(sign)
        ]
    for number, line in lines:
        yield number, re.sub(r"`[^`]*`", "", line)


def _python_comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _docstrings(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                yield from enumerate(docstring.splitlines(), node.body[0].lineno)


def _test_names(path: Path) -> Iterator[str]:
    """Yield the names of the tests of a file, as words."""
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"^\s*(?:async )?def test_(\w+)", text, flags=re.MULTILINE):
        yield name.replace("_", " ")


def test_the_names_of_tests_are_plain() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name!r}: {word!r}: write {instead}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in _test_names(path)
        for word, instead in _faults(name)
    ]
    assert not found, "\n".join(found)


def test_the_check_of_names_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "test_a.py"
    path.write_text("async def test_nobody_waits() -> None: ...\n")
    assert [word for name in _test_names(path) for word, _ in _faults(name)] == ["nobody"]


def test_the_comments_of_the_code_are_plain() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word!r}: write {instead}"
        for path in CODE
        for number, line in _comments(path)
        for word, instead in _faults(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", '"""What a client meets.\n\nNobody waits.\n"""\n'),
        ("a.py", "def f():\n    pass  # nobody waits\n"),
        ("a.sql", "SELECT 1;\n  -- Nobody waits.\n"),
        ("a.lua", "-- Nobody waits.\n"),
        ("a.toml", "# Nobody waits.\n"),
    ],
)
def test_the_check_of_comments_can_fail(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert [word for _, line in _comments(path) for word, _ in _faults(line)]
    path.write_text(text.replace("obody waits", "o buyer waits, `nobody` is a user"))
    assert not [word for _, line in _comments(path) for word, _ in _faults(line)]


def _texts(node: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the summaries, descriptions and titles of the OpenAPI document with their places."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in {"summary", "description", "title"} and isinstance(value, str):
                yield f"{at}/{name}", value
            else:
                yield from _texts(value, f"{at}/{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _texts(value, f"{at}/{index}")


def test_the_texts_of_the_api_are_plain() -> None:
    found = [
        f"{at}: {word!r}: write {instead}"
        for at, text in _texts(describe())
        for word, instead in _faults(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["Nobody waits.", "It is the truth.", "known by heart"])
def test_the_check_can_fail(text: str) -> None:
    assert list(_faults(text))


def test_a_term_of_the_field_passes() -> None:
    assert not list(_faults("PostgreSQL is the source of truth."))
