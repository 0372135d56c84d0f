"""Printing of commands: external text is never markup or a terminal control sequence."""

from typing import Any

from rich.console import Console
from rich.progress import TextColumn


def terminal(**options: Any) -> Console:
    """Return a console that prints text without interpreting it; `options` are those of rich."""
    return Console(markup=False, emoji=False, highlight=False, **options)


def text_column(text: str) -> TextColumn:
    """Return a column of a progress bar whose values are not interpreted as markup."""
    return TextColumn(text, markup=False)


def printable(text: str) -> str:
    """Return a text with control characters escaped."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
