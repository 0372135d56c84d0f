"""Brands as the API shows them, and reads their changes from a body."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.listings.markdown import RichNode
from boxoffice.platform.values import Line, Paragraph

Colour = Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$(?!\n)", max_length=7)]

# A site that may embed the widget; plain HTTP is for trying it out.
Origin = Annotated[
    str,
    Meta(
        pattern=r"^(https://[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?|http://(localhost|127\.0\.0\.1))"
        r"(:[0-9]{1,5})?$(?!\n)",
        max_length=270,
        description="Scheme, host and port of a site, as https://venue.example.",
    ),
]
Origins = Annotated[list[Origin], Meta(max_length=20)]


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
    """A brand as its organization edits it; `version` is the ETag, 0 before the first change.

    Pages of `widget_origins` may embed the widget of the organization's concerts.
    """

    terms: str
    terms_en: str | None
    terms_ko: str | None
    widget_origins: list[str]
    version: int


class BrandEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The changed members of a brand; absent ones stay, null clears."""

    name_en: Line | UnsetType | None = UNSET
    name_ko: Line | UnsetType | None = UNSET
    accent: Colour | UnsetType | None = UNSET
    terms: Paragraph | UnsetType = UNSET
    terms_en: Paragraph | UnsetType | None = UNSET
    terms_ko: Paragraph | UnsetType | None = UNSET
    widget_origins: Origins | UnsetType = UNSET
