"""Markdown becomes allowed elements; what would run or leave the page becomes text."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.listings.markdown import RichNode, plain_text, rich_nodes


def shown(source: str) -> str:
    """Return the tree in short: tags with what is in them."""

    def one(node: RichNode) -> str:
        if node.tag == "text":
            return node.text
        inside = node.text + "".join(map(one, node.children))
        return f"<{node.tag}{' ' + node.href if node.href else ''}>{inside}</>"

    return "".join(map(one, rich_nodes(source)))


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("Hello *you* and **all**", "<p>Hello <em>you</> and <strong>all</></>"),
        ("# One\n\n### Three", "<h3>One</><h3>Three</>"),
        ("- a\n- b", "<ul><li>a</><li>b</></>"),
        ("1. a\n\n2. b", "<ol><li><p>a</></><li><p>b</></></>"),
        ("a  \nb\nc", "<p>a<br></>b\nc</>"),
        ("> quote", "<blockquote><p>quote</></>"),
        ("`code` ~~old~~", "<p><code>code</> <s>old</></>"),
        ("[site](https://example.org/a?b=c)", "<p><a https://example.org/a?b=c>site</></>"),
        ("<mailto:a@example.org>", "<p><a mailto:a@example.org>mailto:a@example.org</></>"),
        ("[call](tel:+82212345678)", "<p><a tel:+82212345678>call</></>"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "<table><tr><th>a</><th>b</></><tr><td>1</><td>2</></></>"),
        ("![the choir](https://example.org/x.png)", "<p>the choir</>"),
        ("좌석은 **지정석**입니다", "<p>좌석은 <strong>지정석</>입니다</>"),
    ],
)  # fmt: skip
def test_a_text_is_a_tree(source: str, wanted: str) -> None:
    assert shown(source) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](java\tscript:alert(1))",
        "[x](\x01javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "[x](file:///etc/passwd)",
        "[x](//example.org)",
        "[x](/organizer)",
        "[x][y]\n\n[y]: javascript:alert(1)",
        "<javascript:alert(1)>",
        "![x](javascript:alert(1))",
        "[x](http://[::1)",
        "[x](https://bank.example@evil.example/)",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        '[a](https://example.org "onmouseover=alert(1)")',
    ],
)
def test_nothing_runs_and_no_link_leaves_the_web(source: str) -> None:
    for node in every(rich_nodes(source)):
        assert node.href == "" or node.href.startswith("https://example.org")


def every(nodes: object) -> list[RichNode]:
    """Return all nodes of a tree."""
    found: list[RichNode] = []
    for node in nodes:  # type: ignore[attr-defined]
        found += [node, *every(node.children)]
    return found


def test_markup_is_shown_as_text() -> None:
    assert shown("<b>x</b>") == "<p><b>x</b></>"
    assert plain_text("# A *b*\n\n- c\n- d & <e>") == "A b c d & <e>"


def test_nesting_has_an_end() -> None:
    deep = ">" * 4_000 + " x"
    assert len(every(rich_nodes(deep))) < 100
    assert every(rich_nodes("*" * 5_000))
    assert every(rich_nodes("[" * 5_000))


@given(st.text(max_size=300))
def test_any_text_is_a_tree_of_allowed_elements(source: str) -> None:
    """The type of the answer has the allowed tags only."""
    encoded = msgspec.json.encode(rich_nodes(source))
    for node in msgspec.json.decode(encoded, type=list[RichNode]):
        assert node.tag
    for node in every(rich_nodes(source)):
        scheme = node.href.partition(":")[0].lower()
        assert scheme in ("", "http", "https", "mailto", "tel")


@pytest.mark.parametrize(("opening", "closing"), [("*a ", "b*"), ("**a ", "b**"), ("~~a ", "b~~")])
def test_marks_are_nested_only_so_deep(opening: str, closing: str) -> None:
    source = opening * 1_000 + closing * 1_000
    nodes = rich_nodes(source)
    depth = 0
    while nodes:
        depth += 1
        nodes = [child for node in nodes for child in node.children]
    assert depth <= 15
    assert plain_text(source).count("a") == plain_text(source).count("b") == 1_000
