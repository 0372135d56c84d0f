"""How commands print: what comes from outside is text, never markup or a command to the terminal."""

from typing import Any

from rich.console import Console
from rich.progress import TextColumn


def terminal(**options: Any) -> Console:
    """Return a console that takes every text as it is; `options` are those of rich."""
    return Console(markup=False, emoji=False, highlight=False, **options)


def text_column(text: str) -> TextColumn:
    """Return a column of a progress bar; what is filled into it is no markup."""
    return TextColumn(text, markup=False)


def printable(text: str) -> str:
    """Return a text in which what would move the cursor or change colours is spelt out."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
