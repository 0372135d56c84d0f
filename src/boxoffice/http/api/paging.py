"""Cursor paging: `limit` and `cursor` in, `items` and `next_cursor` out."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from boxoffice.errors import CursorInvalid

T = TypeVar("T")
R = TypeVar("R")

LIMIT_DEFAULT = 20


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The length of a page, and the place before its first item."""

    limit: Annotated[int, Meta(ge=1, le=100, description="How many items at the most.")] = (
        LIMIT_DEFAULT
    )
    cursor: Annotated[
        str, Meta(max_length=512, description="The next_cursor of the page before.")
    ] = ""


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = None


def page(
    rows: Sequence[R], limit: int, present: Callable[[R], T], place: Callable[[R], object]
) -> Page[T]:
    """Make a page of `rows`, which hold one row more than `limit` where another page follows."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[present(row) for row in shown],
        next_cursor=encode_cursor(place(shown[-1])) if more else None,
    )


def encode_cursor(place: object) -> str:
    """Return the opaque text of a place in a list."""
    return urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str, kind: type[T]) -> T | None:
    """Decode `cursor`, None for the first page; raise `CursorInvalid`."""
    if not cursor:
        return None
    try:
        packed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        return msgspec.json.decode(packed, type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise CursorInvalid from error
