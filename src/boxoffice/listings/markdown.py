"""Markdown (CommonMark with tables) to a tree of allowed elements, never to HTML.

A page makes elements from the tree, so text stays text: markup in the source is shown and never run.
Raw HTML is off, pictures become their description, and a link that is not http, https, mailto or tel
becomes its text.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

Tag = Literal[
    "p", "h3", "ul", "ol", "li", "blockquote", "pre", "hr", "table", "tr", "th", "td",
    "strong", "em", "s", "code", "a", "br", "text",
]  # fmt: skip

_WEB = frozenset({"http", "https"})
_OTHERS = frozenset({"mailto", "tel"})
_TAGS: dict[str, Tag] = {
    "paragraph": "p", "bullet_list": "ul", "ordered_list": "ol", "list_item": "li",
    "blockquote": "blockquote", "code_block": "pre", "fence": "pre", "hr": "hr", "table": "table",
    "tr": "tr", "th": "th", "td": "td", "strong": "strong", "em": "em", "s": "s",
    "code_inline": "code", "link": "a", "hardbreak": "br", "text": "text",
}  # fmt: skip
_CACHED_MAX = 512
# Deeper elements become their content: functions that walk a tree call themselves.
_NESTING_MAX = 12


class RichNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An element of a text, or a piece of `text`; `href` is that of a link."""

    tag: Tag
    text: str = ""
    href: str = ""
    children: "list[RichNode]" = []


_parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _NESTING_MAX}).enable(
    ["table", "strikethrough"]
)


@lru_cache(maxsize=_CACHED_MAX)
def rich_nodes(source: str) -> Sequence[RichNode]:
    """Return the elements of a text in Markdown."""
    tokens: list[Token] = _parser.parse(source)
    for token in tokens:
        token.children = _shallow(token.children or []) if token.type == "inline" else None
    return tuple(_nodes(SyntaxTreeNode(tokens).children))


def _shallow(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens of a line without marks that are too deep; the parser does not bound these."""
    # guard: markdown_marks_are_not_nested_without_end => return list(tokens)
    return [one for one in tokens if one.nesting == 0 or one.level < _NESTING_MAX]


def plain_text(source: str) -> str:
    """Return a text without its markup, in one line."""
    return " ".join("".join(_pieces(rich_nodes(source))).split())


def _pieces(nodes: Sequence[RichNode]) -> Iterator[str]:
    for node in nodes:
        yield node.text
        yield from _pieces(node.children)
        if node.tag not in ("text", "strong", "em", "s", "code", "a"):
            yield " "


def _nodes(found: Sequence[SyntaxTreeNode]) -> Iterator[RichNode]:
    for node in found:
        match node.type:
            case "inline" | "thead" | "tbody":
                yield from _nodes(node.children)
            case "softbreak":
                yield RichNode(tag="text", text="\n")
            case "image":
                yield RichNode(tag="text", text=node.content)
            case "heading":
                # The page has headings of its own above these, and no level may be left out.
                yield RichNode(tag="h3", children=list(_nodes(node.children)))
            case "link":
                yield from _link(node)
            case kind:
                yield from _element(node, _TAGS.get(kind, "text"))


def _element(node: SyntaxTreeNode, tag: Tag) -> Iterator[RichNode]:
    if tag in ("text", "code", "pre"):
        yield RichNode(tag=tag, text=node.content)
    elif tag == "p" and node.hidden:
        # A tight list's items have no paragraphs.
        yield from _nodes(node.children)
    else:
        yield RichNode(tag=tag, children=list(_nodes(node.children)))


def _link(node: SyntaxTreeNode) -> Iterator[RichNode]:
    href, children = str(node.attrs.get("href", "")), list(_nodes(node.children))
    # guard: markdown_links_go_to_the_web => if True:
    if _is_allowed(href):
        yield RichNode(tag="a", href=href, children=children)
    else:
        yield from children


def _is_allowed(href: str) -> bool:
    try:
        parts = urlsplit(href)
        if parts.scheme in _WEB:
            # A name in front of an @ looks like the site that is visited.
            return bool(parts.hostname) and parts.username is None
    except ValueError:
        return False
    return parts.scheme in _OTHERS
