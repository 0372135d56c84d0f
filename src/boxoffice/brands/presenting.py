"""Turns a brand as it is kept into what buyers and its organization see. Pure."""

from typing import Any

from boxoffice.brands import rules
from boxoffice.brands.logos import LOGO, LOGO_OF_MAIL
from boxoffice.brands.store import StoredBrand
from boxoffice.brands.views import Accent, Brand, BrandInFull, Logo, OwnBrand
from boxoffice.listings.markdown import rich_nodes
from boxoffice.posters.views import PREFIX

_TERMS = ("terms", "terms_en", "terms_ko")


def accent_of(colour: str) -> Accent:
    """Return a colour with its shades."""
    return Accent(colour=colour, light=rules.light_shade(colour), dark=rules.dark_shade(colour))


def brief(one: StoredBrand) -> Brand:
    """Return a brand as pages and tickets show it."""
    return Brand(**_members(one))


def in_full(one: StoredBrand) -> BrandInFull:
    """Return a brand with its terms."""
    texts = {name: getattr(one, name) for name in _TERMS}
    rich = {name: rich_nodes(text) for name, text in texts.items() if text}
    return BrandInFull(**_members(one), **texts, rich=rich)


def own(one: StoredBrand) -> OwnBrand:
    """Return a brand as its organization edits it."""
    texts = {name: getattr(one, name) for name in _TERMS}
    return OwnBrand(
        **_members(one), **texts, widget_origins=one.widget_origins, version=one.version
    )


def _members(one: StoredBrand) -> dict[str, Any]:
    return {
        "organization_id": one.organization_id,
        "name": one.name,
        "name_en": one.name_en,
        "name_ko": one.name_ko,
        "logo": _logo(one),
        "accent": accent_of(one.accent) if one.accent else None,
        "has_terms": any(getattr(one, name) for name in _TERMS),
    }


def _logo(one: StoredBrand) -> Logo | None:
    if one.logo_hash is None:
        return None
    return Logo(
        url=f"{PREFIX}/{one.logo_hash}/{LOGO}",
        png_url=f"{PREFIX}/{one.logo_hash}/{LOGO_OF_MAIL}",
        width=one.logo_width_px or 0,
        height=one.logo_height_px or 0,
        ground=one.logo_ground or "",
    )
