"""Small parts of HTML; every text goes through `escape`. Pure."""

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

_CODE = re.compile(r"`([^`]+)`")


def prose(text: str) -> str:
    """Return a text whose words between backticks are code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def table(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str) -> str:
    """Return a table; cells are HTML. A narrow window scrolls it, with the keyboard too."""
    titles = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    label = escape(caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f'<caption class="visually-hidden">{label}</caption>'
        f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def code(text: str, label: str) -> str:
    """Return a block of code that can be copied and scrolled."""
    name = escape(label)
    return (
        f'<div class="code"><pre tabindex="0" role="region" aria-label="{name}">'
        f"<code>{escape(text)}</code></pre></div>"
    )


def folded(title: str, inner: str, *, is_open: bool = False, group: str = "") -> str:
    """Return a part that opens; of a `group` one is open at a time."""
    name = f' name="{escape(group)}"' if group else ""
    return f"<details{name}{' open' if is_open else ''}><summary>{title}</summary>{inner}</details>"


def as_json(value: Any) -> str:
    """Return a value in JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)
