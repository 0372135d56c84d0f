"""The head of a page for programs that run no scripts: previews of links, search engines. Pure."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import msgspec


class PageHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a page says of itself; addresses are absolute, or empty where they are not known.

    `preload` has the attributes of the image that is shown first, `data` is for `schema.org`.
    """

    title: str
    description: str
    lines: tuple[str, ...] = ()
    url: str = ""
    image: str = ""
    image_alt: str = ""
    preload: Mapping[str, str] = {}
    data: Mapping[str, Any] = {}


def head_of(page: PageHead) -> str:
    """Return the HTML of a head."""
    return "\n    ".join(_head_lines(page))


def without_scripts(page: PageHead) -> str:
    """Return the HTML that is shown where no script runs."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in (*page.lines, page.description) if line)
    return f"<h1>{escape(page.title)}</h1>{lines}"


def _head_lines(page: PageHead) -> Iterator[str]:
    yield f"<title>{escape(page.title)}</title>"
    if page.preload:
        attributes = " ".join(f'{name}="{escape(text)}"' for name, text in page.preload.items())
        yield f'<link rel="preload" as="image" fetchpriority="high" {attributes}>'
    yield _meta("name", "description", page.description)
    if page.url:
        yield f'<link rel="canonical" href="{escape(page.url)}">'
    for name, text in _open_graph(page):
        yield _meta("property", name, text)
    yield _meta("name", "twitter:card", "summary_large_image" if page.image else "summary")
    if page.data:
        # A data block runs nothing and needs no permission of the policy. JSON within a script ends at
        # a tag, so no tag may be in it.
        data = (
            msgspec.json.encode(page.data).decode().replace("<", "\\u003c").replace("&", "\\u0026")
        )
        yield f'<script type="application/ld+json">{data}</script>'


def _open_graph(page: PageHead) -> Iterator[tuple[str, str]]:
    yield "og:type", "website"
    yield "og:site_name", "boxoffice"
    yield "og:title", page.title
    yield "og:description", page.description
    if page.url:
        yield "og:url", page.url
    if page.image:
        yield "og:image", page.image
        yield "og:image:width", "1200"
        yield "og:image:height", "630"
        yield "og:image:alt", page.image_alt or page.title


def _meta(kind: str, name: str, text: str) -> str:
    return f'<meta {kind}="{name}" content="{escape(text)}">'
