"""Brands as the API shows them, and reads their changes from a body."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.listings.markdown import RichNode
from boxoffice.platform.values import Line, Paragraph

Colour = Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$(?!\n)", max_length=7)]


class Logo(msgspec.Struct, frozen=True, kw_only=True):
    """The logo of an organization; its addresses never change their content.

    It is opaque; `ground` is the colour to put around it. `png_url` is for mails.
    """

    url: str
    png_url: str
    width: int
    height: int
    ground: str


class Accent(msgspec.Struct, frozen=True, kw_only=True):
    """A colour, and its shades that can be read on light and on dark pages."""

    colour: str
    light: str
    dark: str


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """Who sells: `name_en` and `name_ko` replace the name for readers of that language."""

    organization_id: UUID
    name: str
    name_en: str | None = None
    name_ko: str | None = None
    logo: Logo | None = None
    accent: Accent | None = None
    has_terms: bool = False


class BrandInFull(Brand, frozen=True, kw_only=True):
    """A brand with its terms in Markdown; `rich` has them by their member, parsed to elements."""

    terms: str = ""
    terms_en: str | None = None
    terms_ko: str | None = None
    rich: dict[str, Sequence[RichNode]] = {}


class OwnBrand(Brand, frozen=True, kw_only=True):
    """A brand as its organization edits it; `version` is the ETag, 0 before the first change."""

    terms: str
    terms_en: str | None
    terms_ko: str | None
    version: int


class BrandEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The changed members of a brand; absent ones stay, null clears."""

    name_en: Line | UnsetType | None = UNSET
    name_ko: Line | UnsetType | None = UNSET
    accent: Colour | UnsetType | None = UNSET
    terms: Paragraph | UnsetType = UNSET
    terms_en: Paragraph | UnsetType | None = UNSET
    terms_ko: Paragraph | UnsetType | None = UNSET
