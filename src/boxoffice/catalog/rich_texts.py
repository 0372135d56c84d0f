"""The texts of a concert that are Markdown, as elements."""

from collections.abc import Sequence

from boxoffice.catalog.views import Concert
from boxoffice.listings.markdown import RichNode, rich_nodes

_MEMBERS = ("description", "faq", "notices", "refund_notes")
MARKDOWN = tuple(f"{name}{twin}" for name in _MEMBERS for twin in ("", "_en", "_ko"))


def rich_texts(concert: Concert) -> dict[str, Sequence[RichNode]]:
    """Return the elements of each text that is not empty, by its member."""
    texts = ((name, getattr(concert, name)) for name in MARKDOWN)
    return {name: rich_nodes(text) for name, text in texts if text}
